"""Judge clips once and keep every frame's score, so that whatever follows scores can be fitted again.

    python -m research.judging.frame_scores --research-data ../shared/data --out SCORES.jsonl

Ingest's own way from file to crops, then each bundle's reference network: what the workers would have
written down, without a broker. The clips of unseen people, and those whose method `--also` names. One
line per clip; clips that are in the file already are passed over, so a run may be stopped and taken up.
Start a new file for new weights. One thread; some 2 s per clip on a quiet core.
"""

import argparse
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import TypeAdapter

from detect_plugins.catalogue import load_catalogue
from ingest.faces import FaceDetector, build_face_detector
from ingest.memory_publisher import MemoryPublisher
from ingest.pipeline import ingest_video
from research.judging.judge import scores_of
from research.pools.research_data import DataFile, read_data
from trainers.bundles.load_bundle import load_from_folder
from unmask.bundle import read_card
from unmask.frozen import Frozen
from unmask.messages import CropMeta, FaceScore, IngestClosed, PluginRef, Submission
from unmask.plugin import Detector, FaceCrop
from unmask.settings import Settings

SHIPPED = ("sola", "efficientnet_fpn", "generated_faces")
_DIGITS = 5


class ScoredClip(Frozen):
    """One clip with everything a verdict is made from."""

    file: DataFile
    closed: IngestClosed
    scores: tuple[FaceScore, ...]


_LINE = TypeAdapter(ScoredClip)


def read_scored(path: Path) -> list[ScoredClip]:
    """The clips of a file that this command wrote."""
    return [_LINE.validate_json(line) for line in path.read_text(encoding="utf-8").splitlines()]


class Judges:
    """The bundles, loaded once, with the references that a job would name them by."""

    def __init__(self, bundles: dict[str, Path]) -> None:
        self.detectors: dict[PluginRef, Detector] = {}
        for plugin, folder in bundles.items():
            card = read_card(folder, plugin)
            ref = PluginRef(key=plugin, weights=card.sha256[:12])
            self.detectors[ref] = load_from_folder(plugin, folder)
        manifests = [detector.manifest for detector in self.detectors.values()]
        self.crop_scale = max(m.crop_scale for m in manifests)
        self.min_face_px = min(m.min_face_px for m in manifests)

    def judge(self, path: Path, finder: FaceDetector, settings: Settings) -> "Judged":
        """Ingest's closing message on the video at `path`, and every plugin's frame scores."""
        publisher = MemoryPublisher()
        closed = ingest_video(
            Submission(
                job_id="frame-scores",
                path=str(path),
                filename=path.name,
                sample=settings.sample,
                plugins=tuple(self.detectors),
                crop_scale=self.crop_scale,
                min_face_px=self.min_face_px,
            ),
            settings=settings,
            publisher=publisher,
            face_detector=finder,
        )
        metas = [meta for meta, _ in publisher.crops.values()]
        faces = [
            FaceCrop(pixels=pixels, box=meta.box, crop_to_frame=meta.crop_to_frame)
            for meta, pixels in publisher.crops.values()
        ]
        found = [
            score
            for ref, detector in self.detectors.items()
            for score in _scored(ref, detector, metas, faces)
        ]
        return closed, tuple(found)


Judged = tuple[IngestClosed, tuple[FaceScore, ...]]


def _scored(
    ref: PluginRef, detector: Detector, metas: Sequence[CropMeta], faces: Sequence[FaceCrop]
) -> Iterator[FaceScore]:
    if not faces:
        return
    p, ood = scores_of(detector, faces)
    for meta, value, strange in zip(metas, p, ood, strict=True):
        yield FaceScore(
            crop=meta,
            plugin=ref,
            p=round(float(value), _DIGITS),
            map_height=1,
            map_width=1,
            entry_id="",
            ood=None if strange is None else round(strange, 4),
        )


def chosen_clips(data: Path, also: Sequence[str]) -> list[DataFile]:
    """The validation clips, and the others whose method starts with one of `also`; each once."""
    files = [
        file
        for file in read_data(data)
        if file.path.startswith("videos/")
        and (file.split == "val" or (also and file.method.startswith(tuple(also))))
    ]
    # Real and forged, old and new mixed: a run that is stopped early is a fair sample.
    return sorted(
        {file.path: file for file in files}.values(), key=lambda file: _shuffle(file.path)
    )


def _shuffle(path: str) -> bytes:
    return hashlib.sha256(path.encode()).digest()


def bundles_of(given: Sequence[str]) -> dict[str, Path]:
    """PLUGIN=FOLDER pairs; the bundles that ship where none is given."""
    if given:
        return {plugin: Path(folder) for plugin, _, folder in (g.partition("=") for g in given)}
    catalogue = load_catalogue()
    folders = {key: catalogue.get(key).bundle_folder(None) for key in SHIPPED}
    return {key: folder for key, folder in folders.items() if folder is not None}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--research-data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--bundle", action="append", default=[], metavar="PLUGIN=FOLDER")
    parser.add_argument("--also", action="append", default=[], metavar="METHOD")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    settings = Settings()
    judges = Judges(bundles_of(args.bundle))
    finder = build_face_detector(settings.face_detector, settings)
    done = {clip.file.path for clip in read_scored(args.out)} if args.out.exists() else set()
    with args.out.open("a", encoding="utf-8") as out:
        for file in chosen_clips(args.research_data, args.also):
            if file.path in done:
                continue
            closed, found = judges.judge(args.research_data / file.path, finder, settings)
            if closed.error is None:
                clip = ScoredClip(file=file, closed=closed, scores=found)
                out.write(_LINE.dump_json(clip).decode() + "\n")
                out.flush()
            print(file.path, closed.error.code if closed.error else len(found), flush=True)


if __name__ == "__main__":
    main()
