"""The class that Unmask loads. It implements the protocol `unmask.Detector` itself."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from safetensors.numpy import load_file

from detect_plugins.network_input import network_input
from unmask import BundleCard, DetectorManifest, FaceCrop, FaceReading, Prepared, RawOutput
from unmask.bundle import WEIGHTS_FILE, read_card, verify_weights
from unmask_edges.graph import edge_graph


class EdgesDetector:
    """Loads two numbers from a bundle, builds the graph around them, runs it on the CPU."""

    def __init__(self, manifest: DetectorManifest, card: BundleCard | None, graph: bytes) -> None:
        self.manifest, self.card = manifest, card
        self._session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])

    @classmethod
    def load(cls, manifest: DetectorManifest, folder: Path | None, device: str) -> "EdgesDetector":
        if folder is None:
            return cls(manifest, None, edge_graph(weight=10.0, bias=-1.0))
        card = read_card(folder, manifest.key)
        verify_weights(folder, card)
        weights = load_file(folder / WEIGHTS_FILE)
        graph = edge_graph(float(weights["weight"].item()), float(weights["bias"].item()))
        return cls(manifest, card, graph)

    def prepare(self, crops: Sequence[FaceCrop]) -> Prepared:
        """Unmask's own cut and resize: what the crop shows is where the map will be drawn."""
        made = [
            network_input(c, scale=self.manifest.crop_scale, input_px=self.manifest.input_px)
            for c in crops
        ]
        return Prepared(
            images=np.stack([image for image, _ in made]),
            input_to_frame=tuple(matrix for _, matrix in made),
        )

    def infer(self, images: Any) -> RawOutput:
        p, maps = self._session.run(["p", "maps"], {"image": images})
        return RawOutput(p=np.asarray(p), maps=np.asarray(maps))

    def interpret(self, raw: RawOutput) -> Sequence[FaceReading]:
        """A fixed scale: a map must not be stretched until a genuine face glows."""
        return [
            FaceReading(p=float(p), heatmap=np.clip(np.asarray(m) / 0.2, 0.0, 1.0))
            for p, m in zip(raw.p, raw.maps, strict=True)
        ]

    def serving(self) -> None:
        """No torch module, so nothing to compile: workers call `infer`."""
        return
