"""`unmask`: the front door. Each command says what it does; its work is in a module of its own.

Those modules are imported inside the commands: `--help`, `plugins` and `doctor` must answer at
once, and torch alone takes seconds to import.
"""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from console.commands.operation.operate_cli import dead_app, jobs_app, operate_app, stress
from ingest.live.drop_policy import DropPolicy
from unmask import __version__
from unmask.errors import ConfigError, PluginBroken, UnmaskError
from unmask.settings import load_settings

app = typer.Typer(
    help="Judge whether the faces in videos are forged, and show why.",
    epilog="Start with: unmask demo --out demo-out",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
workers_app = typer.Typer(
    help="Run one role of a larger installation. `unmask serve` runs all of them on one machine.",
    no_args_is_help=True,
)
engines_app = typer.Typer(
    help="Build, list, verify and clear compiled inference engines.", no_args_is_help=True
)
models_app = typer.Typer(help="Fetch what cannot ship with Unmask.", no_args_is_help=True)
app.add_typer(jobs_app, name="jobs", rich_help_panel="Run a service")
app.add_typer(dead_app, name="dead", rich_help_panel="Run a service")
app.add_typer(operate_app, name="operate", rich_help_panel="Run a service")
app.command(rich_help_panel="Run a service")(stress)
app.add_typer(workers_app, name="worker", rich_help_panel="Run a service")
keys_app = typer.Typer(help="Keys of those who may use the server.", no_args_is_help=True)
app.add_typer(keys_app, name="keys", rich_help_panel="Run a service")
app.add_typer(engines_app, name="engines", rich_help_panel="Look and maintain")
app.add_typer(models_app, name="models", rich_help_panel="Look and maintain")

_JUDGE, _SERVE, _LOOK = "Judge videos", "Run a service", "Look and maintain"

EXIT_OK, EXIT_UNJUDGED, EXIT_USAGE = 0, 1, 2

PluginList = Annotated[
    str | None,
    typer.Option("--plugins", help="Keys, separated by commas. Default: all with trained weights."),
]
PolicySpec = Annotated[
    str | None, typer.Option("--policy", help="`default`, or the path of a TOML file.")
]
Sample = Annotated[
    str | None,
    typer.Option("--sample", help="uniform:N frames per video, fps:F, keyframes, or all."),
]
Recursive = Annotated[
    bool, typer.Option("--recursive", "-r", help="Judge every video below a folder.")
]
SkipDone = Annotated[
    bool,
    typer.Option(
        "--skip-done", help="Go on with an earlier run: leave out what its --json has judged."
    ),
]
AllowUntrained = Annotated[
    bool,
    typer.Option(
        "--allow-untrained",
        help="Run plugins without trained weights too, for speed tests; the verdict says so.",
    ),
]


def main() -> None:
    """The entry point: errors of ours become two lines and an exit code, never a traceback."""
    try:
        app()
    except UnmaskError as error:
        console = Console(stderr=True)
        console.print(f"[bold red]{error.code.value}[/]  ", end="")
        console.print(error.message, markup=False, highlight=False)
        if error.fix:
            console.print(error.fix, style="dim", markup=False, highlight=False)
        usage = isinstance(error, ConfigError | PluginBroken)
        sys.exit(EXIT_USAGE if usage else EXIT_UNJUDGED)


def plugin_keys(text: str | None) -> tuple[str, ...] | None:
    """`a, b` as keys; None where nothing was given."""
    if text is None:
        return None
    return tuple(key.strip() for key in text.split(",") if key.strip())


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"unmask {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print it and stop."),
    ] = False,
) -> None:
    """Judge whether the faces in videos are forged, and show why."""


@app.command(
    rich_help_panel=_JUDGE,
    epilog="Examples:\n\n  unmask scan clip.mp4 --out reports"
    "\n\n  unmask scan FOLDER --recursive --jobs 4 --json verdicts.jsonl --skip-done"
    "\n\n  unmask scan 'https://cdn.example.com/clip.mp4?signature=...' s3://clips/a.mp4"
    "\n\n  unmask scan - --plugins sola --sample fps:2 < clip.mp4",
)
def scan(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT",
            help="Files, folders with --recursive, patterns in quotes, https:// addresses, "
            "s3://, gs:// or az:// objects; - is standard input.",
        ),
    ],
    *,
    recursive: Recursive = False,
    jobs: Annotated[int, typer.Option("--jobs", help="Inputs decoded side by side.", min=1)] = 2,
    skip_done: SkipDone = False,
    plugins: PluginList = None,
    policy: PolicySpec = None,
    sample: Sample = None,
    json: Annotated[
        Path | None,
        typer.Option("--json", help="Write one JSON line per input here; - is standard output."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Write reports here: index.html and a folder per video."),
    ] = None,
    embed_clips: Annotated[
        bool,
        typer.Option(
            "--embed-clips", help="Have each report carry what is suspicious as a small video."
        ),
    ] = False,
    allow_untrained: AllowUntrained = False,
) -> None:
    """Judge videos on this machine; no server is needed.

    Exit code 0: every input was judged, or shows nothing that can be judged (no face, say).
    1: some input could not be judged for a technical reason. 2: the command line is wrong.
    """
    settings = load_settings(plugins=plugin_keys(plugins), policy=policy, sample=sample)
    from ingest.sandbox.process import TEMPLATE  # noqa: PLC0415

    TEMPLATE.start()  # decoders load while this process does
    from console.commands.scanning.scan import run_scan  # noqa: PLC0415

    code = run_scan(
        inputs,
        settings,
        json_path=json,
        out=out,
        allow_untrained=allow_untrained,
        recursive=recursive,
        jobs=jobs,
        skip_done=skip_done,
        embed_clips=embed_clips,
    )
    raise typer.Exit(code)


@app.command(
    rich_help_panel=_JUDGE,
    epilog="Examples:\n\n  unmask watch rtsp://camera.local/live --window 5"
    "\n\n  unmask watch https://cdn.example.com/live.m3u8 --json windows.jsonl --out reports",
)
def watch(
    urls: Annotated[
        list[str],
        typer.Argument(
            metavar="URL",
            help="rtsp://, rtmp://, srt://, udp://, tcp:// (MPEG-TS), an https:// playlist, or a "
            "file, played in real time.",
        ),
    ],
    *,
    window: Annotated[float, typer.Option("--window", help="Seconds per window.", min=1)] = 5.0,
    every: Annotated[
        float | None,
        typer.Option(
            "--every", help="Seconds between looks. Default: a third, and ten per window.", min=0.04
        ),
    ] = None,
    drop: Annotated[
        DropPolicy, typer.Option("--drop", help="What to do when frames come too fast.")
    ] = DropPolicy.DROP_OLDEST,
    rtsp: Annotated[
        Literal["tcp", "udp"], typer.Option("--rtsp-transport", help="How RTSP carries packets.")
    ] = "tcp",
    seconds: Annotated[
        float | None, typer.Option("--for", help="Stop after so many seconds.", min=1)
    ] = None,
    give_up: Annotated[
        float,
        typer.Option("--give-up", help="Seconds without a source until it is given up.", min=1),
    ] = 60.0,
    plugins: PluginList = None,
    policy: PolicySpec = None,
    json: Annotated[
        Path | None,
        typer.Option("--json", help="Write a JSON line per event here; - is standard output."),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Write the final reports here.")] = None,
    allow_untrained: AllowUntrained = False,
) -> None:
    """Watch live streams: a verdict every few seconds, and one on all of it. Ctrl-C ends it.

    Exit code 1: a stream could not be opened.
    """
    from console.commands.watch import run_watch  # noqa: PLC0415
    from unmask.requests.stream import EVERY_S  # noqa: PLC0415

    code = run_watch(
        urls,
        load_settings(plugins=plugin_keys(plugins), policy=policy),
        window_s=window,
        every_s=every or min(EVERY_S, window / 10),
        drop=drop,
        transport=rtsp,
        seconds=seconds,
        give_up_s=give_up,
        json_path=json,
        out=out,
        allow_untrained=allow_untrained,
    )
    raise typer.Exit(code)


@app.command(rich_help_panel=_JUDGE, epilog="Example: unmask demo --out demo-out --video clip.mp4")
def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder for clips and reports.")] = Path(
        "demo-out"
    ),
    video: Annotated[
        Path | None, typer.Option("--video", help="Your own video instead of the two made here.")
    ] = None,
) -> None:
    """Make two short clips, one real and one forged, and judge them. Nothing is downloaded."""
    from console.commands.demo import run_demo  # noqa: PLC0415

    raise typer.Exit(run_demo(out, video, load_settings()))


@app.command(rich_help_panel=_SERVE, epilog="Example: unmask serve --port 8080")
def serve(
    *,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 picks a free one.", min=0, max=65535)] = 8080,
    ingest_workers: Annotated[
        int, typer.Option(help="Videos decoded side by side; 0: run them elsewhere.", min=0)
    ] = 1,
    score_workers: Annotated[
        int, typer.Option(help="Scoring processes, one a device; 0: run them elsewhere.", min=0)
    ] = 1,
    api_only: Annotated[
        bool, typer.Option("--api-only", help="API and page alone; workers run elsewhere.")
    ] = False,
    allowed_host: Annotated[
        list[str] | None,
        typer.Option("--allowed-host", help="A name that a proxy or browser uses; may repeat."),
    ] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Let everybody in, on any address, without keys.")
    ] = False,
) -> None:
    """Run everything on this machine: API, page, workers, Redis and database. Ctrl-C stops all.

    With UNMASK_REDIS_URL and UNMASK_DATABASE_URL set, those servers are used instead.
    """
    from console.commands.serve import run_server  # noqa: PLC0415

    settings = load_settings(allowed_hosts=tuple(allowed_host) if allowed_host else None)
    raise typer.Exit(
        run_server(
            settings,
            host=host,
            port=port,
            ingest_workers=0 if api_only else ingest_workers,
            score_workers=0 if api_only else score_workers,
            verdict_workers=0 if api_only else 1,
            insecure=insecure,
        )
    )


@workers_app.command("ingest")
def worker_ingest() -> None:
    """Take videos from the queue, find faces, send crops to the scoring workers."""
    from workers.run.roles import run_role  # noqa: PLC0415

    raise typer.Exit(run_role("ingest", load_settings()))


@workers_app.command("score")
def worker_score(
    plugins: PluginList = None,
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda or cuda:N. Default: UNMASK_DEVICE.")
    ] = None,
) -> None:
    """Score crops in batches on one device. Start one process a device."""
    from workers.run.roles import run_role  # noqa: PLC0415

    raise typer.Exit(run_role("score", load_settings(plugins=plugin_keys(plugins), device=device)))


@workers_app.command("stream")
def worker_stream() -> None:
    """Watch live streams that were handed in through the API, several at a time."""
    from workers.run.roles import run_role  # noqa: PLC0415

    raise typer.Exit(run_role("stream", load_settings()))


@workers_app.command("verdict")
def worker_verdict() -> None:
    """Turn scores into verdicts, and finish or retry what other workers left behind."""
    from workers.run.roles import run_role  # noqa: PLC0415

    raise typer.Exit(run_role("verdict", load_settings()))


_SERVER = Annotated[
    str, typer.Option("--server", envvar="UNMASK_SERVER", help="Address of `unmask serve`.")
]
_DEFAULT_SERVER = "http://127.0.0.1:8080"


@app.command(rich_help_panel=_JUDGE, epilog="Example: unmask submit clip.mp4 --wait")
def submit(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH", help="Video files.")],
    *,
    server: _SERVER = _DEFAULT_SERVER,
    plugins: PluginList = None,
    policy: PolicySpec = None,
    sample: Sample = None,
    key: Annotated[
        str | None,
        typer.Option("--idempotency-key", help="The same key and file give the same job."),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the verdicts.")] = False,
) -> None:
    """Send videos to a running server; prints one job id per video."""
    from console.commands.submit import run_submit  # noqa: PLC0415

    options = {"plugins": plugins, "policy": policy, "sample": sample}
    raise typer.Exit(run_submit(paths, server, options, key=key, wait=wait))


@app.command(
    rich_help_panel=_JUDGE,
    epilog="Examples:\n\n  unmask rescan /archive -r --workers 8 --json new.jsonl --against old.jsonl"
    "\n\n  unmask rescan --stored --ray auto --workers 64 --json new.jsonl",
)
def rescan(
    inputs: Annotated[
        list[str] | None,
        typer.Argument(metavar="INPUT", help="As of scan, but for standard input."),
    ] = None,
    *,
    json: Annotated[
        Path, typer.Option("--json", help="Write one JSON line per input here, as each is ready.")
    ],
    against: Annotated[
        Path | None,
        typer.Option("--against", help="Lines of an earlier run: say whose label has changed."),
    ] = None,
    stored: Annotated[
        bool, typer.Option("--stored", help="Judge the media of this service's judged jobs.")
    ] = False,
    tenant: Annotated[str, typer.Option("--tenant", help="Of which jobs, with --stored.")] = "",
    recursive: Recursive = False,
    workers: Annotated[
        int, typer.Option("--workers", help="Ray actors, a processor each.", min=1)
    ] = 2,
    ray: Annotated[
        str | None,
        typer.Option(
            "--ray", help="Address of a Ray cluster, or `auto`. Default: one on this machine."
        ),
    ] = None,
    skip_done: SkipDone = False,
    plugins: PluginList = None,
    policy: PolicySpec = None,
    sample: Sample = None,
    allow_untrained: AllowUntrained = False,
) -> None:
    """Judge an archive anew, with new weights say, on all machines of a Ray cluster.

    Verdicts are those of `scan`, and say nothing to a running service: its jobs stay as they are.
    Lines come in the order in which videos are ready. Exit codes as of `scan`.
    """
    from console.commands.scanning.rescan import run_rescan  # noqa: PLC0415
    from unmask.requests.job_details import DEFAULT_TENANT  # noqa: PLC0415

    settings = load_settings(plugins=plugin_keys(plugins), policy=policy, sample=sample)
    code = run_rescan(
        inputs or [],
        settings,
        json_path=json,
        against=against,
        stored=stored,
        tenant=tenant or DEFAULT_TENANT,
        recursive=recursive,
        workers=workers,
        address=ray,
        skip_done=skip_done,
        allow_untrained=allow_untrained,
    )
    raise typer.Exit(code)


@app.command(rich_help_panel=_JUDGE)
def verdict(
    job: Annotated[str, typer.Argument(metavar="JOB", help="Job id, as printed by submit.")],
    server: _SERVER = _DEFAULT_SERVER,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until there is one.")] = False,
) -> None:
    """Print the verdict of a job on a running server, as JSON."""
    from console.commands.submit import run_verdict  # noqa: PLC0415

    raise typer.Exit(run_verdict(job, server, wait=wait))


@app.command(rich_help_panel=_LOOK)
def plugins(
    json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """List the detectors: paper, input, size, map, weights, engine. Broken ones with the cause."""
    from console.show.listing import run_plugins  # noqa: PLC0415

    run_plugins(load_settings(), as_json=json)


@app.command(rich_help_panel=_LOOK)
def doctor(
    json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Check this installation: each part with its state, and the fix where something is missing.

    Exit code 1 when something that a scan needs is missing.
    """
    from console.commands.doctor import run_doctor  # noqa: PLC0415

    raise typer.Exit(run_doctor(load_settings(), as_json=json))


@app.command(rich_help_panel=_LOOK, epilog="Example: unmask decisions shards/decided")
def decisions(
    out: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where to write; made if missing.")],
) -> None:
    """Export what moderators decided as training data: decisions.jsonl, and copies of the videos.

    Only videos with consent on which nobody differs. Moderators' names stay in the database.
    """
    from console.commands.decisions import run_decisions  # noqa: PLC0415

    raise typer.Exit(run_decisions(load_settings(), out))


@app.command(rich_help_panel=_LOOK)
def schema() -> None:
    """Print the JSON Schema of verdict.json."""
    from console.show.verdict_schema import verdict_schema_text  # noqa: PLC0415

    sys.stdout.write(verdict_schema_text())


@keys_app.command("create", epilog="Example: unmask keys create --name backend --role submitter")
def keys_create(
    *,
    name: Annotated[str, typer.Option(help="Whose it is; decisions made with it carry this.")],
    role: Annotated[str, typer.Option(help="submitter, reader, moderator, senior or admin.")],
    tenant: Annotated[str, typer.Option(help="Whose jobs it may see.")] = "default",
    scope: Annotated[
        list[str] | None,
        typer.Option(help="A permission such as jobs.submit, to give fewer than the role's."),
    ] = None,
    days: Annotated[float | None, typer.Option(help="It ends after so many.", min=0)] = None,
    jobs_per_day: Annotated[
        int | None, typer.Option(help="Jobs it may hand in within a day.", min=0)
    ] = None,
    bytes_per_day: Annotated[
        int | None, typer.Option(help="Bytes it may hand in within a day.", min=0)
    ] = None,
) -> None:
    """Make a key and print it, this once: only its hash is kept."""
    from console.commands.keys import run_create  # noqa: PLC0415
    from unmask.requests.tenant_rules import Quota  # noqa: PLC0415

    raise typer.Exit(
        run_create(
            load_settings(),
            tenant=tenant,
            name=name,
            role=role,
            scopes=tuple(scope or ()),
            days=days,
            quota=Quota(jobs=jobs_per_day, bytes=bytes_per_day),
        )
    )


@keys_app.command("list")
def keys_list() -> None:
    """List all keys, revoked and expired ones too. Their secrets are nowhere."""
    from console.commands.keys import run_list  # noqa: PLC0415

    raise typer.Exit(run_list(load_settings()))


@keys_app.command("revoke")
def keys_revoke(
    key: Annotated[str, typer.Argument(metavar="ID", help="As `unmask keys list` shows it.")],
) -> None:
    """End a key at once."""
    from console.commands.keys import run_revoke  # noqa: PLC0415

    raise typer.Exit(run_revoke(load_settings(), key))


@engines_app.command("list")
def engines_list() -> None:
    """List the engines of this machine and what the cache holds."""
    from console.commands.engines import run_list  # noqa: PLC0415

    run_list(load_settings())


@engines_app.command("build")
def engines_build(
    *,
    plugins: PluginList = None,
    every: Annotated[
        bool, typer.Option("--all", help="Every engine this machine can run, not only the best.")
    ] = False,
) -> None:
    """Build engines ahead of time, so that a worker starts at once. Each passes the parity gate.

    Exit code 1 where a plugin got no engine at all.
    """
    from console.commands.engines import run_build  # noqa: PLC0415

    raise typer.Exit(run_build(load_settings(plugins=plugin_keys(plugins)), every=every))


@engines_app.command("verify")
def engines_verify() -> None:
    """Check owner, permissions and every hash of the cached engines. Exit code 1: one is off."""
    from console.commands.engines import run_verify  # noqa: PLC0415

    raise typer.Exit(run_verify(load_settings()))


@engines_app.command("clear")
def engines_clear(
    plugin: Annotated[str | None, typer.Option("--plugin", help="Only this plugin's.")] = None,
) -> None:
    """Delete cached engines; they are built again when they are next needed."""
    from console.commands.engines import run_clear  # noqa: PLC0415

    run_clear(load_settings(), plugin)


@models_app.command("fetch")
def models_fetch(
    name: Annotated[str, typer.Argument(help="Only `retinaface` so far.")],
) -> None:
    """Download a face detector's weights. The only command of Unmask that downloads anything."""
    from console.commands.models import run_fetch  # noqa: PLC0415

    run_fetch(name, load_settings())


if __name__ == "__main__":
    main()
