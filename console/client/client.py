"""A small Python client of the API, on the standard library alone.

client = Client("http://127.0.0.1:8080")
job = client.submit(Path("clip.mp4"), idempotency_key="upload-17")
verdict = client.wait(job["id"])
"""

import http.client
import json
import os
import secrets
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

from unmask.errors import ReasonCode, UnmaskError
from unmask.verdict import Verdict, read_verdict

_CHUNK = 1 << 20
_POLL_S = (0.2, 0.5, 1.0, 2.0)
_UNFINISHED = {"queued", "running"}


class ApiError(UnmaskError):
    """The server refused, or could not be reached; `problem` is its RFC 9457 document, if any."""

    def __init__(self, message: str, *, fix: str = "", problem: dict[str, Any] | None = None):
        super().__init__(message, fix=fix)
        self.problem = problem or {}
        known = {code.value: code for code in ReasonCode}
        self.code = known.get(str(self.problem.get("code")), ReasonCode.INTERNAL)


@dataclass(frozen=True)
class Client:
    """Talks to one server. Safe to use from several threads: every call has its own connection."""

    server: str
    timeout_s: float = 60.0

    def submit(
        self,
        path: Path,
        *,
        plugins: str | None = None,
        policy: str | None = None,
        sample: str | None = None,
        idempotency_key: str | None = None,
    ) -> dict[str, Any]:
        """Upload a video, streamed from disk; returns the job. Raises ApiError, OSError."""
        options = {"plugins": plugins, "policy": policy, "sample": sample}
        fields = {name: value for name, value in options.items() if value}
        boundary = secrets.token_hex(16)
        head, tail = _form(path.name, fields, boundary)
        headers = {
            "Content-Type": f"multipart/form-data; boundary={boundary}",
            "Content-Length": str(len(head) + path.stat().st_size + len(tail)),
        }
        if idempotency_key is not None:
            headers["Idempotency-Key"] = idempotency_key
        found: dict[str, Any] = json.loads(
            self._ask("POST", "/v1/jobs", headers=headers, body=_stream(head, path, tail))
        )
        return found

    def job(self, job_id: str) -> dict[str, Any]:
        """State and progress of a job. Raises ApiError for an unknown one."""
        found: dict[str, Any] = json.loads(self._ask("GET", f"/v1/jobs/{quote(job_id, safe='')}"))
        return found

    def verdict(self, job_id: str) -> Verdict:
        """The verdict. Raises ApiError while there is none; its `problem` says how the job stands."""
        return read_verdict(self._ask("GET", f"/v1/jobs/{quote(job_id, safe='')}/verdict"))

    def picture(self, job_id: str, url: str) -> bytes:
        """An evidence picture, by the `face_url` or `heatmap_url` of the verdict."""
        return self._ask("GET", urljoin(f"/v1/jobs/{quote(job_id, safe='')}/verdict", url))

    def wait(self, job_id: str, timeout_s: float | None = None) -> Verdict:
        """Poll until the job is finished. Raises ApiError where it failed, TimeoutError."""
        begun, pause = time.monotonic(), iter(_POLL_S)
        while self.job(job_id)["job_status"] in _UNFINISHED:
            if timeout_s is not None and time.monotonic() - begun > timeout_s:
                raise TimeoutError(f"job {job_id} is not finished after {timeout_s:g} s")
            time.sleep(next(pause, _POLL_S[-1]))
        return self.verdict(job_id)

    def _ask(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: Iterator[bytes] | None = None,
    ) -> bytes:
        parts = urlsplit(self.server)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ApiError(f"{self.server!r} is no address.", fix="Give http://HOST:PORT.")
        kinds = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}
        connection = kinds[parts.scheme](parts.hostname, parts.port, timeout=self.timeout_s)
        try:
            connection.request(
                method, parts.path.rstrip("/") + path, body=body, headers=dict(headers or {})
            )
            answer = connection.getresponse()
            content: bytes = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise ApiError(
                f"no answer from {self.server} ({error}).",
                fix="Start it with `unmask serve`, or name it with --server or UNMASK_SERVER.",
            ) from error
        finally:
            connection.close()
        if answer.status >= 400:
            raise _refusal(answer.status, content)
        return content


def _refusal(status: int, content: bytes) -> ApiError:
    try:
        problem = json.loads(content)
        return ApiError(problem["detail"], fix=problem.get("fix", ""), problem=problem)
    except (ValueError, KeyError, TypeError):
        return ApiError(f"the server answered {status}.", fix="Is that address an Unmask server?")


def _form(filename: str, fields: Mapping[str, str], boundary: str) -> tuple[bytes, bytes]:
    """What goes before and after the file's bytes."""
    name = os.fsencode(filename).decode("utf-8", "replace")
    for character, code in (('"', "%22"), ("\r", "%0D"), ("\n", "%0A")):
        name = name.replace(character, code)
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'
        for key, value in fields.items()
    ]
    parts.append(
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    return "".join(parts).encode(), f"\r\n--{boundary}--\r\n".encode()


def _stream(head: bytes, path: Path, tail: bytes) -> Iterator[bytes]:
    yield head
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk
    yield tail
