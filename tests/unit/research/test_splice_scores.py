"""Long videos put together from judged clips, and what is fitted to them."""

import random
from pathlib import Path
from typing import Any

import pytest

from ingest.decoding.sampling import LEAST_LOOKS, SHOT_LOOKS
from research.judging.frame_scores import Mirrored, ScoredClip, read_scored
from research.pools.research_data import DataFile
from research.segments.fit_segments import (
    FOOTAGE,
    Court,
    Fit,
    fit,
    footage,
    row,
    table,
    whole,
    with_stretch,
)
from research.segments.splice_scores import Part, joined
from research.segments.spliced import Outcome, bases
from research.segments.spliced import footage as made_footage
from research.segments.spliced import table as made_table
from research.segments.spliced import with_stretch as made_with_stretch
from tests.fakes import KEY, make_card
from tests.unit.workers.making import MEDIA, REF, at_seconds, closed
from unmask.messages import PluginRef
from unmask.policy import DEFAULT

OTHER = PluginRef(key="other", weights="1" * 12)
PLAIN: dict[str, Any] = {"calibration": None, "abstention": None}
CARDS = {KEY: make_card(**PLAIN), "other": make_card(plugin="other", **PLAIN)}
COURT = Court(CARDS, [REF.slug, OTHER.slug])


def clip(name: str, label: int, ps: list[float]) -> ScoredClip:
    """A clip of 6 s, 32 looks, both plugins of one opinion."""
    step = 6000 // len(ps)
    scores = tuple(
        s.model_copy(update={"crop": s.crop.model_copy(update={"face_px": 120.0})})
        for s in at_seconds(ps, step)
    )
    scores += tuple(s.model_copy(update={"plugin": OTHER}) for s in scores)
    media = MEDIA.model_copy(update={"duration_ms": 6000})
    return ScoredClip(
        file=DataFile(
            path=f"videos/{name}.mp4",
            label=label,
            method="x",
            family="swap" if label else "real",
            people=(name,),
            pair_of="",
            split="val",
        ),
        closed=closed({1: len(ps)}, media=media),
        scores=scores,
    )


def people(count: int, label: int, rng: random.Random) -> list[ScoredClip]:
    middle = 0.85 if label else 0.25
    return [
        clip(
            f"{label}-{number}",
            label,
            [min(0.99, max(0.01, middle + rng.gauss(0, 0.1) + own)) for _ in range(32)],
        )
        for number in range(count)
        for own in [rng.gauss(0, 0.07)]
    ]


def test_parts_follow_each_other_with_a_cut_between_and_the_looks_that_fall_to_each() -> None:
    one, two = clip("a", 0, [0.1] * 32), clip("b", 1, [0.9] * 32)
    parts = [
        Part(clip=one, start_ms=1000, length_ms=8000),
        Part(clip=two, start_ms=0, length_ms=2000),
        Part(clip=one, start_ms=5000, length_ms=8000),
    ]
    video, results = joined(parts, CARDS)
    assert video.cuts_ms == (8000, 10_000)
    assert video.media is not None and video.media.duration_ms == 18_000
    assert [track.person for track in video.tracks] == [1, 2, 1]
    assert [track.crops for track in video.tracks] == [24, SHOT_LOOKS, 24]
    assert [r.ref for r in results] == [REF, OTHER]
    for result in results:
        places = [(s.crop.pts_ms, s.crop.frame_index) for s in result.scores]
        assert places == sorted(places) and len(set(places)) == len(places)
    forged = [s for s in results[0].scores if s.crop.track_id == 2]
    assert {s.p for s in forged} == {0.9}
    assert all(8000 <= s.crop.pts_ms < 10_000 for s in forged)


def test_a_clip_by_itself_is_looked_at_as_closely_as_it_was() -> None:
    video, _ = joined(whole(clip("a", 0, [0.1] * 32)), CARDS)
    assert video.tracks[0].crops == LEAST_LOOKS


def test_a_stretch_lies_where_it_is_said_to() -> None:
    reals, fake = [clip("a", 0, [0.1] * 32)], clip("f", 1, [0.9] * 32)
    clean = footage(reals, 60, "one", random.Random(1))
    assert sum(part.length_ms for part in clean) == 60_000
    parts, begins = with_stretch(clean, fake, 4, random.Random(2))
    video, results = joined(parts, CARDS)
    hot = [s.crop.pts_ms for s in results[0].scores if s.p == 0.9]
    assert begins <= min(hot) <= max(hot) < begins + 4000
    assert video.media is not None and video.media.duration_ms == 64_000


@pytest.fixture(scope="module")
def fitted() -> tuple[Fit, list[ScoredClip]]:
    rng = random.Random(3)
    clips = people(24, 0, rng) + people(16, 1, rng)
    return fit(COURT, clips, "test", crowds=30), clips


def test_the_fit_is_of_these_plugins_and_asks_more_of_longer_videos(
    fitted: tuple[Fit, list[ScoredClip]],
) -> None:
    found, clips = fitted
    assert set(found.combination.members) == {REF.slug, OTHER.slug}
    length = found.combination.length
    assert length is not None and length.per_windows > 0
    assert length.most > length.per_tracks >= 0
    assert found.policy.suspicious_at <= found.policy.fake_at
    reals = [c for c in clips if c.file.label == 0]
    alarms = [
        (COURT.judge(whole(c), found.combination, DEFAULT).p_fake or 0.0)
        >= found.policy.suspicious_at
        for c in reals
    ]
    assert sum(alarms) <= 0.05 * len(reals)


def test_of_many_people_more_is_asked_where_some_raise_alarms() -> None:
    reals = [clip(f"0-{n}", 0, [0.2 + 0.03 * n] * 32) for n in range(24)]
    found = fit(COURT, reals, "test", kept=COURT.plain(), crowds=30)
    length = found.combination.length
    assert length is not None and length.per_tracks > 0 and length.most > length.per_tracks


def test_a_long_video_is_hardly_likelier_to_be_accused_and_a_stretch_is_found_in_it(
    fitted: tuple[Fit, list[ScoredClip]],
) -> None:
    found, clips = fitted
    short = row(COURT, found, clips, seconds=10, people="one", rounds=8)
    long = row(COURT, found, clips, seconds=300, people="one", rounds=8)
    assert sum(long.alarms) <= sum(short.alarms) + 1
    assert sum(long.found[8]) >= 0.9 * sum(long.alone[8]) > 0


def test_the_table_has_a_row_per_length_and_kind_of_footage(
    fitted: tuple[Fit, list[ScoredClip]],
) -> None:
    lines = list(table(COURT, fitted[1], "test", (4, 4), lengths_s=(10, 20), crowds=4))
    assert [line.split(" | ")[:3] for line in lines[2:]] == [
        [f"| {people}", f"{seconds} s", "4"] for people in FOOTAGE for seconds in (10, 20)
    ]


def test_where_nothing_tells_of_a_joint_there_is_one_track_and_no_cut() -> None:
    one, two = clip("a", 0, [0.1] * 32), clip("b", 1, [0.9] * 32)
    parts = [
        Part(clip=one, start_ms=0, length_ms=8000),
        Part(clip=two, start_ms=0, length_ms=4000),
        Part(clip=one, start_ms=3000, length_ms=8000),
    ]
    video, results = joined(parts, CARDS, seamless=True)
    assert video.cuts_ms == () and [track.id for track in video.tracks] == [1]
    hot = [s.crop.pts_ms for s in results[0].scores if s.p == 0.9]
    assert len(hot) == 12 and all(8000 <= time < 12_000 for time in hot)


def test_scores_are_averaged_over_the_mirror_image_unless_asked_otherwise(tmp_path: Path) -> None:
    one = clip("a", 0, [0.5] * 4)
    images = tuple(Mirrored(p=0.9, ood=None) for _ in one.scores)
    kept = tmp_path / "scores.jsonl"
    kept.write_text(one.model_copy(update={"mirrored": images}).model_dump_json() + "\n")
    (plain,), (averaged,) = read_scored(kept, mirrored=False), read_scored(kept)
    assert {s.p for s in plain.scores} == {0.5}
    assert {s.p for s in averaged.scores} == {0.75}  # half of the logit of .9


def test_made_videos_are_planned_alike_each_time_with_the_stretch_in_its_place() -> None:
    reals = [clip(name, 0, [0.1] * 32).file for name in "abc"]
    clean = made_footage(reals, 60, people="one", seed="x")
    assert clean == made_footage(reals, 60, people="one", seed="x")
    assert {part.path for part in clean} == {"videos/a.mp4"}
    parts, place = made_with_stretch(clean, "videos/f.mp4", 4, 6.0, "x")
    assert parts[place].path == "videos/f.mp4" and parts[place].seconds == 4
    assert sum(part.seconds for part in parts) == 64
    many = made_footage(reals, 600, people="many", seed="x")
    assert len({part.path for part in many}) == 3


def test_a_forgery_of_the_very_footage_goes_on_where_it_stopped() -> None:
    real = clip("a", 0, [0.1] * 32).file
    fake = clip("f", 1, [0.9] * 32).file.model_copy(update={"pair_of": real.path})
    other = clip("g", 1, [0.9] * 32).file
    assert bases([real, fake, other], "same") == [(real, [fake])]
    clean = made_footage([real], 60, people="same", seed="x")
    before, forged, after = made_with_stretch(clean, fake.path, 4, 6.0, "x")[0]
    assert forged.path == fake.path and before.seconds + after.seconds == 56
    assert forged.start_s == pytest.approx(before.seconds % 6.0)
    assert after.start_s == pytest.approx((before.seconds + 4) % 6.0)


def test_the_table_of_made_videos_counts_by_length_and_stretch() -> None:
    def said(what: str, verdict: str, *, found: bool = False, stretch_s: int = 4) -> Outcome:
        return Outcome.model_validate(
            {
                "round": 0,
                "seconds": 60,
                "stretch_s": stretch_s,
                "what": what,
                "verdict": verdict,
                "p_fake": 0.5,
                "found": found,
                "cpu_s": 9.0,
            }
        )

    text = made_table(
        [
            said("forged", "fake", found=True),
            said("forged", "no_sign_found"),
            said("alone", "fake", found=True),
            said("clean", "suspicious", stretch_s=0),
            said("clean", "no_sign_found", stretch_s=0),
        ]
    )
    assert text.splitlines()[-1] == "| 60 s | 4 s | 2 | 1 | 1 | 1 of 2 | 0.150 |"
