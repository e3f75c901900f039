"""One stream from its address to sampled frames, over losses and reconnects, until it ends.

Two threads of ours: one feeds packets from the reading process to the decoding one, the other takes
frames from the decoding process. Neither process knows the other.
"""

import hashlib
import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import structlog

from ingest.fetching import places
from ingest.live.frame_account import FrameAccount
from ingest.live.frames import LiveFrame, StateEvent, StreamState
from ingest.live.opening.patience import Patience
from ingest.live.opening.source import StreamSource
from ingest.live.processes import Child
from ingest.live.wire import Message, WireBroken
from ingest.sources import open_source
from unmask.errors import DecodeFailed, ReasonCode, UnmaskError
from unmask.settings import Settings

log = structlog.get_logger(__name__)

_LOOK_S = 0.25
_MAX_PACKET = 64 << 20
#: Faults that another attempt does not mend.
_FINAL = frozenset(
    {
        ReasonCode.ADDRESS_REFUSED,
        ReasonCode.UNSUPPORTED_MEDIA,
        ReasonCode.NO_VIDEO_STREAM,
        ReasonCode.TOO_LARGE,
    }
)
#: So many decoders in a row that die over a stream end it.
_MAX_DECODERS = 5


class _Lost(Exception):
    """The connection is of no more use; another one may be."""


class LiveSession:
    """A context manager. `on_frame` and `on_state` are called from its threads."""

    def __init__(
        self,
        source: StreamSource,
        settings: Settings,
        *,
        every_ms: int,
        on_frame: Callable[[LiveFrame], None],
        on_state: Callable[[StateEvent], None],
        patience: Patience | None = None,
    ) -> None:
        """`every_ms`: one look so often, in stream time. `on_frame` may block: the source waits."""
        self.account = FrameAccount()
        """Of all its decoders."""
        self.missed_segments = 0
        """Of a playlist: gone before they could be read."""
        self.program_at_ms: int | None = None
        """Wall clock, ms since the epoch, that the source gives the newest segment."""
        self.codec = ""
        self.received_bytes = 0
        """Of video, from the source."""
        self._hash = hashlib.sha256()
        self.frame_rate: float | None = None
        self.held: tuple[str, ...] = ()
        """Locks in force in the decoding process."""
        self.finished = threading.Event()
        """Set once the stream has ended or failed, and every frame of it was handed over."""
        self.state = StreamState.CONNECTING
        self._source = source
        self._settings = settings
        self._every_ms = every_ms
        self._on_frame = on_frame
        self._on_state = on_state
        self._patience = patience or Patience()
        self._began = time.monotonic()
        self._stopping = threading.Event()
        self._flushed = threading.Event()
        self._reader: Child | None = None
        self._decoder: Child | None = None
        self._decoders = 0
        self._was_live = False
        self._pace = 1.0
        self._shown_at = time.monotonic()
        self._key_since = False
        self._handing_over = False
        self._feeding = threading.Thread(target=self._feed, name="stream-feed", daemon=True)

    def __enter__(self) -> "LiveSession":
        self._began = time.monotonic()
        self._feeding.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._feeding.join()

    def now_ms(self) -> int:
        """Wall clock since the stream was taken up."""
        return round((time.monotonic() - self._began) * 1000)

    def stop(self) -> None:
        """End it; `finished` follows soon."""
        self._stopping.set()
        for child in (self._reader, self._decoder):
            if child is not None:
                child.wire.close()

    def pace(self, factor: float) -> None:
        """Look so many times less often than `every_ms` says."""
        self._pace = factor
        if self._decoder is not None:
            with suppress(WireBroken):
                self._decoder.wire.send({"kind": "pace", "factor": factor})

    @property
    def sha256(self) -> str:
        """Of all video packets received so far, 64 hex digits."""
        return self._hash.hexdigest()

    @property
    def pids(self) -> tuple[int, ...]:
        """Of the processes there are."""
        return tuple(c.pid for c in (self._reader, self._decoder) if c is not None)

    def _say(self, state: StreamState, reason: str = "") -> None:
        if state is not self.state:
            self.state = state
            log.info("stream.state", state=state.value, reason=reason, stream=self._source.shown)
            self._on_state(StateEvent(state=state, at_ms=self.now_ms(), reason=reason))

    def _feed(self) -> None:
        """Connect, feed, and again, until it ends."""
        last = (StreamState.ENDED, "stopped")
        try:
            self._on_state(StateEvent(state=StreamState.CONNECTING, at_ms=0))
            last = self._follow()
        except Exception as error:
            log.exception("stream.failed", stream=self._source.shown)
            last = (StreamState.FAILED, f"{type(error).__name__}: {error}")
        finally:
            for child in (self._reader, self._decoder):
                if child is not None:
                    child.end()
            self._say(*last)
            self.finished.set()

    def _follow(self) -> tuple[StreamState, str]:
        tries, since = 0, time.monotonic()
        while not self._stopping.is_set():
            reason, live_before = "", self._was_live
            try:
                self._connection()
                self._drain()
                return StreamState.ENDED, "the source has ended"
            except UnmaskError as error:
                if error.code in _FINAL or self._source.form == "file":
                    return StreamState.FAILED, str(error)
                reason = str(error)
            except (_Lost, WireBroken, OSError) as error:
                reason = str(error)
            if self._stopping.is_set():
                break  # what broke was closed by us
            if self._reader is not None:
                self._reader.end()
                self._reader = None
            if self.state in (StreamState.LIVE, StreamState.STALLED) or (
                self._was_live and not live_before
            ):
                tries, since = 0, time.monotonic()
            if self._decoders > _MAX_DECODERS:
                return StreamState.FAILED, "the decoder dies over this stream"
            if time.monotonic() - since > self._patience.give_up_s:
                if self._was_live:
                    self._drain()
                    return StreamState.ENDED, f"the source is gone: {reason}"
                return StreamState.FAILED, f"no connection: {reason}"
            if self._was_live:
                self._say(StreamState.RECONNECTING, reason)
            wait = min(self._patience.longest_wait_s, 0.25 * 2.0**tries)
            self._stopping.wait(wait * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
            tries += 1
        return StreamState.ENDED, "stopped"

    def _connection(self) -> None:
        """One connection from its first packet to the source's own end. Raises _Lost, UnmaskError."""
        decoder = self._living_decoder()
        with suppress(FileNotFoundError):
            self._reader = self._start_reader()
        if self._reader is None:
            raise _Lost("the reading process could not be started")
        wire, first = self._reader.wire, True
        heard = time.monotonic()
        while not self._stopping.is_set():
            if not wire.ready(_LOOK_S):
                self._silence(time.monotonic() - heard, first=first)
                continue
            message, payload = wire.receive()
            kind = message["kind"]
            if kind == "ended":
                if self._source.finite:
                    return
                raise _Lost("the source closed the connection")
            if kind == "failed":
                raise _fault(message)
            if kind == "missed":
                self.missed_segments += int(message["segments"])
                continue
            if first:
                base = self.now_ms() if self._was_live else 0
                rate = message.get("frame_rate")
                decoder.wire.send({"kind": "connection", "base_ms": base, "frame_rate": rate})
                first = False
                self._shown_at, self._key_since = time.monotonic(), False
            if kind == "packet":
                heard = time.monotonic()
                self._say(StreamState.LIVE)
                self._was_live = True
                self._key_since = self._key_since or bool(message["key"])
                self._blindness()
                message["arrived_ms"] = self.now_ms()
                self.received_bytes += len(payload)
                self._hash.update(payload)
                wall = message.pop("wall_ms", None)
                self.program_at_ms = int(wall) if wall is not None else self.program_at_ms
            elif kind == "opened":
                self.codec = str(message["codec"])[:40]
                rate = message.get("frame_rate")
                self.frame_rate = float(rate) if rate else None
            decoder.wire.send(message, payload)
            heard = time.monotonic()
        raise _Lost("stopped")

    def _silence(self, seconds: float, *, first: bool) -> None:
        if first and seconds > self._patience.connect_s:
            raise _Lost(f"nothing came within {self._patience.connect_s:.0f} s")
        if not first and seconds > self._patience.lost_s:
            raise _Lost(f"nothing came for {self._patience.lost_s:.0f} s")
        if not first and seconds > self._patience.stall_s and self.state is StreamState.LIVE:
            self._say(StreamState.STALLED, "nothing comes")

    def _blindness(self) -> None:
        """Packets come, and nothing can be made of them: a codec that changed under way, say.

        A new connection asks anew what they are. Without a key frame it waits longer for one.
        """
        if self._source.finite or self._handing_over:
            return
        patience_s = self._patience.lost_s * (1 if self._key_since else 3)
        patience_s += 2 * self._every_ms * self._pace / 1000
        if time.monotonic() - self._shown_at > patience_s:
            raise _Lost(f"no picture could be made of what came for {patience_s:.0f} s")

    def _start_reader(self) -> Child:
        source, settings = self._source, self._settings
        rules = places.allowance(settings)
        job = {
            "form": source.form,
            "address": source.address,
            "options": source.options,
            "wait_s": self._patience.connect_s,
            "allowance": {"hosts": rules.hosts, "private": rules.private},
            "proxy": settings.fetch_proxy,
        }
        if source.form != "file":
            return Child("ingest.live.reader", job, _MAX_PACKET)
        with open_source(Path(source.address), settings) as found:
            fd = found.file.fileno()
            job |= {"media": fd, "container": found.container}
            return Child("ingest.live.reader", job, _MAX_PACKET, fd)

    def _living_decoder(self) -> Child:
        if self._decoder is not None and not self._flushed.is_set():
            return self._decoder
        self._flushed.clear()
        if self._decoder is not None:
            self._decoder.end()
        self._decoders += 1
        self.account.next_decoder()
        self._decoder = Child(
            "ingest.live.decoder",
            {
                "memory_bytes": self._settings.decode_memory_bytes,
                "max_pixels": self._settings.max_pixels,
                "every_ms": self._every_ms,
            },
            self._settings.max_pixels * 3,
        )
        if self._pace != 1.0:
            self.pace(self._pace)
        threading.Thread(
            target=self._frames, args=(self._decoder,), name="stream-frames", daemon=True
        ).start()
        return self._decoder

    def _drain(self) -> None:
        """Wait for what the decoder still holds back."""
        if self._decoder is not None:
            with suppress(WireBroken):
                self._decoder.wire.send({"kind": "flush"})
            while not self._flushed.wait(_LOOK_S) and not self._stopping.is_set():
                pass

    def _frames(self, decoder: Child) -> None:
        """Take frames from one decoding process until it is gone."""
        try:
            while True:
                message, payload = decoder.wire.receive()
                kind = message["kind"]
                if kind == "held":
                    self.held = tuple(str(name) for name in message["held"])
                elif kind == "frame":
                    frame = self.account.checked(message, payload, self.now_ms())
                    self._handing_over = True
                    try:
                        self._on_frame(frame)
                    finally:
                        self._handing_over = False
                        self._shown_at, self._key_since = time.monotonic(), False
                    self._decoders = 1
                elif kind == "flushed":
                    break
                else:
                    log.warning("stream.decoder_failed", cause=str(message.get("message"))[:200])
                    break
        except (WireBroken, KeyError, TypeError, ValueError) as error:
            if not self._stopping.is_set():
                log.warning("stream.decoder_lost", error=str(error))
        finally:
            self._flushed.set()
            decoder.wire.close()


def _fault(message: Message) -> UnmaskError:
    """What the reading process reports, as an error of ours."""
    try:
        code = ReasonCode(str(message.get("code")))
    except ValueError:
        code = ReasonCode.FETCH_FAILED
    return DecodeFailed(str(message.get("message"))[:500], code=code)
