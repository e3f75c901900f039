"""One frozen tree of settings, read from the environment with the prefix UNMASK_.

`Settings()` reads it; nothing else reads the environment.
"""

import math
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from unmask.errors import ConfigError
from unmask.requests.tenant_rules import Kind, Quota, TenantRules

EngineName = Literal["auto", "torch", "openvino", "onnxruntime", "tensorrt", "inductor"]
Precision = Literal["auto", "fp32", "bf16", "fp16", "int8"]


class Settings(BaseSettings):
    """Every knob, with the default that suits one machine without a server."""

    model_config = SettingsConfigDict(env_prefix="UNMASK_", frozen=True, extra="ignore")

    redis_url: str | None = None
    """None: a private Redis is started from its wheel, and stopped with the process."""
    database_url: str | None = None
    """SQLAlchemy URL. None: SQLite in data_dir."""
    data_dir: Path = Path.home() / ".local" / "share" / "unmask"
    """Uploads, evidence pictures, the SQLite file, the engine cache."""
    engine_dir: Path | None = None
    """Built engines. None: DATA_DIR/engines. Installations of one user may share it."""
    media_roots: tuple[Path, ...] = ()
    """Directories from which the API accepts a path instead of an upload."""
    upload_retention_hours: float = Field(default=168.0, ge=0, allow_inf_nan=True)
    """An upload is deleted so long after the last job that read it ended; inf keeps it."""
    rendition_retention_hours: float = Field(default=24.0, ge=0, allow_inf_nan=True)
    """What browsers are shown in the place of a video they cannot play is deleted so long after it
    was made, and no later than the video itself."""
    evidence_retention_hours: float = Field(default=math.inf, ge=0, allow_inf_nan=True)
    """Evidence pictures, which show faces, are deleted so long after the verdict."""
    score_retention_hours: float = Field(default=math.inf, ge=0, allow_inf_nan=True)
    """Frame scores are deleted so long after the job ended."""
    verdict_retention_hours: float = Field(default=math.inf, ge=0, allow_inf_nan=True)
    """A job is erased whole so long after it ended, and a receipt is kept."""
    decision_retention_hours: float = Field(default=math.inf, ge=0, allow_inf_nan=True)
    """Moderators' decisions are deleted so long after they were made."""
    jobs_per_day: int | None = Field(default=None, ge=0)
    """Jobs that one tenant may hand in within a day. None: any number."""
    bytes_per_day: int | None = Field(default=None, ge=0)
    """Bytes of uploads, and of media named by path, that one tenant may hand in within a day."""
    tenants: dict[str, TenantRules] = Field(default_factory=dict)
    """By name: what is otherwise for that tenant, of the seven settings above."""

    face_detector: str = "auto"
    """auto, retinaface, mtcnn, scout, haar, or onnx:PATH."""
    weights_dir: Path | None = None
    """WEIGHTS_DIR/<plugin>/ overrides the bundle that ships with a plugin."""
    plugins: tuple[str, ...] = ()
    """Keys to score with. Empty: every plugin that has trained weights."""
    policy: str = "default"
    sample: str = "adaptive"
    """adaptive, uniform:N, every:SECONDS, fps:F, keyframes or all."""

    engine: EngineName = "auto"
    precision: Precision = "auto"
    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""
    threads: int | None = Field(default=None, ge=1)
    """Inference threads; None: one per core."""
    quick_looks: bool = True
    """Confirm known faces at a reduced size on up to two looks of three, where that saves work; off
    searches every look as if it were alone. A verdict says how many were (`coverage.looks_quick`)."""
    batch_size: int = Field(default=8, ge=1, le=256)
    mirror_average: bool = True
    """Score every face as it is and mirrored, and take the mean: twice the inference. What ships is
    calibrated so; the engine's name in a verdict says which was done (`+mirror`)."""
    batch_delay_ms: int = Field(default=25, ge=0)
    """How long a part-filled batch waits for company."""

    spare_process: bool = True
    """Load what jobs need once, beside each ingest and verdict worker, and fork a process for each: a
    job begins at once, for the memory of two processes that wait."""
    high_water_crops: int = Field(default=512, ge=1)
    """Ingest waits while the slowest group has so many crops to go."""
    group_crops: int = Field(default=16, ge=1, le=64)
    """Crops in one stream entry."""
    crop_store: Literal["auto", "shm", "redis"] = "auto"
    """Where crops wait: shared memory (one host), Redis, or auto: shared memory where Redis is at a
    Unix socket."""
    crop_cap_px: int = Field(default=640, ge=64)
    """Larger crops are reduced to this side."""
    crop_margin: float = Field(default=0.0, ge=0.0, le=8.0)
    """Or to so many times what the largest input of the job's detectors needs, where that is less.
    0: to UNMASK_CROP_CAP_PX alone."""

    max_bytes: int = Field(default=4 << 30, gt=0)
    max_pixels: int = Field(default=8192 * 4320, gt=0)
    """Of one frame."""
    max_seconds: float = Field(default=4 * 3600.0, gt=0)
    max_frames: int = Field(default=1_000_000, gt=0)
    max_animation_pixels: int = Field(default=8 << 30, gt=0)
    """Frames times canvas of an animated picture (GIF, APNG): some twenty seconds of work."""
    decode_timeout_s: float = Field(default=900.0, gt=0)
    """Wall clock of the decoding process for one video."""
    decode_memory_bytes: int = Field(default=4 << 30, gt=0)
    rendition_timeout_s: float = Field(default=1800.0, gt=0)
    """Wall clock of making one; what is made by then is what is shown."""
    rendition_max_bytes: int = Field(default=1 << 30, gt=0)

    fetch_timeout_s: float = Field(default=600.0, gt=0)
    """Wall clock of one fetch, retries included."""
    fetch_bytes_per_s: int | None = Field(default=None, ge=16_384)
    """The most that one fetch reads. None: as fast as it comes."""
    fetch_redirects: int = Field(default=5, ge=0, le=20)
    fetch_hosts: tuple[str, ...] = ()
    """Hosts that media may be fetched from. Empty: any on the public internet."""
    fetch_private: tuple[str, ...] = ()
    """host:port pairs that are reached although they lie inside, over http too."""
    fetch_proxy: str | None = None
    """host:port of a proxy that connects for us."""
    bucket_endpoint: str | None = None
    """None: Amazon's own."""
    media_buckets: tuple[str, ...] = ()
    """Prefixes such as s3://clips/incoming under which the API accepts objects."""

    allowed_hosts: tuple[str, ...] = ()
    """Names besides its own address that browsers and proxies may call the server by."""
    trusted_proxies: tuple[str, ...] = ()
    """Addresses of reverse proxies whose X-Forwarded-For and X-Forwarded-Proto are believed."""
    root_path: str = ""
    """Path under which a reverse proxy shows the server, such as /unmask."""
    review: str = "default"
    """How moderators work: `default`, or the path of a TOML file with queues, leases and care."""
    session_hours: float = Field(default=8.0, gt=0)
    """After so long a person logs in again."""
    oidc_issuer: str | None = None
    """Address of the identity provider at which people log in; None: keys alone."""
    oidc_client_id: str = "unmask"
    oidc_client_secret: str | None = Field(default=None, repr=False)
    oidc_role_claim: str = "unmask_role"
    """Claim of the ID token that names submitter, reader, moderator, senior or admin."""
    oidc_tenant_claim: str = "unmask_tenant"
    """Claim that names the tenant; without it, people belong to the tenant `default`."""
    rate_limit: str = "1200/minute"
    """Requests of one key or person; a key may have its own."""
    submit_limit: str = "6000/hour"
    """Jobs of one tenant."""
    header_timeout_s: float = Field(default=20.0, gt=0)
    """A connection that has sent no whole request head by then is closed."""
    body_timeout_s: float = Field(default=30.0, gt=0)
    """A request whose body stands still for so long is given up."""
    connections_per_address: int = Field(default=100, ge=1)
    """Connections that one address may hold open; trusted proxies may hold any number."""
    stream_evidence_minutes: float = Field(default=2.0, ge=0, le=60)
    """Crops and maps of so long are held of each live stream, for pictures of its newest evidence."""
    streams_per_worker: int = Field(default=4, ge=1, le=64)
    """Live streams that one stream worker watches at a time."""
    stream_hosts: tuple[str, ...] = ()
    """Hosts, or host:port, from which the API takes rtsp, rtmp, srt, udp and tcp streams."""

    metrics_port: int | None = Field(default=None, ge=0, le=65535)
    """Where a process shows /metrics and /health; under `unmask serve`, its workers take the ports
    that follow. None: nowhere."""
    metrics_host: str = "127.0.0.1"

    otlp_endpoint: str | None = None
    """Where traces go, by OTLP over HTTP, such as http://collector:4318. None: there are none."""

    log: Literal["auto", "human", "json"] = "auto"
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    def database(self) -> str:
        """The SQLAlchemy URL in force."""
        return self.database_url or f"sqlite:///{self.data_dir / 'unmask.sqlite3'}"

    def kept_hours(self, kind: Kind, tenant: str | None = None) -> float:
        """How long a kind of data is kept, of that tenant or of everybody else."""
        name = f"{kind}_retention_hours"
        own = getattr(self.tenants.get(tenant or ""), name, None)
        hours: float = getattr(self, name) if own is None else own
        return hours

    def quota(self, tenant: str) -> Quota:
        """What a tenant may hand in within a day."""
        own = self.tenants.get(tenant, TenantRules())
        jobs, size = own.jobs_per_day, own.bytes_per_day
        return Quota(
            jobs=self.jobs_per_day if jobs is None else jobs,
            bytes=self.bytes_per_day if size is None else size,
        )

    def uploads(self) -> Path:
        """The folder that the API writes uploads to, and nobody else."""
        return self.data_dir / "uploads"

    @field_validator("data_dir", "engine_dir")
    @classmethod
    def _named(cls, value: Path | None) -> Path | None:
        if value == Path():
            raise ValueError("name a folder; an empty text would be wherever it is started")
        return value

    @field_validator("media_roots")
    @classmethod
    def _absolute(cls, value: tuple[Path, ...]) -> tuple[Path, ...]:
        for root in value:
            if not root.is_absolute():
                raise ValueError(f"{str(root)!r} is no absolute path")
        return value


def load_settings(**changes: object) -> Settings:
    """Settings of the environment with `changes` on top. Raises ConfigError naming the variable."""
    given = {key: value for key, value in changes.items() if value is not None}
    fix = "docs/reference/settings.md lists what each variable takes."
    try:
        return Settings(**given)  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else "settings"
        raise ConfigError(f"UNMASK_{name.upper()}: {first['msg']}.", fix=fix) from error
    except SettingsError as error:
        # A list that is no JSON; the library names the field between quotes.
        name = str(error).partition('"')[2].partition('"')[0]
        raise ConfigError(
            f'UNMASK_{name.upper()} is no JSON: write a list as \'["a", "b"]\'.', fix=fix
        ) from error
