"""Names and sizes of trunks: what a config must know of its network before torch is imported."""

from typing import Literal

EfficientNetName = Literal[
    "efficientnet_b0",
    "efficientnet_b1",
    "efficientnet_b2",
    "efficientnet_b3",
    "efficientnet_b4",
    "efficientnet_lite0",
    "efficientnet_lite1",
    "efficientnet_lite2",
    "mobilenetv2_100",
    "tf_efficientnet_lite0",
    "tf_efficientnet_lite1",
    "tf_efficientnet_lite2",
]
"""The `tf_` ones pad as TensorFlow does, as the Lites' ImageNet weights were trained for."""


def halved(px: int, times: int) -> int:
    """Side of a feature map after `times` stride-2 convolutions with symmetric padding.

    >>> [halved(224, n) for n in (2, 3, 4, 5)], [halved(380, n) for n in (2, 3, 4, 5)]
    ([56, 28, 14, 7], [95, 48, 24, 12])
    """
    for _ in range(times):
        px = (px + 1) // 2
    return px


def xception_sides(px: int) -> tuple[int, int, int, int, int]:
    """Sides of the feature maps after stem, block1, block2, block11 and bn4.

    The stem's two convolutions are unpadded, hence the odd numbers.

    >>> xception_sides(299), xception_sides(224)
    ((147, 74, 37, 19, 10), (109, 55, 28, 14, 7))
    """
    stem = (px - 3) // 2 + 1 - 2
    sides = [stem]
    for _ in range(4):
        sides.append((sides[-1] + 1) // 2)
    return sides[0], sides[1], sides[2], sides[3], sides[4]
