"""An attack on a method that passes no gradient, from its images alone: random steps, the good ones kept."""

from collections.abc import Callable

import torch
from torch import Tensor

from helpers.attacks.exact import LinearSense
from helpers.attacks.found import Best, Found
from helpers.attacks.threat import Threat, direction

GROW, SHRINK = 2.0, 0.84  # of the step after a good and a bad one: it stays as it is where one of five is good


@torch.no_grad()
def black_box(
    threat: Threat,
    propose: Callable[[int], Tensor],
    seed: int = 0,
    evaluations: int = 100,
    step: float = 0.5,
    start: Tensor | None = None,
) -> Found:
    """Maximize the loss over ||e|| = eps ||y|| without a gradient: e <- e + step * proposal where that is worse.

    propose: number to a direction (coil, ky, kx), each another one; the more they shake a method, the sooner the
    attack is there, see `shaken`. start: where it begins, (coil, ky, kx), by default the first proposal. The step
    adapts so that one proposal of five is taken. One slice at a time, and one reconstruction each. Source: the (1+1)
    evolution strategy with the one-fifth rule, Rechenberg 1973; directions of
    a related model as in Cheng et al., NeurIPS 2019.
    """
    best, first = Best(threat), 1_000_000 * seed
    e = threat.stretched(propose(first) if start is None else start)
    best.offer(e[None], threat.loss(e)[None])
    for number in range(1, evaluations):
        tried = threat.stretched(direction(best.e[0]) + step * direction(threat.allowed(propose(first + number))))
        better = best.offer(tried[None], threat.loss(tried)[None])
        step = min(1.0, step * (GROW if better else SHRINK))
    return best.found()


def shaken(method: LinearSense) -> Callable[[int], Tensor]:
    """Directions that shake SENSE, for `black_box`: R^H R of noise, a step of the power iteration to its worst."""

    def propose(number: int) -> Tensor:
        generator = torch.Generator().manual_seed(number)
        e = torch.randn(method.sense.maps.shape, dtype=torch.complex64, generator=generator)
        return direction(method.adjoint(method(method.sense.mask * e.to(method.sense.maps.device))))

    return propose
