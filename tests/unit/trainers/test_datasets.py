"""Every reader over a miniature tree in the official layout."""

import json
from pathlib import Path

import pytest

from tests import miniature_trees as trees
from trainers import datasets
from trainers.datasets import Listing
from trainers.datasets.deepfakebench import reroot
from unmask.errors import ConfigError


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("trees")
    for key, build in trees.TREES.items():
        (base / key).mkdir()
        build(base / key)
    return base


def labels(listing: Listing) -> dict[str, int]:
    return {sample.key: sample.label for sample in listing.samples}


def test_every_reader_has_a_tree_and_a_whole_description():
    assert set(trees.TREES) == set(datasets.READERS)
    for reader in datasets.READERS.values():
        assert all(reader.description.model_dump().values())


@pytest.mark.parametrize("key", trees.TREES)
def test_an_empty_folder_says_what_was_looked_for_and_what_was_found(key, tmp_path):
    (tmp_path / "holiday.txt").write_text("nothing")
    with pytest.raises(ConfigError, match=r"looked for .* found .*holiday\.txt") as caught:
        datasets.read(key, tmp_path)
    assert "Expected layout" in caught.value.fix and "To get it" in caught.value.fix


@pytest.mark.parametrize("key", trees.TREES)
def test_both_classes_are_read_with_unique_keys(key, root):
    listing = datasets.read(key, root / key, split="test" if key != "dfd" else "all")
    assert {sample.label for sample in listing.samples} == {0, 1}
    assert len({sample.key for sample in listing.samples}) == len(listing.samples)
    assert all(sample.path.exists() for sample in listing.samples)
    assert all((sample.method == "real") == (sample.label == 0) for sample in listing.samples)


@pytest.mark.parametrize(
    "key", ["ffpp", "faceshifter", "wilddeepfake", "deepfakebench", "manifest"]
)
def test_no_person_is_in_two_splits(key, root):
    people = []
    for split in ("train", "test"):
        listing = datasets.read(key, root / key, split=split)
        people.append({name for sample in listing.samples for name in sample.identity})
    assert people[0] and people[1] and not people[0] & people[1]


def test_ffpp_keeps_both_fakes_and_both_reals_of_a_pair_together(root):
    listing = datasets.read("ffpp", root / "ffpp", split="val", methods=("Deepfakes",))
    assert labels(listing) == {
        "ffpp-c23/real/100": 0,
        "ffpp-c23/real/101": 0,
        "ffpp-c23/Deepfakes/100_101": 1,
        "ffpp-c23/Deepfakes/101_100": 1,
    }


def test_ffpp_pairs_a_fake_with_its_target_not_its_source(root):
    listing = datasets.read("ffpp", root / "ffpp", split="val")
    fake = next(s for s in listing.samples if s.video == "100_101")
    assert fake.pair_of is not None and fake.pair_of.name == "100.mp4"
    assert fake.mask_path is not None and fake.mask_path.parts[-3:-1] == ("masks", "videos")


def test_ffpp_names_the_compressions_there_are(root):
    with pytest.raises(ConfigError, match="no compression 'c99'"):
        datasets.read("ffpp", root / "ffpp", compression="c99")
    with pytest.raises(ConfigError, match="looked for the raw videos") as caught:
        datasets.read("ffpp", root / "ffpp", split="train", compression="raw")
    assert "missing file" in str(caught.value)


def test_a_file_the_split_lists_but_the_tree_lacks_is_counted(root, tmp_path):
    tree = trees.ffpp(tmp_path, methods=("Deepfakes",))
    gone = tree / "manipulated_sequences/Deepfakes/c23/videos/000_001.mp4"
    gone.unlink()
    listing = datasets.read("ffpp", tree, split="train", methods=("Deepfakes",))
    assert listing.counts() == {"missing file": 1}
    assert listing.left_out[0][1].endswith("Deepfakes/c23/videos/000_001.mp4")
    assert len(listing.samples) == 3


def test_faceshifter_has_no_masks(root):
    listing = datasets.read("faceshifter", root / "faceshifter", split="test")
    assert {s.method for s in listing.samples} == {"real", "FaceShifter"}
    assert all(s.mask_path is None for s in listing.samples)


def test_dfd_pairs_by_actor_and_scene_and_has_no_training_split(root):
    listing = datasets.read("dfd", root / "dfd", split="test")
    fake = next(s for s in listing.samples if s.label)
    assert fake.pair_of is not None and fake.pair_of.name == "01__walking.mp4"
    assert fake.identity == ("01", "02")
    with pytest.raises(ConfigError, match="no split 'train'"):
        datasets.read("dfd", root / "dfd", split="train")


def test_celebdf_labels_are_turned_around_once(root):
    test = datasets.read("celebdf", root / "celebdf", split="test")
    assert labels(test) == {
        "celebdf/real/Celeb-real-id1_0000": 0,
        "celebdf/real/YouTube-real-00000": 0,
        "celebdf/Celeb-synthesis/id1_id0_0000": 1,
    }
    train = datasets.read("celebdf", root / "celebdf", split="train")
    assert not set(labels(train)) & set(labels(test))


def test_a_celebdf_list_with_uninverted_labels_is_refused(tmp_path):
    tree = trees.celebdf(tmp_path)
    (tree / "List_of_testing_videos.txt").write_text("0 Celeb-real/id1_0000.mp4\n")
    with pytest.raises(ConfigError, match=r"calls Celeb-real/id1_0000\.mp4 fake"):
        datasets.read("celebdf", tree, split="test")


def test_dfdc_keeps_parts_apart_and_pairs_by_original(root):
    train = datasets.read("dfdc", root / "dfdc", split="train")
    val = datasets.read("dfdc", root / "dfdc", split="val")
    assert {s.path.parent.name for s in train.samples} == {"dfdc_train_part_0"}
    assert {s.path.parent.name for s in val.samples} == {"dfdc_train_part_9"}
    fake = next(s for s in train.samples if s.label)
    assert fake.pair_of == fake.path.with_name("real.mp4")


def test_dfdc_preview_reads_the_sets_of_its_json(root):
    test = datasets.read("dfdcp", root / "dfdcp", split="test")
    assert labels(test) == {"dfdcp/real/1-test": 0, "dfdcp/method_A/1_0-test": 1}


def test_an_unknown_label_word_is_refused(tmp_path):
    tree = trees.dfdcp(tmp_path)
    (tree / "dataset.json").write_text(json.dumps({"method_A/0_1/train.mp4": {"label": "maybe"}}))
    with pytest.raises(ConfigError, match="label 'maybe'"):
        datasets.read("dfdcp", tree)


def test_wilddeepfake_takes_a_space_and_an_underscore(root):
    train = datasets.read("wilddeepfake", root / "wilddeepfake", split="train")
    assert {s.path.parent.name for s in train.samples} == {"real_train", "fake train"}
    assert all(s.cropped_scale == 1.3 and s.kind == "archive" for s in train.samples)


def test_deepfakebench_paths_of_another_machine_are_found_here(root):
    base = root / "deepfakebench"
    listing = datasets.read("deepfakebench", base, split="test", compression="c23")
    methods = {s.method: s for s in listing.samples}
    assert set(methods) == {"real", "Deepfakes", "Face2Face"}
    assert len(methods["Deepfakes"].frames) == len(methods["Deepfakes"].masks) == 4
    assert methods["Deepfakes"].video == methods["Face2Face"].video
    assert methods["Deepfakes"].key != methods["Face2Face"].key
    assert reroot(base, "E:\\other\\nothing.png") is None


def test_deepfakebench_training_part_of_celebdf_is_left_out_and_counted(tmp_path):
    trees.write_image(
        tmp_path / "Celeb-DF-v2/Celeb-real/frames/id0/000.png", trees.face_frames(0)[0]
    )
    entry = {
        "id0": {"label": "CelebDFv2_real", "frames": ["Celeb-DF-v2/Celeb-real/frames/id0/000.png"]}
    }
    tree = {"Celeb-DF-v2": {"CelebDFv2_real": {"train": entry, "test": entry}}}
    (tmp_path / "Celeb-DF-v2.json").write_text(json.dumps(tree))
    listing = datasets.read("deepfakebench", tmp_path, split="all")
    assert [s.split for s in listing.samples] == ["test"]
    assert listing.counts() == {"split with test videos in it": 1}


def test_a_folder_without_splits_is_split_by_name(tmp_path):
    for number in range(30):
        trees.write_image(tmp_path / f"real/{number}.png", trees.face_frames(0, 1, 32)[0])
    parts = {s: len(datasets.read("folder", tmp_path, split=s).samples) for s in ("train", "val")}
    assert parts["train"] > 15 and parts["val"] >= 1
    assert len(datasets.read("folder", tmp_path).samples) == 30


def test_manifest_rows_that_share_a_person_or_a_pair_stay_together(tmp_path):
    rows = ["path,label,identity,pair_of"]
    for number in range(40):
        for name in (f"r{number}", f"f{number}"):
            trees.write_image(tmp_path / f"{name}.png", trees.face_frames(0, 1, 32)[0])
        rows.append(f"r{number}.png,real,p{number},")
        rows.append(f"f{number}.png,fake,p{number}->p{(number + 1) // 2 * 2},r{number}.png")
    (tmp_path / "MANIFEST.csv").write_text("\n".join(rows) + "\n")
    where = {s.path.name: s.split for s in datasets.read("manifest", tmp_path).samples}
    assert all(where[f"r{n}.png"] == where[f"f{n}.png"] for n in range(40))
    assert all(where[f"r{n}.png"] == where[f"r{n + 1}.png"] for n in range(1, 39, 2))
    assert len(set(where.values())) > 1


def test_a_manifest_row_without_a_label_names_its_line(tmp_path):
    (tmp_path / "MANIFEST.csv").write_text("path,label\na.mp4,real\nb.mp4,\n")
    with pytest.raises(ConfigError, match="line 3"):
        datasets.read("manifest", tmp_path)


def test_decisions_need_consent_and_count_once(root):
    listing = datasets.read("decisions", root / "decisions")
    assert len(listing.samples) == 4
    assert listing.counts() == {"duplicate": 1, "no consent": 1}


@pytest.mark.data
def test_the_research_data_reads_as_a_manifest(shared_data):
    listing = datasets.read("manifest", shared_data)
    assert len(listing.samples) > 1000 and listing.left_out == ()
    videos = [s for s in listing.samples if s.kind == "video"]
    train = {n for s in videos if s.split == "train" for n in s.identity}
    rest = {n for s in videos if s.split != "train" for n in s.identity}
    assert train and rest and not train & rest
    assert sum(s.pair_of is not None for s in videos) >= 20
