"""From a moderator's word to a training set: API, page, log, export, and the trainers' reader."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from console.commands.decisions import run_decisions
from console.web.services import WebServices
from trainers.datasets.decisions import Decisions
from unmask.errors import ConfigError, ReasonCode
from unmask.messages import JobState, Reason
from unmask.verdict import Verdict, VerdictLabel

Make = Callable[..., Verdict]
UPHELD = {"finding": "fake", "moderator": "kim"}


def address(job: tuple[str, Verdict] | str) -> str:
    return f"/v1/jobs/{job if isinstance(job, str) else job[0]}/decisions"


def test_decisions_are_added_and_listed_with_how_they_stand(
    client: httpx.Client, judged: tuple[str, Verdict]
) -> None:
    first = client.post(address(judged), json=UPHELD)
    assert first.status_code == 201
    assert first.json()["stance"] == "upholds"
    why = "The mouth is the camera's: it was filmed from a screen."
    second = client.post(
        address(judged),
        json={"finding": "real", "moderator": " lee ", "rationale": why, "consent": True},
    )
    assert second.json()["stance"] == "overturns"
    listed = client.get(address(judged)).json()["decisions"]
    assert [(d["finding"], d["moderator"], d["consent"]) for d in listed] == [
        ("fake", "kim", False),
        ("real", "lee", True),
    ]
    assert listed[1]["rationale"] == why


def test_what_overturns_a_verdict_must_say_why(
    client: httpx.Client, judged: tuple[str, Verdict]
) -> None:
    refused = client.post(
        address(judged), json={"finding": "real", "moderator": "kim", "rationale": "  "}
    )
    assert refused.status_code == 422
    assert "rationale" in refused.json()["fix"]
    assert client.get(address(judged)).json()["decisions"] == []


@pytest.mark.parametrize(
    "body",
    [
        {"finding": "maybe", "moderator": "kim"},
        {"finding": "fake", "moderator": "  "},
        {"finding": "fake"},
        {"finding": "fake", "moderator": "k" * 101},
        {"finding": "fake", "moderator": "kim", "rationale": "x" * 2001},
        {"finding": "fake", "moderator": "kim", "generation": -1},
    ],
)
def test_what_is_no_decision_is_refused(
    client: httpx.Client, judged: tuple[str, Verdict], body: dict[str, object]
) -> None:
    answer = client.post(address(judged), json=body)
    assert answer.status_code == 422
    assert answer.json()["code"] in {"bad_request", "config_invalid"}


def test_only_a_verdict_can_be_decided_on(client: httpx.Client, service: WebServices) -> None:
    waiting = client.post("/v1/jobs", files={"file": ("a.mp4", b"GIF89a v")}).json()["id"]
    failed = client.post("/v1/jobs", files={"file": ("b.mp4", b"GIF89a w")}).json()["id"]
    reason = Reason(code=ReasonCode.TRUNCATED, message="It ends early.")
    service.store.set_state(failed, JobState.FAILED, [reason])
    for job_id in (waiting, failed, "nonesuch"):
        answer = client.post(address(job_id), json=UPHELD)
        assert answer.status_code == 404
        assert answer.json()["code"] == "not_found"
    assert client.get(address("nonesuch")).status_code == 404


def test_a_decision_stays_with_the_run_that_it_was_made_on(
    client: httpx.Client, service: WebServices, judged: tuple[str, Verdict], make_verdict: Make
) -> None:
    job_id = judged[0]
    assert service.store.rerun(job_id)
    changed = make_verdict(verdict=VerdictLabel.NO_SIGN_FOUND, p_fake=0.1)
    assert service.store.save_verdict(job_id, 1, changed)
    on_first = client.post(address(job_id), json={**UPHELD, "generation": 0}).json()
    on_newest = client.post(address(job_id), json={**UPHELD, "rationale": "blended"}).json()
    assert (on_first["generation"], on_first["stance"]) == (0, "upholds")
    assert (on_newest["generation"], on_newest["stance"]) == (1, "overturns")
    missing = client.post(address(job_id), json={**UPHELD, "generation": 2})
    assert missing.status_code == 404


def test_the_form_records_and_shows_what_was_decided(
    client: httpx.Client, judged: tuple[str, Verdict]
) -> None:
    page = f"/jobs/{judged[0]}"
    assert "Nobody has decided yet" in client.get(page).text
    form = {"finding": "real", "moderator": "kim <b>", "rationale": "  ", "generation": "0"}
    refused = client.post(f"{page}/decisions", data=form)
    assert refused.status_code == 422
    assert "without saying why" in refused.text
    assert 'value="kim &lt;b&gt;"' in refused.text  # what was typed is still there
    form |= {"rationale": "Seen on <i>television</i>.", "consent": "yes"}
    answer = client.post(f"{page}/decisions", data=form, follow_redirects=False)
    assert answer.status_code == 303
    html = client.get(answer.headers["location"]).text
    assert "<b>Genuine</b>, overturns the verdict" in html
    assert "Seen on &lt;i&gt;television&lt;/i&gt;." in html
    assert "may be used for training" in html
    assert "Genuine" in client.get("/").text


def test_the_queue_holds_what_waits_for_a_decision_the_likeliest_forged_first(
    client: httpx.Client, service: WebServices, make_verdict: Make
) -> None:
    jobs = {}
    for name, p_fake in (("low", 0.2), ("none", None), ("high", 0.95), ("middle", 0.5)):
        job_id = client.post(
            "/v1/jobs", files={"file": (f"{name}.mp4", b"GIF89a" + name.encode())}
        ).json()["id"]
        assert service.store.save_verdict(job_id, 0, make_verdict(p_fake=p_fake))
        jobs[job_id] = name
    client.post("/v1/jobs", files={"file": ("waiting.mp4", b"GIF89a v")})

    def queue() -> list[str]:
        listed = client.get(
            "/v1/jobs", params={"state": "succeeded", "decided": "false", "sort": "-p_fake"}
        ).json()["jobs"]
        return [jobs[job["id"]] for job in listed]

    assert queue() == ["high", "middle", "low", "none"]
    middle = next(job_id for job_id, name in jobs.items() if name == "middle")
    client.post(address(middle), json={"finding": "unsure", "moderator": "kim"})
    assert queue() == ["high", "low", "none"]
    assert client.get("/undecided").url.path == "/queues"
    html = client.get("/queues/forged").text
    assert html.index("high.mp4") < html.index("low.mp4") < html.index("none.mp4")
    assert "middle.mp4" not in html
    assert "waiting.mp4" not in html
    assert "data-refresh" not in html


def test_a_form_that_never_ends_is_refused(
    client: httpx.Client, judged: tuple[str, Verdict]
) -> None:
    answer = client.post(f"/jobs/{judged[0]}/decisions", content=b"rationale=" + b"x" * (1 << 17))
    assert answer.status_code == 413


def test_an_export_is_a_data_set_that_trainers_read(
    client: httpx.Client,
    service: WebServices,
    make_verdict: Make,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    jobs = {}
    for name in (
        "forged",
        "genuine",
        "silent",
        "disputed",
        "unsure",
        "gone",
        "changed",
        "again",
        "one",
        "other",
    ):
        same = {"again": "forged", "one": "both", "other": "both"}.get(name, name)
        content = f"GIF89a video {same}".encode()
        job_id = client.post("/v1/jobs", files={"file": (f"{name}.mp4", content)}).json()["id"]
        media = make_verdict().media.model_copy(
            update={"sha256": hashlib.sha256(content).hexdigest()}
        )
        assert service.store.save_verdict(job_id, 0, make_verdict(media=media))
        jobs[name] = job_id

    def decide(name: str, finding: str, moderator: str = "kim", *, consent: bool = True) -> None:
        body = {"finding": finding, "moderator": moderator, "rationale": "w", "consent": consent,
                "reasons": ["Flicker"]}  # fmt: skip
        assert client.post(address(jobs[name]), json=body).status_code == 201

    decide("forged", "fake")
    decide("genuine", "real")
    decide("silent", "fake", consent=False)
    decide("disputed", "fake")
    decide("disputed", "real", "lee")
    decide("unsure", "unsure")
    decide("gone", "fake")
    decide("changed", "fake")
    decide("again", "fake")
    decide("one", "fake")
    decide("other", "real", "lee")
    for name, change in (("gone", None), ("changed", b"other bytes")):
        job = service.store.job(jobs[name])
        assert job is not None
        Path(job.path).unlink() if change is None else Path(job.path).write_bytes(change)

    out = tmp_path / "decided"
    assert run_decisions(service.settings, out) == 0
    told = capsys.readouterr().out
    for count, what in (
        (2, "exported"), (2, "moderators differ"), (1, "no consent to train on it"),
        (1, "nobody could tell"), (2, "the video is no longer kept, or changed"),
    ):  # fmt: skip
        assert f"{count}  {what}\n" in told
    lines = [json.loads(line) for line in (out / "decisions.jsonl").read_text().splitlines()]
    disputed = [line for line in lines if line["label"] == "disputed"]
    lines = [line for line in lines if line["label"] != "disputed"]
    assert [[said["finding"] for said in line["findings"]] for line in disputed] == [
        ["fake", "real"], ["fake", "real"],
    ]  # fmt: skip
    assert {tuple(line["reasons"]) for line in lines} == {("Flicker",)}
    assert [(line["label"], line["verdict"], line["stance"]) for line in lines] == [
        ("fake", "fake", "upholds"),
        ("real", "fake", "overturns"),
    ]
    assert "kim" not in (out / "decisions.jsonl").read_text()
    assert len(list((out / "media").iterdir())) == 2
    listing = Decisions().read(out, split="all")
    assert [sample.label for sample in listing.samples] == [1, 0]
    assert listing.samples[0].path.read_bytes() == b"GIF89a video forged"
    assert [why for why, _ in listing.left_out] == ["moderators differ"] * 2
    with pytest.raises(ConfigError, match="there already"):
        run_decisions(service.settings, out)
