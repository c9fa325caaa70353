"""Projected gradient ascent with normalized steps, from several random starts; the best iterate counts."""

from torch import Tensor

from helpers.attacks.found import Best, Found
from helpers.attacks.threat import Threat, direction, length


def pgd(
    threat: Threat,
    seed: int = 0,
    steps: int = 20,
    starts: int = 1,
    stretch: float = 10,
    start: Tensor | None = None,
) -> Found:
    """Maximize the loss over ||e|| <= eps ||y|| by e <- P(e + alpha g / ||g||), alpha = stretch eps ||y|| / steps.

    All starts are a batch, see `Threat.starts`. The best iterate of all counts, stretched to the
    full strength, since the worst perturbation lies on the sphere. The usual stretch is 2.5, as in the reference attack
    of Krainovic et al., NeurIPS 2023; here long steps find more, since a reconstruction is nearly linear and the worst
    direction of a linear method is reached soonest by the longest steps. Source: Madry et al., ICLR 2018.
    """
    best, e = Best(threat), threat.starts(seed, starts, start)
    alpha = stretch * threat.radius / steps
    for step in range(steps + 1):
        loss, gradient = threat.slope(e)
        best.offer(e, loss, length(gradient)[..., 0, 0, 0])
        if step < steps:
            e = threat.project(e + alpha * direction(gradient))
    return best.found()
