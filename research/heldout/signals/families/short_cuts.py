"""What no detector may need: size, rate, bytes, sharpness, colour, what lies around the face. Short cuts, by name."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from research.heldout.signals.families.face_parts import masks_of, ycc


def plain(
    clip: dict[str, Any], run: dict[str, Any], frames: NDArray[np.uint8], mesh: Any, inside: Any
) -> dict[str, NDArray[np.float32]]:
    """Numbers of one run by short cut."""
    height, width = run["frame_size"]
    picture = ycc(frames[::10])
    lap = [np.abs(cv2.Laplacian(f[..., 0], cv2.CV_32F)) for f in picture]
    masks = masks_of(mesh.mean(0)[:, :2], inside)
    same = np.abs(np.diff(frames.astype(np.int16), axis=0)).mean((1, 2, 3))
    face, back = masks["skin"], masks["back"]

    def colours(mask: Any) -> list[float]:
        if mask.sum() < 40:
            return [np.nan] * 6
        values = np.concatenate([f[mask] for f in picture])
        return [*values.mean(0).tolist(), *values.std(0).tolist()]

    found = {
        "size": [float(np.log(run["face_px"])), float(np.log(height * width)), width / height,
                 float(np.log(run["face_px"] / height)), float(1 - inside.mean())],
        "time": [clip["rate"], float(np.log(clip["frames"])), float((same < 0.3).mean()), float(np.log(same.mean() + 0.05))],
        "bytes": [float(np.log(clip["bytes"] / clip["frames"])), float(np.log(clip["bytes"] / clip["frames"] / height / width)),
                  float(np.log(len(run["views"]["crf23"]))), float(np.log(len(run["views"]["crf32"])))],
        "sharpness": [float(np.log(np.mean([q[face].mean() for q in lap]) + 0.1)), float(np.log(np.mean([np.median(q[face]) for q in lap]) + 0.1)),
                      float(np.log(np.mean([q[back].mean() if back.sum() > 40 else 1.0 for q in lap]) + 0.1))],
        "colour": colours(face),
        "background": [*colours(back), *(np.log(np.mean([np.percentile(q[back], (10, 50, 90)) if back.sum() > 40 else np.ones(3) for q in lap], axis=0) + 0.1)).tolist()],
    }  # fmt: skip
    return {name: np.array(values, np.float32) for name, values in found.items()}
