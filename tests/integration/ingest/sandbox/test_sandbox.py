"""The decoder's cage: what gets out of it, what cannot, and what becomes of a dead decoder."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
import pytest

from ingest.decoding.decode import Finished, Frame, decode
from ingest.decoding.sampling import parse_policy
from ingest.sandbox import child
from ingest.sandbox.parent import Decoding, limits_of
from ingest.sandbox.process import TEMPLATE, DecoderProcess, bounds_for
from ingest.sources import open_source
from tests.unit.ingest.clips import cut_short, numbered, write_clip
from unmask.errors import DecodeFailed, DecoderKilled, InputError, MediaRefused, Outage, ReasonCode
from unmask.settings import Settings

SETTINGS = Settings()


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clips") / "a.mp4", numbered(60, 320, 240))


@pytest.mark.parametrize("sample", ["uniform:9", "all", "keyframes"])
def test_the_sandbox_changes_no_pixel(clip: Path, sample: str) -> None:
    with open_source(clip, SETTINGS) as source:
        with Decoding(source, sample, SETTINGS) as decoding:
            caged = list(decoding.events())
        policy = parse_policy(sample)
        free = list(decode(source.file, source.container, policy, limits_of(SETTINGS)))
    assert caged[0] == free[0]
    assert caged[-1] == free[-1]
    for one, other in zip(caged[1:-1], free[1:-1], strict=True):
        assert isinstance(one, Frame)
        assert isinstance(other, Frame)
        assert (one.index, one.pts_ms) == (other.index, other.pts_ms)
        assert np.array_equal(one.rgb, other.rgb)


def test_a_frame_stays_as_it_was_when_the_next_ones_arrive(clip: Path) -> None:
    with open_source(clip, SETTINGS) as source, Decoding(source, "all", SETTINGS) as decoding:
        frames = [e for e in decoding.events() if isinstance(e, Frame)]
    means = [f.rgb.mean() for f in frames]
    assert len({round(m, 3) for m in means}) > 5
    assert len(frames) == 60


def test_a_refusal_comes_out_as_itself(tmp_path: Path) -> None:
    broken = cut_short(write_clip(tmp_path / "t.mp4", numbered(60)), 0.5)
    sound = write_clip(tmp_path / "s.mp4", [], audio_s=1.0)
    for path, kind, code in (
        (broken, DecodeFailed, ReasonCode.TRUNCATED),
        (sound, MediaRefused, ReasonCode.NO_VIDEO_STREAM),
    ):
        with (
            open_source(path, SETTINGS) as source,
            Decoding(source, "all", SETTINGS) as decoding,
            pytest.raises(kind) as refused,
        ):
            list(decoding.events())
        assert refused.value.code is code
        assert refused.value.fix


def test_a_killed_decoder_is_a_reason_and_not_a_hang(clip: Path) -> None:
    with open_source(clip, SETTINGS) as source, Decoding(source, "all", SETTINGS) as decoding:
        events = decoding.events()
        next(events)
        next(events)
        os.kill(decoding.pid, signal.SIGKILL)
        with pytest.raises(DecoderKilled, match="killed") as failed:
            list(events)
    assert failed.value.code is ReasonCode.OUT_OF_MEMORY


def test_a_decoder_that_hangs_runs_out_of_time(clip: Path) -> None:
    hasty = SETTINGS.model_copy(update={"decode_timeout_s": 1.5})
    with open_source(clip, hasty) as source, Decoding(source, "all", hasty) as decoding:
        os.kill(decoding.pid, signal.SIGSTOP)
        with pytest.raises(DecodeFailed) as failed:
            list(decoding.events())
    assert failed.value.code is ReasonCode.DECODE_TIMEOUT
    assert "UNMASK_DECODE_TIMEOUT_S" in failed.value.fix


def test_a_decoder_without_memory_says_so_or_dies_with_a_reason(tmp_path: Path) -> None:
    large = write_clip(tmp_path / "l.mp4", numbered(3, 3840, 2160), options={"preset": "ultrafast"})
    poor = SETTINGS.model_copy(update={"decode_memory_bytes": 240 << 20})
    with (
        open_source(large, poor) as source,
        Decoding(source, "all", poor) as decoding,
        pytest.raises(InputError) as failed,
    ):
        list(decoding.events())
    assert failed.value.code in (ReasonCode.DECODE_ERROR, ReasonCode.TRUNCATED)


def test_a_decoder_that_cannot_start_blames_the_machine_and_not_the_file(clip: Path) -> None:
    cramped = SETTINGS.model_copy(update={"decode_memory_bytes": 40 << 20})
    with (
        open_source(clip, cramped) as source,
        Decoding(source, "all", cramped) as decoding,
        pytest.raises(Outage) as failed,
    ):
        list(decoding.events())
    assert failed.value.code is ReasonCode.OUT_OF_RESOURCES
    assert "UNMASK_DECODE_MEMORY_BYTES" in failed.value.fix


def test_leaving_half_way_leaves_no_process_and_no_descriptor(clip: Path) -> None:
    TEMPLATE.start()
    before = set(Path("/proc/self/fd").iterdir())
    with open_source(clip, SETTINGS) as source:
        with Decoding(source, "all", SETTINGS) as decoding:
            next(decoding.events())
            pid = decoding.pid
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    assert set(Path("/proc/self/fd").iterdir()) == before


def parent_of(pid: int) -> int:
    return psutil.Process(pid).ppid()


@contextmanager
def decoding_of(clip: Path, sample: str = "uniform:5") -> Iterator[Decoding]:
    with open_source(clip, SETTINGS) as source, Decoding(source, sample, SETTINGS) as decoding:
        yield decoding


def test_each_video_has_a_process_of_its_own_from_one_template(clip: Path) -> None:
    told, pids, parents = [], [], []
    for _ in range(2):
        with decoding_of(clip) as decoding:
            pids.append(decoding.pid)
            parents.append(parent_of(decoding.pid))
            told.append([e for e in decoding.events() if not isinstance(e, Frame)])
            assert "limits" in decoding.held
    assert pids[0] != pids[1]
    assert parents[0] == parents[1] != os.getpid()
    assert told[0] == told[1]


def test_a_template_that_has_died_is_replaced(clip: Path) -> None:
    with decoding_of(clip) as decoding:
        dead = psutil.Process(parent_of(decoding.pid))
    dead.kill()
    while dead.status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)
    with decoding_of(clip) as decoding:
        assert isinstance(list(decoding.events())[-1], Finished)


def test_a_video_whose_template_dies_is_told_of_it(clip: Path) -> None:
    with decoding_of(clip, "all") as decoding:
        events = decoding.events()
        next(events)
        os.kill(parent_of(decoding.pid), signal.SIGKILL)
        with pytest.raises(DecoderKilled):
            list(events)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_one_that_dies_before_it_has_its_video_blames_the_machine(
    clip: Path, number: signal.Signals
) -> None:
    with decoding_of(clip) as decoding:
        template = parent_of(decoding.pid)
    os.kill(template, signal.SIGSTOP)
    with decoding_of(clip) as decoding:
        os.kill(template, number)
        os.kill(template, signal.SIGCONT)
        with pytest.raises(Outage):
            list(decoding.events())


def libraries(pid: int) -> set[str]:
    """Where each of FFmpeg's lies in a process's memory."""
    lines = Path(f"/proc/{pid}/maps").read_text(encoding="utf-8").splitlines()
    return {f"{line.split('-')[0]} {line.split()[-1]}" for line in lines if "libav" in line}


def test_a_template_starts_itself_anew_and_loses_no_decoder(clip: Path) -> None:
    with decoding_of(clip, "all") as running:
        events = running.events()
        next(events)
        template, before = parent_of(running.pid), libraries(running.pid)
        assert before
        for _ in range(65):  # more than have one layout
            DecoderProcess(bounds_for(SETTINGS)).end()
        with decoding_of(clip) as later:
            next(later.events())
            assert parent_of(later.pid) == template == parent_of(running.pid)
            assert not libraries(later.pid) & before
        assert isinstance(list(events)[-1], Finished)
        os.kill(running.pid, signal.SIGKILL)
    with pytest.raises(ProcessLookupError):
        os.kill(running.pid, 0)


def test_a_template_outlives_the_thread_that_asked_for_it(clip: Path) -> None:
    TEMPLATE.end()
    asking = threading.Thread(target=TEMPLATE.start)
    asking.start()
    asking.join()
    with decoding_of(clip) as decoding:
        time.sleep(0.2)  # the kernel would have told it by now
        assert isinstance(list(decoding.events())[-1], Finished)


def test_threads_share_one(clip: Path) -> None:
    TEMPLATE.end()
    found: list[int] = []

    def ask() -> None:
        for _ in range(3):
            with decoding_of(clip) as decoding:
                list(decoding.events())
                found.append(decoding.pid)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 12


_JOB = """
import os, psutil, sys
from ingest.sandbox.process import DecoderProcess, bounds_for
from unmask.settings import Settings
process = DecoderProcess(bounds_for(Settings()))
print(psutil.Process(process.pid).ppid(), flush=True)
os._exit(0)
"""


@pytest.mark.parametrize("inherits", [True, False])
def test_a_worker_lends_its_template_to_the_processes_of_its_jobs(
    clip: Path, inherits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "environ", os.environ.copy())
    TEMPLATE.lend()
    with decoding_of(clip) as decoding:
        ours = parent_of(decoding.pid)
    ran = subprocess.run(
        [sys.executable, "-c", _JOB],
        env=dict(os.environ),
        close_fds=not inherits,
        check=True,
        capture_output=True,
        text=True,
    )
    assert (int(ran.stdout) == ours) == inherits
    assert "UNMASK_DECODER_TEMPLATE" in os.environ
    TEMPLATE.end()


def test_nothing_is_loaded_once_no_file_can_be_opened() -> None:
    """Newer Pythons load `array` as descriptors come, which is behind the locks; this one may do so
    with its sockets, and could not show it."""
    assert vars(child)["array"].__name__ == "array"


def test_one_that_is_told_nothing_ends_with_whoever_asked_and_so_does_its_template() -> None:
    ran = subprocess.run(
        [
            sys.executable,
            "-c",
            _JOB.replace("process.pid).ppid()", "process.pid).ppid(), process.pid"),
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    ends = time.monotonic() + 30
    while any(psutil.pid_exists(int(pid)) for pid in ran.stdout.split()):
        assert time.monotonic() < ends
        time.sleep(0.05)


def test_two_decodings_of_one_source_after_each_other_agree(clip: Path) -> None:
    with open_source(clip, SETTINGS) as source:
        ends = []
        for _ in range(2):
            with Decoding(source, "uniform:5", SETTINGS) as decoding:
                ends.append(list(decoding.events())[-1])
    assert ends[0] == ends[1]
    assert isinstance(ends[0], Finished)


def test_no_secret_of_the_environment_reaches_the_decoder(
    clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNMASK_DATABASE_URL", "postgresql://secret")
    with open_source(clip, SETTINGS) as source, Decoding(source, "all", SETTINGS) as decoding:
        environment = Path(f"/proc/{decoding.pid}/environ").read_bytes()
        list(decoding.events())
    assert b"secret" not in environment


_ESCAPES = textwrap.dedent("""
    import os, socket, sys
    from ingest.sandbox.confine import confine, seal
    held = confine(2 << 30, 60)
    def tried(name, attempt):
        try:
            attempt()
        except (OSError, PermissionError):
            return
        print(f"{name} got out")
    tried("write", lambda: open(sys.argv[1] + "/new", "wb").write(b"x"))
    tried("connect", lambda: socket.create_connection(("127.0.0.1", int(sys.argv[2])), 2))
    tried("datagram", lambda: socket.socket(type=socket.SOCK_DGRAM).sendto(b"x", ("10.1.2.3", 9)))
    if "landlock" in held:
        tried("unlink", lambda: os.unlink(sys.argv[1] + "/old"))
        tried("run", lambda: os.execv("/bin/true", ["true"]))
    if seal():
        tried("read", lambda: open("/etc/passwd"))
    print(" ".join(held))
""")


def test_nothing_can_be_written_reached_or_run_from_inside(tmp_path: Path) -> None:
    import socket

    (tmp_path / "old").write_text("still here")
    with socket.create_server(("127.0.0.1", 0)) as server:
        done = subprocess.run(
            [sys.executable, "-c", _ESCAPES, str(tmp_path), str(server.getsockname()[1])],
            capture_output=True,
            text=True,
            timeout=60,
            env={"OPENBLAS_NUM_THREADS": "1"},
            check=False,
        )
    assert "got out" not in done.stdout
    assert "limits" in done.stdout, done.stderr
    # The file may come to be, but not a byte gets into it.
    assert not (tmp_path / "new").exists() or (tmp_path / "new").stat().st_size == 0
    assert (tmp_path / "old").read_text() == "still here"
