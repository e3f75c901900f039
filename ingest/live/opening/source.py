"""What a stream's address says: how to open it, what of it may be shown, whether it may be opened."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit, urlunsplit

from ingest.fetching import places
from ingest.fetching.addresses import Web, answers, is_allowed_private, parse
from unmask.errors import AddressRefused, ConfigError
from unmask.settings import Settings

Form = Literal["rtsp", "rtmp", "hls", "udp", "tcp", "srt", "file"]
#: Scheme -> how it is opened, and the port where none is given.
_SCHEMES: dict[str, tuple[Form, int]] = {
    "rtsp": ("rtsp", 554),
    "rtsps": ("rtsp", 322),
    "rtmp": ("rtmp", 1935),
    "rtmps": ("rtmp", 443),
    "udp": ("udp", 0),
    "tcp": ("tcp", 0),
    "srt": ("srt", 0),
    "http": ("hls", 80),
    "https": ("hls", 443),
}
LIVE_SCHEMES = frozenset(_SCHEMES) - {"http", "https"}
Transport = Literal["tcp", "udp"]


@dataclass(frozen=True, kw_only=True)
class StreamSource:
    """One source. `address` is a secret, `shown` is not."""

    form: Form
    address: str
    shown: str
    options: dict[str, str] = field(default_factory=dict)
    finite: bool = False
    """Whether its end is an end, and not a loss."""


def source_of(text: str, settings: Settings, *, transport: Transport = "tcp") -> StreamSource:
    """What `text`, an address or the path of a file, stands for. Looks nothing up.

    Raises ConfigError for what is no stream's address, AddressRefused for a web address that is
    refused in any case.
    """
    scheme = places.scheme_of(text)
    if scheme is None:
        return StreamSource(
            form="file", address=str(Path(text).absolute()), shown=text, finite=True
        )
    if scheme not in _SCHEMES:
        raise ConfigError(
            f"{scheme}:// is no stream.",
            fix="Give rtsp://, rtmp://, srt://, udp://, tcp://, an https:// playlist, or a file.",
        )
    form, _ = _SCHEMES[scheme]
    shown = places.shown(text)
    if form == "hls":
        parse(text, places.allowance(settings))
        return StreamSource(form=form, address=text, shown=shown, finite=True)
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ConfigError(f"{shown} is no address.", fix="Write it as rtsp://HOST/PATH.") from None
    if form in ("rtsp", "rtmp") and not parts.hostname:
        raise ConfigError(f"{shown} names no host.", fix=f"Write it as {scheme}://HOST/PATH.")
    if form in ("udp", "tcp", "srt") and port is None:
        raise ConfigError(f"{shown} names no port.", fix=f"Write it as {scheme}://HOST:PORT.")
    options = (
        {"rtsp_transport": transport, "allowed_media_types": "video"} if form == "rtsp" else {}
    )
    return StreamSource(form=form, address=text, shown=shown, options=options)


def permitted(source: StreamSource, settings: Settings) -> None:
    """Refuse at once what `allowed` would refuse for its host. Looks nothing up. AddressRefused."""
    if source.form == "hls":
        return
    parts = urlsplit(source.address)
    host = (parts.hostname or "").lower()
    port = parts.port or _SCHEMES.get(parts.scheme, ("", 0))[1]
    if source.form == "file" or not _named(host, port, settings.stream_hosts):
        raise AddressRefused(
            "this server takes no streams from there.",
            fix="Have UNMASK_STREAM_HOSTS name the host, or give an https:// playlist.",
        )


def allowed(source: StreamSource, settings: Settings) -> StreamSource:
    """The source with its host replaced by a number that a stranger's address may reach.

    For addresses that come through the API: the host must be one of UNMASK_STREAM_HOSTS, for what
    FFmpeg opens follows redirects of its own. Playlists are fetched by the checked way, and need not.
    Raises AddressRefused, OSError for an unknown name.
    """
    if source.form == "hls":
        return source
    permitted(source, settings)
    parts = urlsplit(source.address)
    host = (parts.hostname or "").lower()
    port = parts.port or _SCHEMES[parts.scheme][1]
    web = Web(scheme="https", host=host, port=port, target="/")
    rules = replace(places.allowance(settings), private=(f"{host}:{port}",))
    assert is_allowed_private(web, rules)  # noqa: S101 - the operator has named it
    number = answers(web, rules)[0]
    netloc = parts.netloc.rpartition("@")
    place = f"[{number}]" if ":" in number else number
    address = urlunsplit(parts._replace(netloc=f"{netloc[0]}{netloc[1]}{place}:{port}"))
    return replace(source, address=address)


def _named(host: str, port: int, hosts: tuple[str, ...]) -> bool:
    return any(name.lower() in (host, f"{host}:{port}") for name in hosts)
