"""LLSM: learnable local similarity for face forgery detection and localisation, section III."""

import torch
from torch import Tensor, nn

from detect_plugins.layers.exported import Exported
from detect_plugins.layers.network_output import NetworkOutput
from detect_plugins.layers.normalise import HALF, Normalise
from detect_plugins.layers.timm_model import Pretrained
from detect_plugins.layers.xception import CHANNELS, XceptionStages, resized
from detect_plugins.llsm.config import LlsmConfig
from detect_plugins.llsm.localisation import STAGE_WIDTHS, LocalisationModule
from detect_plugins.llsm.pair_head import build_pair_head, inconsistency_map, odd_cells


class Encoded(nn.Module):
    """Xception's maps after stem, block1, block2, block11 (both signs) and bn4 + ReLU."""

    def __init__(self, *, pretrained: Pretrained) -> None:
        super().__init__()
        self.net = XceptionStages(pretrained=pretrained)

    def forward(self, x: Tensor, *, until_block: int = 11) -> tuple[list[Tensor], Tensor]:
        """Five maps, shallow to deep, and F, the output of block `until_block`."""
        stem = self.net.stem(x)
        one = self.net.block1(stem)
        two = self.net.block2(one)
        middle = two
        tapped = middle
        for number, block in enumerate(self.net.middle, start=3):
            middle = block(middle)
            if number == until_block:
                tapped = middle
        return [stem, one, two, middle, torch.relu(self.net.tail(middle))], tapped


class Llsm(Exported):
    """Image (B, 3, S, S) in 0..1 -> classifier, mask, and in training the pair map.

    aux: "pair_logits" (B, N, N), N = 196 at 224, 1 = different (with LLSM); "map_logits"
    (B, 1, h, w) (with FLM); "features" (B, D). The pair head is not in `export_forward`.
    """

    def __init__(self, config: LlsmConfig, *, pretrained: Pretrained = False) -> None:
        super().__init__()
        self.config = config
        self.normalise = Normalise(HALF, HALF)
        self.encoder = Encoded(pretrained=pretrained)
        self.pairs: nn.Module | None = None
        if config.use_llsm:
            self.pairs = build_pair_head(config.pair_head, CHANNELS[3], config.pair_hidden)
        self.localise: LocalisationModule | None = None
        if config.use_flm:
            reduction = config.claffm_reduction if config.use_claffm else None
            self.localise = LocalisationModule(CHANNELS, config.sides, reduction)
        widths = {"encoder": CHANNELS[4], "decoder": STAGE_WIDTHS[-1]}
        widths["both"] = sum(widths.values())
        self.classifier = nn.Linear(widths[config.cls_from], 1)

    def forward(self, image: Tensor) -> NetworkOutput:
        maps, tapped = self._encode(image)
        output = self._heads(maps)
        if self.pairs is not None:
            output.aux["pair_logits"] = self.pairs(tapped)
        return output

    def served(self, image: Tensor) -> NetworkOutput:
        """Without the pair head, which only its loss reads."""
        return self._heads(self._encode(image)[0])

    def pair_artefact(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """The inconsistency map (B, N, N) and its row means (B, 1, h, h), both in 0..1, on request.

        Raises ValueError where the config leaves LLSM out.
        """
        if self.pairs is None:
            raise ValueError("This network has no pair head: its config says use_llsm = false.")
        _, tapped = self._encode(image)
        shown = inconsistency_map(self.pairs(tapped), symmetrise=self.config.symmetrise)
        return shown, odd_cells(shown, self.config.sides[3])

    def _encode(self, image: Tensor) -> tuple[list[Tensor], Tensor]:
        until = 7 if self.config.pair_tap == "block7" else 11
        maps, tapped = self.encoder(self.normalise(image), until_block=until)
        return maps, tapped

    def _heads(self, maps: list[Tensor]) -> NetworkOutput:
        aux: dict[str, Tensor] = {}
        pooled = [maps[-1].mean(dim=(2, 3))] if self.config.cls_from != "decoder" else []
        if self.localise is not None:
            decoded, aux["map_logits"] = self.localise(maps)
            if self.config.cls_from != "encoder":
                pooled.append(decoded.mean(dim=(2, 3)))
        aux["features"] = torch.cat(pooled, dim=1)
        logit = self.classifier(aux["features"])
        map_logits = aux.get("map_logits")
        if map_logits is None:
            map_logits = self._activation_map(maps[-1])
        return NetworkOutput(logit, map_logits.sigmoid(), aux)

    def _activation_map(self, deepest: Tensor) -> Tensor:
        """What each cell adds to the logit: exact, as the classifier is linear over a mean."""
        cam = (deepest * self.classifier.weight.view(1, -1, 1, 1)).sum(dim=1, keepdim=True)
        return resized(cam + self.classifier.bias, self.config.map_px)
