"""Verdicts of version 1 are read for as long as somebody keeps them."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from unmask.verdict import VerdictLabel, read_verdict

V1: dict[str, Any] = {
    "schema_version": "1",
    "verdict": "authentic",
    "p_fake": 0.21,
    "calibrated": True,
    "reliable": True,
    "reasons": [],
    "media": {
        "sha256": "ab" * 32,
        "size_bytes": 1,
        "container": "mov",
        "codec": "h264",
        "width": 640,
        "height": 360,
        "rotation_deg": 0,
        "duration_ms": 4000,
        "frame_rate": 25.0,
    },
    "face_detector": "mtcnn@1",
    "policy": {
        "id": "default",
        "version": "5",
        "suspicious_at": 0.721,
        "fake_at": 0.814,
        "conditions": "none",
    },
    "aggregation": {"name": "track-mean-top20", "version": "1"},
    "combination": {"name": "likeliest-kind", "version": "1"},
    "coverage": {
        **dict.fromkeys(("no_face", "failed", "dropped", "corrupt_packets", "faces_too_small"), 0),
        "decoded": 100,
        "sampled": 32,
        "scored": 32,
        "faces_found": 32,
        "faces_scored": 32,
    },
    "tracks": [
        {
            "id": 1,
            "status": "judged",
            "p_fake": 0.21,
            "kind": "pasted",
            "segments_ms": [[0, 3960]],
            "faces": 32,
            "median_face_px": 120.0,
            "timeline": [{"frame_index": 0, "pts_ms": 0, "p": 0.3}],
            "reason": None,
            "condition": None,
        }
    ],
    "evidence": [],
    "plugins": [],
    "rests_on": [],
}


SCHEMA_V1 = Path(__file__).parents[3] / "docs" / "reference" / "verdict-v1.schema.json"


def test_the_schema_of_version_1_stays_published() -> None:
    schema = json.loads(SCHEMA_V1.read_text(encoding="utf-8"))
    assert schema["title"] == "Unmask verdict, version 1"
    jsonschema.validate(V1, schema)


def test_a_verdict_of_version_1_is_read_as_version_2_with_its_own_numbers() -> None:
    verdict = read_verdict(json.dumps(V1))
    assert verdict.schema_version == "2"
    assert verdict.verdict is VerdictLabel.NO_SIGN_FOUND
    assert (verdict.p_fake, verdict.policy.suspicious_at) == (0.21, 0.721)
    assert (verdict.segments, verdict.windows, verdict.power) == ((), None, None)
    assert verdict.coverage.looks is None
    assert read_verdict(verdict.canonical_json()) == verdict


@pytest.mark.parametrize("label", ["fake", "suspicious", "inconclusive"])
def test_the_other_labels_of_version_1_keep_their_names(label: str) -> None:
    assert read_verdict(json.dumps(V1 | {"verdict": label})).verdict.value == label


@pytest.mark.parametrize(
    "text", ['{"schema_version": "3"}', "[]", "no json", '{"verdict": "fake"}']
)
def test_what_is_no_verdict_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read_verdict(text)


def test_the_new_label_is_no_label_of_version_1() -> None:
    assert "authentic" not in {label.value for label in VerdictLabel}
