"""Which web addresses Unmask may connect to, and under which numbers. Standard library only.

A stranger chooses the address, and Unmask stands inside a network that the stranger cannot reach.
So a name is resolved here, every answer is checked, and the connection goes to an answer that was
checked: `Web.answers`. Whoever connects to anything else has not used this module.
"""

import ipaddress
import queue
import re
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from unmask.errors import AddressRefused

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
#: (host, port) -> the numbers that the name stands for, as text. Raises OSError where there are none.
Resolver = Callable[[str, int], Sequence[str]]

_MAX_ADDRESS = 8192
_INSIDE = "the address is not on the public internet."
_FIX = "Send an https:// address on the public internet, or upload the file."

#: Everything in IANA's special-purpose registry that is not plainly public, multicast, and the one
#: public number that a cloud (Azure) answers on from inside a machine.
_CLOSED_V4 = tuple(
    ipaddress.IPv4Network(text)
    for text in [
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "168.63.129.16/32",
    ]
)
_OPEN_V6 = ipaddress.IPv6Network("2000::/3")
#: Inside the open range: protocols, documentation, and 6to4, which wraps a v4 address.
_CLOSED_V6 = tuple(
    ipaddress.IPv6Network(text)
    for text in ["2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20"]
)
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_DOTTED = re.compile(r"(0|[1-9]\d{0,2})(\.(0|[1-9]\d{0,2})){3}")


@dataclass(frozen=True, kw_only=True)
class Allowance:
    """What an operator allows over or under "any https address on the public internet"."""

    hosts: tuple[str, ...] = ()
    """Where not empty: only these, `*.example.com` for every name below it."""
    private: tuple[str, ...] = ()
    """`host:port` that may be reached wherever it is, over http too: a store inside the network."""


#: The rule where an operator has said nothing.
ANYWHERE_PUBLIC = Allowance()


@dataclass(frozen=True, kw_only=True)
class Web:
    """A web address taken apart. `shown` is all of it that may be told to anyone."""

    scheme: str
    host: str
    """Lower case, without brackets or a closing dot."""
    port: int
    target: str
    """Path and query, as they go into the request. A secret: signed addresses are signed here."""

    @property
    def netloc(self) -> str:
        """Host and port as the Host header wants them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        usual = {"https": 443, "http": 80}.get(self.scheme)
        return host if self.port == usual else f"{host}:{self.port}"

    @property
    def shown(self) -> str:
        """Without the query, in which signatures stand."""
        return f"{self.scheme}://{self.netloc}{self.target.partition('?')[0]}"


def parse(text: str, allowance: Allowance = ANYWHERE_PUBLIC) -> Web:
    """Take a web address apart, strictly. Raises AddressRefused; looks nothing up.

    >>> parse("https://media.example.com/a.mp4?Signature=abc").shown
    'https://media.example.com/a.mp4'
    """
    if len(text) > _MAX_ADDRESS or not text.isascii() or re.search(r"[\x00-\x20\x7f\\]", text):
        raise _refused("the address holds characters that no address needs.")
    try:
        parts = urlsplit(text)
        port = parts.port
        host = (parts.hostname or "").removesuffix(".")
    except ValueError:
        raise _refused("this is no address.") from None
    if parts.scheme not in ("https", "http"):
        raise _refused("the address is not https.")
    if "@" in parts.netloc:
        raise _refused("the address names a user.", fix="Send a signed address instead.")
    _check_host(host, bracketed="[" in parts.netloc)
    web = Web(
        scheme=parts.scheme,
        host=host,
        port=port if port is not None else 443 if parts.scheme == "https" else 80,
        target=(parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
    )
    if is_allowed_private(web, allowance):
        return web
    if web.scheme != "https":
        raise _refused("the address is not https.")
    if web.port != 443 and web.port < 1024:
        raise _refused(f"port {web.port} belongs to another service than the web.")
    if _is_number(host) and not is_public(host):
        raise _refused(_INSIDE)
    if allowance.hosts and not any(_matches(host, pattern) for pattern in allowance.hosts):
        raise _refused("the host is not on the list of those allowed.", fix="Ask the operator.")
    return web


def answers(
    web: Web, allowance: Allowance = ANYWHERE_PUBLIC, resolver: Resolver | None = None
) -> tuple[str, ...]:
    """The numbers to connect to, each checked. Raises AddressRefused, or OSError for an unknown name.

    One closed answer among open ones refuses the name: a public service has no such answer.
    """
    found = tuple(dict.fromkeys((resolver or resolve)(web.host, web.port)))
    if not found:
        raise OSError("the name has no address")
    if not is_allowed_private(web, allowance) and not all(is_public(number) for number in found):
        raise _refused(_INSIDE)
    return found


def is_allowed_private(web: Web, allowance: Allowance) -> bool:
    """Whether an operator has named this host and port."""
    host = f"[{web.host}]" if ":" in web.host else web.host
    return f"{host}:{web.port}" in allowance.private


def is_public(number: str) -> bool:
    """Whether an IP address, as text, belongs to the public internet.

    >>> is_public("93.184.216.34"), is_public("::ffff:10.0.0.1"), is_public("fe80::1%eth0")
    (True, False, False)
    """
    try:
        address = ipaddress.ip_address(number)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _CLOSED_V4)
    # Mapped, compatible, NAT64 and local addresses lie outside the open range.
    return address in _OPEN_V6 and not any(address in network for network in _CLOSED_V6)


def resolve(host: str, port: int) -> tuple[str, ...]:
    """Every number of a name, as the system resolves it."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(str(entry[4][0]) for entry in found)


def within(seconds: float, resolver: Resolver | None = None) -> Resolver:
    """A resolver that gives up: the system's own may wait for half a minute, and takes no limit.

    What it raises then is a TimeoutError. The thread that still waits ends with its answer.
    """

    def bounded(host: str, port: int) -> Sequence[str]:
        answer: queue.SimpleQueue[Sequence[str] | Exception] = queue.SimpleQueue()

        def ask() -> None:
            try:
                answer.put((resolver or resolve)(host, port))
            except Exception as error:
                answer.put(error)

        threading.Thread(target=ask, name="resolve", daemon=True).start()
        try:
            found = answer.get(timeout=seconds)
        except queue.Empty:
            raise TimeoutError(f"the name was not resolved within {seconds:g} s") from None
        if isinstance(found, Exception):
            raise found
        return found

    return bounded


def _check_host(host: str, *, bracketed: bool) -> None:
    """A name of plain labels, or one plain spelling of a number. Raises AddressRefused."""
    if bracketed:
        if "%" in host or not _is_number(host):
            raise _refused("the host is no address.")
        return
    labels = host.split(".")
    if not host or len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise _refused("the host is no name.")
    last = labels[-1]
    # What ends in a number is a number, in whatever spelling; one spelling is enough.
    in_figures = last.isdigit() or last.startswith("0x")
    if in_figures and not (_DOTTED.fullmatch(host) and _is_number(host)):
        raise _refused("the host is a number in disguise.")


def _is_number(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _matches(host: str, pattern: str) -> bool:
    if pattern.startswith("*."):
        return host.endswith(pattern[1:].lower())
    return host == pattern.lower()


def _refused(message: str, *, fix: str = _FIX) -> AddressRefused:
    return AddressRefused(message, fix=fix)
