"""/v1/plugins, /v1/schema and /health: what this server is, and whether it works."""

from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from redis.exceptions import RedisError

from console.show.listing import describe
from console.web.answers import Part, Readiness
from console.web.examples import PROBLEMS, VERDICT_SCHEMA
from console.web.services import WebServices, WebServicesDep
from detect_plugins.catalogue import load_catalogue
from unmask.errors import UnmaskError
from workers.broker.heartbeats import alive_plugins

router = APIRouter()

#: A scoring process whose last sign of life is older is taken for gone.


@router.get("/openapi.json", include_in_schema=False)
def description(request: Request) -> JSONResponse:
    """The OpenAPI description of this API."""
    return JSONResponse(request.app.openapi())


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


@router.get(
    "/health/ready",
    tags=["health"],
    summary="Would a new job be worked on?",
    operation_id="get_readiness",
    response_model=Readiness,
    responses={503: {"model": Readiness, "description": "No; `parts` says why."}},
)
def ready(found: WebServicesDep, response: Response) -> Readiness:
    """Database, Redis and at least one scoring process; 503 while one of them is missing."""
    parts = (_database(found), _redis(found), _scorers(found))
    is_ready = all(part.state == "ok" for part in parts)
    response.status_code = 200 if is_ready else 503
    broken = tuple(f"{entry.key}: {entry.error}" for entry in load_catalogue().broken())
    return Readiness(ready=is_ready, parts=parts, plugins_broken=broken)


def _database(found: WebServices) -> Part:
    try:
        found.store.jobs(limit=1)
    except UnmaskError as error:
        return Part(name="database", state="bad", detail=str(error))
    return Part(name="database", state="ok", detail="answers")


def _redis(found: WebServices) -> Part:
    try:
        found.redis.ping()
    except RedisError as error:
        return Part(name="redis", state="bad", detail=str(error))
    return Part(name="redis", state="ok", detail="answers")


def _scorers(found: WebServices) -> Part:
    try:
        alive = alive_plugins(found.redis)
    except RedisError as error:
        return Part(name="scoring", state="bad", detail=str(error))
    if not alive:
        return Part(
            name="scoring", state="bad", detail="no scoring process: start `unmask worker score`"
        )
    return Part(name="scoring", state="ok", detail=", ".join(alive))
