"""Many at once, one JSON line each (NDJSON): hand in by path or address, and ask how jobs stand."""

import json
from collections.abc import Callable, Iterator
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse
from pydantic import Field, TypeAdapter, ValidationError
from starlette.concurrency import run_in_threadpool

from console.web.answers import PathSubmission
from console.web.described.examples import PROBLEMS
from console.web.intake.bodies import short_body
from console.web.intake.submission import submit_reference
from console.web.problems import Refusal
from console.web.services import WebServices, WebServicesDep
from unmask.errors import InputError, ReasonCode, UnmaskError

router = APIRouter(prefix="/v1/bulk", tags=["bulk"])

MAX_LINES = 1000
_MAX_BYTES = 4 << 20
_KIND = "application/x-ndjson"
# pydantic reads it, not json: however deep the brackets of a line are, it is an answer.
_ID = TypeAdapter(str)


class Line(PathSubmission):
    """One line of a bulk submission."""

    idempotency_key: str | None = Field(default=None, min_length=1, max_length=200)


def _described(what: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {
        "requestBody": {
            "required": True,
            "description": what,
            "content": {_KIND: {"schema": schema}},
        }
    }


_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "One JSON line for each line sent, in order: a job, or a problem.",
        "content": {_KIND: {"schema": {"type": "string"}}},
    },
    **PROBLEMS,
}


@router.post(
    "/submit",
    summary="Hand in many videos by path or address",
    operation_id="bulk_submit",
    response_class=StreamingResponse,
    responses=_ANSWERS,
    openapi_extra=_described(
        "At most 1000 lines, each what POST /v1/jobs takes as JSON, with an idempotency_key if "
        "you like.",
        {"type": "string", "examples": ['{"path": "/media/a.mp4", "external_id": "a"}']},
    ),
)
async def submit(request: Request, found: WebServicesDep) -> StreamingResponse:
    """Each line stands for itself: a bad one answers with its problem, the others are queued."""
    lines = await _lines(request)

    def one(line: str) -> dict[str, Any]:
        wanted = Line.model_validate_json(line)
        plain = PathSubmission.model_validate(wanted.model_dump(exclude={"idempotency_key"}))
        job, created = submit_reference(found, plain, key=wanted.idempotency_key)
        view = found.view(job)
        return {"created": created, "job": view.model_dump(mode="json")}

    return await run_in_threadpool(_answer, lines, one)


@router.post(
    "/status",
    summary="How many jobs stand",
    operation_id="bulk_status",
    response_class=StreamingResponse,
    responses=_ANSWERS,
    openapi_extra=_described(
        "At most 1000 lines, each a job's id as a JSON string.",
        {"type": "string", "examples": ['"0193f2c4a7d84b0f9d0a5a1c"']},
    ),
)
async def status(request: Request, found: WebServicesDep) -> StreamingResponse:
    """A job for each id, or a problem where there is none."""
    lines = await _lines(request)

    def one(line: str) -> dict[str, Any]:
        return {"job": _view(found, line)}

    return await run_in_threadpool(_answer, lines, one)


def _view(found: WebServices, line: str) -> dict[str, Any]:
    try:
        job_id = _ID.validate_json(line)
    except ValidationError:
        raise InputError(
            "a line is a job's id in quotes.", code=ReasonCode.CONFIG_INVALID, fix='Send "ID".'
        ) from None
    job = found.job(job_id)
    return found.view(job).model_dump(mode="json")


async def _lines(request: Request) -> list[str]:
    body = await short_body(request, _MAX_BYTES)
    lines = [line for line in body.decode("utf-8", "replace").splitlines() if line.strip()]
    if not 1 <= len(lines) <= MAX_LINES:
        raise InputError(
            f"{len(lines)} lines.",
            code=ReasonCode.CONFIG_INVALID,
            fix=f"Send 1 to {MAX_LINES} lines of JSON.",
        )
    return lines


def _answer(lines: list[str], one: Callable[[str], dict[str, Any]]) -> StreamingResponse:
    """Every line is worked on before the answer begins: a client that leaves loses no submission."""
    answers = [json.dumps(_tried(one, line)) + "\n" for line in lines]

    def stream() -> Iterator[str]:
        yield from answers

    return StreamingResponse(stream(), media_type=_KIND)


def _tried(one: Callable[[str], dict[str, Any]], line: str) -> dict[str, Any]:
    try:
        return one(line)
    except UnmaskError as error:
        problem = {"code": error.code.value, "detail": error.message, "fix": error.fix}
    except Refusal as error:
        problem = {"code": error.code, "detail": error.detail, "fix": error.fix}
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "line"
        problem = {"code": "bad_request", "detail": f"{where}: {first['msg']}.", "fix": ""}
    except ValueError:
        problem = {"code": "bad_request", "detail": "the line is no JSON.", "fix": ""}
    return {"problem": problem}
