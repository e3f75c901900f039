"""The client against a real server; the how-to page, run as it is written; nginx in front."""

import asyncio
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from standardwebhooks.webhooks import Webhook as Signer

from console.client import ApiError, AsyncClient, Client, WebhookRefused, verify_webhook
from ingest.fetching.addresses import Allowance
from tests.integration.console.web.platform import Platform, running_platform
from tests.integration.console.web.serving import serving
from unmask.verdict import Verdict
from workers.jobs.deliver import Deliverer

ROOT = Path(__file__).resolve().parents[4]
PAGE = ROOT / "docs" / "how-to" / "serve-a-platform.md"
GIF = b"GIF89a a video"


def _open_to(app: FastAPI, *names: str) -> None:
    (check,) = [m for m in app.user_middleware if m.cls.__name__ == "CheckHost"]
    check.kwargs["allowed"] = [*check.kwargs["allowed"], *names]
    app.middleware_stack = None


@pytest.fixture(scope="module")
def platform(
    tmp_path_factory: pytest.TempPathFactory, make_verdict: Callable[..., Verdict]
) -> Iterator[Platform]:
    folder = tmp_path_factory.mktemp("client")
    with running_platform(folder, make_verdict, trusted_proxies=("127.0.0.1",)) as found:
        _open_to(found.app, "unmask.example.com")
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


def test_the_client_does_what_the_api_does(platform: Platform, client: Client, video: Path) -> None:
    job = client.submit(video, external_id="e-1", metadata={"a": 1}, tags=["t"], priority="low")
    assert (job["external_id"], job["metadata"], job["tags"]) == ("e-1", {"a": 1}, ["t"])
    again = client.submit(video, reuse=True)
    assert again["id"] == job["id"]

    def judge() -> None:
        time.sleep(0.5)
        platform.store.save_verdict(job["id"], 0, platform.make_verdict())

    worker = threading.Thread(target=judge)
    worker.start()
    verdict = client.wait(job["id"], 60)
    worker.join()
    assert verdict == platform.store.verdict(job["id"])
    (found,) = client.jobs(external_id="e-1", decided=False)
    assert found["verdict"] is not None and found["verdict"]["p_fake"] == verdict.p_fake
    made = client.decide(job["id"], "fake", rationale="seen")
    assert made in list(client.decisions())
    assert client.rerun(job["id"])["generation"] == 1
    assert client.cancel(job["id"])["job_status"] == "cancelled"
    assert client.verdict(job["id"], generation=0) == verdict
    assert client.erase(job["id"]) == client.erase(job["id"])
    with pytest.raises(ApiError, match="no job"):
        client.job(job["id"])


def test_pages_are_followed(client: Client, video: Path) -> None:
    ids = {client.submit(video, tags=["paged"])["id"] for _ in range(5)}
    assert {job["id"] for job in client.jobs(tag="paged", limit=2)} == ids


def test_the_awaiting_client_leaves_the_loop_free(client: Client, video: Path) -> None:
    async def main() -> list[str]:
        many = AsyncClient(client)
        jobs = await asyncio.gather(*(many.submit(video, tags=["async"]) for _ in range(4)))
        found = [job["id"] async for job in many.jobs(tag="async", limit=3)]
        assert set(found) == {job["id"] for job in jobs}
        return found

    assert len(asyncio.run(main())) == 4


def test_a_wrong_key_and_a_server_that_is_away_say_so_with_the_address(server: str) -> None:
    with pytest.raises(ApiError, match="who is asking"):
        Client(server, key="unmask_no_key").job("x")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(ApiError, match=f"127.0.0.1:{port}"):
        Client(f"http://127.0.0.1:{port}", retries=0).job("x")


def test_a_webhook_is_believed_by_its_signature_alone() -> None:
    from datetime import UTC, datetime

    secret = "whsec_" + "A" * 43 + "="
    at = datetime.now(UTC)
    body = b'{"type":"job.failed","timestamp":"t","data":{}}'
    mark = Signer(secret).sign("m", at, body.decode())
    headers = {"Webhook-Id": "m", "webhook-timestamp": str(int(at.timestamp())),
               "webhook-signature": f"v1,AAAA {mark}"}  # fmt: skip
    assert verify_webhook(secret, headers, body)["type"] == "job.failed"
    wrong: list[tuple[dict[str, str], bytes, float | None]] = [
        (headers, body + b" ", None),
        (headers | {"Webhook-Id": "n"}, body, None),
        (headers, body, at.timestamp() + 301),
        ({}, body, None),
    ]
    for sent, content, now_s in wrong:
        with pytest.raises(WebhookRefused):
            verify_webhook(secret, sent, content, now_s=now_s)


def test_the_how_to_page_runs_as_it_is_written(
    platform: Platform, server: str, video: Path, tmp_path: Path
) -> None:
    """Its Python, against a real server; a verdict is written where workers would write it."""
    backend_code, submit_code = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    keys = {
        "ADMIN_KEY": platform.secrets["acme", "admin"],
        "BACKEND_KEY": platform.secrets["acme", "submitter"],
    }
    environment = {**os.environ, **keys, "PYTHONPATH": str(ROOT), "UNMASK_SERVER": server,
                   "VIDEO": str(video), "HOOK": f"http://127.0.0.1:{port}/events",
                   "PORT": str(port)}  # fmt: skip
    allowance = Allowance(private=(f"127.0.0.1:{port}",))
    platform.app.state.service = platform.app.state.service.__class__(
        settings=platform.settings.model_copy(update={"fetch_private": allowance.private}),
        store=platform.store,
        redis=platform.redis,
    )
    done = subprocess.run(
        [sys.executable, "-c", submit_code],
        env=environment, capture_output=True, text=True, check=False, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    secret, job_id = done.stdout.split()
    backend = subprocess.Popen(
        [sys.executable, "-c", backend_code],
        env={**environment, "WEBHOOK_SECRET": secret},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert platform.store.save_verdict(job_id, 0, platform.make_verdict())
        deliverer = Deliverer(store=platform.store, redis=platform.redis, allowance=allowance)
        stopping = threading.Event()
        sender = threading.Thread(target=deliverer.run, args=(stopping, 0.2), daemon=True)
        sender.start()
        assert backend.stdout is not None
        assert backend.stdout.readline().split() == ["post-17", "fake"]
        stopping.set()
        sender.join(timeout=60)
    finally:
        backend.kill()
        backend.wait()
        if backend.stdout is not None:
            backend.stdout.close()


@pytest.mark.skipif(
    shutil.which("nginx") is None and not os.environ.get("CI"), reason="nginx is not installed"
)
def test_the_nginx_example_works_under_a_path(
    tmp_path_factory: pytest.TempPathFactory, make_verdict: Callable[..., Verdict], video: Path
) -> None:
    folder = tmp_path_factory.mktemp("nginx")
    changes = {"root_path": "/unmask", "trusted_proxies": ("127.0.0.1",)}
    with running_platform(folder, make_verdict, **changes) as platform:
        _open_to(platform.app, "unmask.example.com")
        with serving(platform.app, platform.settings) as port:
            with socket.create_server(("127.0.0.1", 0)) as free:
                front = free.getsockname()[1]
            example = (ROOT / "deploy" / "nginx.conf").read_text()
            example = example.replace("listen 8081", f"listen 127.0.0.1:{front}")
            example = example.replace("127.0.0.1:8080", f"127.0.0.1:{port}")
            config = folder / "nginx.conf"
            temporary = " ".join(
                f"{kind}_temp_path {folder}/{kind};"
                for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
            )
            config.write_text(
                f"daemon off; pid {folder}/pid; error_log {folder}/error.log;\n"
                f"events {{}}\nhttp {{ access_log off; {temporary}\n{example}\n}}\n"
            )
            proxy = subprocess.Popen(["nginx", "-c", str(config), "-e", f"{folder}/early.log"])
            try:
                base = f"http://127.0.0.1:{front}/unmask"
                headers = platform.headers() | {"Host": "unmask.example.com"}
                deadline = time.monotonic() + 60
                while True:
                    try:
                        assert httpx.get(f"{base}/health/live", headers=headers).status_code == 200
                        break
                    except httpx.TransportError:
                        assert time.monotonic() < deadline
                        time.sleep(0.1)
                sent = httpx.post(
                    f"{base}/v1/jobs", files={"file": ("a.gif", GIF)}, headers=headers
                )
                assert sent.status_code == 202
                assert sent.headers["location"] == f"/unmask/v1/jobs/{sent.json()['id']}"
                page = httpx.get(f"{base}/", headers=headers).text
                assert f'href="/unmask/jobs/{sent.json()["id"]}"' in page
                for asset in re.findall(r'(?:href|src)="(/unmask/static/[^"]+)"', page):
                    address = f"http://127.0.0.1:{front}{asset}"
                    assert httpx.get(address, headers=headers).status_code == 200
                described = httpx.get(f"{base}/openapi.json", headers=headers).json()
                assert described["servers"] == [{"url": "/unmask"}]
                asked = httpx.get(f"{base}/undecided", headers={**headers, "Authorization": "",
                                  "Accept": "text/html"}, follow_redirects=False)  # fmt: skip
                assert asked.headers["location"] == "/unmask/login?next=/undecided"
                verdict = platform.make_verdict()
                platform.store.save_verdict(sent.json()["id"], 0, verdict)
                events = httpx.get(
                    f"{base}/v1/jobs/{sent.json()['id']}/events", headers=headers, timeout=60
                ).text
                assert "event: job.succeeded" in events and "event: end" in events
            finally:
                proxy.terminate()
                proxy.wait(timeout=60)
