"""Clocks that stumble, stop or are set anew; pictures beside the shown ones; fields; brightness."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition
from av.video.frame import VideoFrame

from tests.integration.ingest.decoding.test_odd_containers import decoded, probed_ms
from tests.unit.ingest.clips import cut_short, number_in, numbered, write_clip
from unmask.arrays import Images
from unmask.errors import DecodeFailed, MediaRefused, ReasonCode

Change = Callable[[int, av.Packet], None]


def remuxed(source: Path, target: Path, change: Change, mux: dict[str, str] | None = None) -> Path:
    """The same packets in another file, each as `change` leaves it."""
    with av.open(str(source)) as old, av.open(str(target), "w", options=mux or {}) as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        packets = [p for p in old.demux(old.streams.video[0]) if p.dts is not None]
        for number, packet in enumerate(packets):
            change(number, packet)
            packet.stream = stream
            new.mux(packet)
    return target


def joined(path: Path, *parts: Path) -> Path:
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


def test_repeated_times_do_not_add_up(tmp_path: Path) -> None:
    plain = write_clip(tmp_path / "a.mkv", numbered(150), options={"bf": "0"})

    def repeat(number: int, packet: av.Packet) -> None:
        if number % 6 == 5:
            packet.pts = packet.dts = packet.pts - 40

    clip = remuxed(plain, tmp_path / "dup.mkv", repeat)
    told = probed_ms(clip)
    for sample in ("all", "uniform:8"):
        opened, frames, _ = decoded(clip, sample)
        assert [number_in(frame.rgb) for frame in frames] == [frame.index for frame in frames]
        assert [frame.pts_ms for frame in frames] == [round(told[f.index]) for f in frames]
        assert (opened.frames, opened.joints, frames[-1].pts_ms) == (150, 0, 5920)


def test_the_last_picture_lasts_as_long_as_it_is_told_to(tmp_path: Path) -> None:
    plain = write_clip(tmp_path / "a.mp4", numbered(50), options={"bf": "0"})

    def hold(number: int, packet: av.Packet) -> None:
        if number == 49:
            packet.duration = round(8 / packet.time_base)

    opened, frames, _ = decoded(remuxed(plain, tmp_path / "hold.mp4", hold))
    assert frames[-1].pts_ms == 1960
    assert opened.duration_ms == 9960


@pytest.mark.parametrize(("suffix", "offset_ms"), [("mp4", 3000), ("mkv", 3000), ("ts", 0)])
def test_a_start_on_the_files_clock_is_told_and_not_counted(
    tmp_path: Path, suffix: str, offset_ms: int
) -> None:
    times = [3000 + 40 * n for n in range(20)]
    opened, frames, _ = decoded(
        write_clip(tmp_path / f"off.{suffix}", numbered(20), times_ms=times)
    )
    assert (frames[0].pts_ms, opened.offset_ms) == (0, offset_ms)
    assert opened.duration_ms == pytest.approx(800, abs=40)


def test_pictures_cut_by_an_edit_list_are_not_missed(tmp_path: Path) -> None:
    plain = write_clip(tmp_path / "a.mp4", numbered(60), gop=60, options={"bf": "0"})

    def earlier(number: int, packet: av.Packet) -> None:
        shift = round(Fraction(30, 25) / packet.time_base)
        packet.pts, packet.dts = packet.pts - shift, packet.dts - shift

    options = {"avoid_negative_ts": "disabled"}
    opened, frames, _ = decoded(remuxed(plain, tmp_path / "trim.mp4", earlier, options))
    assert [number_in(frame.rgb) for frame in frames] == list(range(30, 60))
    assert (opened.frames, opened.missing, frames[0].pts_ms) == (30, 0, 0)


def test_repeats_of_no_bytes_in_an_avi_are_not_missed(tmp_path: Path) -> None:
    path = tmp_path / "null.avi"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuvj420p"
        for number, pixels in enumerate(numbered(20)):
            frame = VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format="yuvj420p")
            frame.pts, frame.time_base = 3 * number, Fraction(1, 25)
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    opened, frames, _ = decoded(path)
    assert [frame.pts_ms for frame in frames] == [120 * n for n in range(20)]
    assert [number_in(frame.rgb) for frame in frames] == list(range(20))
    assert opened.missing == 0


@pytest.mark.parametrize("offsets", [("7200", "0"), ("0", "9000"), ("0", "0")], ids=str)
def test_recordings_joined_with_different_clocks_go_on_one_frame_later(
    tmp_path: Path, offsets: tuple[str, str]
) -> None:
    parts = [
        write_clip(
            tmp_path / f"{n}.ts", numbered(50)[25 * n : 25 * n + 25], mux={"output_ts_offset": o}
        )
        for n, o in enumerate(offsets)
    ]
    opened, frames, _ = decoded(joined(tmp_path / "cat.ts", *parts))
    assert opened.joints == 1
    assert opened.duration_ms == pytest.approx(2000, abs=80)
    assert (opened.frames, opened.offset_ms) == (50, 0)
    assert [number_in(frame.rgb) for frame in frames] == [frame.index for frame in frames]
    assert all(frame.pts_ms == 40 * frame.index for frame in frames)
    # The decoder may hold a few pictures back over the joint, which are then left out.
    assert len(frames) >= 44


def test_a_clock_of_33_bits_that_wraps_changes_nothing(tmp_path: Path) -> None:
    wraps = f"{(1 << 33) / 90_000 - 2.0:.3f}"
    clip = write_clip(tmp_path / "wrap.ts", numbered(50), mux={"output_ts_offset": wraps})
    _, frames, _ = decoded(clip)
    assert [frame.pts_ms for frame in frames] == [40 * n for n in range(50)]
    assert [number_in(frame.rgb) for frame in frames] == list(range(50))


def test_a_stream_cut_in_the_middle_of_a_packet_gives_what_it_has(tmp_path: Path) -> None:
    whole = write_clip(tmp_path / "t.ts", numbered(60), options={"bf": "2"})
    clip = cut_short(whole, 0.7)
    clip.write_bytes(clip.read_bytes()[: -(clip.stat().st_size % 188 or 94)])
    opened, frames, _ = decoded(clip)
    assert 20 < len(frames) <= opened.frames < 60
    assert [number_in(frame.rgb) for frame in frames] == [frame.index for frame in frames]


def test_a_picture_that_is_turned_half_way_is_upright_in_both_halves(tmp_path: Path) -> None:
    wide = write_clip(tmp_path / "a.ts", numbered(10, 320, 160)).read_bytes()
    high = write_clip(tmp_path / "b.ts", numbered(10, 160, 320)).read_bytes()
    both = tmp_path / "rc.ts"
    both.write_bytes(wide + high)
    opened, frames, _ = decoded(both)
    assert opened.sizes == ((320, 160), (160, 320))
    assert {frame.rgb.shape for frame in frames} == {(320, 320, 3)}
    assert len(frames) >= 14
    for frame in frames:
        # Between bars, in its own proportions: no pixel is stretched.
        shown = frame.rgb[80:240] if frame.index < 10 else frame.rgb[:, 80:240]
        bars = frame.rgb[:70] if frame.index < 10 else frame.rgb[:, :70]
        assert number_in(np.ascontiguousarray(shown)) == frame.index % 10
        assert bars.max() < 20


def two_streams(path: Path, sizes: Sequence[tuple[int, int]], default: int | None) -> Path:
    """Streams of grey levels 60, 120, ..., the number `default` of them to be played."""
    with av.open(str(path), "w") as out:
        streams = []
        for number, (width, height) in enumerate(sizes):
            stream = out.add_stream("libx264", rate=25)
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            stream.disposition = Disposition.default if number == default else Disposition(0)
            streams.append(stream)
        for at in range(10):
            for number, stream in enumerate(streams):
                grey = np.full((stream.height, stream.width, 3), 60 * (number + 1), np.uint8)
                frame = VideoFrame.from_ndarray(grey, format="rgb24")
                frame.pts, frame.time_base = at, Fraction(1, 25)
                out.mux(stream.encode(frame))
        for stream in streams:
            out.mux(stream.encode())
    return path


@pytest.mark.parametrize(
    ("sizes", "default", "shown"),
    [
        (((64, 64), (128, 128)), 1, 1),
        (((64, 64), (128, 128)), None, 1),
        (((64, 64), (128, 128)), 0, 0),
        (((128, 128), (64, 64), (96, 96)), 2, 2),
    ],
)
def test_the_stream_that_players_show_is_taken_and_the_others_named(
    tmp_path: Path, sizes: Sequence[tuple[int, int]], default: int | None, shown: int
) -> None:
    opened, frames, _ = decoded(two_streams(tmp_path / "two.mkv", sizes, default))
    assert opened.stream == shown
    assert (opened.width, opened.height) == sizes[shown]
    assert abs(float(frames[0].rgb.mean()) - 60 * (shown + 1)) < 4
    assert [s.outcome == "judged" for s in opened.streams] == [
        n == shown for n in range(len(sizes))
    ]
    assert [(s.width, s.height) for s in opened.streams] == list(sizes)


def test_combs_of_two_fields_are_taken_apart(tmp_path: Path) -> None:
    fields = [bar_at(4 * n) for n in range(40)]
    woven = []
    for first, second in zip(fields[::2], fields[1::2], strict=True):
        frame = first.copy()
        frame[1::2] = second[1::2]
        woven.append(frame)
    told = {"flags": "+ildct+ilme", "x264-params": "tff=1:interlaced=1"}
    combed = write_clip(tmp_path / "told.mp4", woven, options=told)
    opened, frames, _ = decoded(combed)
    assert opened.deinterlaced
    assert len(frames) == 20
    assert max(combs(frame.rgb) for frame in frames[1:-1]) < combs(woven[5]) / 3
    # Nobody calls these interlaced: they are left as they are.
    opened, frames, _ = decoded(write_clip(tmp_path / "untold.mp4", woven))
    assert not opened.deinterlaced
    assert combs(frames[5].rgb) > combs(woven[5]) / 2


def test_few_looks_at_fields_show_the_same_pictures_as_all(tmp_path: Path) -> None:
    told = {"flags": "+ildct+ilme", "x264-params": "tff=1:interlaced=1"}
    clip = write_clip(tmp_path / "a.mp4", [bar_at(3 * n) for n in range(60)], options=told)
    _, few, _ = decoded(clip, "uniform:4")
    _, every, _ = decoded(clip, seek=False)
    assert [frame.index for frame in few] == [0, 20, 39, 59]
    assert all(np.array_equal(frame.rgb, every[frame.index].rgb) for frame in few)


def bar_at(x: int) -> Images:
    frame = np.full((120, 240, 3), 40, np.uint8)
    frame[:, x % 200 : x % 200 + 24] = 220
    return frame


def combs(rgb: Images) -> float:
    """How much each line differs from the mean of its neighbours."""
    grey = rgb.mean(axis=2)
    return float(np.abs(grey[1:-1] - (grey[:-2] + grey[2:]) / 2).mean())


def coloured(path: Path, level: int, bits: int, *, transfer: int | None = None) -> Path:
    """Grey of a 10-bit code value, or of an 8-bit one."""
    pixels = "yuv420p10le" if bits == 10 else "yuv420p"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 64, pixels
        if transfer is not None:
            stream.codec_context.color_trc = transfer
            stream.codec_context.color_primaries = 9
            stream.codec_context.colorspace = 9
        for at in range(3):
            frame = VideoFrame(64, 64, pixels)
            for plane, value in zip(frame.planes, (level, *(2 * (1 << (bits - 1),))), strict=True):
                kind = np.uint16 if bits == 10 else np.uint8
                size = plane.buffer_size // kind().itemsize
                plane.update(np.full(size, value, kind).tobytes())
            frame.pts, frame.time_base = at, Fraction(1, 25)
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return path


@pytest.mark.parametrize("level", [16, 64, 126, 180, 235])
def test_10_bit_is_as_bright_as_8_bit(tmp_path: Path, level: int) -> None:
    _, eight, _ = decoded(coloured(tmp_path / "8.mp4", level, 8))
    _, ten, _ = decoded(coloured(tmp_path / "10.mp4", 4 * level, 10))
    assert abs(float(eight[0].rgb.mean()) - float(ten[0].rgb.mean())) < 2.0


@pytest.mark.parametrize("transfer", [16, 18], ids=["PQ", "HLG"])
def test_high_dynamic_range_is_brought_down(tmp_path: Path, transfer: int) -> None:
    shown = []
    for level in (64, 300, 450, 570, 700, 940):
        clip = coloured(tmp_path / f"{level}.mp4", level, 10, transfer=transfer)
        opened, frames, _ = decoded(clip)
        assert opened.tone_mapped
        rgb = frames[0].rgb.reshape(-1, 3).mean(axis=0)
        assert np.ptp(rgb) < 4  # grey stays grey
        shown.append(float(rgb.mean()))
    assert shown == sorted(shown)
    assert shown[0] < 5
    assert shown[-1] > 245
    # PQ 570 of 940 is white on paper (203 cd/m2, BT.2408): light, and what is brighter is told apart.
    assert 200 < shown[3] < 250 or transfer == 18


def test_a_codec_that_nobody_knows_is_unsupported_and_not_a_fault(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mkv", numbered(5))
    clip.write_bytes(clip.read_bytes().replace(b"V_MPEG4/ISO/AVC", b"V_MPEG4/ISO/ZZZ"))
    with pytest.raises(MediaRefused) as refused:
        decoded(clip)
    assert refused.value.code is ReasonCode.UNSUPPORTED_MEDIA


def test_a_recording_without_an_index_is_told_apart_and_not_sent_to_be_remuxed(
    tmp_path: Path,
) -> None:
    clip = cut_short(write_clip(tmp_path / "a.mp4", numbered(40)), 0.6)
    with pytest.raises(DecodeFailed, match="index") as failed:
        decoded(clip)
    assert failed.value.code is ReasonCode.TRUNCATED
    assert "-c copy" not in failed.value.fix
