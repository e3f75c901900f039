"""The base of torch plugins: bundles that fit are loaded, all others refused with their fault."""

import hashlib
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from detect_plugins.catalogue import load_catalogue
from detect_plugins.serving import ServingModule, mahalanobis
from detect_plugins.sola.config import SolaConfig
from detect_plugins.sola.detector import SolaDetector
from detect_plugins.sola.network import Sola
from unmask.bundle import Abstention, BundleCard
from unmask.errors import BundleRefused, ConfigError
from unmask.plugin import RawOutput
from unmask.testing import sample_crops

ARCHITECTURE = {"preset": "fast", "input_px": 96, "width": 0.25}


def state(seed: int = 1) -> dict[str, Tensor]:
    torch.manual_seed(seed)
    return dict(Sola(SolaConfig.model_validate(ARCHITECTURE)).state_dict())


def write_bundle(folder: Path, tensors: dict[str, Tensor], **changes: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "weights.safetensors"
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)
    return write_card(folder, **changes)


def write_card(folder: Path, **changes: Any) -> Path:
    weights = (folder / "weights.safetensors").read_bytes()
    card = {
        "plugin": "sola",
        "plugin_version": "1.0.0",
        "name": "test",
        "created": "2026-11-21",
        "architecture": ARCHITECTURE,
        "sha256": hashlib.sha256(weights).hexdigest(),
        "dtype": "float32",
        **changes,
    }
    (folder / "bundle.json").write_text(BundleCard.model_validate(card).model_dump_json())
    return folder


def load(folder: Path | None) -> SolaDetector:
    return SolaDetector.load(load_catalogue().get("sola").require_manifest(), folder, "cpu")


def test_a_bundle_is_loaded_as_it_was_saved(tmp_path: Path) -> None:
    tensors = state()
    detector = load(write_bundle(tmp_path, tensors))
    images = detector.prepare(sample_crops(2)).images
    assert images.shape == (2, 3, 96, 96)
    network = Sola(SolaConfig.model_validate(ARCHITECTURE)).eval()
    network.load_state_dict(tensors)
    with torch.no_grad():
        p, maps = network.export_forward(torch.from_numpy(images))
    raw = detector.infer(images)
    np.testing.assert_allclose(raw.p, p.numpy(), atol=1e-6)
    np.testing.assert_allclose(raw.maps, maps.numpy(), atol=1e-5)


def test_a_bundle_states_its_own_input_and_map_size(tmp_path: Path) -> None:
    detector = load(write_bundle(tmp_path, state()))
    assert detector.input_px == detector.manifest.input_px == 96
    assert (detector.manifest.map.height, detector.manifest.map.width) == (6, 6)
    assert load_catalogue().get("sola").require_manifest().input_px == 256


def test_half_precision_on_disk_is_widened(tmp_path: Path) -> None:
    tensors = state()
    halved = {k: v.half() if v.is_floating_point() else v for k, v in tensors.items()}
    detector = load(write_bundle(tmp_path, halved, dtype="float16"))
    for name, tensor in detector.network.state_dict().items():
        if tensor.is_floating_point():
            assert tensor.dtype == torch.float32
            torch.testing.assert_close(tensor, tensors[name], atol=1e-3, rtol=1e-3)
    assert detector.network.asrm is not None
    assert detector.network.asrm.constraint_error() < 1e-6


def test_counters_of_batch_norm_may_be_left_out(tmp_path: Path) -> None:
    lean = {k: v for k, v in state().items() if not k.endswith("num_batches_tracked")}
    assert load(write_bundle(tmp_path, lean)).card is not None


def test_random_weights_are_the_same_every_time_and_leave_the_generator_alone() -> None:
    torch.manual_seed(5)
    one = load(None)
    after = torch.rand(1)
    torch.manual_seed(5)
    other = load(None)
    torch.manual_seed(5)
    assert torch.equal(after, torch.rand(1))
    assert one.card is None
    for left, right in zip(one.network.parameters(), other.network.parameters(), strict=True):
        assert torch.equal(left, right)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda t: t.pop("fc.weight"), "its weights lack 1 tensors: fc.weight"),
        (lambda t: t.update(extra=torch.zeros(1)), "hold unknown 1 tensors: extra"),
        (lambda t: t.update({"fc.weight": torch.zeros(1, 65)}), r"fc.weight has shape \(1, 65\)"),
        (lambda t: t["fc.weight"].fill_(float("nan")), "not finite"),
        (lambda t: t["asrm.weight"].mul_(1.2), "off their constraint by 0.2"),
    ],
    ids=["missing", "unknown", "shape", "nan", "constraint"],
)
def test_weights_that_do_not_fit_are_refused_by_name(
    tmp_path: Path, damage: Any, message: str
) -> None:
    tensors = {name: tensor.clone() for name, tensor in state().items()}
    damage(tensors)
    with pytest.raises(BundleRefused, match=message):
        load(write_bundle(tmp_path, tensors))


def test_weights_of_another_architecture_are_refused(tmp_path: Path) -> None:
    wider = {**ARCHITECTURE, "width": 0.5}
    with pytest.raises(BundleRefused, match="the architecture wants"):
        load(write_bundle(tmp_path, state(), architecture=wider))


def test_an_architecture_the_plugin_does_not_know_is_refused_by_field(tmp_path: Path) -> None:
    with pytest.raises(BundleRefused, match="colour: Extra inputs are not permitted"):
        load(write_bundle(tmp_path, state(), architecture={**ARCHITECTURE, "colour": "red"}))


def test_an_altered_file_is_refused_by_its_hash(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path, state())
    path = folder / "weights.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(BundleRefused, match="has sha256"):
        load(folder)


def test_a_pickle_by_the_name_of_safetensors_is_refused_and_never_run(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "exploded",))

    (tmp_path / "weights.safetensors").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(BundleRefused, match="safetensors"):
        load(write_card(tmp_path))
    assert not (tmp_path / "exploded").exists()


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path, state())
    path = folder / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(BundleRefused, match="truncated"):
        load(write_card(folder))


def test_a_bundle_with_abstention_reports_its_distance_and_engines_get_it_too(
    tmp_path: Path,
) -> None:
    channels = 64
    mean, scale = torch.rand(channels), torch.rand(channels) + 0.5
    tensors = {**state(), "ood.mean": mean, "ood.scale": scale}
    abstention = Abstention(method="mahalanobis", limit=3.0).model_dump()
    detector = load(write_bundle(tmp_path, tensors, abstention=abstention))
    images = detector.prepare(sample_crops(2)).images
    raw = detector.infer(images)
    assert raw.ood is not None
    with torch.no_grad():
        features = detector.network.features(torch.from_numpy(images)).numpy()
    expected = np.sqrt((((features - mean.numpy()) / scale.numpy()) ** 2).mean(axis=1))
    np.testing.assert_allclose(raw.ood, expected, rtol=1e-4)
    assert len(detector.serving()(torch.from_numpy(images))) == 3
    assert [opinion.ood for opinion in detector.interpret(raw)] == pytest.approx(expected, rel=1e-4)


def test_abstention_without_its_tensors_is_refused(tmp_path: Path) -> None:
    abstention = Abstention(method="mahalanobis", limit=3.0).model_dump()
    with pytest.raises(BundleRefused, match=r"hold no 'ood\.mean'"):
        load(write_bundle(tmp_path, state(), abstention=abstention))


def test_features_at_the_training_mean_are_at_distance_zero() -> None:
    mean, scale = torch.rand(8), torch.rand(8) + 0.5
    features = torch.stack((mean, mean + 2 * scale))
    torch.testing.assert_close(mahalanobis(features, mean, scale), torch.tensor([0.0, 2.0]))


def test_a_network_without_a_joint_pass_gets_its_features_from_a_second_one() -> None:
    class Plain(torch.nn.Module):
        def export_forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
            return image.mean(dim=(1, 2, 3)), image[:, 0]

        def features(self, image: Tensor) -> Tensor:
            return image.mean(dim=(2, 3))

    image = torch.rand(2, 3, 4, 4)
    p, maps, ood = ServingModule(Plain(), torch.zeros(3), torch.ones(3))(image)
    assert p.shape == (2,)
    assert maps.shape == (2, 4, 4)
    torch.testing.assert_close(ood, image.mean(dim=(2, 3)).square().mean(dim=1).sqrt())


def test_maps_are_divided_by_the_constant_of_the_bundle(tmp_path: Path) -> None:
    detector = load(write_bundle(tmp_path, state(), heatmap_scale=4.0))
    raw = RawOutput(
        p=np.array([0.25, 1.0], np.float32),
        maps=np.stack([np.full((6, 6), 1.0), np.full((6, 6), 9.0)]).astype(np.float32),
    )
    faint, loud = detector.interpret(raw)
    assert faint.heatmap.max() == faint.heatmap.min() == 0.25
    assert loud.heatmap.max() == 1.0
    assert (faint.p, loud.p) == (0.25, 1.0)


def test_no_crops_prepare_to_an_empty_batch() -> None:
    prepared = load(None).prepare([])
    assert prepared.images.shape == (0, 3, 256, 256)
    assert prepared.input_to_frame == ()


@pytest.mark.parametrize("device", ["cuda:99", "toaster"])
def test_a_device_that_is_not_there_is_the_settings_fault(device: str) -> None:
    manifest = load_catalogue().get("sola").require_manifest()
    with pytest.raises(ConfigError, match="UNMASK_DEVICE"):
        SolaDetector.load(manifest, None, device)
