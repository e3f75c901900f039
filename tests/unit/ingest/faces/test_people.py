"""Who is who: cuts between people at one place, people who pass each other, people who come back."""

import cv2
import numpy as np
import pytest

from ingest.faces.people import People
from ingest.faces.scene import Scene
from ingest.faces.tracks import Tracker, describe
from unmask.arrays import Images
from unmask.geometry import Box

WIDTH, HEIGHT = 320, 200
Colour = tuple[int, int, int]


class Person:
    """Somebody drawn: skin, hair, clothes and the room behind, all by chance."""

    def __init__(self, random: np.random.Generator) -> None:
        tone = random.uniform(0.35, 1.0)
        self.skin = (round(235 * tone), round(190 * tone), round(160 * tone))
        self.hair = tuple(int(v) for v in random.integers(10, 150, 3))
        self.clothes = tuple(int(v) for v in random.integers(0, 256, 3))
        room = random.integers(0, 256, (6, 8, 3)).astype(np.uint8)
        self.room: Images = np.asarray(
            cv2.resize(room, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC), np.uint8
        )


def painted(frame: Images, person: Person, x: float, y: float, side: float) -> Box:
    """Draw the person; the box of the face."""
    centre = (round(x + side / 2), round(y + side / 2))
    half = round(side / 2)
    body = (centre[0] - round(0.6 * side), round(y + side), round(1.2 * side), HEIGHT)
    cv2.rectangle(frame, body, person.clothes, -1)
    cv2.circle(frame, (centre[0], centre[1] - half // 4), round(0.52 * side), person.hair, -1)
    cv2.ellipse(frame, centre, (round(0.42 * side), half), 0, 0, 360, person.skin, -1)
    for eye in (-1, 1):
        cv2.circle(
            frame, (centre[0] + eye * half // 3, centre[1] - half // 4), half // 9, (20, 20, 30), -1
        )
    return (x, y, x + side, y + side)


_SHADE = np.linspace(0.9, 1.1, WIDTH)[None, :, None] * np.linspace(1.1, 0.8, HEIGHT)[:, None, None]
_NOISE = np.random.default_rng(0).normal(0, 5, (HEIGHT, WIDTH, 3)).astype(np.float32)


def noisy(frame: Images, random: np.random.Generator) -> Images:
    """The same picture, lit from one side as real ones are, in a little other light, with noise."""
    light = (_SHADE * random.uniform(0.96, 1.04)).astype(np.float32)
    lit = cv2.multiply(frame.astype(np.float32), np.broadcast_to(light, frame.shape).copy())
    grain = np.roll(_NOISE, tuple(int(n) for n in random.integers(0, 200, 2)), axis=(0, 1))
    return cv2.add(lit, grain).clip(0, 255).astype(np.uint8)


class Follower:
    """Tracker, scene and people as the pipeline joins them."""

    def __init__(self) -> None:
        self.tracker, self.scene, self.people = Tracker(), Scene(), People()

    def look(self, frame: Images, pts_ms: int, boxes: list[Box]) -> list[int]:
        looks = [describe(frame, box) for box in boxes]
        change = self.scene.change(frame)
        ids = self.tracker.update(pts_ms, boxes, looks, change)
        self.people.look(pts_ms, ids, looks, change)
        return ids


@pytest.mark.parametrize("step_ms", [40, 200, 500, 1000, 4000])
def test_no_track_spans_a_cut_between_two_people_at_one_place(step_ms: int) -> None:
    random = np.random.default_rng(step_ms)
    whole = 0
    for _ in range(40):
        follower, time = Follower(), 0
        ids: list[set[int]] = []
        for person in (Person(random), Person(random)):
            seen: set[int] = set()
            for _ in range(5):
                frame = person.room.copy()
                x, y = 120 + random.normal(0, 1.5), 60 + random.normal(0, 1.5)
                box = painted(frame, person, x, y, 70)
                seen.update(follower.look(noisy(frame, random), time, [box]))
                time += step_ms
            ids.append(seen)
        assert not ids[0] & ids[1]
        whole += len(ids[0]) == len(ids[1]) == 1
        assert len(set(follower.people.persons().values())) == 2
    # And neither falls apart for want of likeness to itself.
    assert whole == 40


@pytest.mark.parametrize("step_ms", [40, 200])
def test_two_people_who_cross_keep_their_ids(step_ms: int) -> None:
    random = np.random.default_rng(step_ms + 1)
    for _ in range(25):
        one, other = Person(random), Person(random)
        room = one.room
        follower = Follower()
        seen: list[list[int]] = []
        up, side = random.uniform(-8, 8), random.uniform(44, 56)
        steps = 24
        for step in range(steps):
            frame = room.copy()
            share = step / (steps - 1)
            boxes = [
                painted(frame, one, 20 + share * 220, 70, side),
                painted(frame, other, 240 - share * 220, 70 + up, 50),
            ]
            # Where one hides the other, a finder sees the one in front alone.
            hidden = abs(boxes[0][0] - boxes[1][0]) < 44
            ids = follower.look(
                noisy(frame, random), step * step_ms, boxes[1:] if hidden else boxes
            )
            seen.append(ids if not hidden else [])
        assert seen[0] == [1, 2]
        assert all(ids == [1, 2] for ids in seen if ids), (_, seen)


def test_somebody_who_comes_back_is_the_same_person_and_another_track() -> None:
    random = np.random.default_rng(5)
    one, other = Person(random), Person(random)
    follower, time = Follower(), 0
    shown: list[list[int]] = []
    for person in (one, other, one, other):
        for _ in range(6):
            frame = person.room.copy()
            box = painted(frame, person, 120, 60, 70)
            shown.append(follower.look(noisy(frame, random), time, [box]))
            time += 500
    assert [ids[0] for ids in shown[::6]] == [1, 2, 3, 4]
    assert follower.people.persons() == {1: 1, 2: 2, 3: 1, 4: 2}


def test_two_faces_on_one_frame_are_two_people_however_alike() -> None:
    random = np.random.default_rng(6)
    twin = Person(random)
    follower = Follower()
    for step in range(6):
        frame = twin.room.copy()
        boxes = [painted(frame, twin, x, 60, 60) for x in (40, 200)]
        follower.look(noisy(frame, random), step * 200, boxes)
    assert follower.people.persons() == {1: 1, 2: 2}


@pytest.mark.parametrize(
    ("steps", "people"),
    [
        pytest.param({2}, {1}, id="once"),
        pytest.param({2, 9, 16, 23}, {1}, id="now and then"),
        pytest.param({12, 13, 14}, {1, 2}, id="a while"),
    ],
)
def test_a_box_that_shows_up_among_many_looks_and_never_stays_is_nobody(
    steps: set[int], people: set[int]
) -> None:
    random = np.random.default_rng(7)
    person = Person(random)
    follower = Follower()
    for step in range(32):
        frame = person.room.copy()
        boxes = [painted(frame, person, 120, 60, 70)]
        if step in steps:
            boxes.append((10.0, 110.0, 90.0, 190.0))
        follower.look(noisy(frame, random), step * 130, boxes)
    assert set(follower.people.persons().values()) == people


def test_somebody_seen_once_is_somebody_where_nobody_looked_again() -> None:
    random = np.random.default_rng(8)
    person = Person(random)
    follower = Follower()
    for step in range(2):
        frame = person.room.copy()
        boxes = [painted(frame, person, 120, 60, 70)] if step == 0 else []
        follower.look(frame, step * 5000, boxes)
    assert follower.people.persons() == {1: 1}


def test_a_scene_changes_with_its_content_and_not_with_its_light() -> None:
    random = np.random.default_rng(9)
    room, other = Person(random).room, Person(random).room
    scene = Scene()
    assert scene.change(room) == 0.0
    assert scene.change((room * 0.9 + _NOISE).clip(0, 255).astype(np.uint8)) < 0.1
    assert scene.change((room * 0.5).astype(np.uint8)) < 0.1
    assert scene.change(other) > 0.5
    assert scene.change(np.full_like(room, 90)) == 1.0
    assert scene.change(np.full_like(room, 20)) == 0.0
