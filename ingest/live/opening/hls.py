"""Follow an HLS playlist with our own checked fetching: FFmpeg sees segments, never an address."""

import io
import time
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urljoin

import m3u8

from ingest.fetching.addresses import Allowance
from ingest.fetching.download import Bounds, download
from ingest.live.opening.demux import PacketSender, first_video, open_file
from ingest.live.wire import Wire
from unmask.errors import DecodeFailed, FetchFailed, MediaRefused, ReasonCode

_PLAYLIST = Bounds(max_bytes=4 << 20, max_seconds=10.0, attempts=3, wait_s=0.2)
_SEGMENT = Bounds(max_bytes=256 << 20, max_seconds=60.0, attempts=4, wait_s=0.2)
#: Where in a live playlist to join, counted from its end, as players do.
_BEHIND = 3
_LEAST_WAIT_S = 0.5
_MAX_HEIGHT = 1080


@dataclass(frozen=True)
class _Part:
    """One segment to be read."""

    number: int
    address: str
    init: str | None
    wall_ms: int | None


class Hls:
    """One playlist, from where it stands now to its end."""

    def __init__(self, address: str, allowance: Allowance, proxy: str | None) -> None:
        self._address = address
        self._allowance = allowance
        self._proxy = proxy
        self._init: tuple[str, bytes] = ("", b"")

    def run(self, wire: Wire, sender: PacketSender) -> None:
        """Send every segment's packets. Raises FetchFailed, MediaRefused, WireBroken."""
        self._choose_variant()
        for part in self._parts(wire):
            data = self._segment(part)
            form = "mov" if part.init or data[4:8] in (b"ftyp", b"moof", b"styp") else "mpegts"
            with open_file(io.BytesIO(data), form) as media:
                stream = first_video(media)
                if stream is not None:
                    sender.send_all(media, stream, part.wall_ms)

    def _choose_variant(self) -> None:
        playlist = self._playlist()
        if not playlist.is_variant:
            return

        def worth(variant: m3u8.Playlist) -> tuple[bool, int]:
            size = variant.stream_info.resolution
            return (not size or size[1] <= _MAX_HEIGHT, variant.stream_info.bandwidth or 0)

        best = max(playlist.playlists, key=worth)
        self._address = urljoin(self._address, best.uri)

    def _parts(self, wire: Wire) -> Iterator[_Part]:
        next_number: int | None = None
        while True:
            playlist = self._playlist()
            first = playlist.media_sequence or 0
            numbered = list(enumerate(playlist.segments, first))
            if next_number is None:
                skip = 0 if playlist.is_endlist else max(0, len(numbered) - _BEHIND)
                next_number = first + skip
            elif numbered and next_number < first:
                wire.send({"kind": "missed", "segments": first - next_number})
                next_number = first
            fresh = [(number, found) for number, found in numbered if number >= next_number]
            for number, found in fresh:
                if found.key is not None and found.key.method not in (None, "NONE"):
                    raise MediaRefused(
                        "the playlist's segments are encrypted.",
                        code=ReasonCode.UNSUPPORTED_MEDIA,
                        fix="Give a playlist of plain segments.",
                    )
                init = found.init_section.uri if found.init_section else None
                at = found.current_program_date_time
                yield _Part(
                    number,
                    urljoin(self._address, found.uri),
                    urljoin(self._address, init) if init else None,
                    round(at.timestamp() * 1000) if at else None,
                )
                next_number = number + 1
            if playlist.is_endlist:
                return
            if not fresh:
                time.sleep(max(_LEAST_WAIT_S, (playlist.target_duration or 2) / 4))

    def _playlist(self) -> m3u8.M3U8:
        text = self._read(self._address, _PLAYLIST).decode("utf-8", "replace")
        if not text.lstrip("\ufeff").startswith("#EXTM3U"):
            raise DecodeFailed(
                "the address answers with no HLS playlist.",
                code=ReasonCode.UNSUPPORTED_MEDIA,
                fix="Give the address of an .m3u8 playlist.",
            )
        try:
            return m3u8.loads(text)
        except ValueError as error:
            raise FetchFailed("the playlist is damaged.", fix="Check the server.") from error

    def _segment(self, part: _Part) -> bytes:
        if part.init and self._init[0] != part.init:
            self._init = (part.init, self._read(part.init, _SEGMENT))
        return (self._init[1] if part.init else b"") + self._read(part.address, _SEGMENT)

    def _read(self, address: str, bounds: Bounds) -> bytes:
        into = io.BytesIO()
        download(address, into, bounds, allowance=self._allowance, proxy=self._proxy)
        return into.getvalue()
