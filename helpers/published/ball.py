"""Where the notebooks let a perturbation go, and when they stop: a ball around the FULL k-space, a step at a time."""

import torch
from torch import Tensor

TINY = 1e-4  # the strength from which e grows
WARM = 100  # steps of a joint attack that fit the clean measurement, before e is looked for


class Ball:
    """||e|| <= eps ||k|| with the norm of the FULL k-space, and when the notebooks stop.

    size: ||k||, a number; the strengths on the way are kept.
    """

    def __init__(self, size: Tensor, eps: float):
        self.size, self.eps, self.projections, self.ratios = size, eps, 0, []

    def begin(self, drawn: Tensor) -> Tensor:
        """What was drawn, as long as the notebooks begin with."""
        return TINY * self.size * drawn / drawn.norm()

    @torch.no_grad()
    def project(self, e: Tensor) -> Tensor:
        """The closest e within the ball, of the same direction."""
        ratio = float(e.norm() / self.size)
        self.projections += ratio > self.eps
        self.ratios.append(min(ratio, self.eps))
        return e * min(1, self.eps / ratio)

    @property
    def done(self) -> bool:
        """After more than 100 projections, or where the strength changed by less than .01 in 200 steps."""
        stalled = len(self.ratios) > 200 and abs(self.ratios[-1] - self.ratios[-201]) < 0.01
        return self.projections > 100 or stalled


def positive(like: Tensor, seed: int) -> Tensor:
    """Where a joint attack of theirs begins: real and imaginary parts drawn from [0, 1), none of them negative."""
    return torch.rand(like.shape, dtype=like.dtype, generator=torch.Generator().manual_seed(seed)).to(like.device)
