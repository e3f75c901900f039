"""FoCus's maps, Eq. 4, 5 and 9, as pure functions. README.md says how the equations were rebuilt."""

from torch import Tensor

#: Index of the forged class in logits and class maps; 0 is real.
FORGED = 1


def car_map(class_maps: Tensor, p: Tensor) -> Tensor:
    """M of Eq. 4: sum over classes c of p_c * mean_k F_c,k.

    class_maps F (B, 2, C, h, w), p (B, 2) softmax scores -> (B, 1, h, w), signed. What the network
    looked at to decide, whichever way it decided.
    """
    return (p[:, :, None, None] * class_maps.mean(dim=2)).sum(dim=1, keepdim=True)


def forged_map(class_maps: Tensor, p: Tensor) -> Tensor:
    """M^1 of Eq. 9: p_1 * mean_k F_1,k, (B, 1, h, w), signed. What speaks for "forged" alone."""
    weight = p[:, FORGED, None, None]
    return (weight * class_maps[:, FORGED].mean(dim=1)).unsqueeze(1)


def fused_map(rgb: Tensor, second: Tensor, selection: Tensor) -> Tensor:
    """Eq. 5: each place from the modality whose token was kept; all (B, 1, h, w).

    selection is 1 where the second modality's token won.
    """
    return (1.0 - selection) * rgb + selection * second
