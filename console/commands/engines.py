"""`unmask engines`: list, build, verify and clear compiled engines, as a person reads it."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from console.show.wording import size
from unmask.errors import ConfigError
from unmask.settings import Settings
from unmask.system import logs
from workers.engines.manage import (
    EngineRow,
    build_engines,
    clear_engines,
    list_engines,
    runtimes,
    verify_engines,
)


def run_list(settings: Settings) -> None:
    """Print the runtimes of this machine and the engines in the cache."""
    console = Console()
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("runtime", "version", "note"):
        table.add_column(heading)
    for row in runtimes():
        version = row.version or "not installed"
        table.add_row(
            row.name, Text(version, style="" if row.version else "yellow"), Text(row.note)
        )
    console.print(table)
    _show(console, list_engines(settings), "No engine is built yet: workers build at first use.")


def run_build(settings: Settings, *, every: bool) -> int:
    """Build for each plugin of the settings, else each trained one; 1 where one got none."""
    # These import torch.
    from detect_plugins.catalogue import load_catalogue, load_detector  # noqa: PLC0415
    from workers.engines.choose import resolve_device  # noqa: PLC0415
    from workers.jobs.selection import select  # noqa: PLC0415

    logs.configure(settings)
    catalogue = load_catalogue()
    chosen = select(catalogue, settings, allow_untrained=bool(settings.plugins)).scoring
    if not chosen:
        raise ConfigError(
            "no plugin with trained weights to build for.",
            fix="Name plugins with --plugins to build for untrained ones.",
        )
    device = resolve_device(settings.device)
    detectors = (
        load_detector(catalogue.get(ref.key), settings.weights_dir, device) for ref in chosen
    )
    console, ready = Console(), set()
    for row in build_engines(detectors, device=device, settings=settings, every=every):
        if row.ready:
            ready.add(row.plugin)
        state = Text("ready", style="green") if row.ready else Text("passed over", style="yellow")
        console.print(Text.assemble(f"{row.plugin}  {row.engine}  ", state))
        if row.problem:
            console.print(Text(f"  {row.problem}", style="dim"))
    return int(ready != {ref.key for ref in chosen})


def run_verify(settings: Settings) -> int:
    """Check every file of the cache against its record; 1 where one is off."""
    rows = verify_engines(settings)
    _show(Console(), rows, "No engine is built: nothing to verify.")
    return int(any(row.problem for row in rows))


def run_clear(settings: Settings, plugin: str | None) -> None:
    """Delete engines, of one plugin or all."""
    rows = clear_engines(settings, plugin=plugin)
    console = Console()
    for row in rows:
        console.print(Text(f"{row.plugin}  {row.engine}  {size(row.bytes)}"))
    console.print(f"{len(rows)} engines removed; workers build what they need again.")


def _show(console: Console, rows: list[EngineRow], nothing: str) -> None:
    if not rows:
        console.print(nothing)
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("plugin", "engine", "weights", "device", "batch", "size", "state"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(
            row.plugin,
            row.engine,
            row.weights,
            row.device,
            ",".join(map(str, row.buckets)),
            size(row.bytes),
            Text(row.problem, style="red") if row.problem else Text("ok", style="green"),
        )
    console.print(table)
