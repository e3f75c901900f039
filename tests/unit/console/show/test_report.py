"""The report, as people read it."""

import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from console.show import explain, report
from unmask.errors import ReasonCode
from unmask.messages import Coverage, JobState, Looks, Reason
from unmask.verdict import (
    ConditionObeyed,
    Deciding,
    LengthCorrection,
    PluginVote,
    Segment,
    TrackPicture,
    Verdict,
    VerdictLabel,
)

Make = Callable[..., Verdict]


class _Page(HTMLParser):
    """What the page shows and what it refers to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text: list[str] = []
        self.references: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append((tag, found))
        self.references += [v for k, v in attrs if k in {"src", "href", "action", "data"} and v]

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def shown(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.text))


def test_a_report_says_verdict_score_and_what_the_score_means(make_verdict: Make) -> None:
    shown = _Page(report.render_report(make_verdict(), name="a.mp4", picture=_none)).shown()
    assert "Likely forged" in shown
    assert "0.91" in shown
    assert "higher is more likely forged" in shown
    assert "calibrated" in shown


def test_a_report_refers_to_nothing_outside_itself(
    make_verdict: Make, evidence_folder: Path
) -> None:
    html = report.render_report(
        make_verdict(), name="a.mp4", picture=report.embedded(evidence_folder)
    )
    page = _Page(html)
    assert page.references
    assert all(ref.startswith(("data:image/png;base64,", "#")) for ref in page.references)
    assert sum(ref.startswith("data:") for ref in page.references) == 4
    assert not [tag for tag, _ in page.tags if tag in {"script", "link", "iframe", "object"}]
    assert "@import" not in html
    assert "url(http" not in html


def test_every_anchor_of_the_timeline_has_its_evidence(make_verdict: Make) -> None:
    page = _Page(report.render_report(make_verdict(), name="a.mp4", picture=_none))
    ids = {attrs["id"] for _, attrs in page.tags if "id" in attrs}
    anchors = {ref[1:] for ref in page.references if ref.startswith("#")}
    assert anchors == {"evidence", "evidence-1", "evidence-2"}
    assert anchors <= ids


def test_pictures_have_words_for_those_who_cannot_see_them(
    make_verdict: Make, evidence_folder: Path
) -> None:
    html = report.render_report(
        make_verdict(), name="a.mp4", picture=report.embedded(evidence_folder)
    )
    images = [attrs for tag, attrs in _Page(html).tags if tag == "img"]
    assert len(images) == 4
    assert all(image.get("alt") for image in images)


@pytest.mark.parametrize("name", ["<script>alert(1)</script>.mp4", '"><img src=x>.mp4', "{{7*7}}"])
def test_a_hostile_name_stays_text(make_verdict: Make, name: str) -> None:
    page = _Page(report.render_report(make_verdict(), name=name, picture=_none))
    assert name in page.shown()
    assert not [tag for tag, _ in page.tags if tag in {"script", "img"}]


def test_pictures_gone_are_said_to_be_gone(make_verdict: Make) -> None:
    shown = _Page(report.render_report(make_verdict(), name="a.mp4", picture=_none)).shown()
    assert shown.count("Picture no longer kept") == 4


def test_an_embedded_picture_never_leaves_its_folder(tmp_path: Path, evidence_folder: Path) -> None:
    (tmp_path / "secret.png").write_bytes(b"secret")
    (evidence_folder / "notes.txt").write_text("secret")
    picture = report.embedded(evidence_folder)
    assert picture("evidence/../../secret.png") is None
    assert picture("evidence/notes.txt") is None
    assert picture("evidence/f60-face.png") is not None


def test_no_score_is_never_shown_as_a_number(make_verdict: Make) -> None:
    verdict = make_verdict(
        verdict=VerdictLabel.INCONCLUSIVE,
        p_fake=None,
        calibrated=False,
        reasons=(Reason(code=ReasonCode.NO_FACE, message="No face was found. Try another."),),
        tracks=(),
        evidence=(),
        rests_on=(),
        coverage=Coverage(decoded=10, sampled=10, no_face=10),
    )
    shown = _Page(report.render_report(verdict, name="a.mp4", picture=_none)).shown()
    assert "Cannot be judged" in shown
    assert "No face was found. Try another." in shown
    assert "0.50" not in shown.replace("suspicious from 0.50", "")
    assert "no score" in shown


def test_what_weakens_a_verdict_is_said_above_the_fold(make_verdict: Make) -> None:
    verdict = make_verdict(reliable=False, calibrated=False)
    shown = _Page(report.render_report(verdict, name="a.mp4", picture=_none)).shown()
    for caveat in ("Not to be relied on", "Weak face detector", "Not calibrated"):
        assert caveat in shown
        assert shown.index(caveat) < shown.index("Scores by face")


def test_coverage_is_shown_in_full(make_verdict: Make) -> None:
    shown = _Page(report.render_report(make_verdict(), name="a.mp4", picture=_none)).shown()
    assert "32 of 300 decoded frames sampled" in shown
    assert "27 scored" in shown
    assert "4 without a face to assess" in shown
    assert "1 failed" in shown


def test_the_index_links_reports_and_gives_reasons(make_verdict: Make) -> None:
    rows = [
        report.IndexRow(
            name="a & b.mp4",
            state=JobState.SUCCEEDED,
            verdict=make_verdict(),
            reasons=(),
            folder="a & b",
        ),
        report.IndexRow(
            name="gone.mp4",
            state=JobState.FAILED,
            verdict=None,
            reasons=(Reason(code=ReasonCode.NOT_FOUND, message="No such file."),),
            folder=None,
        ),
    ]
    page = _Page(report.render_index(rows))
    assert page.references == ["a%20%26%20b/report.html"]
    assert "2 inputs scanned" in page.shown()
    assert "No such file." in page.shown()


def _none(_: str) -> None:
    return None


def test_a_report_says_what_a_face_of_its_size_was_compared_with(make_verdict: Make) -> None:
    verdict = make_verdict()
    first = verdict.tracks[0].model_copy(
        update={"condition": ConditionObeyed(name="face_px=192-inf", p_before=0.77)}
    )
    told = verdict.model_copy(update={"tracks": (first, *verdict.tracks[1:])})
    shown = _Page(report.render_report(told, name="a.mp4", picture=_none)).shown()
    assert "faces of 192 px or more with their like; by itself the score is 0.77" in shown
    assert (
        "with their like"
        not in _Page(report.render_report(verdict, name="a.mp4", picture=_none)).shown()
    )


def test_a_suspicious_face_says_which_kind_of_forgery_it_looks_like(make_verdict: Make) -> None:
    verdict = make_verdict()
    kind = {"kind": "generated", "p_fake": verdict.policy.suspicious_at}
    for change, said in ((kind, True), (kind | {"p_fake": 0.1}, False), ({"kind": None}, False)):
        first = verdict.tracks[0].model_copy(update=change)
        told = verdict.model_copy(update={"tracks": (first, *verdict.tracks[1:])})
        shown = _Page(report.render_report(told, name="a.mp4", picture=_none)).shown()
        assert ("a picture drawn whole" in shown) is said


DECIDING = Deciding(
    track_id=1,
    scope="window",
    start_ms=60_000,
    end_ms=64_900,
    votes=(
        PluginVote(plugin="sola", p=0.73, weight=0.4, finds="pasted"),
        PluginVote(plugin="efficientnet_fpn", p=0.25, weight=1.0, finds="pasted"),
        PluginVote(plugin="generated_faces", p=0.88, weight=1.0, finds="generated"),
    ),
    kind="generated",
    combined=0.88,
    calibrated=0.86,
    p_fake=0.78,
)
MANY = LengthCorrection(
    name="worst-of-n", version="1", tracks=2, windows=40, track_shift=0.3, shift=0.55
)


def test_one_line_says_how_the_detectors_numbers_became_p_fake(make_verdict: Make) -> None:
    verdict = make_verdict(p_fake=0.78, deciding=DECIDING, correction=MANY)
    assert explain.how(verdict) == (
        "Face 1, 1:00.0–1:04.9: sola 0.73, efficientnet_fpn 0.25 (pasted faces); generated_faces "
        "0.88 (drawn faces) → the likelier kind counts: 0.88 → calibrated for all of them: 0.86 → "
        "as the worst of 40 windows: 0.78."
    )
    html = report.render_report(verdict, name="a.mp4", picture=lambda _: None)
    assert "as the worst of 40 windows" in html
    assert explain.how(make_verdict()) == ""  # version 1 did not say


def test_suspicious_segments_are_listed_with_their_times(make_verdict: Make) -> None:
    segment = Segment(
        start_ms=60_000, end_ms=64_900, track_id=1, kind="generated", p_fake=0.78, windows=2
    )
    html = report.render_report(
        make_verdict(segments=(segment,)), name="a.mp4", picture=lambda _: None
    )
    assert "Where it looks forged" in html
    assert "1:00.0–1:04.9" in html
    assert "a drawn picture" in html


def test_every_pictured_track_is_marked_in_its_whole_frame(make_verdict: Make) -> None:
    verdict = make_verdict()
    picture = TrackPicture(
        frame_index=10, pts_ms=400, url="evidence/t2-frame.jpg", box=(0.25, 0.5, 0.5, 0.75)
    )
    tracks = tuple(
        track.model_copy(update={"picture": picture}) if track.id == 2 else track
        for track in verdict.tracks
    )
    html = report.render_report(
        make_verdict(tracks=tracks), name="a.mp4", picture=lambda url: f"data:image/jpeg,{url}"
    )
    page = _Page(html)
    (box,) = [
        attrs
        for tag, attrs in page.tags
        if tag == "rect" and (attrs.get("class") or "").startswith("face ")
    ]
    drawn = [float(box[name] or "nan") for name in ("x", "y", "width", "height")]
    assert drawn == [320.0, 360.0, 320.0, 180.0]  # of 1280 x 720
    assert box["class"] == "face is-no_sign_found"
    # On a lighter line, or a dark box on a dark picture is not seen.
    assert page.tags.index(("rect", edge_of(page))) < page.tags.index(("rect", box))


def edge_of(page: _Page) -> dict[str, str | None]:
    (edge,) = [a for tag, a in page.tags if tag == "rect" and a.get("class") == "edge"]
    return edge


def test_evidence_that_does_not_count_says_why(make_verdict: Make) -> None:
    verdict = make_verdict()
    aside = verdict.evidence[0].model_copy(update={"counts": False, "note": "Does not count: <x>."})
    html = report.render_report(
        make_verdict(evidence=(aside,)), name="a.mp4", picture=lambda _: None
    )
    assert "Does not count: &lt;x&gt;." in html
    assert 'class="aside"' in html


def test_how_closely_it_was_looked_at_is_said(make_verdict: Make) -> None:
    coverage = make_verdict().coverage.model_copy(
        update={
            "looks": Looks(budget=32, steady=30, shots=2),
            "longest_unlooked_ms": 19_200,
            "faces_left_out": 7,
        }
    )
    said = explain.looked(make_verdict(coverage=coverage))
    assert said == (
        "32 looks; the longest stretch between two lasts 19.2 s; 2 of the looks are extra ones in "
        "short shots; the policy allows no more; 7 faces over the policy's limits were left out."
    )


def test_whoever_is_judged_is_shown_before_passers_by_and_phantoms_are_not(
    make_verdict: Make,
) -> None:
    plain = make_verdict()
    picture = TrackPicture(
        frame_index=10, pts_ms=400, url="evidence/t.jpg", box=(0.25, 0.5, 0.5, 0.75)
    )
    told: list[tuple[int, int | None, float | None]] = [
        *((number, number, None) for number in range(1, 80)),
        (80, None, None),
        (81, 81, 0.3),
        (82, 82, 0.9),
    ]
    tracks = tuple(
        plain.tracks[0].model_copy(
            update={"id": n, "person": person, "p_fake": p, "picture": picture, "timeline": ()}
        )
        for n, person, p in told
    )
    html = report.render_report(
        make_verdict(tracks=tracks), name="a.mp4", picture=lambda url: f"data:image/jpeg,{url}"
    )
    shown = [int(n) for n in re.findall(r"<figcaption><b>Face (\d+)</b>", html)]
    assert shown[:4] == [82, 81, 1, 2]
    assert 80 not in shown and len(shown) == 64
    assert "And 17 more in verdict.json." in html
    assert 'loading="lazy"' not in html  # it holds its pictures, and is printed whole
