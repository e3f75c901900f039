"""Addresses of media as people write them: which kind it is, and what of it may be shown."""

import re
from urllib.parse import quote, urlsplit

from ingest.fetching.addresses import Allowance, parse
from unmask.errors import AddressRefused
from unmask.settings import Settings

_SCHEME = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]+):(//)?")
BUCKETS = ("s3", "gs", "az")
_KEY_IN_PATH, _KEY_SHOWN = frozenset({"rtmp", "rtmps"}), 4
_SAFE_IN_PATH = "/%:@!$&'()*+,;=~ "


def scheme_of(text: str) -> str | None:
    """The scheme of an address, in lower case; None for a path.

    >>> scheme_of("S3://clips/a.mp4"), scheme_of("clip: one.mp4"), scheme_of("/media/a.mp4")
    ('s3', None, None)
    """
    found = _SCHEME.match(text)
    return found[1].lower() if found and found[2] else None


def shown(text: str) -> str:
    """An address as anyone may read it: without user, password, query and fragment.

    RTMP has the key of a stream as the last part of its path: four characters tell streams apart.

    >>> shown("https://u:p@cdn.example.com/a.mp4?sig=x#t=1"), shown("rtsp://cam:pw@10.0.0.5/live")
    ('https://cdn.example.com/a.mp4', 'rtsp://10.0.0.5/live')
    >>> shown("rtmp://ingest.example.com/app/live_4711_secret")
    'rtmp://ingest.example.com/app/live...'
    """
    try:
        parts = urlsplit(text)
    except ValueError:
        return f"{scheme_of(text) or 'address'}://..."
    place, path = parts.netloc.rpartition("@")[2], parts.path
    if parts.scheme in _KEY_IN_PATH:
        app, _, key = path.rpartition("/")
        path = f"{app}/{key[:_KEY_SHOWN]}..." if app and len(key) > _KEY_SHOWN else path
    return f"{parts.scheme}://{place}{quote(path, safe=_SAFE_IN_PATH)}"


def allowance(settings: Settings) -> Allowance:
    """What the operator lets strangers' addresses reach."""
    return Allowance(hosts=settings.fetch_hosts, private=settings.fetch_private)


def check(text: str, settings: Settings, *, buckets: tuple[str, ...] | None = None) -> None:
    """Refuse at once what would be refused at fetching; connects to nothing, looks nothing up.

    `buckets`: prefixes that a stranger may name; None: any, for the operator's own command line.
    Raises AddressRefused.
    """
    scheme = scheme_of(text)
    if scheme not in BUCKETS:
        parse(text, allowance(settings))
        return
    parts = urlsplit(text)
    if not parts.netloc or not parts.path.strip("/"):
        raise AddressRefused(
            f"{shown(text)} names no object.", fix=f"Write it as {scheme}://BUCKET/PATH."
        )
    if ".." in parts.path.split("/"):
        raise AddressRefused(f"{shown(text)} points upwards.", fix="Write the object's own name.")
    if buckets is not None and not any(_under(text, prefix) for prefix in buckets):
        raise AddressRefused(
            "this server reads from no such bucket.",
            fix="Have UNMASK_MEDIA_BUCKETS name it, send a signed https:// address, or upload.",
        )


def _under(text: str, prefix: str) -> bool:
    return text == prefix or text.startswith(prefix.rstrip("/") + "/")
