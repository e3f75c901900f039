"""The report, as people read it."""

import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from console.show import report
from unmask.errors import ReasonCode
from unmask.messages import Coverage, JobState, Reason
from unmask.verdict import ConditionObeyed, Verdict, VerdictLabel

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
    assert anchors == {"evidence-1", "evidence-2"}
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
