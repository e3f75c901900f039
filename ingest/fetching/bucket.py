"""Read one object of a bucket into a file, piece by piece, each piece of the same version.

Credentials and the endpoint are the operator's, by obstore's own variables (AWS_..., GOOGLE_...,
AZURE_...) or UNMASK_BUCKET_ENDPOINT; none comes with the address.
"""

from typing import IO
from urllib.parse import unquote, urlsplit

import stamina
from obstore import exceptions
from obstore.store import ObjectStore, from_url

from ingest.fetching.checked_connection import Deadline
from ingest.fetching.download import Bounds, OnBytes, Pace
from ingest.fetching.places import shown
from unmask.errors import FetchFailed, MediaRefused, ReasonCode

_PIECE = 8 << 20
_FINAL = (
    exceptions.PermissionDeniedError,
    exceptions.UnauthenticatedError,
    exceptions.PreconditionError,
)


def read_object(
    address: str,
    into: IO[bytes],
    bounds: Bounds,
    *,
    endpoint: str | None = None,
    on_bytes: OnBytes | None = None,
) -> int:
    """Fill `into`, which must be empty, and return the number of bytes.

    Raises MediaRefused (too_large), FetchFailed.
    """
    name = shown(address)
    deadline = Deadline(bounds.max_seconds)
    pace = Pace(bounds, deadline)
    try:
        store, key = _store(address, endpoint)
        size, version = _head(store, key, bounds)
        if size > bounds.max_bytes:
            raise MediaRefused(
                f"{name} has {size} bytes, the limit is {bounds.max_bytes}.",
                code=ReasonCode.TOO_LARGE,
                fix="Raise UNMASK_MAX_BYTES, or send a shorter cut.",
            )
        for start in range(0, size, _PIECE):
            if deadline.left() <= 0.0:
                raise FetchFailed(
                    f"{name} took longer than {bounds.max_seconds:.0f} s.",
                    code=ReasonCode.FETCH_TIMEOUT,
                    fix="Raise UNMASK_FETCH_TIMEOUT_S, or send a smaller file.",
                )
            end = min(start + _PIECE, size)
            into.write(_piece(store, key, version, (start, end), bounds))
            if on_bytes is not None:
                on_bytes(end)
            pace.read(end - start)
    except FileNotFoundError:  # obstore's way to say that there is no such object
        raise FetchFailed(
            f"{name} is not in its bucket.", fix="Check the name and UNMASK_BUCKET_ENDPOINT."
        ) from None
    except exceptions.BaseError as error:
        # The library's own words quote addresses, and signatures with them.
        kind = type(error).__name__.removesuffix("Error")
        raise FetchFailed(
            f"{name} could not be read from its bucket ({kind}).",
            fix="Check the name, the credentials and UNMASK_BUCKET_ENDPOINT.",
        ) from None
    return size


def _store(address: str, endpoint: str | None) -> tuple[ObjectStore, str]:
    parts = urlsplit(address)
    config: dict[str, str] = {}
    options: dict[str, bool] = {}
    if parts.scheme == "s3" and endpoint:
        config["endpoint"] = endpoint
        options["allow_http"] = endpoint.startswith("http://")
    root = f"{parts.scheme}://{parts.netloc}"
    store: ObjectStore = from_url(root, config=config, client_options=options)  # type: ignore[call-overload]
    return store, unquote(parts.path).lstrip("/")


def _head(store: ObjectStore, key: str, bounds: Bounds) -> tuple[int, str | None]:
    for attempt in _attempts(bounds):
        with attempt:
            found = store.head(key)
    return int(found["size"]), found.get("e_tag")


def _piece(
    store: ObjectStore, key: str, version: str | None, span: tuple[int, int], bounds: Bounds
) -> bytes:
    options: dict[str, object] = {"range": span}
    if version is not None:
        options["if_match"] = version
    for attempt in _attempts(bounds):
        with attempt:
            data = bytes(store.get(key, options=options).bytes())  # type: ignore[arg-type]
    return data


def _attempts(bounds: Bounds) -> "stamina._core._RetryContextIterator":
    return stamina.retry_context(
        on=_may_pass, attempts=bounds.attempts, wait_initial=bounds.wait_s, timeout=60.0
    )


def _may_pass(error: Exception) -> bool:
    return isinstance(error, exceptions.BaseError) and not isinstance(error, _FINAL)
