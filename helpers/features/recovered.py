"""What an image shows of a finding: how much of its contrast, and how far above the noise."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from helpers.data.slice import Box
from helpers.errors import BadInput


@dataclass(frozen=True)
class Finding:
    """A finding as the truth shows it in its box, b without it and b + T with it.

    box     where it is
    truth   (height, width), b + T
    signal  (height, width), T: what the finding adds there
    """

    box: Box
    truth: Tensor
    signal: Tensor

    @classmethod
    def of(cls, box: Box, target: Tensor, without: Tensor | None = None) -> "Finding":
        """The finding in a target (y, x); without: the same without it, None where nobody knows, as in a real scan.

        Then b is the mean of the box, and T all that stands out from it. BadInput where the box shows nothing.
        """
        truth = inside(target, box)
        signal = truth - (truth.mean() if without is None else inside(without, box))
        if not signal.any():
            raise BadInput(f"the box of {box.label!r} at {box.x}, {box.y} shows nothing in the reference")
        return cls(box, truth, signal)

    @property
    def visibility(self) -> float:
        """How far the finding changes its box: root mean square of T over the mean of the truth."""
        return float(self.signal.square().mean().sqrt() / self.truth.mean())

    def shown(self, images: Tensor) -> Tensor:
        """c = <T, f - b> / <T, T>: 0 for an image f without the finding, 1 with all of it; (..., y, x) to (...).

        It is the output of the matched filter, in units of the finding.
        """
        there = inside(images, self.box) - (self.truth - self.signal).to(images)
        signal = self.signal.to(images)
        return (signal * there).sum((-2, -1)) / signal.square().sum()

    def error(self, image: Tensor) -> float:
        """||f - x||^2 / ||x||^2 in the box: (y, x) to a number."""
        return float(self.wrong(image) / self.truth.square().sum())

    def wrong(self, images: Tensor) -> Tensor:
        """||f - x||^2 in the box: (..., y, x) to (...)."""
        return (inside(images, self.box) - self.truth.to(images)).square().sum((-2, -1))


def inside(images: Tensor, box: Box) -> Tensor:
    """What images (..., y, x) have in a box."""
    return images[..., box.y : box.y + box.height, box.x : box.x + box.width]


def detectability(present: Tensor, absent: Tensor | None = None) -> float:
    """d' = (mean c with - mean c without) / deviation of c: how far a matched filter tells a finding from noise.

    present, absent: (draws,), `Finding.shown` of images of as many draws of noise, two or more each; else BadInput.
    absent: None where nobody knows: then its mean is 0. The deviation is that of all draws about their means; of few,
    it would make d' too large, which Hedges' factor (1981) takes off.
    """
    both = [present] if absent is None else [present, absent]
    if min(map(len, both)) < 2:
        raise BadInput("a deviation takes two draws of noise or more")
    freedom = sum(len(each) - 1 for each in both)
    away = torch.cat([each - each.mean() for each in both]).double()
    deviation = float(away.square().sum() / freedom) ** 0.5
    few = math.exp(math.lgamma(freedom / 2) - math.lgamma((freedom - 1) / 2)) / math.sqrt(freedom / 2)
    gained = float(present.mean() - (0 if absent is None else absent.mean()))
    return few * gained / deviation if deviation else math.inf
