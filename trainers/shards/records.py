"""What becomes of one sample: crops with their records, and counted reasons for what is left out."""

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path

from trainers.datasets.sample import Sample
from trainers.shards.files import Crop, CropRecord, Skipped
from trainers.shards.forged_pixels import Mask
from unmask.geometry import longer_side
from unmask.messages import CropMeta
from unmask.plugin import Images


@dataclass
class ScanResult:
    """The crops of one sample as they are made, and what could not be used."""

    root: Path
    """Sources are recorded relative to it."""
    sample: Sample
    made: list[Crop] = field(default_factory=list)
    _counts: dict[tuple[str, str], int] = field(default_factory=dict)

    def leave_out(self, reason: str, detail: str = "", count: int = 1) -> None:
        """Count what was not used."""
        if count > 0:
            self._counts[reason, detail] = self._counts.get((reason, detail), 0) + count

    def keep(
        self,
        meta: CropMeta,
        pixels: Images,
        mask: tuple[Mask, str] | None,
        *,
        video: str = "",
        original: Images | None = None,
    ) -> None:
        """Add one crop; `video` where a sample holds several; `original`: its paired square."""
        sample = self.sample.model_copy(update={"video": video}) if video else self.sample
        kind = mask[1] if mask else "none" if sample.label else "zero"
        if kind == "none":
            self.leave_out("forgery without a mask")
        face = longer_side(meta.box)
        record = CropRecord.model_validate(
            {
                "key": f"{_stem(sample.key)}-{meta.frame_index:06d}-{meta.track_id}",
                "video": sample.key,
                "source": _relative(sample.path, self.root),
                "meta": meta,
                "mask": kind,
                "available_scale": meta.width / face,
            }
            | {f: getattr(sample, f) for f in ("dataset", "split", "method", "label")}
            | {f: getattr(sample, f) for f in ("identity", "licence")}
        )
        crop = Crop(record=record, pixels=pixels, mask=mask[0] if mask else None, original=original)
        self.made.append(crop)

    def skipped(self) -> list[Skipped]:
        """Every reason with its count; a sample without crops always has one."""
        if not self.made and not self._counts:
            self.leave_out("no_face", "no face large enough was found")
        return [
            Skipped(reason=reason, item=self.sample.key, detail=detail, count=count)
            for (reason, detail), count in self._counts.items()
        ]


def _stem(key: str) -> str:
    """A tar name without dots and slashes, short and still unique."""
    digest = hashlib.sha256(key.encode()).hexdigest()[:8]
    return f"{re.sub(r'[^A-Za-z0-9_-]+', '-', key)[-48:].lstrip('-')}-{digest}"


def _relative(path: Path, root: Path) -> str:
    base = root if root.is_dir() else root.parent
    return path.relative_to(base).as_posix() if path.is_relative_to(base) else path.name
