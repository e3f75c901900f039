"""Judge clips once and keep every frame's score, so that whatever follows scores can be fitted again.

    python -m research.judging.frame_scores --research-data ../shared/data --out SCORES.jsonl

Ingest's own way from file to crops, then each bundle's reference network: what the workers would have
written down, without a broker. The clips of unseen people, and those whose method `--also` names. One
line per clip; clips that are in the file already are passed over, so a run may be stopped and taken up.
Start a new file for new weights. One thread; some 2 s per clip on a quiet core.
"""

import argparse
import hashlib
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import av
import numpy as np
from pydantic import TypeAdapter

from detect_plugins.catalogue import load_catalogue
from ingest.decoding.sampling import LEAST_LOOKS
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
from workers.scoring.mirror import mean_p

SHIPPED = ("sola", "efficientnet_fpn", "generated_faces")
_DIGITS = 5
#: Looks per second of a clip: any rate up to this can be tried on the scores.
DENSE = 5


class Mirrored(Frozen):
    """What a network says of the mirror image of a crop."""

    p: float
    ood: float | None


class ScoredClip(Frozen):
    """One clip with everything a verdict is made from."""

    file: DataFile
    closed: IngestClosed
    scores: tuple[FaceScore, ...]
    mirrored: tuple[Mirrored, ...] = ()
    """Of the mirror images of the same crops, in the same order."""


_LINE = TypeAdapter(ScoredClip)


def read_scored(path: Path, *, mirrored: bool = True) -> list[ScoredClip]:
    """The clips of a file that this command wrote; `mirrored`: each score the mean over the mirror image,
    as `UNMASK_MIRROR_AVERAGE` has it."""
    lines = path.read_text(encoding="utf-8").splitlines()
    clips = (_LINE.validate_json(line) for line in lines)
    return [_averaged(clip) if mirrored and clip.mirrored else clip for clip in clips]


def _averaged(clip: ScoredClip) -> ScoredClip:
    p = mean_p(
        np.array([score.p for score in clip.scores], np.float32),
        np.array([image.p for image in clip.mirrored], np.float32),
    )
    scores = tuple(
        score.model_copy(
            update={
                "p": round(float(value), _DIGITS),
                "ood": None
                if score.ood is None or image.ood is None
                else (score.ood + image.ood) / 2.0,
            }
        )
        for score, image, value in zip(clip.scores, clip.mirrored, p, strict=True)
    )
    return clip.model_copy(update={"scores": scores, "mirrored": ()})


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
                sample=dense(path),
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
            pair
            for ref, detector in self.detectors.items()
            for pair in _scored(ref, detector, metas, faces)
        ]
        return closed, tuple(score for score, _ in found), tuple(image for _, image in found)


Judged = tuple[IngestClosed, tuple[FaceScore, ...], tuple[Mirrored, ...]]


def dense(path: Path) -> str:
    """Looks enough for any rate up to DENSE a second to be thinned out of them."""
    with av.open(str(path)) as media:
        seconds = (media.duration or 0) / av.time_base
    return f"uniform:{max(LEAST_LOOKS, math.ceil(seconds * DENSE) + 1)}"


def _scored(
    ref: PluginRef, detector: Detector, metas: Sequence[CropMeta], faces: Sequence[FaceCrop]
) -> Iterator[tuple[FaceScore, Mirrored]]:
    if not faces:
        return
    ways = zip(
        metas, *scores_of(detector, faces), *scores_of(detector, faces, mirrored=True), strict=True
    )
    for meta, p, ood, mirrored_p, mirrored_ood in ways:
        score = FaceScore(
            crop=meta,
            plugin=ref,
            p=round(float(p), _DIGITS),
            map_height=1,
            map_width=1,
            entry_id="",
            ood=_rounded(ood),
        )
        yield score, Mirrored(p=round(float(mirrored_p), _DIGITS), ood=_rounded(mirrored_ood))


def _rounded(ood: float | None) -> float | None:
    return None if ood is None else round(ood, 4)


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
            closed, found, mirrored = judges.judge(args.research_data / file.path, finder, settings)
            if closed.error is None:
                clip = ScoredClip(file=file, closed=closed, scores=found, mirrored=mirrored)
                out.write(_LINE.dump_json(clip).decode() + "\n")
                out.flush()
            print(file.path, closed.error.code if closed.error else len(found), flush=True)


if __name__ == "__main__":
    main()
