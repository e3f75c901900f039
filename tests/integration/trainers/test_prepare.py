"""Miniature trees to shards, through ingest's own code; nothing lost without a count."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from webdataset.tariterators import group_by_keys, tar_file_iterator

from ingest.faces import build_face_detector
from ingest.pipeline import ingest_video, iter_face_crops
from tests import miniature_trees as trees
from trainers import datasets
from trainers.prepare import Plan, main, prepare
from trainers.shards.crop_source import CropSource
from trainers.shards.files import CropRecord, ShardSet, Skipped
from unmask.errors import ConfigError
from unmask.geometry import cut, square_around
from unmask.messages import CropBatch, CropMeta, IngestClosed, PluginRef, Submission


def plan(key: str, root: Path, **more: object) -> Plan:
    fields = {"dataset": key, "root": str(root), "frames": 3, "face_detector": "haar"}
    return Plan.model_validate(fields | {"min_face_px": 40.0, "videos_per_shard": 3} | more)


def skipped(out: Path) -> list[Skipped]:
    lines = (out / "skipped.jsonl").read_text().splitlines()
    return [Skipped.model_validate_json(line) for line in lines]


@pytest.fixture(scope="module")
def ffpp(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    base = tmp_path_factory.mktemp("ffpp")
    trees.ffpp(base / "tree", methods=("Deepfakes",))
    prepare(plan("ffpp", base / "tree", split="train"), base / "out", quiet=True)
    return base / "tree", base / "out"


class Published:
    """A publisher that keeps what ingest hands it."""

    def __init__(self) -> None:
        self.crops: list[tuple[CropMeta, bytes]] = []

    def begin(self, submission: Submission) -> None:
        pass

    def publish(self, batch: CropBatch, pixels: Sequence[np.ndarray]) -> None:
        self.crops += [(meta, p.tobytes()) for meta, p in zip(batch.crops, pixels, strict=True)]

    def frame(self, job_id: str, generation: int, meta: CropMeta, jpeg: bytes) -> None:
        pass

    def progress(self, job_id: str, generation: int, **fields: int | str) -> None:
        pass

    def close(self, closed: IngestClosed) -> None:
        pass


def test_training_crops_are_byte_for_byte_what_ingest_publishes(ffpp):
    tree, out = ffpp
    wanted = plan("ffpp", tree, split="train")
    video = tree / "original_sequences/youtube/c23/videos/000.mp4"
    published = Published()
    submission = Submission(
        job_id="j",
        path=str(video),
        filename=video.name,
        sample="uniform:3",
        plugins=(PluginRef(key="sola", weights="untrained"),),
        crop_scale=wanted.crop_scale,
        min_face_px=wanted.min_face_px,
    )
    settings = wanted.settings()
    closed = ingest_video(
        submission,
        settings=settings,
        publisher=published,
        face_detector=build_face_detector("haar", settings),
    )
    assert closed.error is None and closed.crops == len(published.crops)
    shards = ShardSet(out)
    stored = [shards[i] for i in shards.by_video()["ffpp-c23/real/000"]]
    main = [c for c in published.crops if c[0].track_id == stored[0].record.meta.track_id]
    assert [(c.record.meta, c.pixels.tobytes()) for c in stored] == main
    assert len(stored) == 3


def test_a_fake_is_cut_where_its_original_has_its_face(ffpp):
    tree, out = ffpp
    shards = ShardSet(out)
    # The fake has a frame less: sampled frames are those of the shorter, boxes those of the original.
    fakes = [shards[i].record for i in shards.by_video()["ffpp-c23/Deepfakes/000_001"]]
    settings = plan("ffpp", tree).settings()
    detector = build_face_detector("haar", settings)
    found = {
        meta.frame_index: meta
        for meta, _ in iter_face_crops(
            tree / "original_sequences/youtube/c23/videos/000.mp4",
            settings=settings,
            face_detector=detector,
            sample="all",
            crop_scale=1.9,
            min_face_px=40.0,
        )
    }
    assert [f.meta.frame_index for f in fakes] == [0, 3, 5]
    for fake in fakes:
        original = found[fake.meta.frame_index]
        assert fake.meta.crop_to_frame == original.crop_to_frame
        assert fake.meta.box == pytest.approx(original.box)


def test_difference_masks_cover_what_changed_and_reals_have_empty_ones(ffpp):
    _, out = ffpp
    shards = ShardSet(out)
    for crop in shards:
        assert crop.mask is not None and crop.mask.shape == crop.pixels.shape[:2]
        if crop.record.label:
            assert crop.record.mask == "difference"
            a, _, left, _, _, top = crop.record.meta.crop_to_frame
            ys, xs = np.nonzero(crop.mask)
            truth = trees.face_mask()[(ys * a + top).astype(int), (xs * a + left).astype(int)] > 0
            assert truth.mean() > 0.95
            assert 0.05 < (crop.mask > 0).mean() < 0.5
        else:
            assert crop.record.mask == "zero" and not crop.mask.any()


def test_masks_lie_on_what_a_network_will_see(ffpp):
    _, out = ffpp
    shards = ShardSet(out)
    crop = next(c for c in shards if c.record.label)
    assert crop.mask is not None and set(np.unique(crop.mask)) == {0, 255}
    seen = square_around(crop.record.meta.box, 1.3)
    image, mask = cut(crop.pixels, *seen), cut(crop.mask, *seen)
    # The forged ellipse is brighter than the same region of the genuine face beside it.
    assert image[mask > 0].mean() > image[mask == 0].mean()


def test_at_c40_the_mask_comes_from_the_better_pair_and_the_original_stays_beside(tmp_path):
    tree = trees.ffpp(tmp_path / "tree", methods=("Deepfakes",))
    videos = "{}/c23/videos"
    for folder in ("original_sequences/youtube", "manipulated_sequences/Deepfakes"):
        for path in (tree / videos.format(folder)).glob("*.mp4"):
            # The c40 pair is one and the same video: its own difference shows nothing.
            worse = path.parents[2] / "c40/videos" / path.name
            trees.write_video(worse, trees.face_frames(int(path.stem[:3]))[: trees.FRAMES - 1])
    asked = {"split": "train", "compression": "c40", "keep_originals": True}
    prepare(plan("ffpp", tree, **asked), tmp_path / "blind", quiet=True)
    prepare(plan("ffpp", tree, **asked, mask_level="c23"), tmp_path / "out", quiet=True)
    blind = [c for c in ShardSet(tmp_path / "blind") if c.record.label]
    # An empty difference is no lack of one: the official mask does not stand in for it.
    assert blind and all(c.record.mask == "none" for c in blind)
    for crop in ShardSet(tmp_path / "out"):
        if crop.record.label:
            assert crop.record.mask == "difference" and crop.mask is not None and crop.mask.any()
            assert crop.original is not None and crop.original.shape == crop.pixels.shape
            assert np.array_equal(crop.original, crop.pixels)
        else:
            assert crop.original is None


def test_official_masks_are_cut_with_the_face(tmp_path):
    tree = trees.ffpp(tmp_path / "tree", methods=("Deepfakes",))
    out = tmp_path / "out"
    prepare(plan("ffpp", tree, split="train", masks="official"), out, quiet=True)
    fakes = [c for c in ShardSet(out) if c.record.label]
    assert fakes and all(c.record.mask == "official" for c in fakes)
    assert all(c.mask is not None and c.mask.any() for c in fakes)


def test_any_webdataset_reader_can_stream_the_shards(ffpp):
    _, out = ffpp
    samples = []
    for tar in sorted(out.glob("*.tar")):
        with tar.open("rb") as file:  # its own opener leaves the file to the garbage collector
            samples += list(
                group_by_keys({**f, "__url__": tar.name} for f in tar_file_iterator(file))
            )
    assert len(samples) == len(ShardSet(out))
    record = json.loads(samples[0]["json"])
    assert record.pop("cls") in (0, 1)
    assert CropRecord.model_validate(record).key == samples[0]["__key__"]


def test_an_interrupted_run_goes_on_and_ends_with_the_same_bytes(ffpp, tmp_path):
    tree, finished = ffpp
    out = tmp_path / "out"
    prepare(plan("ffpp", tree, split="train"), out, quiet=True)
    digests = json.loads((out / "manifest.json").read_text())["shards"]
    assert digests == json.loads((finished / "manifest.json").read_text())["shards"]
    assert len(digests) == 2
    # As after a kill: one shard without its sidecar, no manifest.
    (out / "shard-000001.jsonl").unlink()
    (out / "manifest.json").unlink()
    untouched = (out / "shard-000000.tar").stat().st_mtime_ns
    with pytest.raises(ConfigError, match=r"manifest\.json is missing"):
        ShardSet(out)
    prepare(plan("ffpp", tree, split="train"), out, workers=2, quiet=True)
    assert json.loads((out / "manifest.json").read_text())["shards"] == digests
    assert (out / "shard-000000.tar").stat().st_mtime_ns == untouched


def test_shards_of_another_plan_are_not_mixed_in(ffpp):
    tree, out = ffpp
    with pytest.raises(ConfigError, match=r"another plan: frames differ.*--restart"):
        prepare(plan("ffpp", tree, split="train", frames=5), out, quiet=True)


def test_the_command_prepares_one_set_or_every_source_of_a_config(tmp_path, monkeypatch):
    trees.folder(tmp_path / "tree")
    words = ["--dataset", "folder", "--root", tmp_path / "tree", "--out", tmp_path / "out"]
    words += ["--frames", 2, "--min-face-px", 40, "--face-detector", "haar", "--workers", 1]
    main([str(word) for word in words])
    assert {r.split for r in ShardSet(tmp_path / "out").records} == {"train", "test"}
    monkeypatch.setenv("UNMASK_DATA", str(tmp_path))
    source = 'dataset = "folder"\nroot = "$UNMASK_DATA/tree"\nframes = 2\n'
    (tmp_path / "toy.toml").write_text(
        'plugin = "sola"\nsteps = 1\n[loss]\nkind = "sola"\n'
        f'[[data.train]]\n{source}shards = "$UNMASK_DATA/a"\n'
        f'[[data.val]]\n{source}split = "test"\nshards = "$UNMASK_DATA/b"\n'
    )
    config = ["--config", str(tmp_path / "toy.toml"), "--face-detector", "haar"]
    main([*config, "--workers", "1"])
    for folder, split in (("a", "train"), ("b", "test")):
        assert {r.split for r in ShardSet(tmp_path / folder).records} == {split}


def test_two_videos_of_one_name_are_refused_before_any_work(tmp_path):
    (tmp_path / "tree").mkdir()
    clip = trees.write_video(tmp_path / "tree/clip.mp4", trees.face_frames(0))
    rows = f"path,label\n{clip.name},real\n./{clip.name},real\n"
    (tmp_path / "tree/MANIFEST.csv").write_text(rows)
    with pytest.raises(ConfigError, match="1 videos share a name"):
        prepare(plan("manifest", tmp_path / "tree"), tmp_path / "out", quiet=True)
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_used_is_counted_by_reason(tmp_path):
    tree = tmp_path / "tree"
    trees.write_video(tree / "real/good.mp4", trees.face_frames(0))
    trees.write_video(tree / "real/empty.mp4", [np.full((96, 96, 3), 90, np.uint8)] * 5)
    (tree / "real/text.mp4").write_text("not a video at all")
    (tree / "fake").mkdir()
    (tree / "fake/cut.mp4").write_bytes((tree / "real/good.mp4").read_bytes()[:900])
    (tree / "fake/broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    trees.write_video(tree / "fake/unpaired.mp4", trees.forged_frames(1))
    out = tmp_path / "out"
    counts = prepare(plan("folder", tree), out, quiet=True)
    assert counts["samples"] == 6 and counts["videos"] == 2
    reasons = {(item.reason, item.item.rsplit("/", 1)[1]): item for item in skipped(out)}
    assert ("unsupported_media", "text.mp4") in reasons
    assert ("truncated", "cut.mp4") in reasons
    assert ("decode_error", "broken.png") in reasons
    assert reasons["frame without a face", "empty.mp4"].count == 3
    assert reasons["forgery without a mask", "unpaired.mp4"].count == 3
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["left_out"]["forgery without a mask"] == 3
    assert manifest["one_class_only"] is False


def test_a_mask_of_another_shape_and_an_empty_one_are_said_not_trained_on(tmp_path):
    tree = trees.ffpp(tmp_path / "tree", methods=("Deepfakes",))
    masks = tree / "manipulated_sequences/Deepfakes/masks/videos"
    black = [np.zeros((trees.SIDE, trees.SIDE, 3), np.uint8)] * trees.FRAMES
    trees.write_video(masks / "000_001.mp4", black)
    trees.write_video(masks / "001_000.mp4", [f[:64] for f in black])
    for original in (tree / "original_sequences/youtube/c23/videos").glob("*.mp4"):
        # Originals that are the fakes themselves: the difference is empty too.
        fake = next(
            (tree / "manipulated_sequences/Deepfakes/c23/videos").glob(f"{original.stem}_*")
        )
        original.write_bytes(fake.read_bytes())
    out = tmp_path / "out"
    prepare(plan("ffpp", tree, split="train", masks="official"), out, quiet=True)
    counts = json.loads((out / "manifest.json").read_text())["left_out"]
    assert counts["empty mask"] == 3 + 3 and counts["mask of another shape"] == 3
    fakes = [c for c in ShardSet(out) if c.record.label]
    assert len(fakes) == 6 and all(c.mask is None for c in fakes)


def test_a_set_without_one_usable_face_is_an_error(tmp_path):
    trees.write_video(tmp_path / "tree/real/a.mp4", [np.full((96, 96, 3), 90, np.uint8)] * 5)
    with pytest.raises(ConfigError, match="not one usable face in 1 samples"):
        prepare(plan("folder", tmp_path / "tree"), tmp_path / "out", quiet=True)


@pytest.mark.parametrize("key", sorted(set(trees.TREES) - {"ffpp"}))
def test_every_data_set_becomes_shards(key, tmp_path):
    (tmp_path / "tree").mkdir()
    trees.TREES[key](tmp_path / "tree")
    counts = prepare(plan(key, tmp_path / "tree", split="test"), tmp_path / "out", quiet=True)
    shards = ShardSet(tmp_path / "out")
    assert counts["real crops"] > 0 and counts["forged crops"] > 0
    assert len(shards) == counts["crops"]
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    assert manifest["licences"] == [datasets.reader(key).description.licence]
    for crop in shards:
        assert crop.pixels.shape == (crop.record.meta.height, crop.record.meta.width, 3)
        assert not Path(crop.record.source).is_absolute()


@pytest.mark.data
def test_a_swap_of_the_research_data_is_cut_on_its_originals_face(shared_data):
    listing = datasets.read("manifest", shared_data)
    swap = next(s for s in listing.samples if s.pair_of is not None)
    yunet = f"onnx:{shared_data / 'weights/yunet_n_640_640.onnx'}"
    wanted = plan("manifest", shared_data, face_detector=yunet, keep_originals=True)
    settings = wanted.settings()
    source = CropSource(shared_data, settings, build_face_detector(yunet, settings), wanted.how())
    crops, _ = source.crops(swap)
    assert len(crops) == 3
    for crop in crops:
        assert crop.original is not None and crop.original.shape == crop.pixels.shape
        # Both halves are the same footage at the same place: any shift fits worse.
        original = crop.original.astype(int)
        gap = np.abs(original - crop.pixels).mean()
        assert gap < 20 and gap < np.abs(np.roll(original, 6, axis=1) - crop.pixels).mean()
