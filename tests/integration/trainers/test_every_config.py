"""Every training config starts: one step, one validation, one checkpoint, and a resumed step.

On a device that is not the CPU (tests/second_device.py), so that whatever a GPU would refuse is refused
here; on one miniature FaceForensics++ tree that stands in for every source, at the smallest input that an
architecture allows, from pretrained files with the right names and shapes and random values.
"""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from skimage.data import astronaut
from skimage.io import imsave

import trainers.train
from detect_plugins.catalogue import load_catalogue, load_class
from detect_plugins.torchvision_guard import timm
from tests import miniature_trees as trees
from tests.second_device import second_fabric
from trainers.config import TrainConfig, expand, load_config
from trainers.feed.map_sources import ABOUT_FILE, MAPS_FILE
from trainers.feed.shard_pool import config_pool
from trainers.prepare import Plan, prepare
from trainers.train import main as train
from trainers.training.starts.imagenet import FOLDER_VARIABLE
from trainers.training.starts.network import trunk_names
from unmask.bundle import read_card

CONFIGS = Path(trainers.__file__).parent / "configs"
NAMES = sorted(path.stem for path in CONFIGS.glob("*.toml"))
SMALL = {"sola": 64, "lrl": 150, "llsm": 96, "focus": 64, "efficientnet_fpn": 64}
"""Input side: LRL's last map must divide into five patches."""
_ROOMY_BYTES = 8 << 30


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What UNMASK_DATA names: shards to stand in for every source, maps, faces, trunks' weights."""
    root = tmp_path_factory.mktemp("data")
    trees.ffpp(root / "tree", methods=("Deepfakes",))
    for split in ("train", "val"):
        plan = Plan(
            dataset="ffpp", root=str(root / "tree"), split=split, methods=("Deepfakes",),
            compression="c23", frames=1, face_detector="haar", min_face_px=40.0, crop_scale=2.6,
            keep_originals=True,
        )  # fmt: skip
        prepare(plan, root / "miniature" / split, quiet=True)
    shutil.rmtree(root / "tree")
    (root / "faces").mkdir()
    imsave(root / "faces/astronaut.png", astronaut()[:256, 96:352])
    (root / "imagenet").mkdir()
    return root


def trunk_file(data: Path, name: str) -> None:
    """A file of the trunk's ImageNet weights, of its shapes and no worth."""
    path = data / "imagenet" / f"{name}.safetensors"
    if not path.exists():
        tensors = timm.create_model(name).state_dict()
        save_file({k: v.half() if v.is_floating_point() else v for k, v in tensors.items()}, path)


def stand_in(data: Path, config: TrainConfig) -> None:
    """The miniature shards and blank maps where this config looks for its own."""
    for part in ("train", "val"):
        for source in getattr(config.data, part):
            folder = expand(source.shards)
            folder.parent.mkdir(parents=True, exist_ok=True)
            if not folder.exists():
                folder.symlink_to(data / "miniature" / part)
    maps = getattr(config.loss, "maps", "")
    if maps:
        pool = config_pool(config, "train")
        expand(maps).mkdir(parents=True, exist_ok=True)
        np.save(expand(maps) / MAPS_FILE, np.full((len(pool), 14, 14), 128, np.uint8))
        for index in range(len(pool)):
            imsave(
                expand(maps) / f"{pool.key(index)}.png",
                np.full((8, 8), 128, np.uint8),
                check_contrast=False,
            )
        about = {"pool_manifest_sha256": pool.manifest_sha256, "crop_scale": 1.3}
        (expand(maps) / ABOUT_FILE).write_text(json.dumps(about))


def smallest(config: TrainConfig) -> list[str]:
    side = SMALL[config.plugin]
    if config.plugin == "sola" and config.architecture.get("grid"):
        side = 8 * int(config.architecture["grid"])
    settings = {"batch": 2, "workers": 0, "synthetic.pool": 2, "architecture.input_px": side}
    return [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]


def checkpoint(run: Path, name: str) -> dict[str, torch.Tensor]:
    with safe_open(run / "checkpoint.safetensors", "pt") as file:
        return {k: file.get_tensor(k) for k in file.keys() if k.endswith(name)}  # noqa: SIM118


@pytest.fixture
def run_folder(tmp_path: Path) -> Iterator[Path]:
    """In memory where there is room: a run of LRL weighs two gigabytes, and syncs them to the disk."""
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > _ROOMY_BYTES
    with TemporaryDirectory(dir=memory if roomy else tmp_path) as folder:
        yield Path(folder)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", NAMES)
def test_a_config_takes_a_step_validates_saves_and_goes_on(
    name: str, data: Path, run_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNMASK_DATA", str(data))
    monkeypatch.setenv(FOLDER_VARIABLE, str(data / "imagenet"))
    monkeypatch.setenv("UNMASK_FACE_DETECTOR", "haar")
    monkeypatch.setattr(trainers.train, "fabric_for", second_fabric)
    config = load_config(CONFIGS / f"{name}.toml")
    detector = load_class(load_catalogue().get(config.plugin))
    architecture = detector.Config.model_validate(config.architecture)  # type: ignore[attr-defined]
    for trunk in trunk_names(detector, architecture) if config.pretrained else ():
        trunk_file(data, trunk)
    stand_in(data, config)
    command = [
        "--config",
        str(CONFIGS / f"{name}.toml"),
        "--out",
        str(run_folder),
        "--threads",
        "1",
    ]
    command += ["--val-frames", "1", "--log-every", "1", *smallest(config)]
    train([*command, "--max-steps", "1"])
    first = checkpoint(run_folder, ".weight")
    train([*command, "--max-steps", "2", "--no-val"])
    second = checkpoint(run_folder, ".weight")
    lines = [json.loads(line) for line in (run_folder / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2]
    assert any(not torch.equal(first[key], second[key]) for key in first)
    if config.data.val:
        checked = (run_folder / "validation.jsonl").read_text().splitlines()
        assert [json.loads(line)["step"] for line in checked] == [1]
        assert read_card(run_folder / "best", config.plugin).training["step"] == 1
    assert read_card(run_folder / "last", config.plugin).training["step"] == 2
    described = json.loads((run_folder / "run.json").read_text())
    assert ("imagenet" in described["start"]) == config.pretrained
    assert described["device"] == "seconddev:0"
