"""What the command's lines become, on a handful of them."""

import json
from typing import Any

import pytest

from research.judging.scan_validation import outcome_table, read_scan, scores
from research.pools.research_data import DataFile


def _file(name: str, **fields: Any) -> DataFile:
    given: dict[str, Any] = {
        "path": name, "label": 1, "method": "m", "family": "swap", "people": (name,),
        "pair_of": "", "split": "val",
    }  # fmt: skip
    return DataFile.model_validate(given | fields)


FILES = [_file("a"), _file("b"), _file("c", label=0, family="real")]
LINES = [
    json.dumps({"verdict": "fake", "p_fake": 0.9, "tracks": [{"median_face_px": 80.0}]}),
    json.dumps({"job_status": "failed", "error": {"code": "no_video_stream"}}),
    json.dumps({"verdict": "inconclusive", "p_fake": None, "tracks": []}),
]


def test_only_judged_clips_have_a_score() -> None:
    (judged,) = scores(read_scan(FILES, "crf23", LINES))
    assert (judged.clip, judged.raw, judged.quality, judged.face_px) == ("a", 0.9, "crf23", 80.0)


def test_failed_and_inconclusive_clips_are_counted() -> None:
    rows = outcome_table(read_scan(FILES, "found", LINES)).splitlines()
    assert "| swap | found | 1 | 0 | 0 | 0 | 1 |" in rows
    assert "| real | found | 0 | 0 | 0 | 1 | 0 |" in rows


def test_a_line_short_is_an_error() -> None:
    with pytest.raises(ValueError, match="shorter"):
        read_scan(FILES, "found", LINES[:2])
