"""What the table of copies counts."""

from research.judging.same_video import COPIES, table
from research.pools.research_data import DataFile


def clip(label: int) -> DataFile:
    return DataFile.model_validate(
        {
            "path": f"videos/{label}.mp4",
            "label": label,
            "method": "m",
            "family": "swap",
            "pair_of": "",
            "people": ("p",),
            "split": "val",
        }
    )


def test_labels_moves_and_silence_are_counted_per_copy() -> None:
    copies = COPIES[:2]
    lines = [
        {"verdict": "no_sign_found", "p_fake": 0.2},
        {"verdict": "suspicious", "p_fake": 0.75},
        {"verdict": "inconclusive", "p_fake": None, "reasons": [{"code": "face_sideways"}]},
        {"verdict": "fake", "p_fake": 0.9},
        {"verdict": "fake", "p_fake": 0.89},
        {"verdict": "fake", "p_fake": 0.9},
    ]
    first, second = table(lines, [clip(0), clip(1)], copies).splitlines()[2:]
    assert first == "| mirrored | 1 of 1 | 0 of 1 | 0.280 | 0.550 | 0 | 0 |"
    assert second == "| turned 90 | 1 of 1 | 0 of 1 | 0.000 | 0.000 | 1 | 1 |"
