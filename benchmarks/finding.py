"""Finding faces, alone: what one sampled frame costs of a core, by the detector that is in force.

    python benchmarks/finding.py [--video PATH] [--detector mtcnn] [--sample uniform:32] [--rounds N]
    python benchmarks/finding.py --judge PICTURES [--finders mtcnn,onnx:scout.onnx]    what is found, by size

Processor time, not wall clock: it hardly moves when others use the machine too. Frames are searched
as ingest searches them, in order and with quick looks; decoding, following and cutting do not count.
"""

import argparse
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from ingest.decoding.decode import Frame
from ingest.faces import build_face_detector
from ingest.faces.quick_search import QuickSearch
from ingest.sandbox.parent import Decoding
from ingest.sources import open_source
from unmask.settings import Settings


@dataclass(frozen=True, kw_only=True)
class FindingSpeed:
    """Best of the rounds."""

    detector: str
    frames: int
    faces: int
    core_ms_a_frame: float

    @property
    def faces_per_core_s(self) -> float:
        """Faces that one core finds in a second."""
        return 1000.0 * self.faces / (self.core_ms_a_frame * self.frames)


def measure(
    video: Path, sample: str = "uniform:32", rounds: int = 3, settings: Settings | None = None
) -> FindingSpeed:
    """Decode the sampled frames of `video` once, then search them `rounds` times."""
    settings = settings or Settings()
    detector = build_face_detector(settings.face_detector, settings)
    with open_source(video, settings) as source, Decoding(source, sample, settings) as decoding:
        frames = [event for event in decoding.events() if isinstance(event, Frame)]
    detector.detect(frames[0].rgb)  # the first search of a process also compiles
    best, faces = float("inf"), 0
    for _ in range(rounds):
        searcher = QuickSearch(detector)
        begin = time.process_time()
        faces = sum(len(searcher.find(frame.rgb, frame.pts_ms)) for frame in frames)
        best = min(best, time.process_time() - begin)
    return FindingSpeed(
        detector=detector.name,
        frames=len(frames),
        faces=faces,
        core_ms_a_frame=1000.0 * best / len(frames),
    )


def main() -> None:
    """Print one table row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--video", type=Path)
    parser.add_argument("--detector", default="auto")
    parser.add_argument("--sample", default="uniform:32")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--judge", type=Path, help="pictures: finding_recall.py says which")
    parser.add_argument("--finders", default="mtcnn", help="to judge, with commas between")
    given = parser.parse_args()
    if given.judge:
        import finding_recall  # noqa: PLC0415 - its neighbour

        finding_recall.judge(given.judge, given.finders.split(","))
        return
    settings = Settings(face_detector=given.detector)
    import decode  # noqa: PLC0415 - its neighbour, found only where this runs as a script

    with tempfile.TemporaryDirectory() as folder:
        video = given.video or decode.make_clip(Path(folder) / "clip.mp4")
        speed = measure(video, given.sample, given.rounds, settings)
    print("| detector | frames | faces | core-ms per frame |\n|---|---|---|---|")
    print(f"| {speed.detector} | {speed.frames} | {speed.faces} | {speed.core_ms_a_frame:.1f} |")


if __name__ == "__main__":
    main()
