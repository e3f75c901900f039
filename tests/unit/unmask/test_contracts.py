"""The shared language: pure, frozen, and free of heavy imports."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from unmask.errors import ConfigError, ReasonCode, UnmaskError
from unmask.messages import CropBatch, CropMeta, PluginRef
from unmask.plugin import read_manifest
from unmask.policy import DEFAULT, Policy, load_policy
from unmask.verdict import VerdictLabel

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = ["unmask", "ingest", "detect_plugins", "workers", "trainers", "console"]
coordinates = st.floats(-1e4, 1e4).map(lambda value: round(value, 3))


def test_the_shared_language_imports_no_torch_av_redis_or_database() -> None:
    modules = [
        f"unmask.{path.stem}" for path in (ROOT / "unmask").glob("*.py") if path.stem != "testing"
    ]
    code = (
        f"import sys, importlib\nfor m in {modules!r}: importlib.import_module(m)\n"
        "print(sorted({'torch','av','redis','sqlalchemy','cv2'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", PACKAGES)
def test_each_generic_package_name_resolves_inside_this_repository(name: str) -> None:
    path = Path(str(import_module(name).__file__)).resolve()
    assert path.is_relative_to(ROOT)


@given(
    frame=st.integers(0, 10**7),
    box=st.tuples(coordinates, coordinates, coordinates, coordinates),
    score=st.floats(0, 1),
)
def test_a_crop_batch_survives_the_journey_through_json(
    frame: int, box: tuple[float, float, float, float], score: float
) -> None:
    crop = CropMeta(
        frame_index=frame,
        pts_ms=frame * 40,
        face_index=0,
        track_id=1,
        width=8,
        height=8,
        box=box,
        crop_to_frame=(1, 0, *box[:1], 0, 1, 0),
        face_px=60.0,
        detector_score=score,
    )
    batch = CropBatch(
        job_id="j",
        generation=0,
        plugins=(PluginRef(key="sola", weights="untrained"),),
        crops=(crop,),
    )
    assert CropBatch.model_validate_json(batch.model_dump_json()) == batch


def test_messages_are_frozen_and_refuse_unknown_fields() -> None:
    ref = PluginRef(key="sola", weights="abc")
    assert ref.slug == "sola@abc"
    with pytest.raises(ValidationError):
        ref.key = "lrl"  # type: ignore[misc]
    with pytest.raises(ValidationError):
        PluginRef.model_validate({"key": "sola", "weights": "abc", "colour": "red"})


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_higher_probability_never_gets_a_milder_label(one: float, other: float) -> None:
    order = [VerdictLabel.NO_SIGN_FOUND, VerdictLabel.SUSPICIOUS, VerdictLabel.FAKE]
    low, high = sorted((one, other))
    assert order.index(DEFAULT.label(low)) <= order.index(DEFAULT.label(high))


def test_what_is_not_judged_is_inconclusive_never_one_half() -> None:
    assert DEFAULT.label(None) is VerdictLabel.INCONCLUSIVE


def test_a_policy_with_crossed_thresholds_is_refused() -> None:
    with pytest.raises(ValidationError, match="suspicious_at"):
        Policy(id="x", version="1", suspicious_at=0.9, fake_at=0.5)


def test_a_policy_file_is_read_and_its_faults_are_named(tmp_path: Path) -> None:
    good = tmp_path / "strict.toml"
    good.write_text('id = "strict"\nversion = "2"\nsuspicious_at = 0.3\nfake_at = 0.6\n')
    assert load_policy(str(good)).label(0.6) is VerdictLabel.FAKE
    bad = tmp_path / "bad.toml"
    bad.write_text('id = "strict"\nversion = "2"\nsuspicious_at = 3\nfake_at = 0.6\n')
    with pytest.raises(ConfigError, match="suspicious_at"):
        load_policy(str(bad))
    with pytest.raises(ConfigError, match="No such file"):
        load_policy(str(tmp_path / "absent.toml"))


def test_every_error_of_the_tree_has_a_reason_code_and_is_drawn_at_the_top_of_its_file() -> None:
    import unmask.errors as errors

    drawn = errors.__doc__ or ""
    classes = [
        value
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, UnmaskError)
    ]
    assert len(classes) > 10
    for one in classes:
        assert isinstance(one.code, ReasonCode)
        assert one.__name__ in drawn


def test_a_manifest_error_names_the_field_and_the_plugin(tmp_path: Path) -> None:
    folder = tmp_path / "wonky"
    folder.mkdir()
    (folder / "manifest.toml").write_text('key = "Wonky!"\n')
    with pytest.raises(UnmaskError, match=r"wonky: manifest.toml, "):
        read_manifest(folder / "manifest.toml")
