"""FoCus: learning to discover forgery cues (IEEE TIFS 19, 2024; arXiv 2409.01030), section III."""

import torch
from torch import Tensor, nn

from detect_plugins.focus.config import FocusConfig
from detect_plugins.focus.maps import FORGED, car_map, forged_map, fused_map
from detect_plugins.focus.modalities import SecondView, trunk_normalise
from detect_plugins.focus.modules import AttentionMaps, Carp, ComplementaryLearning
from detect_plugins.focus.trunk import PatchTokens, transformer_block
from detect_plugins.layers.exported import Exported
from detect_plugins.layers.network_output import NetworkOutput
from detect_plugins.layers.timm_model import Pretrained


class Modality(nn.Module):
    """One branch: image as its trunk wants it -> tokens (B, N, D), class maps F, logits (B, 2)."""

    def __init__(self, config: FocusConfig, *, pretrained: Pretrained) -> None:
        super().__init__()
        self.tokens = PatchTokens(config, pretrained=pretrained)
        self.regions: Carp | AttentionMaps
        if config.use_carp:
            self.regions = Carp(self.tokens.dim, config.carp_channels, config.map_px)
        else:
            self.regions = AttentionMaps(self.tokens.dim, config.map_px)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        if isinstance(self.regions, Carp):
            tokens = self.tokens(x)
            return tokens, *self.regions(tokens)
        tokens, attention = self.tokens.with_attention(x)
        return tokens, *self.regions(tokens, attention)


class Focus(Exported):
    """Image (B, 3, S, S) in 0..1 -> classifier, and M^1 of Eq. 9 (>= 0; the bundle scales it).

    aux: "logits" (B, 2) of the fused tokens; "logits_rgb", "logits_second" (B, 2) of each modality's
    regions; "fusion_map" (B, 1, h, w) of Eq. 5, signed; "selection" (B, 1, h, w), 1 where the
    second modality won, "chance" () its mean chance to, in training; "features" (B, D). Without a
    second modality its entries are absent.
    """

    def __init__(self, config: FocusConfig, *, pretrained: Pretrained = False) -> None:
        super().__init__()
        self.config = config
        self.normalise = trunk_normalise(config)
        self.rgb = Modality(config, pretrained=pretrained)
        dim = self.rgb.tokens.dim
        self.second_view: SecondView | None = None
        self.second: Modality | None = None
        self.select: ComplementaryLearning | None = None
        if config.second != "none":
            self.second_view = SecondView(config)
            self.second = Modality(config, pretrained=pretrained)
            if config.freeze_pos_embed:
                self.second.tokens.share_positions(self.rgb.tokens)
            if config.use_cl:
                self.select = ComplementaryLearning(dim, config.gumbel_tau)
        self.fuse = transformer_block(dim, self.rgb.tokens.heads)
        self.classifier = nn.Linear(dim, 2)

    def forward(self, image: Tensor) -> NetworkOutput:
        tokens, maps_rgb, logits_rgb = self.rgb(self.normalise(image))
        aux = {"logits_rgb": logits_rgb}
        p_rgb = logits_rgb.softmax(dim=1)
        fusion, forged = car_map(maps_rgb, p_rgb), forged_map(maps_rgb, p_rgb)
        if self.second is not None and self.second_view is not None:
            other, maps_second, logits_second = self.second(self.second_view(image))
            aux["logits_second"] = logits_second
            p_second = logits_second.softmax(dim=1)
            fusion_second = car_map(maps_second, p_second)
            forged_second = forged_map(maps_second, p_second)
            if self.select is not None:
                if self.training:
                    aux["chance"] = self.select.chance(tokens, other)
                tokens, kept = self.select(tokens, other)
                side = self.config.map_px
                selection = kept.transpose(1, 2).reshape(-1, 1, side, side)
                aux["selection"] = selection
                fusion = fused_map(fusion, fusion_second, selection)
                forged = fused_map(forged, forged_second, selection)
            else:
                tokens = torch.maximum(tokens, other)
                fusion = torch.maximum(fusion, fusion_second)
                forged = torch.maximum(forged, forged_second)
        features: Tensor = self.fuse(tokens).mean(dim=1)
        logits = self.classifier(features)
        aux |= {"logits": logits, "fusion_map": fusion, "features": features}
        logit = logits[:, FORGED:] - logits[:, :FORGED]
        return NetworkOutput(logit, torch.relu(forged), aux)
