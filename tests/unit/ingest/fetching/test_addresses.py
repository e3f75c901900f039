"""Which addresses are refused, in whatever spelling, and that refusing connects to nothing."""

import io
import socket
import threading
from collections.abc import Iterator, Sequence

import pytest

from ingest.fetching.addresses import Allowance, answers, is_public, parse, within
from ingest.fetching.download import Bounds, download
from unmask.errors import AddressRefused, FetchFailed, ReasonCode

BOUNDS = Bounds(max_bytes=1000, max_seconds=30, attempts=1)

#: Each a way to write, or to hide, an address inside. {port} is a listening socket's.
SPELLINGS = [
    "https://127.0.0.1:{port}/",
    "http://127.0.0.1:{port}/",
    "https://localhost:{port}/",
    "https://LOCALHOST:{port}/",
    "https://localhost.:{port}/",
    "https://127.0.0.1.:{port}/",
    "https://127.1:{port}/",
    "https://127.0.1:{port}/",
    "https://127.127.127.127:{port}/",
    "https://2130706433:{port}/",
    "https://017700000001:{port}/",
    "https://0177.0.0.1:{port}/",
    "https://0177.0.0.01:{port}/",
    "https://0x7f.0.0.1:{port}/",
    "https://0x7f.1:{port}/",
    "https://0x7f000001:{port}/",
    "https://0X7F000001:{port}/",
    "https://00000177.0.0.1:{port}/",
    "https://127.0.0.0x1:{port}/",
    "https://127.00.00.01:{port}/",
    "https://0:{port}/",
    "https://0.0.0.0:{port}/",
    "https://0x0:{port}/",
    "https://00.00.00.00:{port}/",
    "https://[::1]:{port}/",
    "https://[0:0:0:0:0:0:0:1]:{port}/",
    "https://[0000::0001]:{port}/",
    "https://[::]:{port}/",
    "https://[::ffff:127.0.0.1]:{port}/",
    "https://[::ffff:7f00:1]:{port}/",
    "https://[0:0:0:0:0:ffff:127.0.0.1]:{port}/",
    "https://[::127.0.0.1]:{port}/",
    "https://[64:ff9b::7f00:1]:{port}/",
    "https://[64:ff9b:1::7f00:1]:{port}/",
    "https://[2002:7f00:1::]:{port}/",
    "https://[2001:0:7f00:1::]:{port}/",
    "https://[fe80::1]:{port}/",
    "https://[fe80::1%25lo]:{port}/",
    "https://[fe80::1%lo]:{port}/",
    "https://[fc00::1]:{port}/",
    "https://[fd00:ec2::254]:{port}/",
    "https://[fec0::1]:{port}/",
    "https://[ff02::1]:{port}/",
    "https://[2001:db8::1]:{port}/",
    "https://[v1.127.0.0.1]:{port}/",
    "https://10.0.0.1:{port}/",
    "https://172.16.0.1:{port}/",
    "https://172.31.255.254:{port}/",
    "https://192.168.1.1:{port}/",
    "https://100.64.0.1:{port}/",
    "https://100.100.100.200:{port}/",
    "https://169.254.169.254/latest/meta-data/",
    "https://0xa9fea9fe/latest/meta-data/",
    "https://2852039166/latest/meta-data/",
    "https://0251.0376.0251.0376/",
    "https://[::ffff:169.254.169.254]/",
    "https://168.63.129.16/machine",
    "https://192.0.0.192/opc/v2/",
    "https://198.18.0.1:{port}/",
    "https://224.0.0.1:{port}/",
    "https://255.255.255.255:{port}/",
    "https://example.com@127.0.0.1:{port}/",
    "https://127.0.0.1:{port}@example.com/",
    "https://user:secret@127.0.0.1:{port}/",
    "https://127.0.0.1:{port}\\@example.com/",
    "https://example.com\\@127.0.0.1:{port}/",
    "https://①②⑦.⓪.⓪.①:{port}/",
    "https://127。0。0。1:{port}/",
    "https://%31%32%37.0.0.1:{port}/",
    "https://127.0.0.1%00.example.com:{port}/",
    "https://127.0.0.1 .example.com:{port}/",
    "https://127.0.0.1\t:{port}/",
    "https://\r\nHost: example.com:{port}/",
    "https://127.0.0.1:{port}:443/",
    "https://127.0.0.1:99999/",
    "https://:{port}/",
    "https:///etc/passwd",
    "https:127.0.0.1:{port}/",
    "//127.0.0.1:{port}/",
    "file:///etc/passwd",
    "FILE:///etc/passwd",
    "ftp://127.0.0.1:{port}/",
    "gopher://127.0.0.1:{port}/_GET",
    "dict://127.0.0.1:{port}/stat",
    "data:video/mp4;base64,AAAA",
    "concat:/etc/passwd|/etc/group",
    "subfile,,start,0,end,9,,:/etc/passwd",
    "tcp://127.0.0.1:{port}",
    "unix:///var/run/docker.sock",
    "jar:https://127.0.0.1:{port}!/",
    "https://example.com:22/",
    "https://example.com:25/",
]


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    """A socket on loopback that nobody may have connected to."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_an_address_inside_is_refused_in_every_spelling_and_nothing_connects(
    listening: socket.socket, spelling: str
) -> None:
    address = spelling.replace("{port}", str(listening.getsockname()[1]))
    into = io.BytesIO()
    with pytest.raises(AddressRefused) as refused:
        download(address, into, BOUNDS)
    assert refused.value.code is ReasonCode.ADDRESS_REFUSED
    assert refused.value.fix
    assert "secret" not in str(refused.value)
    assert into.getvalue() == b""
    with pytest.raises(BlockingIOError):
        listening.accept()


def test_there_are_sixty_spellings_and_more() -> None:
    assert len(set(SPELLINGS)) >= 60


@pytest.mark.parametrize(
    "number",
    ["93.184.216.34", "1.1.1.1", "8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111"],
)
def test_public_numbers_are_public(number: str) -> None:
    assert is_public(number)


def test_a_signed_address_keeps_its_query_and_never_shows_it() -> None:
    web = parse("https://Media.Example.com/clips/a.mp4?X-Amz-Signature=s3cret")
    assert web.target == "/clips/a.mp4?X-Amz-Signature=s3cret"
    assert web.shown == "https://media.example.com/clips/a.mp4"
    assert (web.host, web.port) == ("media.example.com", 443)


def test_one_closed_answer_among_open_ones_refuses_the_name() -> None:
    web = parse("https://media.example.com/a.mp4")
    with pytest.raises(AddressRefused):
        answers(web, resolver=lambda *_: ["93.184.216.34", "10.0.0.1"])


def test_a_resolver_that_is_slow_is_given_up_and_one_that_fails_says_so() -> None:
    held = threading.Event()

    def slow(host: str, port: int) -> tuple[str, ...]:
        held.wait(60)
        return ("93.184.216.34",)

    with pytest.raises(TimeoutError, match=r"0\.05 s"):
        answers(parse("https://a.example.com/"), resolver=within(0.05, slow))
    held.set()
    assert within(60, slow)("a.example.com", 443) == ("93.184.216.34",)

    def unknown(host: str, port: int) -> tuple[str, ...]:
        raise OSError("no such name")

    with pytest.raises(OSError, match="no such name"):
        within(60, unknown)("a.example.com", 443)


def test_an_unknown_name_is_the_senders_fault_and_not_the_address_rules() -> None:
    def nowhere(_host: str, _port: int) -> Sequence[str]:
        raise OSError("no such name")

    with pytest.raises(FetchFailed):
        download("https://media.example.com/a.mp4", io.BytesIO(), BOUNDS, resolver=nowhere)


def test_the_answer_that_was_checked_is_the_one_connected_to(listening: socket.socket) -> None:
    """A name whose second answer is inside (DNS rebinding) is asked for once only."""
    given: list[str] = []

    def rebinding(_host: str, _port: int) -> Sequence[str]:
        given.append("192.0.2.1" if not given else "127.0.0.1")
        return given[-1:]

    address = f"https://rebind.example.com:{listening.getsockname()[1]}/"
    for _ in range(3):
        with pytest.raises(AddressRefused):
            download(address, io.BytesIO(), BOUNDS, resolver=rebinding)
    with pytest.raises(BlockingIOError):
        listening.accept()
    assert len(given) == 3


def test_an_allow_list_lets_through_its_hosts_alone() -> None:
    rules = Allowance(hosts=("cdn.example.com", "*.media.example.org"))
    for host in ("cdn.example.com", "a.media.example.org", "CDN.example.com"):
        assert parse(f"https://{host}/", rules).host == host.lower()
    for host in ("example.com", "evilcdn.example.com", "media.example.org.evil.net"):
        with pytest.raises(AddressRefused):
            parse(f"https://{host}/", rules)


def test_an_allowed_private_place_is_one_host_and_one_port() -> None:
    rules = Allowance(private=("127.0.0.1:9000", "[::1]:9000"))
    assert answers(parse("http://127.0.0.1:9000/a", rules), rules) == ("127.0.0.1",)
    assert parse("http://[::1]:9000/a", rules).host == "::1"
    for other in ("http://127.0.0.1:9001/a", "https://127.0.0.2:9000/a", "http://localhost:9000/"):
        with pytest.raises(AddressRefused):
            parse(other, rules)
