"""Training starts from ImageNet weights of a folder, a package or the hub, and says where there are none."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from detect_plugins.catalogue import load_catalogue, load_class
from detect_plugins.efficientnet_fpn.config import EfficientNetFpnConfig
from detect_plugins.efficientnet_fpn.detector import EfficientNetFpnDetector
from detect_plugins.layers.efficientnet import EfficientNetStages, EfficientNetTrunk
from detect_plugins.layers.normalise import Normalise
from detect_plugins.sola.config import SolaConfig
from detect_plugins.sola.detector import SolaDetector
from detect_plugins.sola.network import Sola
from detect_plugins.torchvision_guard import timm
from trainers.config import load_config
from trainers.init_from_timm import main as init_from_timm
from trainers.plan import training_plan
from trainers.training.starts.imagenet import FOLDER_VARIABLE, ImageNet
from trainers.training.starts.network import start_from, starting_network, trunk_names
from trainers.training.starts.packages import PACKAGES, file_in_package, tensors_of_package
from unmask.errors import ConfigError

CONFIGS = Path(__file__).parents[4] / "trainers/configs"
PHOTOS = {"chelsea": {281, 282, 285}, "coffee": {967, 968}}
"""Pictures of scikit-image and the ImageNet classes that say what they show."""


@pytest.fixture(autouse=True)
def no_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(FOLDER_VARIABLE, raising=False)


def installed(name: str) -> Path:
    path = file_in_package(name)
    if path is None:
        pytest.skip(f"{PACKAGES[name].install} is not installed")
    return path


def sola(imagenet: ImageNet | None = None, **changes: object) -> Sola:
    architecture = {"preset": "fast", "input_px": 96, "backbone": "efficientnet_lite0", **changes}
    network = starting_network(SolaDetector, SolaConfig.model_validate(architecture), imagenet)
    assert isinstance(network, Sola)
    return network.eval()


def fake_file(folder: Path, name: str, model: str, seed: int = 1) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    tensors = timm.create_model(model).state_dict()
    save_file(tensors, folder / name)
    return dict(tensors)


@pytest.mark.parametrize("name", sorted(PACKAGES))
def test_a_package_holds_a_network_that_knows_a_cat_from_a_cup(name: str) -> None:
    from skimage import data

    network = timm.create_model(name).eval()
    network.load_state_dict(tensors_of_package(name, installed(name)), strict=False)
    for photo, classes in PHOTOS.items():
        pixels = torch.from_numpy(getattr(data, photo)()[:300, 50:350]).permute(2, 0, 1)[None]
        image = torch.nn.functional.interpolate(pixels.float() / 255, size=(224, 224), mode="area")
        with torch.no_grad():
            assert int(network(Normalise()(image)).argmax()) in classes, photo


def test_the_stem_says_of_our_pixels_what_the_package_says_of_its_own() -> None:
    given = torch.load(installed("efficientnet_lite0"), map_location="cpu", weights_only=True)
    trunk = EfficientNetTrunk("efficientnet_lite0", pretrained=ImageNet()).eval()
    pixels = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        ours = trunk.stem[0](Normalise()(pixels)) - trunk.stem[1].running_mean.view(1, -1, 1, 1)
        theirs = torch.conv2d(
            (255.0 * pixels - 127.0) / 128.0, given["_conv_stem.weight"], stride=2, padding=1
        ) - given["_bn0.running_mean"].view(1, -1, 1, 1)
    # But for the border, where padding is black in one and grey in the other.
    torch.testing.assert_close(ours[..., 1:-1, 1:-1], theirs[..., 1:-1, 1:-1], rtol=0, atol=1e-4)


def test_both_streams_of_sola_and_the_trunk_of_the_classifier_start_alike() -> None:
    installed("efficientnet_lite0")
    two_streams = sola(ImageNet())
    small = EfficientNetFpnConfig(backbone="efficientnet_lite0", input_px=96)
    classifier = starting_network(EfficientNetFpnDetector, small, ImageNet())
    trunk = classifier.trunk
    assert isinstance(trunk, EfficientNetTrunk)
    wanted = EfficientNetStages(trunk).state_dict()
    for stream in (two_streams.rgb, two_streams.noise):
        assert stream is not None
        torch.testing.assert_close(stream.state_dict(), wanted, rtol=0, atol=0)


def test_streams_do_not_share_their_weights() -> None:
    installed("efficientnet_lite0")
    network = sola(ImageNet())
    assert network.noise is not None
    network.noise.stem[0].weight.data.zero_()
    assert network.rgb.stem[0].weight.abs().max() > 0


@pytest.mark.parametrize(
    "name",
    ["resnet18.safetensors", "resnet18.a1_in1k.safetensors", "resnet18-f37072fd.safetensors"],
)
def test_a_folder_serves_files_as_timm_and_torchvision_name_them(tmp_path: Path, name: str) -> None:
    given = fake_file(tmp_path, name, "resnet18")
    network = sola(ImageNet(folder=tmp_path), backbone="resnet18")
    assert network.noise is not None
    for stream in (network.rgb, network.noise):
        assert torch.equal(stream.stem[0].weight, given["conv1.weight"])
        assert torch.equal(stream.stages[2][1].conv2.weight, given["layer3.1.conv2.weight"])


def test_the_file_of_another_model_is_refused(tmp_path: Path) -> None:
    fake_file(tmp_path, "resnet18.safetensors", "resnet34")
    with pytest.raises(ConfigError, match="do not fit"):
        sola(ImageNet(folder=tmp_path), backbone="resnet18")


def test_where_there_are_no_weights_the_error_names_every_way() -> None:
    with pytest.raises(ConfigError, match="no ImageNet weights of resnet18") as caught:
        sola(ImageNet(), backbone="resnet18")
    assert caught.value.fix is not None
    for way in (
        "UNMASK_TIMM_WEIGHTS",
        "--fetch-pretrained",
        "init_from_timm",
        "pretrained = false",
    ):
        assert way in caught.value.fix


def test_fetching_is_timms_own_and_only_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    real = timm.create_model

    def create(name: str, pretrained: bool = False, **settings: object) -> object:
        if pretrained and "pretrained_cfg_overlay" not in settings:
            asked.append(name)
        fetched = pretrained and "pretrained_cfg_overlay" in settings
        return real(name, pretrained=fetched, **settings)

    monkeypatch.setattr(timm, "create_model", create)
    sola(ImageNet(fetch=True), backbone="resnet18")
    assert asked == ["resnet18", "resnet18"]


@pytest.mark.parametrize(
    ("config", "trunk"),
    [
        ("sola-ffpp-df", "resnet18"),
        ("sola-ffpp-all-r50", "resnet50"),
        ("lrl-ffpp-c23", "legacy_xception"),
        ("llsm-ffpp-c23", "legacy_xception"),
        ("focus-ffpp-c23", "deit_small_patch16_224"),
        ("efficientnet-fpn-ffpp-c23", "efficientnet_b4"),
    ],
)
def test_the_plan_says_which_weights_are_missing_and_which_are_there(
    config: str, trunk: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = load_config(CONFIGS / f"{config}.toml")
    entry = load_catalogue().get(loaded.plugin)
    detector = load_class(entry)
    assert trunk_names(detector, detector.Config.model_validate(loaded.architecture)) == (trunk,)  # type: ignore[attr-defined]
    text = training_plan(loaded, entry.require_manifest())
    assert f"trunks start from {trunk} of ImageNet, which are not here" in text
    assert f"put {trunk}.safetensors" in text
    (tmp_path / f"{trunk}.safetensors").touch()
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    assert f"from {tmp_path}/{trunk}.safetensors" in training_plan(loaded, entry.require_manifest())


def test_a_checkpoint_of_timm_becomes_a_bundle_to_start_from(tmp_path: Path) -> None:
    given = fake_file(tmp_path, "resnet18.a1_in1k.safetensors", "resnet18")
    init_from_timm(
        [str(tmp_path / "resnet18.a1_in1k.safetensors"), "--plugin", "sola",
         "--config", str(CONFIGS / "sola-ffpp-df.toml"), "--out", str(tmp_path / "init")]
    )  # fmt: skip
    network = sola(backbone="resnet18", preset="faithful")
    before = network.fc.weight.clone()
    assert start_from(network, tmp_path / "init") == 30
    assert network.noise is not None
    assert torch.equal(network.noise.stages[0][0].conv1.weight, given["layer1.0.conv1.weight"])
    assert torch.equal(network.fc.weight, before)
