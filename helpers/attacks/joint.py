"""The paper's attack on methods that minimize (A.1): the bad image and the perturbation that explains it, together."""

from typing import Protocol

import torch
from torch import Tensor

from helpers.attacks.found import Best, Found
from helpers.attacks.threat import Threat
from helpers.mri.sense import Sense

WARM = 100  # steps that fit the clean measurement, before the image is driven away


class Unknown(Protocol):
    """What a method varies to explain a measurement, in units of the data: an image itself, or what makes one.

    Images are complex, (y, x) on the full grid.
    """

    def image(self) -> Tensor: ...

    def descend(self, slope: Tensor) -> None: ...


def joint(
    threat: Threat,
    sense: Sense,
    unknown: Unknown,
    truth: Tensor,
    steps: int = 300,
    pull: float = 0.1,
    looks: int = 5,
) -> Found:
    """min over x and ||e|| <= eps ||y|| of 1/2 ||A x - (y + e)||^2 + g(x) - pull/2 ||x - x*||^2.

    Not the loss: an image that is far from the truth and yet explains y + e, which the method then finds by itself.
    For a given x the best e is known, the projection of A x - y onto the ball. x descends by `unknown`, whose business
    g is. The objective has no minimum, since the pull grows faster than what holds x, so the perturbation is looked at
    on the way, `looks` times, by full reconstructions, and the worst counts; the paper takes the last.

    threat: of one slice; sense: A; truth: x*, (y, x) complex on the full grid, as `sense` sees the full k-space; both
    in the units of the threat, and so is what `unknown` gives.
    """
    best, y = Best(threat), threat.kspace
    after = {WARM + round((steps - WARM) * (n + 1) / looks) for n in range(looks)}
    for step in range(1, steps + 1):
        with torch.no_grad():
            x = unknown.image()
            residual = sense.forward(x) - y
            e = threat.project(residual) if step > WARM else torch.zeros_like(y)
            slope = sense.adjoint(residual - e)
            unknown.descend(slope - pull * (x - truth) if step > WARM else slope)
            if step in after:
                e = threat.stretched(e)
                best.offer(e[None], threat.loss(e)[None])
    return best.found()
