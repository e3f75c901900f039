"""What a stream's address says, and how a wrong one is told."""

import pytest

from ingest.live.opening.source import source_of
from unmask.errors import AddressRefused, ConfigError
from unmask.settings import Settings

SETTINGS = Settings()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("ftp://camera.local/x", "is no stream"),
        ("rtsp://", "names no host"),
        ("rtmp:///live/clip", "names no host"),
        ("rtsp://host:99999/x", "is no address"),
        ("udp://239.0.0.1", "names no port"),
        ("srt://host", "names no port"),
    ],
)
def test_a_wrong_address_is_told_with_its_fix(text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as refused:
        source_of(text, SETTINGS)
    assert refused.value.fix.endswith(".")


def test_a_playlist_comes_from_the_public_internet_and_names_nobody() -> None:
    for text in ("http://127.0.0.1/live.m3u8", "https://user:s3cret@example.com/live.m3u8"):
        with pytest.raises(AddressRefused) as refused:
            source_of(text, SETTINGS)
        assert "s3cret" not in f"{refused.value} {refused.value.fix}"


@pytest.mark.parametrize(
    ("text", "form", "shown"),
    [
        ("rtsp://user:s3cret@camera.local/live?token=s3cret", "rtsp", "rtsp://camera.local/live"),
        ("rtmps://user:s3cret@host/app/key", "rtmp", "rtmps://host/app/key"),
        ("udp://:5000", "udp", "udp://:5000"),
        ("srt://host:9000?passphrase=s3cret", "srt", "srt://host:9000"),
        ("clips/a.mp4", "file", "clips/a.mp4"),
    ],
)
def test_what_is_shown_of_an_address_holds_no_secret(text: str, form: str, shown: str) -> None:
    source = source_of(text, SETTINGS)
    assert (source.form, source.shown) == (form, shown)
    assert source.finite == (form == "file")
