"""What the API says to its clients and by itself: the how-to page run as it is written; nginx in front."""

import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from ingest.fetching.addresses import Allowance
from tests.integration.console.client.conftest import GIF, open_to
from tests.integration.console.web.platform import Platform, running_platform
from tests.integration.console.web.serving import serving
from unmask.verdict import Verdict
from workers.jobs.deliver import Deliverer

ROOT = Path(__file__).resolve().parents[4]
PAGE = ROOT / "docs" / "how-to" / "serve-a-platform.md"


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
        open_to(platform.app, "unmask.example.com")
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
