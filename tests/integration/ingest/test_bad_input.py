"""Whatever is handed in ends in a closing message: coverage that adds up, or a reason with a fix."""

import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from skimage.data import astronaut

from ingest.faces import Face, build_face_detector
from ingest.memory_publisher import MemoryPublisher
from ingest.pipeline import ingest_video, iter_face_crops
from tests.unit.ingest.clips import (
    FACELESS,
    cut_short,
    numbered,
    panning,
    portrait,
    spoil,
    write_clip,
)
from unmask.errors import ConfigError, DecodeFailed, ReasonCode
from unmask.messages import Coverage, IngestClosed, PluginRef, Submission
from unmask.plugin import Images
from unmask.settings import Settings

SETTINGS = Settings(group_crops=4)
HAAR = build_face_detector("haar", SETTINGS)
SOLA = PluginRef(key="sola", weights="0123456789ab")


class Anywhere:
    """Finds one face of a given size on every frame."""

    name, weak = "anywhere", False

    def __init__(self, side: float = 60.0) -> None:
        self._side = side

    def detect(self, rgb: Images) -> list[Face]:
        return [Face(box=(20, 20, 20 + self._side, 20 + self._side), score=0.9)]


def ingested(
    path: Path,
    *,
    sample: str = "uniform:8",
    face_detector: object = None,
    min_face_px: float = 48.0,
) -> tuple[IngestClosed, MemoryPublisher]:
    publisher = MemoryPublisher()
    closed = ingest_video(
        Submission(
            job_id="job",
            path=str(path),
            filename=path.name,
            sample=sample,
            plugins=(SOLA,),
            crop_scale=1.6,
            min_face_px=min_face_px,
        ),
        settings=SETTINGS,
        publisher=publisher,
        face_detector=face_detector or HAAR,  # type: ignore[arg-type]
    )
    publisher.close(closed)
    coverage = closed.coverage
    assert coverage.sampled == coverage.scored + coverage.no_face + coverage.failed
    assert closed.crops == len(publisher.crops) == coverage.faces_found - coverage.faces_too_small
    assert closed.plugins == (SOLA,)
    return closed, publisher


def missing(folder: Path) -> Path:
    return folder / "missing.mp4"


def directory(folder: Path) -> Path:
    return folder


def text(folder: Path) -> Path:
    path = folder / "text.mp4"
    path.write_text("I am a video, honestly.\n" * 99)
    return path


def empty(folder: Path) -> Path:
    path = folder / "empty.mp4"
    path.touch()
    return path


def truncated(folder: Path) -> Path:
    return cut_short(write_clip(folder / "t.mp4", panning(30)), 0.6)


def audio(folder: Path) -> Path:
    return write_clip(folder / "sound.mp4", [], audio_s=1.0)


def image(folder: Path) -> Path:
    path = folder / "photo.mp4"
    path.write_bytes(cv2.imencode(".bmp", astronaut())[1].tobytes())
    return path


def garbage(folder: Path) -> Path:
    path = folder / "garbage.mp4"
    path.write_bytes(struct.pack(">I4s4s", 16, b"ftyp", b"isom") + b"\x9f" * 5000)
    return path


def huge_gif(folder: Path) -> Path:
    """16k x 16k in the header, one byte of picture: a few bytes that ask for gigabytes."""
    path = folder / "huge.gif"
    screen = struct.pack("<HHBBB", 16000, 16000, 0x80, 0, 0) + b"\x00\x00\x00\xff\xff\xff"
    picture = b"\x2c" + struct.pack("<HHHHB", 0, 0, 16000, 16000, 0) + b"\x02\x02\x4c\x01\x00\x3b"
    path.write_bytes(b"GIF89a" + screen + picture)
    return path


def huge_avi(folder: Path) -> Path:
    path = folder / "huge.avi"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("rawvideo", rate=25)
        stream.width = stream.height = 16000
        stream.pix_fmt = "yuv420p"
        out.start_encoding()
        packet = av.Packet(b"\x00" * 64)
        packet.stream, packet.pts, packet.dts, packet.time_base = stream, 0, 0, stream.time_base
        out.mux(packet)
    return path


def huge_inside(folder: Path) -> Path:
    """The container says 64 x 64; only the VP8 key frame says 16000 x 16000."""
    path = write_clip(folder / "inside.webm", numbered(3, 64, 64), codec="libvpx")
    start = b"\x9d\x01\x2a"
    data = path.read_bytes()
    assert data.count(start + struct.pack("<HH", 64, 64)) == 1
    path.write_bytes(data.replace(start + struct.pack("<HH", 64, 64), start + b"\x80\x3e" * 2))
    return path


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (missing, ReasonCode.NOT_FOUND),
        (directory, ReasonCode.NOT_A_FILE),
        (text, ReasonCode.UNSUPPORTED_MEDIA),
        (empty, ReasonCode.EMPTY_FILE),
        (truncated, ReasonCode.TRUNCATED),
        (garbage, ReasonCode.TRUNCATED),
        (audio, ReasonCode.NO_VIDEO_STREAM),
        (image, ReasonCode.IS_AN_IMAGE),
        (huge_gif, ReasonCode.TOO_MANY_PIXELS),
        (huge_avi, ReasonCode.TOO_MANY_PIXELS),
        (huge_inside, ReasonCode.TRUNCATED),
    ],
)
def test_what_cannot_be_judged_ends_in_a_reason_and_a_fix(
    tmp_path: Path, make: Callable[[Path], Path], code: ReasonCode
) -> None:
    closed, publisher = ingested(make(tmp_path))
    assert closed.error is not None
    assert closed.error.code is code
    # Two sentences: what is wrong, and what to do about it.
    assert closed.error.message.rstrip(".").count(". ") >= 1
    assert closed.coverage == Coverage()
    assert publisher.closed == closed


def test_a_video_of_one_frame_closes_fine(tmp_path: Path) -> None:
    closed, _ = ingested(write_clip(tmp_path / "one.mp4", panning(1)), sample="uniform:32")
    assert closed.error is None
    assert (closed.coverage.sampled, closed.coverage.scored, closed.crops) == (1, 1, 1)
    assert [(t.faces, t.segments_ms) for t in closed.tracks] == [(1, ((0, 0),))]


def test_a_video_without_a_face_closes_fine_and_says_so(tmp_path: Path) -> None:
    closed, _ = ingested(write_clip(tmp_path / "wall.mp4", [FACELESS] * 10))
    assert closed.error is None
    assert (closed.coverage.sampled, closed.coverage.no_face, closed.crops) == (8, 8, 0)
    assert closed.tracks == ()


def test_faces_of_20_px_are_counted_and_not_cropped(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "far.mp4", [FACELESS] * 10)
    closed, publisher = ingested(clip, face_detector=Anywhere(20.0))
    assert closed.error is None
    assert closed.coverage.no_face == closed.coverage.sampled == 8
    assert (closed.coverage.faces_found, closed.coverage.faces_too_small) == (8, 8)
    assert publisher.crops == {}
    (track,) = closed.tracks
    assert (track.faces, track.crops, track.median_face_px) == (8, 0, 20.0)


@pytest.mark.data
def test_real_faces_of_20_px_are_found_and_too_small(tmp_path: Path, shared_data: Path) -> None:
    yunet = build_face_detector(f"onnx:{shared_data}/weights/yunet_n_640_640.onnx", SETTINGS)
    clip = write_clip(tmp_path / "far.mp4", [portrait(20)] * 10)
    closed, _ = ingested(clip, face_detector=yunet)
    assert closed.coverage.faces_too_small == closed.coverage.faces_found == 8
    assert closed.coverage.no_face == 8


def test_a_variable_frame_rate_keeps_its_times_in_crops_and_tracks(tmp_path: Path) -> None:
    times = [0, 40, 700, 740, 2000]
    clip = write_clip(tmp_path / "vfr.mp4", panning(5), times_ms=times)
    closed, publisher = ingested(clip, sample="all", face_detector=Anywhere())
    assert [meta.pts_ms for meta, _ in publisher.crops.values()] == times
    assert closed.tracks[0].segments_ms == ((0, 2000),)


def test_a_rotated_phone_video_shows_upright_faces(tmp_path: Path) -> None:
    stored = [np.rot90(frame, k=1) for frame in panning(6)]
    closed, publisher = ingested(write_clip(tmp_path / "phone.mp4", stored, rotation=-90))
    assert closed.media is not None
    assert closed.media.rotation_deg == 90
    assert closed.coverage.scored == closed.coverage.sampled == 6
    meta, pixels = publisher.crops["0:0"]
    # The frame is 320 px wide, so the crop lies in it as the displayed picture does.
    upright = panning(1)[0]
    left, top = round(meta.crop_to_frame[2]), round(meta.crop_to_frame[5])
    same = upright[top : top + meta.height, left : left + meta.width].astype(int)
    assert np.abs(pixels.astype(int) - same).mean() < 12


def test_a_mirrored_and_squeezed_video_shows_faces_in_their_true_shape(tmp_path: Path) -> None:
    upright = panning(6)
    stored = [cv2.resize(frame[:, ::-1], (240, 320)) for frame in upright]
    mirror = [-(1 << 16), 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30]
    clip = write_clip(tmp_path / "odd.mp4", stored, matrix=mirror, pixel_aspect=Fraction(4, 3))
    closed, publisher = ingested(clip)
    assert closed.media is not None
    assert (closed.media.width, closed.media.height) == (320, 320)
    assert closed.coverage.scored == closed.coverage.sampled == 6
    meta, pixels = publisher.crops["0:0"]
    left, top = round(meta.crop_to_frame[2]), round(meta.crop_to_frame[5])
    same = upright[0][top : top + meta.height, left : left + meta.width].astype(int)
    assert np.abs(pixels.astype(int) - same).mean() < 12


def test_damage_in_the_middle_costs_frames_and_not_the_video(tmp_path: Path) -> None:
    clip = spoil(write_clip(tmp_path / "c.mp4", numbered(60), gop=10), (0.4, 0.5))
    closed, _ = ingested(clip, sample="all", face_detector=Anywhere())
    assert closed.error is None
    assert closed.coverage.corrupt_packets > 0
    assert closed.coverage.failed > 0
    assert closed.coverage.scored > 20
    assert [note.code for note in closed.notes] == [ReasonCode.DECODE_ERROR]


def test_a_file_cut_off_late_is_judged_by_what_is_there(tmp_path: Path) -> None:
    whole = write_clip(tmp_path / "t.mp4", numbered(60), mux={"movflags": "faststart"})
    closed, _ = ingested(cut_short(whole, 0.7), sample="all", face_detector=Anywhere())
    assert closed.error is None
    assert closed.coverage.scored > 5
    assert ReasonCode.TRUNCATED in [note.code for note in closed.notes]


def test_a_name_with_quotes_spaces_and_unicode_is_only_a_name(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "plain.mp4", panning(3))
    odd = path.rename(tmp_path / 'it\'s a "clip"; $(rm -rf) % été 影片\n.mp4')
    closed, _ = ingested(odd)
    assert closed.error is None
    assert closed.coverage.scored == 3


def test_a_weak_face_detector_is_said_so_in_the_notes(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", panning(3))
    closed, _ = ingested(clip)
    assert [note.code for note in closed.notes] == [ReasonCode.WEAK_FACE_DETECTOR]
    assert closed.face_detector == HAAR.name
    strong, _ = ingested(clip, face_detector=Anywhere())
    assert strong.notes == ()


def test_an_unknown_sampling_policy_is_the_callers_fault_not_the_videos(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        ingested(write_clip(tmp_path / "a.mp4", panning(3)), sample="sometimes")


def test_a_decoder_that_fails_half_way_still_accounts_for_every_frame(tmp_path: Path) -> None:
    class Failing(Anywhere):
        seen = 0

        def detect(self, rgb: Images) -> list[Face]:
            self.seen += 1
            if self.seen == 4:
                raise DecodeFailed("the decoder died.", fix="Send another.")
            return super().detect(rgb)

    clip = write_clip(tmp_path / "a.mp4", numbered(20))
    publisher = MemoryPublisher()
    closed = ingest_video(
        Submission(
            job_id="job",
            path=str(clip),
            filename="a",
            plugins=(SOLA,),
            crop_scale=1.6,
            sample="all",
        ),
        settings=SETTINGS,
        publisher=publisher,
        face_detector=Failing(),
    )
    assert closed.error is not None
    assert closed.coverage.sampled == 20
    assert (closed.coverage.scored, closed.coverage.failed) == (3, 17)


def test_trainers_get_the_very_crops_that_are_published(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", panning(6))
    _, publisher = ingested(clip, sample="uniform:4")
    crops = list(
        iter_face_crops(
            clip,
            settings=SETTINGS,
            face_detector=HAAR,
            sample="uniform:4",
            crop_scale=1.6,
            min_face_px=48.0,
        )
    )
    assert [meta for meta, _ in crops] == [meta for meta, _ in publisher.crops.values()]
    for (_, crop), (_, published) in zip(crops, publisher.crops.values(), strict=True):
        assert np.array_equal(crop.pixels, published)


def test_progress_is_told_frame_by_frame(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", numbered(5))
    told: list[tuple[int, int]] = []
    ingest_video(
        Submission(
            job_id="job",
            path=str(clip),
            filename="a",
            plugins=(SOLA,),
            crop_scale=1.6,
            sample="all",
        ),
        settings=SETTINGS,
        publisher=MemoryPublisher(),
        face_detector=Anywhere(),
        on_progress=lambda frames, crops: told.append((frames, crops)),
    )
    assert told == [(n, n) for n in range(1, 6)]
