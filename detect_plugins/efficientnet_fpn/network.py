"""EfficientNet-B4 with a feature pyramid, supervised by FoCus maps (FoCus, Fig. 4 and section IV-A).

The evaluation model of FoCus (arXiv 2409.01030, Fig. 4 and section IV-A). README.md has the sizes.
"""

import torch
from torch import Tensor, nn

from detect_plugins.efficientnet_fpn.config import EfficientNetFpnConfig
from detect_plugins.efficientnet_fpn.fpn import PyramidMap, resized_map
from detect_plugins.layers.declared import halved
from detect_plugins.layers.efficientnet import EfficientNetTrunk, pooled
from detect_plugins.layers.exported import Exported
from detect_plugins.layers.network_output import NetworkOutput
from detect_plugins.layers.normalise import Normalise
from detect_plugins.layers.timm_model import Pretrained


class EfficientNetFpn(Exported):
    """Image (B, 3, S, S) in 0..1 -> classifier and map.

    aux: "logits" (B, 2) real/forged, "map_logits" (B, 1, h, w) at stride 4 (with the map branch),
    "features" (B, D): `texture` of the first three taps, for abstention.
    """

    def __init__(self, config: EfficientNetFpnConfig, *, pretrained: Pretrained = False) -> None:
        super().__init__()
        self.config = config
        self.normalise = Normalise()
        self.trunk = EfficientNetTrunk(config.backbone, pretrained=pretrained)
        self.dropout = nn.Dropout(config.head_dropout)
        self.classifier = nn.Linear(self.trunk.num_features, 2)
        self.map_branch: PyramidMap | None = None
        if config.use_map_branch:
            self.map_branch = PyramidMap(
                self.trunk.tap_channels,
                [halved(config.input_px, times) for times in (2, 3, 4, 5)],
                pyramid=config.pyramid_channels,
                segmentation=config.segmentation_channels,
                dropout=config.map_dropout,
            )

    def forward(self, image: Tensor) -> NetworkOutput:
        taps, head = self.trunk(self.normalise(image))
        logits = self.classifier(self.dropout(pooled(head)))
        aux = {"logits": logits, "features": texture(taps[:-1])}
        if self.map_branch is not None:
            map_logits = self.map_branch(taps)
            aux["map_logits"] = map_logits
        else:
            map_logits = self._activation_map(head)
        return NetworkOutput(logits[:, 1:] - logits[:, :1], map_logits.sigmoid(), aux)

    def _activation_map(self, head: Tensor) -> Tensor:
        """What each cell adds to the forged logit: exact, as the classifier is linear over a mean."""
        weight = self.classifier.weight[1] - self.classifier.weight[0]
        bias = self.classifier.bias[1] - self.classifier.bias[0]
        cam = (head * weight.view(1, -1, 1, 1)).sum(dim=1, keepdim=True) + bias
        return resized_map(cam, self.config.map_px)


def texture(taps: list[Tensor]) -> Tensor:
    """Mean and standard deviation over space of each channel, n x (B, C, h, w) -> (B, D).

    A classifier's last features say which side of its boundary a picture lies on, and lie no further
    out for a page of text than for a face; statistics of earlier layers do (Lee et al., NeurIPS 2018).
    So the taps but the last, which is class-like too.
    """
    found = []
    for tap in taps:
        mean = tap.mean(dim=(2, 3), keepdim=True)
        spread = (tap - mean).square().mean(dim=(2, 3)).add(1e-6).sqrt()
        found += [mean.flatten(1), spread]
    return torch.cat(found, dim=1)
