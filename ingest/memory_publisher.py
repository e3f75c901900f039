"""A publisher without a broker: keeps everything in lists. Passes the tests of the real one."""

from collections.abc import Callable, Sequence

from unmask.messages import CropBatch, CropMeta, IngestClosed, Submission
from unmask.plugin import Images


class MemoryPublisher:
    """Keeps what one job publishes; survives a second run of it, as Redis would."""

    def __init__(
        self, *, high_water_crops: int = 512, sleep: Callable[[float], None] | None = None
    ) -> None:
        """`sleep` is called while scoring lags; without it nobody scores, and nothing waits."""
        self.crops: dict[str, tuple[CropMeta, Images]] = {}
        """By `frame:face`, as published and not withdrawn."""
        self.batches: list[CropBatch] = []
        self.answered: set[str] = set()
        """Keys of crops that the slowest plugin has scored: tests add to it."""
        self.told: list[dict[str, int | str]] = []
        self.frames: dict[int, tuple[CropMeta, bytes]] = {}
        """One whole frame per track."""
        self.closed: IngestClosed | None = None
        self._high_water = high_water_crops
        self._sleep = sleep
        self._keys: set[str] = set()

    def begin(self, submission: Submission) -> None:
        """A new run of the job."""
        self._keys = set()
        self.progress(submission.job_id, submission.generation, phase="ingest", sampled=0, crops=0)

    def publish(self, batch: CropBatch, pixels: Sequence[Images]) -> None:
        """Keep the crops, unless all of them are here already."""
        while self._sleep and self.lag() and self.lag() + len(batch.crops) > self._high_water:
            self._sleep(0.05)
        keys = [meta.key for meta in batch.crops]
        self._keys.update(keys)
        if not set(keys) <= set(self.crops):
            self.batches.append(batch)
            for meta, image in zip(batch.crops, pixels, strict=True):
                self.crops[meta.key] = (meta, image.copy())

    def frame(self, job_id: str, generation: int, meta: CropMeta, jpeg: bytes) -> None:
        """Keep the picture."""
        self.frames[meta.track_id] = (meta, jpeg)

    def lag(self) -> int:
        """Crops that wait to be scored."""
        return len(set(self.crops) - self.answered)

    def progress(self, job_id: str, generation: int, **fields: int | str) -> None:
        """Remember what people were told."""
        self.told.append({"job_id": job_id, "generation": generation, **fields})

    def close(self, closed: IngestClosed) -> None:
        """Withdraw what an earlier run left over, and keep the closing message."""
        if closed.error is None:
            self.crops = {key: crop for key, crop in self.crops.items() if key in self._keys}
            self.answered &= set(self.crops)
        self.closed = closed
