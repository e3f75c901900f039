"""A start without torch: what it opens, that its answers are the same, and when it goes the long way."""

import dataclasses
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detect_plugins.catalogue import CatalogueEntry, load_catalogue
from unmask.errors import BundleRefused, ReasonCode
from unmask.messages import Reason
from unmask.plugin import Detector
from unmask.settings import Settings
from workers.engines import last_start
from workers.engines.cache import EngineCache
from workers.engines.last_start import key_of_start
from workers.engines.manage import list_engines
from workers.engines.parity import bounds, fixed_crops
from workers.engines.runtimes.base import Engine
from workers.scoring.load_scorer import load_scorer

pytestmark = pytest.mark.slow

KEY = "generated_faces"
Opened = tuple[Detector, Engine, list[Reason]]
#: In a process of its own: which engine served, whether torch was imported, and what it answered.
ASK = """
import json, sys
from detect_plugins.catalogue import load_catalogue
from unmask.settings import Settings
from workers.engines.parity import fixed_crops
from workers.scoring.load_scorer import load_scorer

settings = Settings(**json.loads(sys.argv[1]))
entry = load_catalogue().get(sys.argv[2])
scorer = load_scorer(entry, entry.ref(settings.weights_dir), settings)
raw = scorer._engine.infer(fixed_crops(scorer._detector.manifest.input_px, 3))
print(json.dumps([
    scorer.engine_name, "torch" in sys.modules, raw.p.tolist(), raw.maps.tolist(),
    raw.ood is not None and raw.ood.tolist(),
]))
"""


def settings_in(folder: Path, **changes: Any) -> Settings:
    return Settings(**(_given(folder) | changes))


def _given(folder: Path) -> dict[str, Any]:
    return {
        "data_dir": str(folder / "data"),
        "engine_dir": str(folder / "engines"),
        "weights_dir": str(folder / "weights"),
        "batch_size": 2,
        "threads": 1,
        "device": "cpu",
        # Whether bf16 passes the gate is the processor's affair.
        "precision": "fp32",
    }


def open_last(entry: CatalogueEntry, settings: Settings) -> Opened | None:
    return last_start.open_last(entry, key_of_start(entry, settings), settings)


@pytest.fixture(scope="module")
def entry() -> CatalogueEntry:
    return load_catalogue().get(KEY)


@pytest.fixture(scope="module")
def served_once(entry: CatalogueEntry, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache after one start, its bundle beside it."""
    folder = tmp_path_factory.mktemp("served")
    shipped = entry.bundle_folder(None)
    assert shipped is not None
    shutil.copytree(shipped, folder / "weights" / KEY)
    settings = settings_in(folder)
    load_scorer(entry, entry.ref(settings.weights_dir), settings)
    return folder


@pytest.fixture
def cache(served_once: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    shutil.copytree(served_once, tmp_path / "copy", copy_function=shutil.copy2)
    return tmp_path / "copy"


def asked(folder: Path) -> list[object]:
    command = [sys.executable, "-c", ASK, json.dumps(_given(folder)), KEY]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    answer: list[object] = json.loads(done.stdout.splitlines()[-1])
    return answer


def test_the_second_start_needs_no_torch_and_answers_the_same(cache: Path) -> None:
    engine, with_torch, *numbers = asked(cache)
    assert not with_torch
    for record in (cache / "engines" / KEY).glob("last-*"):
        shutil.rmtree(record)
    again, long_way, *same = asked(cache)
    assert long_way
    assert engine == again
    assert numbers == same, "to the last bit"


def test_what_it_opens_still_has_a_network_for_whoever_asks(
    cache: Path, entry: CatalogueEntry
) -> None:
    found = open_last(entry, settings_in(cache))
    assert found is not None
    detector, engine, _ = found
    crops = fixed_crops(detector.manifest.input_px, 2)
    np.testing.assert_allclose(engine.infer(crops).p, detector.infer(crops).p, atol=1e-2)


@pytest.mark.parametrize(
    "change",
    [{"precision": "auto"}, {"engine": "torch"}, {"batch_size": 4}, {"precision": "int8"}],
)
def test_other_settings_go_the_long_way(
    change: dict[str, object], cache: Path, entry: CatalogueEntry
) -> None:
    assert open_last(entry, settings_in(cache, **change)) is None


def test_another_card_other_sources_or_a_gpu_go_the_long_way(
    cache: Path, entry: CatalogueEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_in(cache)
    assert open_last(entry, settings) is not None
    with monkeypatch.context() as patch:
        patch.setattr(last_start, "_sources_sha256", lambda: "0" * 64)
        assert open_last(entry, settings) is None
    with monkeypatch.context() as patch:
        patch.setattr(last_start, "_GPU_SIGNS", ("/dev/null",))
        assert open_last(entry, settings.model_copy(update={"device": "auto"})) is None
    somebody_elses = dataclasses.replace(entry, package="theirs.generated_faces")
    assert open_last(somebody_elses, settings) is None
    card = cache / "weights" / KEY / "bundle.json"
    card.write_text(card.read_text() + "\n")
    assert open_last(entry, settings) is None


def test_altered_weights_are_refused_as_ever(cache: Path, entry: CatalogueEntry) -> None:
    weights = cache / "weights" / KEY / "weights.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(BundleRefused):
        open_last(entry, settings_in(cache))


def spoil(cache: Path, folder: str) -> None:
    """A byte more in a file of the note, of the reference or of the engine."""
    (noted,) = (cache / "engines" / KEY).glob("last-*")
    chosen = json.loads((noted / "chosen.json").read_text())
    place = {"last": f"{KEY}/{noted.name}", "openvino": chosen["engine"]}
    place["reference"] = chosen["reference"]
    files = sorted((cache / "engines" / place[folder]).iterdir())
    spoilt = next(path for path in files if path.name != "engine.json")
    spoilt.write_bytes(spoilt.read_bytes() + b" ")


@pytest.mark.parametrize("folder", ["last", "reference", "openvino"])
def test_an_altered_file_of_the_cache_is_never_opened_and_stops_nobody(
    folder: str, cache: Path, entry: CatalogueEntry
) -> None:
    settings = settings_in(cache)
    spoil(cache, folder)
    assert open_last(entry, settings) is None
    scorer = load_scorer(entry, entry.ref(settings.weights_dir), settings)
    # The note is made anew. What was altered is refused: without the engine the next one serves, without
    # the reference none but torch.
    wanted = {"last": "openvino", "openvino": "onnxruntime", "reference": "torch"}[folder]
    assert scorer.engine_name == f"{wanted}-fp32+mirror"
    assert (open_last(entry, settings) is not None) == (folder == "last")


def test_a_note_that_cannot_be_made_stops_nobody(
    cache: Path, entry: CatalogueEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_in(cache)
    for record in (cache / "engines" / KEY).glob("last-*"):
        shutil.rmtree(record)

    def full(*_: object) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(EngineCache, "store", full)
    scorer = load_scorer(entry, entry.ref(settings.weights_dir), settings)
    assert scorer.engine_name == "openvino-fp32+mirror"
    assert open_last(entry, settings) is None


def test_what_openvino_raises_goes_the_long_way(
    cache: Path, entry: CatalogueEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("cannot compile")

    monkeypatch.setattr("workers.engines.runtimes.openvino_engine.read_plan", broken)
    assert open_last(entry, settings_in(cache)) is None


def test_a_bundle_that_is_replaced_meanwhile_is_not_noted(
    cache: Path, entry: CatalogueEntry
) -> None:
    settings = settings_in(cache)
    found = open_last(entry, settings)
    assert found is not None
    before = key_of_start(entry, settings)
    for record in (cache / "engines" / KEY).glob("last-*"):
        shutil.rmtree(record)
    card = cache / "weights" / KEY / "bundle.json"
    card.write_text(card.read_text() + "\n")
    last_start.remember(entry, before, *found, settings=settings)
    assert not list((cache / "engines" / KEY).glob("last-*"))


@pytest.mark.parametrize(
    ("code", "noted"), [(ReasonCode.PARITY_FAILED, 1), (ReasonCode.ENGINE_UNAVAILABLE, 0)]
)
def test_what_may_serve_tomorrow_is_not_passed_over_for_good(
    code: ReasonCode, noted: int, cache: Path, entry: CatalogueEntry
) -> None:
    settings = settings_in(cache)
    found = open_last(entry, settings)
    assert found is not None
    for record in (cache / "engines" / KEY).glob("last-*"):
        shutil.rmtree(record)
    detector, engine, _ = found
    reasons = [Reason(code=code, message="openvino-bf16: not today.")]
    key = key_of_start(entry, settings)
    last_start.remember(entry, key, detector, engine, reasons, settings=settings)
    assert len(list((cache / "engines" / KEY).glob("last-*"))) == noted


def test_an_engine_that_fails_the_gate_is_not_what_is_served(
    cache: Path, entry: CatalogueEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.engines.parity.MIN_CORRELATION", 1.1)
    monkeypatch.setattr(last_start, "bounds", lambda precision: _OLD[precision])
    assert open_last(entry, settings_in(cache)) is None


#: The bounds as they were when the engine was chosen: the gate itself has to object.
_OLD = {precision: bounds(precision) for precision in ("fp32", "bf16")}


def test_engines_list_shows_what_was_noted(cache: Path) -> None:
    assert "last-chosen" in {row.engine for row in list_engines(settings_in(cache))}
