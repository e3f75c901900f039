"""The two kinds of array that go through Unmask."""

import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.uint8]
"""Pictures, RGB unless said otherwise: (H, W, 3)."""
Floats = NDArray[np.float32]
"""Network inputs, scores and maps."""
