"""How many people a verdict speaks of."""

from collections.abc import Callable

import pytest

from unmask.verdict import TrackVerdict, Verdict


@pytest.mark.parametrize(
    ("persons", "people", "faces"),
    [
        ((1,), 1, [1]),
        ((1, 2, 1), 2, [1, 2, 3]),
        ((1, None), 1, [1]),
        ((None, None), 2, [1, 2]),
        ((), 0, []),
    ],
)
def test_tracks_of_one_person_count_once_and_phantoms_not_at_all(
    make_verdict: Callable[..., Verdict],
    persons: tuple[int | None, ...],
    people: int,
    faces: list[int],
) -> None:
    plain = make_verdict()
    tracks: tuple[TrackVerdict, ...] = tuple(
        plain.tracks[0].model_copy(update={"id": number, "person": person, "p_fake": None})
        for number, person in enumerate(persons, 1)
    )
    verdict = plain.model_copy(update={"tracks": tracks})
    assert verdict.people() == people
    assert [track.id for track in verdict.faces()] == faces


def test_a_phantom_that_was_judged_is_not_hidden(make_verdict: Callable[..., Verdict]) -> None:
    plain = make_verdict()
    one, two = (
        plain.tracks[0].model_copy(update={"id": number, "person": person, "p_fake": 0.9})
        for number, person in ((1, 1), (2, None))
    )
    verdict = plain.model_copy(update={"tracks": (one, two)})
    assert [track.id for track in verdict.faces()] == [1, 2]
