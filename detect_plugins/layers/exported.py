"""What serving asks of a network, made of its forward pass: one mixin for every plugin."""

from torch import Tensor, nn

from detect_plugins.layers.network_output import NetworkOutput


class Exported(nn.Module):
    """Offers `export_forward` and its kin over `forward(image) -> NetworkOutput`.

    `aux["features"]` (B, D) has to be there: abstention measures its distance from the training's.
    """

    def served(self, image: Tensor) -> NetworkOutput:
        """The pass that serving needs: `forward`, unless a part of that is for training alone."""
        output: NetworkOutput = self(image)
        return output

    def export_forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 3, S, S) -> p (B,), maps (B, h, w). Static but for the batch, nothing random in eval."""
        p, maps, _ = self.export_forward_with_features(image)
        return p, maps

    def export_forward_with_features(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """As `export_forward`, with the features (B, D) of the same pass."""
        output = self.served(image)
        return output.logit.sigmoid()[:, 0], output.heatmap[:, 0], output.aux["features"]

    def features(self, image: Tensor) -> Tensor:
        """(B, 3, S, S) -> features (B, D), for abstention."""
        return self.served(image).aux["features"]
