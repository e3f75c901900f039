"""What a caller says of its own job: to find it again by, to carry along, and how urgent it is."""

import json
from typing import Annotated

from pydantic import Field, StringConstraints, field_validator

from unmask.frozen import Frozen
from unmask.requests.lanes import Priority

DEFAULT_TENANT = "default"
MAX_METADATA_BYTES = 4096
MAX_TAGS = 16

Tag = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=64)]
_Scalar = str | int | float | bool | None


def _no_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("must not hold a NUL character")
    return text


class JobDetails(Frozen):
    """The caller's own words on a job. Unmask stores and returns them, and reads none but priority."""

    external_id: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = None
    """The caller's id of the video; several jobs may carry the same."""
    metadata: dict[Annotated[str, StringConstraints(max_length=64)], _Scalar] = Field(
        default_factory=dict
    )
    """Flat, and at most 4096 bytes as JSON."""
    tags: tuple[Tag, ...] = Field(default=(), max_length=MAX_TAGS)
    priority: Priority = "batch"

    @field_validator("external_id")
    @classmethod
    def _storable_id(cls, value: str | None) -> str | None:
        return value if value is None else _no_nul(value)

    @field_validator("tags")
    @classmethod
    def _once_each(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(_no_nul(tag) for tag in value))

    @field_validator("metadata")
    @classmethod
    def _short(cls, value: dict[str, _Scalar]) -> dict[str, _Scalar]:
        text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
        if len(text.encode("utf-8", "surrogatepass")) > MAX_METADATA_BYTES:
            raise ValueError(f"must be at most {MAX_METADATA_BYTES} bytes of JSON")
        if "\\u0000" in text:
            raise ValueError("must not hold a NUL character")
        return value
