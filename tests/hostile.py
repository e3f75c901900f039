"""Hostile files, made from a seed: what a stranger may hand in to break a decoder, or to reach out.

`generate` yields them kind by kind: headers, truncations, bit flips, bombs, playlists, references,
devices, names. Playlists and references ask for `Bait`: an address and a video outside, of which a
test can tell whether anybody took them.
"""

import os
import random
import socket
import struct
import threading
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2

from tests.unit.ingest.clips import numbered, write_clip

KINDS = (
    "header", "truncated", "flipped", "bomb", "playlist", "reference", "device", "name",
)  # fmt: skip
_CODECS = {
    "mp4": "libx264", "mov": "mpeg4", "mkv": "libx264", "webm": "libvpx", "avi": "mpeg4",
    "ts": "mpeg2video", "mpg": "mpeg1video", "flv": "flv", "gif": "gif",
}  # fmt: skip
_SHARES = (0.02, 0.1, 0.25, 0.5, 0.7, 0.9, 0.99)
_MAGIC = {
    "mp4": b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isomiso2",
    "mov": b"\x00\x00\x00\x08wide\x00\x00\x10\x00moov",
    "mkv": b"\x1a\x45\xdf\xa3\x01\x00\x00\x00\x00\x00\x00\x1f",
    "avi": b"RIFF\xff\xff\xff\x7fAVI LIST",
    "ts": (b"G" + bytes(187)) * 3,
    "mpg": b"\x00\x00\x01\xba\x44\x00\x04\x00",
    "flv": b"FLV\x01\x05\x00\x00\x00\x09\x00\x00\x00\x00",
    "gif": b"GIF89a\xff\xff\xff\xff\xf7\x00\x00",
    "ogv": b"OggS\x00\x02" + bytes(20),
    "png": b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR",
    "jpg": b"\xff\xd8\xff\xe0\x00\x10JFIF\x00",
    "webp": b"RIFF\x00\x00\x00\x40WEBPVP8 ",
    "avif": b"\x00\x00\x00\x1cftypavif\x00\x00\x00\x00avifmif1",
    "y4m": b"YUV4MPEG2 W999999 H999999 F1:0\nFRAME\n",
}


@dataclass(frozen=True)
class HostileFile:
    """One file to hand in."""

    kind: str
    path: Path


class Bait:
    """A server on loopback and a video outside: whoever follows a reference takes one of them."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.video = write_clip(folder / "outside.mp4", numbered(6))
        self.calls = 0
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}/outside.mp4"
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.set()

    def set(self) -> None:
        """From here on, a read of the video shows: its last access lies before its writing."""
        os.utime(self.video, (0, self.video.stat().st_mtime))

    @property
    def was_read(self) -> bool:
        """Whether anybody read from the video since it was set."""
        return self.video.stat().st_atime > 0

    def __enter__(self) -> "Bait":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join()

    def _run(self) -> None:
        while True:
            try:
                caller, _ = self._listening.accept()
            except OSError:
                return
            self.calls += 1
            caller.close()


def generate(folder: Path, bait: Bait, *, seed: int = 19) -> Iterator[HostileFile]:
    """All of them, over 300, one after the other; the caller may remove each when it is done."""
    chance = random.Random(seed)
    clips = {
        suffix: write_clip(folder / f"whole.{suffix}", numbered(12), codec=codec).read_bytes()
        for suffix, codec in _CODECS.items()
    } | {
        suffix: cv2.imencode(f".{suffix}", numbered(6)[5])[1].tobytes()
        for suffix in ("jpg", "png", "webp")
    }
    written: list[tuple[str, str, bytes]] = [
        *(("header", suffix, data) for suffix, data in _headers(chance)),
        *(
            ("truncated", suffix, data[: int(len(data) * share)])
            for suffix, data in clips.items()
            for share in _SHARES
        ),
        *(
            ("flipped", suffix, _flipped(data, flips, chance))
            for suffix, data in clips.items()
            for flips in (1, 3, 10, 30, 100, 1000)
        ),
        *(("bomb", suffix, data) for suffix, data in _bombs(clips)),
        *(("playlist", suffix, data) for suffix, data in _playlists(bait)),
        *(("reference", suffix, data) for suffix, data in _references(bait, clips)),
    ]
    for number, (kind, suffix, data) in enumerate(written):
        path = folder / f"{number:03}-{kind}.{suffix}"
        path.write_bytes(data)
        yield HostileFile(kind, path)
    yield from _devices(folder, bait)
    yield from _names(folder, clips["mp4"], bait)


def sample(folder: Path, bait: Bait, per_kind: int, *, seed: int = 19) -> list[HostileFile]:
    """A few of each kind, spread over it."""
    whole = list(generate(folder, bait, seed=seed))
    by_kind = {kind: [each for each in whole if each.kind == kind] for kind in KINDS}
    return [
        found[at * len(found) // per_kind] for found in by_kind.values() for at in range(per_kind)
    ]


def _headers(chance: random.Random) -> Iterator[tuple[str, bytes]]:
    """The right first bytes, then noise, zeros, or numbers as large as they go."""
    for suffix, magic in _MAGIC.items():
        for rest in (
            chance.randbytes(4000),
            bytes(4000),
            b"\xff" * 4000,
            b"\x7f\xff\xff\xff" * 900,
        ):
            yield suffix, magic + rest


def _flipped(data: bytes, flips: int, chance: random.Random) -> bytes:
    """So many bits turned, half of them in the first kilobyte, where the lengths and counts are."""
    turned = bytearray(data)
    for number in range(flips):
        end = min(len(turned), 1024) if number % 2 else len(turned)
        turned[chance.randrange(8, end)] ^= 1 << chance.randrange(8)
    return bytes(turned)


def _bombs(clips: dict[str, bytes]) -> Iterator[tuple[str, bytes]]:
    """Little that asks for much: memory, frames, depth."""
    for side in (9000, 30000, 65535):
        screen = struct.pack("<HHBBB", side, side, 0x80, 0, 0) + b"\x00\x00\x00\xff\xff\xff"
        part = b"\x2c" + struct.pack("<HHHHB", 0, 0, side, side, 0) + b"\x02\x02\x4c\x01\x00"
        yield "gif", b"GIF89a" + screen + part + b"\x3b"
        yield "gif", b"GIF89a" + screen + part * 3000 + b"\x3b"
        yield "png", _png(side, side, bytes(1000))
        yield "png", _png(side, 20, zlib.compress(bytes(20 * (3 * side + 1)), 9))
        vp8 = b"\x9d\x01\x2a"
        yield (
            "webm",
            clips["webm"].replace(vp8 + struct.pack("<HH", 160, 120), vp8 + b"\xff\x3f" * 2),
        )
    yield "png", _png(8, 8, zlib.compress(bytes(300_000_000), 9))
    yield "mp4", _nested(b"moov", 4000)
    yield "mp4", _nested(b"moov", 200, inner=b"trak") + clips["mp4"]
    whole = clips["mp4"]
    for table in (b"stsz", b"stts", b"stsc", b"stco", b"ctts", b"stss"):
        if (at := whole.find(table)) > 0:
            yield "mp4", whole[: at + 8] + b"\x7f\xff\xff\xff" * 2 + whole[at + 16 :]
            yield "mp4", whole[: at - 4] + b"\xff\xff\xff\xff" + whole[at:]
    for field in (b"mvhd", b"tkhd", b"mdhd"):
        at = whole.find(field)
        yield "mp4", whole[: at + 4] + b"\xff" * 28 + whole[at + 32 :]
    yield "mkv", clips["mkv"] + clips["mkv"] * 50
    yield "gz.mp4", zlib.compress(bytes(50_000_000), 9)
    yield "zip.mp4", b"PK\x03\x04" + bytes(26) + b"a.mp4" + bytes(500)


def _png(width: int, height: int, packed: bytes) -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")
    )


def _nested(name: bytes, depth: int, inner: bytes = b"moov") -> bytes:
    data = b""
    for level in range(depth):
        data = struct.pack(">I4s", len(data) + 8, inner if level % 2 else name) + data
    return struct.pack(">I4s4sI", 16, b"ftyp", b"isom", 0) + data


def _playlists(bait: Bait) -> Iterator[tuple[str, bytes]]:
    """Text that a parser would follow, under the names of videos too."""
    for target in (bait.url, f"file://{bait.video}", str(bait.video)):
        texts = (
            f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{target}\n#EXT-X-ENDLIST\n",
            f'#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI="{target}"\n#EXTINF:9,\n{target}\n',
            f"ffconcat version 1.0\nfile '{target}'\n",
            f"[playlist]\nFile1={target}\nNumberOfEntries=1\n",
            f'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period>'
            f"<AdaptationSet><Representation><BaseURL>{target}</BaseURL></Representation>"
            "</AdaptationSet></Period></MPD>",
            f'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "{target}">]><a>&b;</a>',
            f'<svg xmlns="http://www.w3.org/2000/svg"><image href="{target}"/></svg>',
            f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nu={target}\nm=video 5004 RTP/AVP 96\n",
            f"<asx version='3.0'><entry><ref href='{target}'/></entry></asx>",
        )
        for text in texts:
            for suffix in ("m3u8", "mp4"):
                yield suffix, text.encode()


def _references(bait: Bait, clips: dict[str, bytes]) -> Iterator[tuple[str, bytes]]:
    """Movies whose pictures lie elsewhere, by each way that a container knows to say so."""
    for target in (bait.url, f"file://{bait.video}", str(bait.video), f"../bait/{bait.video.name}"):
        name = target.encode() + b"\0"
        for suffix in ("mp4", "mov"):
            yield suffix, _elsewhere(clips[suffix], b"url ", name)
            yield suffix, _elsewhere(clips[suffix], b"alis", b"\0" * 10 + name)
        link = struct.pack(">I4sI4sI", len(name) + 20, b"rdrf", 0, b"url ", len(name)) + name
        rmda = struct.pack(">I4s", len(link) + 8, b"rmda") + link
        rmra = struct.pack(">I4s", len(rmda) + 8, b"rmra") + rmda
        yield "mov", struct.pack(">I4s", len(rmra) + 8, b"moov") + rmra
        tag = b"#EXTM3U\n#EXTINF:9,\n" + name
        yield "ts", (b"G" + bytes(187)) * 3 + tag
        yield "mp4", clips["mp4"] + tag


def _elsewhere(whole: bytes, kind: bytes, name: bytes) -> bytes:
    """The same movie with a data reference to `name` in place of "in this file"; moov comes last."""
    own = struct.pack(">I4sI", 12, b"url ", 1)
    at = whole.find(own)
    other = struct.pack(">I4sI", 12 + len(name), kind, 0) + name
    grown = len(other) - len(own)
    data = bytearray(whole[:at] + other + whole[at + len(own) :])
    for box in (b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref"):
        begin = data.find(box) - 4
        if begin >= 0:
            data[begin : begin + 4] = struct.pack(
                ">I", struct.unpack_from(">I", data, begin)[0] + grown
            )
    return bytes(data)


def _devices(folder: Path, bait: Bait) -> Iterator[HostileFile]:
    """What has a path and is no file."""
    os.mkfifo(folder / "pipe.mp4")
    (folder / "folder.mp4").mkdir()
    (folder / "loop.mp4").symlink_to(folder / "loop.mp4")
    (folder / "nowhere.mp4").symlink_to(folder / "missing")
    (folder / "zero.mp4").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as bound:
        place = os.open(folder, os.O_RDONLY)  # a socket's address is short, a folder's may not be
        bound.bind(f"/proc/self/fd/{place}/socket.mp4")
        os.close(place)
    own = ("pipe.mp4", "folder.mp4", "loop.mp4", "nowhere.mp4", "zero.mp4", "socket.mp4")
    there = (
        "/dev/null", "/dev/zero", "/dev/urandom", "/dev/full", "/dev/tty", "/dev/stdin",
        "/proc/self/mem", "/proc/self/environ", "/proc/kmsg", "/proc/self/fd", "/proc/self/maps",
        "/", "/etc/passwd", f"{bait.video}/below", f"{folder}/{'x' * 300}.mp4",
    )  # fmt: skip
    for name in (*(str(folder / each) for each in own), *there):
        yield HostileFile("device", Path(name))


def _names(folder: Path, clip: bytes, bait: Bait) -> Iterator[HostileFile]:
    """A sound video each; only its name is not."""
    below = folder / "names"
    below.mkdir()
    names: Sequence[str] = (
        "-i", "--help", "-", "|id", "$(id)", "`id`", "a;b", "a&b", "a'b\"c", "%s%n%x", "%05d.mp4",
        "*.mp4", "?.mp4", "[a-z].mp4", "~", "\n.mp4", "\t", " ", "\x1b[31mred", "\u202e4pm.exe",
        "nul.mp4", "con.mp4", "e\u0301.mp4", "\udcff.mp4", "x" * 240 + ".mp4",
        "file:x.mp4", "concat:a|b", "pipe:0", "data:video", "crypto:x", "fd:3", "cache:x",
        "subfile,,start,0,end,0,,:x", "lavfi:testsrc", "tcp:127.0.0.1", "http:127.0.0.1",
        "async:x", "tee:a|b", "image2:%d", "<script>alert(1)<", "{{7*7}}", "..:x",
        bait.url.replace("/", ":"), "..mp4", "...",
    )  # fmt: skip
    for name in names:
        path = below / name
        path.write_bytes(clip)
        yield HostileFile("name", path)
