"""What a file is, found by its content and never by its name."""

import os
from pathlib import Path

import pytest

from ingest.sources import PICTURES, open_source, sniff
from tests.unit.ingest.clips import numbered, write_clip
from unmask.errors import MediaRefused, ReasonCode
from unmask.settings import Settings

SETTINGS = Settings()


@pytest.mark.parametrize(
    ("suffix", "codec", "container"),
    [
        ("mp4", "libx264", "mov"),
        ("mov", "libx264", "mov"),
        ("mkv", "libx264", "matroska"),
        ("webm", "libvpx", "matroska"),
        ("ts", "libx264", "mpegts"),
        ("avi", "mpeg4", "avi"),
        ("mpg", "mpeg2video", "mpeg"),
        ("gif", "gif", "gif"),
        ("flv", "flv1", "flv"),
        ("ogg", "libvpx", "ogg"),
    ],
)
def test_every_supported_container_is_known_under_a_false_name(
    tmp_path: Path, suffix: str, codec: str, container: str
) -> None:
    clip = write_clip(tmp_path / f"clip.{suffix}", numbered(4), codec=codec)
    renamed = clip.rename(tmp_path / "notes.txt")
    with open_source(renamed, SETTINGS) as source:
        assert source.container == container
        assert source.size_bytes == renamed.stat().st_size
        assert len(source.sha256) == 64


@pytest.mark.parametrize(
    ("head", "code"),
    [
        (b"Dear moderators,\n", ReasonCode.UNSUPPORTED_MEDIA),
        (b"#EXTM3U\n#EXTINF:10,\nhttp://10.0.0.1/secret.ts\n", ReasonCode.UNSUPPORTED_MEDIA),
        ("ffconcat version 1.0\nfile 'größe.mp4'\n".encode(), ReasonCode.UNSUPPORTED_MEDIA),
        (b"<?xml version='1.0'?><MPD></MPD>", ReasonCode.UNSUPPORTED_MEDIA),
        (b"PK\x03\x04\x00\x00\x00\x00", ReasonCode.UNSUPPORTED_MEDIA),
        (b"\x00" * 4096, ReasonCode.UNSUPPORTED_MEDIA),
        (b"BM\x36\x00", ReasonCode.IS_AN_IMAGE),
        (b"\x00\x00\x00\x20ftypheic\x00\x00", ReasonCode.IS_AN_IMAGE),
        (b"RIFF\x24\x00\x00\x00WAVEfmt ", ReasonCode.NO_VIDEO_STREAM),
        (b"ID3\x04\x00\x00", ReasonCode.NO_VIDEO_STREAM),
        (b"\xff\xfb\x90\x64\x00", ReasonCode.NO_VIDEO_STREAM),
        (b"fLaC\x00\x00\x00\x22", ReasonCode.NO_VIDEO_STREAM),
    ],
)
def test_what_is_no_video_is_refused_with_its_own_reason(head: bytes, code: ReasonCode) -> None:
    with pytest.raises(MediaRefused) as refused:
        sniff(head, "clip.mp4")
    assert refused.value.code is code
    assert refused.value.fix.endswith(".")


def test_a_still_avif_is_a_picture_and_a_heic_is_refused_by_its_name() -> None:
    assert sniff(b"\x00\x00\x00\x1cftypavif\x00\x00\x00\x00avifmif1miaf", "a.heic") == "avif"
    assert sniff(b"\x00\x00\x00\x1cftypmif1\x00\x00\x00\x00mif1avifmiaf", "a.mp4") == "avif"
    with pytest.raises(MediaRefused, match="HEIC"):
        sniff(b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic", "a.avif")


def test_a_single_letter_g_is_no_transport_stream() -> None:
    with pytest.raises(MediaRefused):
        sniff(b"Good morning" + bytes(500), "x.ts")


def refusal(path: Path, settings: Settings = SETTINGS) -> ReasonCode:
    with pytest.raises(MediaRefused) as refused:
        open_source(path, settings)
    assert refused.value.fix
    return refused.value.code


def test_what_cannot_be_opened_says_why(tmp_path: Path) -> None:
    empty = tmp_path / "empty.mp4"
    empty.touch()
    pipe = tmp_path / "pipe.mp4"
    os.mkfifo(pipe)
    assert refusal(tmp_path / "missing.mp4") is ReasonCode.NOT_FOUND
    assert refusal(tmp_path) is ReasonCode.NOT_A_FILE
    assert refusal(pipe) is ReasonCode.NOT_A_FILE
    assert refusal(empty) is ReasonCode.EMPTY_FILE
    assert refusal(tmp_path / "no\0name.mp4") is ReasonCode.NOT_READABLE
    assert refusal(tmp_path / ("x" * 300)) is ReasonCode.NOT_READABLE


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_without_read_permission_says_so(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", numbered(2))
    clip.chmod(0)
    assert refusal(clip) is ReasonCode.NOT_READABLE


def test_a_file_over_the_limit_is_refused_before_it_is_read(tmp_path: Path) -> None:
    huge = tmp_path / "huge.mp4"
    with huge.open("wb") as file:
        file.truncate(1 << 40)
    assert refusal(huge) is ReasonCode.TOO_LARGE


@pytest.mark.parametrize(
    ("head", "demuxer"),
    [
        (b"\x89PNG\r\n\x1a\n\x00\x00", "png_pipe"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", "jpeg_pipe"),
        (b"RIFF\x24\x00\x00\x00WEBPVP8 ", "webp_pipe"),
    ],
)
def test_a_still_picture_has_a_demuxer_of_its_own(head: bytes, demuxer: str) -> None:
    assert sniff(head, "photo") == demuxer
    assert demuxer in PICTURES
