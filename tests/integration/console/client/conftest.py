"""A platform behind a real socket, and the client that talks to it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI

from console.client import Client
from tests.integration.console.web.platform import Platform, running_platform
from tests.integration.console.web.serving import serving
from unmask.verdict import Verdict

GIF = b"GIF89a a video"


def open_to(app: FastAPI, *names: str) -> None:
    """Have it answer to these names too."""
    (check,) = [m for m in app.user_middleware if m.cls.__name__ == "CheckHost"]
    check.kwargs["allowed"] = [*check.kwargs["allowed"], *names]
    app.middleware_stack = None


@pytest.fixture(scope="module")
def platform(
    tmp_path_factory: pytest.TempPathFactory, make_verdict: Callable[..., Verdict]
) -> Iterator[Platform]:
    folder = tmp_path_factory.mktemp("client")
    media = folder / "media"
    media.mkdir()
    (media / "a.gif").write_bytes(GIF)
    changes = {"trusted_proxies": ("127.0.0.1",), "media_roots": (media,)}
    with running_platform(folder, make_verdict, **changes) as found:
        open_to(found.app, "unmask.example.com")
        yield found


@pytest.fixture(scope="module")
def server(platform: Platform) -> Iterator[str]:
    with serving(platform.app, platform.settings) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def client(platform: Platform, server: str) -> Client:
    return Client(server, key=platform.secrets["acme", "admin"])


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "clip.gif"
    path.write_bytes(GIF)
    return path
