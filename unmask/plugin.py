"""The plugin seam: what a face-forgery detector must offer, and the manifest that describes it.

A plugin is found through the entry-point group `unmask.detectors`; the entry point names a package
that holds `manifest.toml`. Reading the manifest imports nothing of the plugin's code.

    prepare   face crops -> input array      (numpy, the one and only resize)
    infer     input array -> scores and maps (torch reference, or an engine built from `serving`)
    interpret scores and maps -> FaceReading (fixed scaling of the map from the bundle)
"""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

from pydantic import Field, ValidationError

from unmask.arrays import Floats, Images
from unmask.bundle import BundleCard
from unmask.errors import PluginBroken
from unmask.frozen import Frozen
from unmask.geometry import Affine, Box

__all__ = [
    "ENTRY_POINT_GROUP",
    "MANIFEST_FILE",
    "Detector",
    "DetectorManifest",
    "FaceCrop",
    "FaceReading",
    "Floats",
    "Images",
    "Licences",
    "MapSpec",
    "Paper",
    "Prepared",
    "RawOutput",
    "read_manifest",
]

ENTRY_POINT_GROUP = "unmask.detectors"
MANIFEST_FILE = "manifest.toml"


class Paper(Frozen):
    """Where the method comes from."""

    title: str
    authors: str
    venue: str
    year: int
    url: str = ""


class MapSpec(Frozen):
    """What the heatmap shows, and its native size."""

    kind: str
    """Short name, e.g. "cam", "seam", "mask"."""
    height: int = Field(gt=0)
    width: int = Field(gt=0)
    caption: str
    """One sentence a moderator reads under the map: what it shows, not what it proves."""


class Licences(Frozen):
    """Terms of the code and, separately, of the weights that ship with it."""

    code: str
    weights: str = "none shipped"


class DetectorManifest(Frozen):
    """manifest.toml: everything `unmask plugins` lists, read without importing torch."""

    key: str = Field(pattern=r"^[a-z][a-z0-9_]{1,31}$")
    title: str
    version: str
    summary: str
    paper: Paper
    input_px: int = Field(gt=0)
    """Side of the square input."""
    crop_scale: float = Field(ge=1.0, le=4.0)
    """Side of the crop over the longer side of the face box, linear."""
    colour: Literal["rgb"] = "rgb"
    min_face_px: float = 48.0
    """Faces with a smaller longer side are not assessed."""
    map: MapSpec
    licences: Licences
    parameters: int = Field(gt=0)
    """Of the default architecture."""
    gmacs: float = Field(gt=0.0)
    """Multiply-accumulates of one image through the serving graph, in 1e9."""
    detector: str = Field(pattern=r"^[\w.]+:\w+$")
    """Dotted path of the Detector class, e.g. "detect_plugins.sola.detector:SolaDetector"."""
    weights: str | None = None
    """Folder of the bundle that ships with the plugin, relative to the manifest."""
    fp32_fronts: tuple[str, ...] = ()
    """Names of submodules of the serving graph that must run in fp32: high-pass residuals."""


def read_manifest(path: Path) -> DetectorManifest:
    """Parse one manifest.toml. Raises PluginBroken naming the first fault."""
    plugin = path.parent.name
    try:
        return DetectorManifest.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise PluginBroken(plugin, f"no readable {path.name} ({error.strerror}).") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PluginBroken(plugin, f"{path.name} is not TOML: {error}.") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "top level"
        raise PluginBroken(plugin, f"{path.name}, {where}: {first['msg']}.") from error


@dataclass(frozen=True, kw_only=True)
class FaceCrop:
    """What a plugin is handed: the wide native-resolution crop around one face."""

    pixels: Images
    """(side, side, 3) uint8 RGB."""
    box: Box
    """The face box inside the crop, crop pixels."""
    crop_to_frame: Affine


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A batch ready for the network."""

    images: Floats
    """(B, 3, S, S) float32 RGB in [0, 1]."""
    input_to_frame: tuple[Affine, ...]
    """B matrices from input pixels to frame pixels, for drawing the map."""


@dataclass(frozen=True, kw_only=True)
class RawOutput:
    """What the serving graph returns, before scaling."""

    p: Floats
    """(B,) in 0..1, higher = more likely forged."""
    maps: Floats
    """(B, h, w) >= 0, at the map's native resolution."""
    ood: Floats | None = None
    """(B,) >= 0, where the bundle defines abstention."""


@dataclass(frozen=True, kw_only=True)
class FaceReading:
    """A plugin's opinion of one crop."""

    p: float
    heatmap: Floats
    """(h, w) in 0..1, fixed scaling."""
    ood: float | None = None


@runtime_checkable
class Detector(Protocol):
    """A loaded plugin. Instances belong to one thread."""

    manifest: DetectorManifest
    card: BundleCard | None
    """None while the weights are untrained."""

    @classmethod
    def load(cls, manifest: DetectorManifest, folder: Path | None, device: str) -> "Detector":
        """Build the network and read the bundle in `folder` (None: random weights, fixed seed).

        Raises BundleRefused.
        """
        ...

    def prepare(self, crops: Sequence[FaceCrop]) -> Prepared:
        """Cut each wide crop to the plugin's own scale and resize once. Pure."""
        ...

    def infer(self, images: Floats) -> RawOutput:
        """The reference forward pass: deterministic, batch-independent within float rounding."""
        ...

    def interpret(self, raw: RawOutput) -> Sequence[FaceReading]:
        """Scale maps by the bundle's constant and clamp. Pure."""
        ...

    def serving(self) -> Any:
        """The torch.nn.Module that engines compile: image (B,3,S,S) -> (p (B,), maps (B,h,w)[, ood (B,)]).

        None where the plugin does not run on torch; only its own `infer` is then used.
        """
        ...
