"""A weights bundle is hostile until its card and its bytes have been checked."""

import hashlib
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from unmask.bundle import CARD_FILE, WEIGHTS_FILE, BundleCard, read_card, verify_weights
from unmask.errors import BundleRefused, ReasonCode


def write_bundle(folder: Path, **changes: object) -> BundleCard:
    save_file({"w": np.arange(12, dtype=np.float32)}, folder / WEIGHTS_FILE)
    digest = hashlib.sha256((folder / WEIGHTS_FILE).read_bytes()).hexdigest()
    card = {
        "plugin": "sola",
        "plugin_version": "1",
        "name": "test",
        "created": "2026-11-21",
        "architecture": {},
        "sha256": digest,
        "dtype": "float32",
    } | changes
    (folder / CARD_FILE).write_text(json.dumps(card))
    return read_card(folder, "sola")


def test_a_good_bundle_is_read_and_verified(tmp_path: Path) -> None:
    card = write_bundle(tmp_path)
    assert verify_weights(tmp_path, card) == tmp_path / WEIGHTS_FILE


def test_a_missing_card_names_the_fix(tmp_path: Path) -> None:
    with pytest.raises(BundleRefused, match="UNMASK_WEIGHTS_DIR") as caught:
        read_card(tmp_path, "sola")
    assert caught.value.code is ReasonCode.BUNDLE_REFUSED
    assert caught.value.plugin == "sola"


def test_a_card_of_another_plugin_is_refused(tmp_path: Path) -> None:
    write_bundle(tmp_path)
    with pytest.raises(BundleRefused, match="belongs to plugin 'sola'"):
        read_card(tmp_path, "lrl")


def test_a_card_with_an_unknown_field_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleRefused, match="not a bundle card"):
        write_bundle(tmp_path, surprise=1)


def test_a_pickle_named_safetensors_is_refused_and_never_run(tmp_path: Path) -> None:
    card = write_bundle(tmp_path)
    trace = tmp_path / "executed"

    class Bomb:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (trace,))

    (tmp_path / WEIGHTS_FILE).write_bytes(pickle.dumps(Bomb()) * 10)
    with pytest.raises(BundleRefused, match=r"not a safetensors file|no safetensors header"):
        verify_weights(tmp_path, card)
    assert not trace.exists()


@pytest.mark.parametrize("keep", [0, 4, 8, 40, -1])
def test_a_truncated_weights_file_is_refused(tmp_path: Path, keep: int) -> None:
    card = write_bundle(tmp_path)
    path = tmp_path / WEIGHTS_FILE
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(BundleRefused):
        verify_weights(tmp_path, card)


def test_one_flipped_bit_in_the_weights_is_refused(tmp_path: Path) -> None:
    card = write_bundle(tmp_path)
    path = tmp_path / WEIGHTS_FILE
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(BundleRefused, match="its card says"):
        verify_weights(tmp_path, card)


def test_a_missing_weights_file_is_refused(tmp_path: Path) -> None:
    card = write_bundle(tmp_path)
    (tmp_path / WEIGHTS_FILE).unlink()
    with pytest.raises(BundleRefused, match="No such file"):
        verify_weights(tmp_path, card)
