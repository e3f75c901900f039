"""Which way up faces are told to be: clips of many people as they are, and turned in their pixels.

    python -m research.judging.turned_faces --finder mtcnn

Six looks at a clip, in four directions. A video counts as right where its largest face is told right at
every look. Prints each that is not, then one line. A minute of one core, more for a slow finder.
"""

import argparse
from pathlib import Path

import numpy as np

from ingest.decoding.decode import Frame
from ingest.faces import build_face_detector
from ingest.faces.directions import DirectedSearch
from ingest.sandbox.parent import Decoding
from ingest.sources import open_source
from research.pools.research_data import validation_clips
from unmask.arrays import Images
from unmask.settings import Settings


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--research-data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--finder", default="mtcnn")
    parser.add_argument("--clips", type=int, default=50)
    given = parser.parse_args()
    detector = build_face_detector(given.finder, Settings())
    right = dict.fromkeys(range(4), 0)
    people: set[str] = set()
    for clip in validation_clips(given.research_data):
        who = clip.people[0] if clip.people else clip.path
        if who in people or len(people) == given.clips:
            continue
        people.add(who)
        frames = looks(given.research_data / clip.path)
        for turns in right:
            told = []
            search = DirectedSearch(detector)
            for time_ms, rgb in frames:
                faces = search.find(np.ascontiguousarray(np.rot90(rgb, -turns)), time_ms)
                if faces:
                    told.append(max(faces, key=lambda face: face.box[2] - face.box[0]).turns)
            right[turns] += set(told) <= {turns}
            if set(told) - {turns}:
                print(f"{clip.path}, turned {turns}: {told}")
    turned = sum(right[turns] for turns in (1, 2, 3))
    print(
        f"{given.finder}: {right[0]} of {len(people)} upright, {turned} of {3 * len(people)} turned"
    )


def looks(path: Path) -> list[tuple[int, Images]]:
    """Six frames and their times."""
    settings = Settings()
    with open_source(path, settings) as source, Decoding(source, "uniform:6", settings) as decoding:
        return [(e.pts_ms, e.rgb) for e in decoding.events() if isinstance(e, Frame)]


if __name__ == "__main__":
    main()
