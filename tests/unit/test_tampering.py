"""Bundles and built engines, altered in every way there is: refused with a reason, or without effect.

Weights, card and record are small here, so that each byte of them can be turned in turn.
"""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fakes import KEY, write_bundle
from unmask.bundle import CARD_FILE, WEIGHTS_FILE, BundleCard, read_card, sealed, verify_weights
from unmask.errors import BundleRefused, CacheRefused, ReasonCode
from workers.engines.cache import RECORD_FILE, EngineCache
from workers.engines.engine_key import EngineKey

BLOB = bytes(range(256)) * 2


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    folder = tmp_path / "bundle"
    folder.mkdir()
    card = write_bundle(folder, thresholds={"fpr_0.05": 0.61}, metrics={"auc": 0.75})
    (folder / CARD_FILE).write_text(sealed(card).model_dump_json(indent=1))
    return folder


@pytest.fixture
def cache(tmp_path: Path) -> EngineCache:
    return EngineCache(tmp_path / "engines")


def key(precision: str = "fp32") -> EngineKey:
    return EngineKey(
        engine="openvino",
        precision=precision,
        plugin="tiny",
        plugin_version="1",
        bundle_sha256="a" * 64,
        weights_sha256="b" * 64,
        graph_sha256="c" * 64,
        runtime="openvino 1",
        device="cpu",
        buckets=(8,),
        fp32_fronts=(),
    )


@pytest.fixture
def engine(cache: EngineCache) -> Path:
    return cache.store(key(), lambda aside: (aside / "model.bin").write_bytes(BLOB) and None)


def loaded(folder: Path) -> BundleCard:
    card = read_card(folder, KEY)
    verify_weights(folder, card)
    return card


def turned(data: bytes) -> Iterator[bytes]:
    """Every byte turned once, by its lowest and by its highest bit in turn."""
    for at in range(len(data)):
        yield data[:at] + bytes([data[at] ^ (0x80 if at % 2 else 0x01)]) + data[at + 1 :]


def lengths(data: bytes) -> Iterator[bytes]:
    """Cut off at every length, and longer."""
    yield from (data[:end] for end in range(len(data)))
    yield from (data + more for more in (b"\0", b"\n}", data))


def refused(bad: Callable[[], object], kind: type[BundleRefused | CacheRefused]) -> None:
    with pytest.raises(kind) as caught:
        bad()
    assert isinstance(caught.value.code, ReasonCode)
    assert str(caught.value)


@pytest.mark.parametrize("altered", [turned, lengths])
def test_weights_that_differ_by_a_byte_are_refused(
    bundle: Path, altered: Callable[[bytes], Iterator[bytes]]
) -> None:
    loaded(bundle)
    path = bundle / WEIGHTS_FILE
    for data in altered(path.read_bytes()):
        path.write_bytes(data)
        refused(lambda: loaded(bundle), BundleRefused)


@pytest.mark.parametrize("altered", [turned, lengths])
def test_a_card_that_differs_by_a_byte_is_refused_or_says_the_same(
    bundle: Path, altered: Callable[[bytes], Iterator[bytes]]
) -> None:
    path, whole = bundle / CARD_FILE, loaded(bundle)
    same = 0
    for data in altered(path.read_bytes()):
        path.write_bytes(data)
        try:
            assert loaded(bundle) == whole
            same += 1
        except BundleRefused as error:
            assert str(error)
    assert same <= data.count(b"\n") + data.count(b" ") + 2, "space between words alone"


@pytest.mark.parametrize(
    "change",
    [
        {"thresholds": {"fpr_0.05": 0.99}},
        {"calibration": None},
        {"abstention": None},
        {"combination_weight": 9.0},
        {"heatmap_scale": 3.0},
        {"finds": "pasted"},
        {"metrics": {"auc": 0.99}},
        {"architecture": {"width": 2}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_card_edited_by_hand_is_refused_and_says_what_to_do(
    bundle: Path, change: dict[str, object]
) -> None:
    path = bundle / CARD_FILE
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(BundleRefused, match="changed after it was written") as caught:
        read_card(bundle, KEY)
    assert "Export the bundle again" in caught.value.fix


def test_a_card_of_before_has_no_seal_and_is_read(bundle: Path) -> None:
    write_bundle(bundle)
    assert loaded(bundle).seal == ""


def test_weights_of_another_bundle_are_refused(bundle: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    write_bundle(other)
    data = bytearray((other / WEIGHTS_FILE).read_bytes())
    data[-1] ^= 1
    (bundle / WEIGHTS_FILE).unlink()
    (bundle / WEIGHTS_FILE).symlink_to(other / WEIGHTS_FILE)
    loaded(bundle)  # a link to the same bytes
    (other / WEIGHTS_FILE).write_bytes(data)
    refused(lambda: loaded(bundle), BundleRefused)


@pytest.mark.parametrize("name", [WEIGHTS_FILE, CARD_FILE])
def test_what_is_no_file_in_a_bundle_is_refused_and_never_waited_for(
    bundle: Path, name: str
) -> None:
    card = read_card(bundle, KEY)
    (bundle / name).unlink()
    for make in (os.mkfifo, Path.mkdir, lambda path: path.symlink_to("/dev/zero")):
        make(bundle / name)
        refused(
            lambda: verify_weights(bundle, card) if name == WEIGHTS_FILE else loaded(bundle),
            BundleRefused,
        )
        path = bundle / name
        path.rmdir() if path.is_dir() else path.unlink()


@pytest.mark.parametrize("name", [".", WEIGHTS_FILE, CARD_FILE])
def test_a_bundle_that_everybody_may_write_is_refused(bundle: Path, name: str) -> None:
    (bundle / name).chmod(0o777)
    with pytest.raises(BundleRefused, match="everybody may write") as caught:
        loaded(bundle)
    assert "chmod" in caught.value.fix


@pytest.mark.parametrize("name", ["model.bin", RECORD_FILE])
@pytest.mark.parametrize("altered", [turned, lengths])
def test_an_engine_that_differs_by_a_byte_is_refused_or_the_same(
    cache: EngineCache, engine: Path, name: str, altered: Callable[[bytes], Iterator[bytes]]
) -> None:
    whole = cache.verify(engine)
    path = engine / name
    for data in altered(path.read_bytes()):
        path.write_bytes(data)
        try:
            assert cache.find(key()) == engine
            found = cache.verify(engine)
            assert name == RECORD_FILE
            assert (found.key, found.files) == (whole.key, whole.files), "what is served"
        except CacheRefused as error:
            assert str(error) and "unmask engines" in error.fix


def test_blob_and_record_of_another_engine_are_refused(cache: EngineCache, engine: Path) -> None:
    other = cache.store(key("bf16"), lambda aside: (aside / "model.bin").write_bytes(b"x") and None)
    for name in ("model.bin", RECORD_FILE):
        kept = (engine / name).read_bytes()
        (engine / name).write_bytes((other / name).read_bytes())
        refused(lambda: cache.find(key()), CacheRefused)
        (engine / name).write_bytes(kept)
    for name in ("model.bin", RECORD_FILE):
        (engine / name).write_bytes((other / name).read_bytes())
    with pytest.raises(CacheRefused, match="another engine"):
        cache.find(key())


@pytest.mark.parametrize("name", ["model.bin", RECORD_FILE])
def test_what_is_no_file_in_an_engine_is_refused_and_never_waited_for(
    cache: EngineCache, engine: Path, tmp_path: Path, name: str
) -> None:
    aside = tmp_path / "aside"
    (engine / name).rename(aside)
    for make in (os.mkfifo, Path.mkdir, lambda path: path.symlink_to(aside)):
        make(engine / name)
        refused(lambda: cache.find(key()), CacheRefused)
        path = engine / name
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()


def test_a_linked_engine_folder_is_refused(cache: EngineCache, engine: Path) -> None:
    moved = engine.rename(engine.with_name("moved"))
    engine.symlink_to(moved)
    with pytest.raises(CacheRefused, match="symbolic link"):
        cache.find(key())
