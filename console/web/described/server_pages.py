"""/detectors and /health for people: what judges here, and whether a new video would be worked on."""

from contextlib import suppress

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, RedirectResponse
from redis.exceptions import RedisError

from console.show.listing import describe
from console.web.about import ready_parts
from console.web.operation import dead_letter_routes as letters
from console.web.page import html
from console.web.services import WebServices, WebServicesDep
from detect_plugins.catalogue import load_catalogue
from unmask.errors import UnmaskError
from workers.broker.lifesigns import served
from workers.jobs.dead_letters import DeadLetter
from workers.jobs.removal.retention import described
from workers.jobs.selection import select

router = APIRouter(include_in_schema=False)


@router.get("/detectors")
def detectors(found: WebServicesDep) -> HTMLResponse:
    """Each detector: what it looks for, by which paper, with which weights, and who serves it."""
    rows = [describe(entry, found.settings) for entry in load_catalogue().entries]
    return html(
        found,
        "detectors.html",
        title="Detectors",
        rows=sorted(rows, key=lambda row: (row["state"] != "ready", row["key"])),
        serving=_serving(found),
        refresh=False,
    )


@router.get("/health")
def health(found: WebServicesDep) -> HTMLResponse:
    """What a new job needs, part by part; and how long what is kept."""
    parts = ready_parts(found)
    return html(
        found,
        "health.html",
        title="Health",
        parts=parts,
        ready=all(part.state == "ok" for part in parts),
        broken=[f"{entry.key}: {entry.error}" for entry in load_catalogue().broken()],
        kept=described(found.settings),
        letters=_letters(found),
        refresh=False,
    )


@router.post("/dead-letters/{letter_id}/retry")
def retry(letter_id: str, found: WebServicesDep) -> RedirectResponse:
    """Run the letter's job anew, and show that job."""
    job = letters.drive_again(found, letter_id)
    return RedirectResponse(f"{found.root}/jobs/{job.id}", status_code=303)


@router.post("/dead-letters/{letter_id}/drop")
def drop(letter_id: str, found: WebServicesDep) -> RedirectResponse:
    """Drop the letter."""
    letters.drop(found, letter_id)
    return RedirectResponse(f"{found.root}/health#dead-letters", status_code=303)


def _letters(found: WebServices) -> list[DeadLetter] | None:
    """What was given up; None for whoever may not see to it, or where Redis is away."""
    if "jobs.control" not in found.actor.permissions:
        return None
    with suppress(RedisError):
        return letters.listed(found)
    return None


def _serving(found: WebServices) -> dict[str, bool]:
    """Key of each plugin that a job would ask for -> whether a scoring worker has its weights."""
    with suppress(RedisError, UnmaskError):
        asked = select(load_catalogue(), found.settings).scoring
        alive = served(found.redis, [ref.slug for ref in asked])
        return {ref.key: alive[ref.slug] for ref in asked}
    return {}
