"""The OpenAPI 3.1 description: components for verdicts and problems, who may ask, what is pushed."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from console.show.verdict_schema import verdict_schema
from console.web.described.examples import PROBLEMS
from console.web.identity.route_permissions import PUBLIC, ROUTES
from console.web.problems import Problem

_SECURITY_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "A key as a bearer token."},
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "A key."},
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "unmask_session",
        "description": "A person's session; changes also send X-CSRF-Token, as GET /v1/me gives it.",
    },
}
_UNAVAILABLE = {
    "description": "Database or Redis do not answer just now. Try again.",
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
}
_EVENT_SCHEMA = {
    "type": "object",
    "required": ["type", "timestamp", "data"],
    "properties": {
        "type": {"type": "string", "examples": ["job.succeeded"]},
        "timestamp": {"type": "string", "format": "date-time"},
        "data": {
            "type": "object",
            "required": ["event_number"],
            "properties": {
                "event_number": {"type": "integer", "minimum": 1},
                "job_id": {"type": "string"},
            },
        },
    },
}


def describe_api(app: FastAPI, description: str) -> dict[str, Any]:
    """The whole description, made once per application."""
    if app.openapi_schema is None:
        found = get_openapi(
            title=app.title,
            version=app.version,
            description=description,
            routes=app.routes,
            servers=[{"url": app.state.service.root or "/"}],
            separate_input_output_schemas=False,
        )
        components = found.setdefault("components", {})
        schemas = components.setdefault("schemas", {})
        schemas.update(_verdict_components())
        schemas["Problem"] = Problem.model_json_schema()
        schemas["Event"] = _EVENT_SCHEMA
        components["securitySchemes"] = _SECURITY_SCHEMES
        found["security"] = [{name: []} for name in _SECURITY_SCHEMES]
        for path, operations in found["paths"].items():
            for method, operation in operations.items():
                _finish(operation, ROUTES[method.upper(), path])
        found["webhooks"] = {"event": {"post": _webhook()}}
        app.openapi_schema = found
    return app.openapi_schema


def _finish(operation: dict[str, Any], needed: str) -> None:
    if needed == PUBLIC:
        operation["security"] = []
    else:
        operation["x-permission"] = needed
    operation["responses"].setdefault("503", _UNAVAILABLE)
    for status, answer in PROBLEMS.items():
        # Any of them may be refused: for its Host, a key that nobody knows, too many requests.
        operation["responses"].setdefault(str(status), answer)


def _verdict_components() -> dict[str, Any]:
    """The published schema of a verdict, its definitions under names of their own."""
    schema = verdict_schema()
    definitions = schema.pop("$defs")
    for key in ("$schema", "$id"):
        del schema[key]
    parts = {f"Verdict.{name}": part for name, part in definitions.items()}
    return {name: _moved(part) for name, part in {"Verdict": schema, **parts}.items()}


def _moved(part: Any) -> Any:
    if isinstance(part, dict):
        return {
            key: value.replace("#/$defs/", "#/components/schemas/Verdict.")
            if key == "$ref"
            else _moved(value)
            for key, value in part.items()
        }
    return [_moved(item) for item in part] if isinstance(part, list) else part


def _webhook() -> dict[str, Any]:
    return {
        "summary": "An event, as a webhook receives it",
        "description": "Signed by Standard Webhooks; at least once; answer 2xx within 15 s.",
        "operationId": "receive_event",
        "parameters": [
            {"name": name, "in": "header", "required": True, "schema": {"type": "string"}}
            for name in ("webhook-id", "webhook-timestamp", "webhook-signature")
        ],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Event"}}},
        },
        "responses": {"2XX": {"description": "Taken."}},
    }
