"""What a run writes about itself: run.json, scalars and pictures for TensorBoard, log.jsonl."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

from trainers.config import TrainConfig
from trainers.feed.batches import Crops
from trainers.training.losses import Truth


class RunLog:
    """The files of one run; only the first process has one."""

    def __init__(self, out: Path) -> None:
        self._writer = SummaryWriter(str(out / "tensorboard"))
        self._steps, self._validation = out / "log.jsonl", out / "validation.jsonl"

    def step(self, step: int, figures: Mapping[str, float], **more: float) -> None:
        """Losses and watched figures of a step; `more` goes to TensorBoard alone, as "group/name"."""
        for name, value in {**figures, **more}.items():
            self._writer.add_scalar(name if "/" in name else f"loss/{name}", value, step)
        _append(self._steps, {"step": step, **figures})

    def validation(self, step: int, figures: Mapping[str, float]) -> None:
        """AUCs of unseen people's clips."""
        for name, value in figures.items():
            self._writer.add_scalar(f"val/{name}", value, step)
        _append(self._validation, {"step": step, **figures})

    def images(self, network: nn.Module, image: Tensor, truth: Truth, step: int) -> None:
        """Up to eight inputs with their targets and maps, all on the training device."""
        count = image.shape[0]
        half = count // 2
        wanted = {0, 1, 2, 3, half, half + 1, half + 2, half + 3}
        pick = torch.tensor(sorted(n for n in wanted if n < count)).to(image.device)
        with torch.no_grad():
            heatmap = network(image[pick]).heatmap.float()
        shown = (heatmap / heatmap.max().clamp(min=1e-6)).clamp(0, 1)
        for name, pictures in (
            ("input", image[pick]),
            ("target", truth.mask[pick]),
            ("map", shown),
        ):
            self._writer.add_images(name, pictures.cpu(), step)

    def close(self) -> None:
        """Write what is buffered."""
        self._writer.close()


def describe_run(
    out: Path,
    config: TrainConfig,
    pool: Crops,
    network: nn.Module,
    *,
    start: str,
    device: torch.device,
    **more: Any,
) -> None:
    """run.json: the config, the data, the start and the machine, for the bundle's card."""
    (out / "run.json").write_text(
        json.dumps(
            {
                "config": config.model_dump(mode="json"),
                "start": start,
                "data_manifest_sha256": pool.manifest_sha256,
                "crops": len(pool),
                "parameters": sum(p.numel() for p in network.parameters()),
                "torch": torch.__version__,
                "device": str(device),
                "threads": torch.get_num_threads(),
                **more,
            },
            indent=2,
        )
        + "\n",
        encoding="utf-8",
    )


def _append(path: Path, line: Mapping[str, float]) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
