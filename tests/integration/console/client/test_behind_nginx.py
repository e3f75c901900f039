"""nginx in front of the API, configured as deploy/nginx.conf has it."""

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.integration.console.client.conftest import GIF, open_to
from tests.integration.console.web.platform import running_platform
from tests.integration.console.web.serving import serving
from unmask.verdict import Verdict

ROOT = Path(__file__).resolve().parents[4]
PAGE = ROOT / "docs" / "how-to" / "serve-a-platform.md"


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
