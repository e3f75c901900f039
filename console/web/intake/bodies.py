"""Short bodies: forms and JSON that are read whole, never beyond a limit."""

from urllib.parse import parse_qs

from starlette.requests import Request

from unmask.errors import InputError, ReasonCode

MAX_TEXT_BYTES = 64 << 10


async def short_body(request: Request, limit: int = MAX_TEXT_BYTES) -> bytes:
    """A body that is text. Raises InputError (too_large) before it fills the memory."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise InputError("the body is too long.", code=ReasonCode.TOO_LARGE)
    return bytes(body)


async def form_of(request: Request) -> dict[str, str]:
    """The fields of a short urlencoded form, each with its first value."""
    return {name: values[0] for name, values in (await form_values(request)).items()}


async def form_values(request: Request) -> dict[str, list[str]]:
    """The same, each with all of its values."""
    return parse_qs((await short_body(request)).decode("utf-8", "replace"))
