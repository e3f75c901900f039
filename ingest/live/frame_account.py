"""What a stream's decoders say they decoded, made into one account that only grows. Pure."""

import numpy as np

from ingest.live.frames import LiveFrame
from ingest.live.wire import Message


class FrameAccount:
    """Numbers and times of frames over every decoder of one stream."""

    def __init__(self) -> None:
        self.decoded = 0
        """Frames decoded so far."""
        self.corrupt = 0
        """Packets and frames that were damaged."""
        self._before = (0, 0)
        self._last_pts_ms = -1

    def next_decoder(self) -> None:
        """Another one begins: it counts from nought, and a frame's number must never come twice,
        for scores go by it."""
        self._before = (self.decoded, self.corrupt)

    def checked(self, message: Message, payload: bytearray, now_ms: int) -> LiveFrame:
        """A frame as it can be true: RGB, H x W x 3 bytes. Raises ValueError for one that cannot,
        KeyError and TypeError for what is no frame's message."""
        height, width = int(message["height"]), int(message["width"])
        if height < 1 or width < 1 or len(payload) != height * width * 3:
            raise ValueError("a frame of another size")
        pts_ms = int(message["pts_ms"])
        if pts_ms <= self._last_pts_ms:
            pts_ms = self._last_pts_ms + 1
        self._last_pts_ms = pts_ms
        decoded, corrupt = self._before
        index = decoded + int(message["index"])
        if index < self.decoded:
            raise ValueError("a frame that was there already")
        self.decoded = max(index + 1, decoded + int(message["decoded"]))
        self.corrupt = max(self.corrupt, corrupt + int(message["corrupt"]))
        return LiveFrame(
            index=index,
            pts_ms=pts_ms,
            arrived_ms=min(int(message["arrived_ms"]), now_ms),
            rgb=np.frombuffer(payload, dtype=np.uint8).reshape(height, width, 3),
        )
