"""/docs: the API's description for people, without a script or a file from elsewhere."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, JSONResponse

from console.show.report import environment
from console.web.services import WebServicesDep

router = APIRouter(include_in_schema=False)


@router.get("/openapi.json")
def description(request: Request) -> JSONResponse:
    """The OpenAPI description of this API."""
    return JSONResponse(request.app.openapi())


@router.get("/docs")
def docs(request: Request, found: WebServicesDep) -> HTMLResponse:
    """Every operation with its parameters, bodies and answers."""
    described: dict[str, Any] = request.app.openapi()
    groups: dict[str, list[dict[str, Any]]] = {}
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            shown = {**operation, "method": method.upper(), "path": path}
            groups.setdefault(operation["tags"][0], []).append(shown)
    text = (
        environment()
        .get_template("docs.html")
        .render(
            title="API",
            described=described,
            groups=groups,
            actor=found.actor,
            root=found.root,
            refresh=False,
        )
    )
    return HTMLResponse(text)
