"""How many faces of a crowd are judged: so many per frame, so many per video. Pure but for its count."""

from collections import Counter
from collections.abc import Mapping


class CropLimit:
    """Chooses whom to cut out where there are too many. The same faces, the same choice."""

    def __init__(self, per_frame: int, per_video: int) -> None:
        """Both at least 1."""
        self._per_frame = per_frame
        self._left = per_video
        self._looks_left = 0
        self._followed: Counter[int] = Counter()

    def plan(self, looks: int) -> None:
        """How many frames will come: each of them keeps room for one face."""
        self._looks_left = looks

    def take(self, faces: Mapping[int, float]) -> set[int]:
        """Track ids to cut out of the next frame. `faces`: track id -> longer side in pixels.

        Half of the places go to the largest, the others to those cut out most often so far.

        >>> limit = CropLimit(2, 100)
        >>> sorted(limit.take({1: 90.0, 2: 80.0})), sorted(limit.take({1: 60.0, 3: 70.0, 4: 65.0}))
        ([1, 2], [1, 3])
        """
        self._looks_left = max(0, self._looks_left - 1)
        room = min(self._per_frame, max(self._left - self._looks_left, 1), self._left)
        taken = set(faces)
        if len(faces) > room:
            by_size = sorted(faces, key=lambda track: (-faces[track], track))
            taken = set(by_size[: (room + 1) // 2])
            rest = sorted(
                (track for track in faces if track not in taken),
                key=lambda track: (-self._followed[track], -faces[track], track),
            )
            taken.update(rest[: room - len(taken)])
        self._followed.update(taken)
        self._left -= len(taken)
        return taken
