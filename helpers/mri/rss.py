"""The image of all coils together: the root of the sum of squares, the reference of the field."""

import torch
from torch import Tensor


def rss(images: Tensor) -> Tensor:
    """Root of the sum of squares over the coils: (..., coil, y, x) complex to (..., y, x) real."""
    return root(images.abs().square().sum(-3))


def root(power: Tensor) -> Tensor:
    """The square root of a real, nonnegative tensor, whose gradient is zero, not undefined, where the power is.

    NaN stays NaN, so that whoever looks for it finds it.
    """
    empty = power == 0
    return torch.where(empty, 0, torch.where(empty, 1, power).sqrt())
