"""SOLA: second-order local anomaly learning (CVPR 2022, arXiv 2209.15490), section 3."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from detect_plugins.layers.exported import Exported
from detect_plugins.layers.network_output import NetworkOutput
from detect_plugins.layers.normalise import Normalise
from detect_plugins.layers.timm_model import Pretrained
from detect_plugins.sola.anomaly import NEIGHBOURS, SecondOrderAnomaly, centred
from detect_plugins.sola.asrm import Asrm
from detect_plugins.sola.config import SolaConfig
from detect_plugins.sola.fusion import Dcam, Lem
from detect_plugins.sola.trunk import Stages, stages_for

_CLASSIFIER_CHANNELS = 64


class Sola(Exported):
    """Image (B, 3, S, S) in 0..1 -> classifier and anomaly maps (README.md, table of stages).

    aux, h = w = config.map_px: "first" logits (B, 4, 64, h, w) of Eq. 7 and "second" logits
    (B, 4, h, w) of Eq. 8, in the order v1, v2, h1, h2; "features" (B, C) pooled. The logits of
    Eq. 7-8 pass a sigmoid before anything reads them. Call `project_` after optimiser steps.
    """

    def __init__(self, config: SolaConfig, *, pretrained: Pretrained = False) -> None:
        super().__init__()
        if pretrained and config.width != 1.0:
            raise ValueError("There are no ImageNet weights for half width: train from scratch.")
        self.config = config
        self.normalise = Normalise() if config.normalize == "imagenet" else nn.Identity()
        self.rgb = stages_for(config, 3, pretrained=pretrained)
        channels = self.rgb.channels
        self.asrm: Asrm | None = None
        self.noise: Stages | None = None
        self.dcam = nn.ModuleList()
        if config.use_noise_stream:
            self.asrm = Asrm(config)
            self.noise = stages_for(config, self.asrm.out_channels, pretrained=pretrained)
            self.dcam.extend(
                Dcam(width, attention=config.use_dcam, signed=self.rgb.signed) for width in channels
            )
        self.lem = nn.ModuleList(self._lem(index) for index in range(len(channels)))
        self.pool = nn.AvgPool2d(config.trunk_px // config.cells)
        self.anomaly = SecondOrderAnomaly(channels[-1], difference=config.delta_abs)
        self.conv = nn.Conv2d(4, _CLASSIFIER_CHANNELS, 3, padding=1, padding_mode="replicate")
        self.fc = nn.Linear(_CLASSIFIER_CHANNELS, 1)

    def _lem(self, index: int) -> nn.Module:
        """LEM of one stage; nothing where its patches would hold a single pixel (a no-op)."""
        patch = self.config.trunk_px * 2 ** (2 - index) // self.config.lem_grid
        if not self.config.use_lem or patch < 2:
            return nn.Identity()
        return Lem(
            self.rgb.channels[index],
            grid=self.config.lem_grid,
            patch=patch,
            scaled=self.config.lem_scale,
        )

    def forward(self, image: Tensor) -> NetworkOutput:
        features = self.feature_map(image)
        first, second = self.anomaly_maps(features)
        logit, _ = self._classify(second)
        aux = {"first": first, "second": second, "features": features.mean(dim=(2, 3))}
        return NetworkOutput(logit, self._heatmap(first, second), aux)

    def feature_map(self, image: Tensor) -> Tensor:
        """(B, 3, S, S) -> F (B, C, cells, cells): one vector a region of the face."""
        rgb = self.rgb.stem(self.normalise(image))
        noise = None
        if self.asrm is not None and self.noise is not None:
            noise = self.noise.stem(self.asrm(image))
        for index, stage in enumerate(self.rgb.stages):
            rgb = stage(rgb)
            if self.noise is not None and noise is not None:
                noise = self.noise.stages[index](noise)
                rgb = self.dcam[index](rgb, noise)
            rgb = self.lem[index](rgb)
            if self.config.feed_fused == "both" and noise is not None:
                noise = rgb
        pooled: Tensor = self.pool(rgb)
        return pooled

    def anomaly_maps(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """F -> first-order logits (B, 4, 64, h, w) and second-order logits (B, 4, h, w)."""
        first, second = self.anomaly(features)
        if self.config.align == "crop":
            # Second-order maps of distance 2 know all their predecessors from the fifth cell on.
            first, second = first[..., 4:, 4:], second[..., 4:, 4:]
        return first, second

    @torch.no_grad()
    def project_(self) -> None:
        """Bring the ASRM kernels back to their constraint: after every optimiser step (Eq. 4)."""
        if self.asrm is not None:
            self.asrm.project_()

    def _classify(self, second: Tensor) -> tuple[Tensor, Tensor]:
        """Second-order logits -> logit (B, 1) and the class activation map (B, 1, h, w).

        The classifier is linear over a mean, so the map is exact without a gradient: the logit is
        its mean. The bias is part of every cell, so that a forged verdict never has an empty map.
        """
        activation = F.relu(self.conv(torch.sigmoid(second)))
        cam = F.conv2d(activation, self.fc.weight[:, :, None, None], self.fc.bias)
        return self.fc(activation.mean(dim=(2, 3))), cam

    def _heatmap(self, first: Tensor, second: Tensor) -> Tensor:
        """(B, 1, h, w) >= 0; the bundle's heatmap_scale brings it to 0..1.

        Each direction's maps are moved back onto the seam, from which they lie down or right. Cropped
        maps stay: they lack the edges that met themselves.
        """
        first_at, second_at = (1, 2) if self.config.align == "pad" else (0, 0)
        if self.config.heatmap == "seam1":
            return centred(torch.sigmoid(first).mean(dim=2), first_at).mean(dim=1, keepdim=True)
        if self.config.heatmap == "seam2":
            return centred(torch.sigmoid(second), second_at).amax(dim=1, keepdim=True)
        return F.relu(self._centred_cam(torch.sigmoid(second), second_at))

    def _centred_cam(self, maps: Tensor, order: int) -> Tensor:
        """The class activation map as the sum of what each direction adds to it, each in its place.

        maps (B, 4, h, w) after the sigmoid -> (B, 1, h, w). At order 0 it is `_classify`'s, and its
        mean the logit, to rounding: behind an open ReLU a convolution is the sum over its inputs.
        """
        weight = self.fc.weight[:, :, None, None]
        opened = (self.conv(maps) > 0).to(maps.dtype)
        bias = (
            opened * self.conv.bias[None, :, None, None] if self.conv.bias is not None else opened
        )
        cam: Tensor = F.conv2d(bias, weight, self.fc.bias)
        for index, neighbour in enumerate(NEIGHBOURS):
            around = F.pad(maps[:, index : index + 1], (1, 1, 1, 1), mode="replicate")
            part = opened * F.conv2d(around, self.conv.weight[:, index : index + 1])
            cam = cam + neighbour.centred(F.conv2d(part, weight), order)
        return cam
