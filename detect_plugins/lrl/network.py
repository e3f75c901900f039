"""LRL: local relation learning for face forgery detection (AAAI 2021), section 3."""

import torch
from torch import Tensor, nn

from detect_plugins.layers.dct import DctHighPass
from detect_plugins.layers.exported import Exported
from detect_plugins.layers.network_output import NetworkOutput
from detect_plugins.layers.normalise import HALF, IMAGENET_MEAN, IMAGENET_STD, Normalise
from detect_plugins.layers.timm_model import Pretrained
from detect_plugins.layers.xception import resized
from detect_plugins.lrl.config import LrlConfig
from detect_plugins.lrl.modules import (
    MaskDecoder,
    Mpsm,
    Rfam,
    SimilarityClassifier,
    odd_patches,
)
from detect_plugins.lrl.trunks import low_mid_high


class FrequencyImage(nn.Module):
    """x2 of Eq. 3, scaled: (B, 3, S, S) in 0..1 -> (B, 1, S, S) of about unit spread. fp32."""

    def __init__(self, config: LrlConfig) -> None:
        super().__init__()
        self.high_pass = DctHighPass(config.input_px, config.alpha)
        self.std = config.residual_std
        self.clamp = config.residual_clamp

    def forward(self, image: Tensor) -> Tensor:
        residual: Tensor = self.high_pass(image) / self.std
        return residual.clamp(-self.clamp, self.clamp)


class Lrl(Exported):
    """Image (B, 3, S, S) in 0..1 -> classifier on patch similarities, and mask.

    aux: "similarity" (B, k*k, k*k) in 0..1 (with MPSM), "map_logits" (B, 1, h, w) (with the
    decoder), "features" (B, D) pooled over the three levels.
    """

    def __init__(self, config: LrlConfig, *, pretrained: Pretrained = False) -> None:
        super().__init__()
        self.config = config
        xception = config.backbone == "legacy_xception"
        self.normalise = (
            Normalise(HALF, HALF) if xception else Normalise(IMAGENET_MEAN, IMAGENET_STD)
        )
        self.rgb, channels = low_mid_high(config, in_chans=3, pretrained=pretrained)
        self.frequency_image: FrequencyImage | None = None
        self.frequency = nn.ModuleList()
        self.rfam = nn.ModuleList()
        if config.use_frequency:
            self.frequency_image = FrequencyImage(config)
            self.frequency, _ = low_mid_high(config, in_chans=1, pretrained=pretrained)
            if config.use_rfam:
                wide = 2 if config.rfam_hidden == "2C" else 1
                self.rfam.extend(Rfam(c, wide * c) for c in channels)
        total = 2 * channels[-1] if config.concatenated else sum(channels)
        self.mpsm: Mpsm | None = None
        self.classifier: nn.Module
        if config.use_mpsm:
            self.mpsm = Mpsm(config.patches)
            self.classifier = SimilarityClassifier(config.patches, mlp=config.sim_mlp)
        else:
            self.classifier = nn.Linear(total, 1)
        self.decoder: MaskDecoder | None = None
        if config.use_decoder:
            self.decoder = MaskDecoder(total, config.sides[2])

    def forward(self, image: Tensor) -> NetworkOutput:
        multi_scale = self._multi_scale(image)
        features = multi_scale.mean(dim=(2, 3))
        aux = {"features": features}
        if self.mpsm is None:
            logit = self.classifier(features)
        else:
            aux["similarity"] = self.mpsm(multi_scale)
            logit = self.classifier(aux["similarity"])
        if self.decoder is None:
            heatmap = resized(
                odd_patches(aux["similarity"], self.config.patches), self.config.map_px
            )
        else:
            aux["map_logits"] = self.decoder(multi_scale)
            heatmap = aux["map_logits"].sigmoid()
        return NetworkOutput(logit, heatmap, aux)

    def _multi_scale(self, image: Tensor) -> Tensor:
        """U~ of section 3.3: three fused levels at the size of the highest, (B, D, h, h).

        Streams that are concatenated give their final maps alone (Table 4, second row).
        """
        rgb = self.normalise(image)
        frequency = None if self.frequency_image is None else self.frequency_image(image)
        levels = []
        for level in range(3):
            rgb = self.rgb[level](rgb)
            fused = rgb
            if frequency is not None and self.config.concatenated:
                frequency = self.frequency[level](frequency)
                continue
            if frequency is not None:
                frequency = self.frequency[level](frequency)
                rgb, frequency, fused = self._fuse(level, rgb, frequency)
            levels.append(resized(fused, self.config.sides[2]))
        if frequency is not None and self.config.concatenated:
            levels = [rgb, frequency]
        return torch.cat(levels, dim=1)

    def _fuse(self, level: int, rgb: Tensor, frequency: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Both streams as they go on, and the fused map of Eq. 6."""
        if not self.config.use_rfam:
            return rgb, frequency, rgb + frequency
        a_rgb, a_frequency = self.rfam[level](rgb, frequency)
        gated_rgb, gated_frequency = a_rgb * rgb, a_frequency * frequency
        fused = gated_rgb + gated_frequency
        if self.config.rfam_forward == "gated":
            return gated_rgb, gated_frequency, fused
        return rgb, frequency, fused
