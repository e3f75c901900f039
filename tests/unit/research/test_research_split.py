"""No person, original or swapped-in face is on both sides of the split."""

from pathlib import Path

import pytest

from research.pools import research_data
from research.pools.research_data import read_data, validation_clips
from unmask.errors import ConfigError

HEADER = "path,label,method,width,height,seconds,faces,source_repo,licence,identity,pair_of\n"


def manifest(folder: Path, *rows: str) -> Path:
    (folder / "MANIFEST.csv").write_text(HEADER + "".join(f"{row}\n" for row in rows))
    return folder


def row(path: str, label: str, method: str, identity: str, pair_of: str = "") -> str:
    return f"{path},{label},{method},256,256,5,1/1/1,repo,terms,{identity},{pair_of}"


@pytest.fixture
def split(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "split.toml"
    path.write_text('validation = ["Ann"]')
    monkeypatch.setattr(research_data, "SPLIT_FILE", path)


def test_a_group_follows_swapped_faces_and_originals(split: None, tmp_path: Path) -> None:
    folder = manifest(
        tmp_path,
        row("videos/real/a.mp4", "real", "footage", "dfl_src_Ann_0"),
        row("videos/fake/ab.mp4", "fake", "DeepFaceLive DFM face swap", "dfl_src_bob->Ann"),
        row("videos/real/b.mp4", "real", "footage", "bob"),
        row("videos/fake/c.mp4", "fake", "Wav2Lip", "", "videos/real/b.mp4"),
        row("videos/real/d.mp4", "real", "footage", "dora"),
    )
    found = {Path(f.path).stem: f for f in read_data(folder)}
    assert {name: f.split for name, f in found.items()} == {
        "a": "val", "ab": "val", "b": "val", "c": "val", "d": "train",
    }  # fmt: skip
    assert found["ab"].family == "swap"
    assert found["c"].family == "lipsync"


def test_a_clip_that_the_manifest_names_twice_is_judged_once(split: None, tmp_path: Path) -> None:
    twice = row("videos/real/a.mp4", "real", "footage", "Ann")
    folder = manifest(
        tmp_path,
        twice,
        row("videos/fake/a.mp4", "fake", "Wav2Lip", "Ann"),
        row("videos/real/d.mp4", "real", "footage", "dora"),
        twice,
    )
    assert [f.path for f in validation_clips(folder)] == ["videos/real/a.mp4", "videos/fake/a.mp4"]


def test_a_name_nobody_has_is_refused(split: None, tmp_path: Path) -> None:
    folder = manifest(tmp_path, row("videos/real/d.mp4", "real", "footage", "dora"))
    with pytest.raises(ConfigError, match="Ann"):
        read_data(folder)


def test_a_folder_without_a_manifest_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no research data"):
        read_data(tmp_path)


@pytest.mark.data
def test_the_real_split_keeps_people_apart_and_has_every_family(shared_data: Path) -> None:
    files = [f for f in read_data(shared_data) if f.path.startswith("videos/")]
    people = {s: {p for f in files if f.split == s for p in f.people} for s in ("train", "val")}
    assert not people["train"] & people["val"]
    split_of = {f.path: f.split for f in files}
    assert all(split_of[f.pair_of] == f.split for f in files if f.pair_of)
    families = {s: {f.family for f in files if f.split == s} for s in ("train", "val")}
    assert (
        families["train"] == families["val"] == {"real", "swap", "lipsync", "reenact", "portrait"}
    )
