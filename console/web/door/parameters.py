"""A parameter that the API does not know is refused: what is mistyped must not be passed over."""

from fastapi import Request

from console.web.problems import Refusal

#: Takes the place of the X-CSRF-Token where a form cannot send a header.
_ANYWHERE = frozenset({"csrf"})


def only_known_parameters(request: Request) -> None:
    """Raise Refusal (422) for a query parameter that the address does not take."""
    path = request.scope["route"].path
    if not path.startswith("/v1/") or not request.query_params:
        return
    methods = request.app.openapi()["paths"].get(path, {})
    described = methods.get(request.method.lower(), {}).get("parameters", ())
    known = {each["name"] for each in described if each["in"] == "query"} | _ANYWHERE
    unknown = sorted(set(request.query_params) - known)
    if unknown:
        raise Refusal(
            422,
            "bad_request",
            f"query.{unknown[0]}: there is no such parameter here.",
            fix=f"There are {', '.join(sorted(known - _ANYWHERE)) or 'none'}.",
        )
