"""/v1/plugins, /v1/schema and /health: what this server is, and whether it works."""

from typing import Any

import structlog
from fastapi import APIRouter, Response
from redis.exceptions import RedisError

from console.show.listing import describe
from console.web.answers import Part, Readiness
from console.web.described.examples import PROBLEMS, VERDICT_SCHEMA
from console.web.services import WebServices, WebServicesDep
from detect_plugins.catalogue import load_catalogue
from unmask.errors import UnmaskError
from workers.broker.lifesigns import roles_alive, served
from workers.jobs.selection import select

log = structlog.get_logger(__name__)
router = APIRouter()


@router.get(
    "/v1/plugins",
    tags=["about"],
    summary="The detectors",
    operation_id="list_plugins",
    responses=PROBLEMS,
)
def plugins(found: WebServicesDep) -> dict[str, Any]:
    """The same as `unmask plugins --json`: each detector with paper, size, map and weights."""
    return {"plugins": [describe(entry, found.settings) for entry in load_catalogue().entries]}


@router.get(
    "/v1/schema/verdict",
    tags=["about"],
    summary="JSON Schema of a verdict",
    operation_id="get_verdict_schema",
)
def schema() -> dict[str, Any]:
    """The published schema, version 2."""
    return VERDICT_SCHEMA


@router.get(
    "/health/live",
    tags=["health"],
    summary="Does this process answer?",
    operation_id="get_liveness",
)
def live() -> dict[str, str]:
    """Always 200 while it does."""
    return {"status": "ok"}


_NOT_YET: dict[int | str, dict[str, Any]] = {
    503: {"model": Readiness, "description": "No; `parts` says why."}
}


@router.get(
    "/health/startup",
    tags=["health"],
    summary="Can this process take requests?",
    operation_id="get_startup",
    response_model=Readiness,
    responses=_NOT_YET,
)
def startup(found: WebServicesDep, response: Response) -> Readiness:
    """Database and Redis answer: jobs can be handed in, whoever works on them later."""
    return _answer(response, (_database(found), _redis(found)))


@router.get(
    "/health/ready",
    tags=["health"],
    summary="Would a new job be worked on?",
    operation_id="get_readiness",
    response_model=Readiness,
    responses=_NOT_YET,
)
def ready(found: WebServicesDep, response: Response) -> Readiness:
    """Database, Redis, a worker of each role, and one for every plugin that a job would ask for."""
    return _answer(response, ready_parts(found))


def ready_parts(found: WebServices) -> tuple[Part, ...]:
    """What a new job needs, each with its state, and the fix where it is bad."""
    return (_database(found), _redis(found), *_roles(found), _scorers(found))


def _answer(response: Response, parts: tuple[Part, ...]) -> Readiness:
    is_ready = all(part.state == "ok" for part in parts)
    response.status_code = 200 if is_ready else 503
    broken = tuple(f"{entry.key}: {entry.error}" for entry in load_catalogue().broken())
    return Readiness(ready=is_ready, parts=parts, plugins_broken=broken)


def _database(found: WebServices) -> Part:
    try:
        found.store.jobs(limit=1)
    except UnmaskError as error:
        return _away("database", error)
    return Part(name="database", state="ok", detail="answers")


def _redis(found: WebServices) -> Part:
    try:
        found.redis.ping()
    except RedisError as error:
        return _away("redis", error)
    return Part(name="redis", state="ok", detail="answers")


def _away(name: str, error: Exception) -> Part:
    """Everybody may ask for health: where the servers lie is said in the log alone."""
    log.error("health.bad", part=name, error=str(error))
    return Part(name=name, state="bad", detail="does not answer; the server's log says more")


def _roles(found: WebServices) -> tuple[Part, ...]:
    names = ("ingest", "verdict")
    try:
        alive = roles_alive(found.redis, names)
    except RedisError as error:
        return tuple(_away(name, error) for name in names)
    return tuple(
        Part(name=name, state="ok", detail="at least one worker")
        if alive[name]
        else Part(name=name, state="bad", detail=f"no worker: start `unmask worker {name}`")
        for name in names
    )


def _scorers(found: WebServices) -> Part:
    """Every plugin that a job without wishes of its own would wait for."""
    try:
        asked = [ref.slug for ref in select(load_catalogue(), found.settings).scoring]
        known = served(found.redis, asked)
    except RedisError as error:
        return _away("scoring", error)
    except UnmaskError as error:
        return Part(name="scoring", state="bad", detail=str(error))
    alive = ", ".join(sorted(slug for slug, is_alive in known.items() if is_alive))
    missing = ", ".join(slug for slug in asked if not known[slug])
    if missing:
        detail = f"nobody serves {missing}: start `unmask worker score` with these weights"
        return Part(name="scoring", state="bad", detail=detail)
    return Part(name="scoring", state="ok", detail=alive or "no plugin is asked for")
