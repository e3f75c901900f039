"""SOLA as a plugin: all but the network and the check of its noise filters is TorchDetector's."""

from typing import TYPE_CHECKING

from detect_plugins.sola.config import SolaConfig
from detect_plugins.torch_detector import Later, TorchDetector
from unmask.errors import BundleRefused

if TYPE_CHECKING:
    from detect_plugins.sola.network import Sola

#: How far stored noise filters may be from Eq. 3. Half precision rounds 24 entries of a sum of 1.
_TOLERANCE = {"float32": 1e-4, "float16": 1e-2, "bfloat16": 5e-2}


class SolaDetector(TorchDetector):
    """Loads SOLA bundles; refuses one whose noise filters are no high-pass filters (Eq. 3)."""

    Config = SolaConfig
    Network = Later("detect_plugins.sola.network:Sola")

    def after_load(self) -> None:
        """Check the constraint of the noise filters, and undo what storage rounded away of it."""
        network: Sola = self.network
        asrm = network.asrm
        if asrm is None or self.card is None:
            return
        error = asrm.constraint_error()
        if error > _TOLERANCE[self.card.dtype]:
            raise BundleRefused(
                self.manifest.key,
                f"its noise filters are off their constraint by {error:.2g}.",
                fix="Train with `project_()` after every optimiser step, and export again.",
            )
        asrm.project_()
