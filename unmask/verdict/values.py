"""Small values that the parts of a verdict share."""

from typing import Annotated, Literal

from pydantic import Field

from unmask.frozen import Frozen

Probability = Annotated[float, Field(ge=0.0, le=1.0)]
#: x0, y0, x1, y1 as shares of the displayed frame's width and height; a face may leave the frame.
NormalisedBox = tuple[float, float, float, float]
#: A face pasted into real footage, or one that a generator drew whole.
Kind = Literal["pasted", "generated"]


class Named(Frozen):
    """A method, by name and version: a change of either is a change of the verdict's meaning."""

    name: str
    version: str
