"""The private folder of built engines: nothing altered, foreign or half-written is ever served."""

import os
import subprocess
import sys

import pytest

from unmask.errors import CacheRefused
from unmask.settings import Settings
from workers.engines.cache import EngineCache
from workers.engines.engine_key import EngineKey
from workers.engines.manage import clear_engines, list_engines, runtimes, verify_engines


def key(**changes):
    return EngineKey(
        **{
            "engine": "openvino",
            "precision": "bf16",
            "plugin": "tiny",
            "plugin_version": "1",
            "bundle_sha256": "a" * 64,
            "weights_sha256": "b" * 64,
            "graph_sha256": "c" * 64,
            "runtime": "openvino 1",
            "device": "cpu",
            "buckets": (8,),
            "fp32_fronts": (),
            **changes,
        }
    )


@pytest.fixture
def settings(tmp_path):
    return Settings(data_dir=tmp_path / "data")


@pytest.fixture
def cache(settings):
    return EngineCache.of(settings)


@pytest.fixture
def stored(cache):
    return cache.store(key(), lambda aside: (aside / "model.bin").write_bytes(b"weights"))


def test_what_was_stored_is_found(cache, stored):
    assert cache.find(key()) == stored
    assert (stored / "model.bin").read_bytes() == b"weights"


def test_what_was_never_built_is_not_found(cache, stored):
    assert cache.find(key(precision="fp32")) is None


@pytest.mark.parametrize(
    "change",
    [
        {"engine": "onnxruntime"},
        {"precision": "fp32"},
        {"plugin_version": "2"},
        {"bundle_sha256": "d" * 64},
        {"weights_sha256": "d" * 64},
        {"graph_sha256": "d" * 64},
        {"runtime": "openvino 2"},
        {"device": "another cpu"},
        {"buckets": (16,)},
        {"fp32_fronts": ("network.asrm",)},
        {"extra": "calibration"},
        {"format": 2},
    ],
    ids=lambda change: next(iter(change)),
)
def test_whatever_shapes_an_engine_makes_another_key(change):
    assert key(**change).digest() != key().digest()


def test_the_folder_and_its_files_belong_to_the_owner_alone(cache, stored):
    for path in (cache.root, stored.parent, stored):
        assert path.stat().st_mode & 0o777 == 0o700
    for path in stored.iterdir():
        assert path.stat().st_mode & 0o777 == 0o600


def test_a_changed_byte_is_refused(cache, stored):
    (stored / "model.bin").write_bytes(b"weightz")
    with pytest.raises(CacheRefused, match="sha256") as refused:
        cache.find(key())
    assert "unmask engines clear" in refused.value.fix


@pytest.mark.parametrize("mode", [0o755, 0o770, 0o777])
def test_a_folder_that_others_can_enter_is_refused(cache, stored, mode):
    stored.chmod(mode)
    with pytest.raises(CacheRefused, match="open to other users"):
        cache.find(key())


def test_a_file_that_others_can_write_is_refused(cache, stored):
    (stored / "model.bin").chmod(0o666)
    with pytest.raises(CacheRefused, match="open to other users"):
        cache.find(key())


def test_a_link_to_somewhere_else_is_refused(cache, stored, tmp_path):
    elsewhere = tmp_path / "elsewhere.bin"
    elsewhere.write_bytes(b"weights")
    elsewhere.chmod(0o600)
    (stored / "model.bin").unlink()
    (stored / "model.bin").symlink_to(elsewhere)
    with pytest.raises(CacheRefused, match="symbolic link"):
        cache.find(key())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_somebody_elses_folder_is_refused(cache, stored):
    os.chown(stored, 12345, -1)
    with pytest.raises(CacheRefused, match="belongs to user 12345"):
        cache.find(key())


def test_an_added_or_missing_file_is_refused(cache, stored):
    (stored / "extra.bin").write_bytes(b"")
    with pytest.raises(CacheRefused, match="its record lists"):
        cache.find(key())
    (stored / "extra.bin").unlink()
    (stored / "model.bin").unlink()
    with pytest.raises(CacheRefused, match="its record lists"):
        cache.find(key())


@pytest.mark.parametrize("content", [b"", b"{}", b"\x80\x04not json", b'{"key": 1}'])
def test_a_damaged_record_is_refused(cache, stored, content):
    (stored / "engine.json").write_bytes(content)
    with pytest.raises(CacheRefused, match="not an engine record"):
        cache.find(key())


def test_an_engine_moved_under_another_name_is_refused(cache, stored):
    stored.rename(cache.folder(key(precision="fp32")))
    with pytest.raises(CacheRefused, match="another engine"):
        cache.find(key(precision="fp32"))


def test_a_failed_build_leaves_nothing(cache):
    def fail(aside):
        (aside / "half.bin").write_bytes(b"half")
        raise RuntimeError("compiler")

    with pytest.raises(RuntimeError, match="compiler"):
        cache.store(key(), fail)
    assert list(cache.folders()) == []
    assert list(cache.folder(key()).parent.iterdir()) == []


def test_of_two_builders_the_second_keeps_the_firsts(cache, stored):
    again = cache.store(key(), lambda aside: (aside / "model.bin").write_bytes(b"other"))
    assert again == stored
    assert (stored / "model.bin").read_bytes() == b"weights"


def test_listing_says_what_is_there(settings, stored):
    (row,) = list_engines(settings)
    assert (row.plugin, row.engine, row.weights) == ("tiny", "openvino-bf16", "a" * 12)
    assert row.bytes == len(b"weights")
    assert row.problem is None


def test_verifying_names_what_is_off_and_goes_on(settings, cache, stored):
    cache.store(key(precision="fp32"), lambda aside: (aside / "m").write_bytes(b"fine"))
    (stored / "model.bin").write_bytes(b"weightz")
    problems = {row.engine: row.problem for row in verify_engines(settings)}
    assert "sha256" in problems["openvino-bf16"]
    assert problems["openvino-fp32"] is None


def test_clearing_takes_one_plugin_or_all(settings, cache, stored):
    cache.store(key(plugin="other"), lambda aside: (aside / "m").write_bytes(b"fine"))
    assert [row.plugin for row in clear_engines(settings, plugin="other")] == ["other"]
    assert [row.plugin for row in list_engines(settings)] == ["tiny"]
    assert [row.plugin for row in clear_engines(settings)] == ["tiny"]
    assert list_engines(settings) == []


def test_clearing_removes_what_is_damaged_too(settings, stored):
    (stored / "engine.json").write_bytes(b"broken")
    (row,) = clear_engines(settings)
    assert row.engine == "openvino-bf16"
    assert not stored.exists()


def test_an_empty_cache_lists_nothing(settings):
    assert list_engines(settings) == []
    assert verify_engines(settings) == []
    assert clear_engines(settings) == []


def test_runtimes_are_named_with_their_version_or_their_fix():
    rows = {row.name: row for row in runtimes()}
    assert rows["torch"].version
    assert rows["openvino"].version
    assert rows["tensorrt"].version or "torch-tensorrt==" in rows["tensorrt"].note


def test_listing_imports_no_torch():
    code = "import sys, workers.engines.manage; print(sorted({'torch', 'openvino'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
