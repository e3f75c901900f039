"""The card beside the finder's weights: what it was taught with, by whom, and on what terms."""

from collections import Counter
from pathlib import Path

from trainers.finder.scenes import Picture
from unmask.system.hashing import file_sha256


def write_card(
    folder: Path, pictures: list[Picture], *, seed: int, scenes: int, seconds: float
) -> Path:
    """`CARD.md` in `folder`, beside `scout.onnx`. Returns it."""
    taught = [p for p in pictures if not p.held_out]
    rows = [
        f"| {kind} | {sum(p.kind == kind for p in taught)} "
        f"| {sum(f.sure for p in taught if p.kind == kind for f in p.faces)} "
        f"| {count - sum(p.kind == kind for p in taught)} |"
        for kind, count in sorted(Counter(p.kind for p in pictures).items())
    ]
    text = "\n".join(
        [
            "# The embedded finder of faces",
            "",
            f"`scout.onnx`, sha256 `{file_sha256(folder / 'scout.onnx')}`.",
            "Our own network and training (`trainers/finder/`); no weight of its teachers is in it.",
            "",
            "| pictures | taught | sure faces on them | held out |",
            "|---|---|---|---|",
            *rows,
            "",
            f"Seed {seed}, {scenes} scenes of 256 px, {seconds / 60:.0f} minutes of one core.",
            "Teachers: YuNet (Apache-2.0) and RetinaFace-MobileNet0.25 (MIT) where they agree;",
            "boxes as MTCNN draws them where it sees the face.",
            "",
            "The pictures are research data with mixed, partly non-commercial terms: these weights",
            "are for research and demonstration. `docs/how-to/train-a-finder.md` trains others.",
            "",
        ]
    )
    path = folder / "CARD.md"
    path.write_text(text, encoding="utf-8")
    return path
