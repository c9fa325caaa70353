"""Perturbations that hide a finding, or draw one that is not there: the rules of `Threat`, and what a box shows."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from helpers import methods
from helpers.attacks.apgd import apgd
from helpers.attacks.known import blindly
from helpers.attacks.threat import NoGradient, Threat, length
from helpers.errors import BadInput
from helpers.features.recovered import Finding
from helpers.methods import Method

GOALS = ("hide", "invent")
HALF = 0.5  # of the contrast: with less a finding is hidden, with more there is one
SMALLEST, LARGEST = 1e-5, 0.16  # strengths between which the least that does it is sought
NEAR = 1.1  # ratio of the strengths between which it is known to lie in the end
STRIDE = 1.25  # ratio of the first two strengths; it is squared from each to the next until the goal is between them
STEPS = 12  # of gradient at a strength, from what was found at the one before
STAND_INS = ("sense", "zero-filled")  # whose gradients are followed in the place of one that is not there
EVALUATIONS = 10  # at a strength, of a method that passes none


@dataclass(frozen=True)
class Goal(Threat):
    """A threat whose loss is 1 - c to hide a finding, and c to invent one, with c of `Finding.shown`.

    The goal is reached where the loss is above HALF. BadInput for another goal than those two.
    """

    finding: Finding
    goal: str

    def __post_init__(self):
        super().__post_init__()
        if self.goal not in GOALS:
            raise BadInput(f"there is no goal {self.goal!r}; choose one of {', '.join(GOALS)}")

    def distance(self, images: Tensor) -> Tensor:
        shown = self.finding.shown(images)
        return 1 - shown if self.goal == "hide" else shown


@dataclass(frozen=True)
class Reached:
    """How little it takes to reach a goal.

    eps     the strength: 0 where nothing is needed, infinite where LARGEST is not enough
    e       (coil, ky, kx), the perturbation of that strength, or the best of LARGEST
    shown   c of the image that a method made anew makes of y + e
    """

    eps: float
    e: Tensor
    shown: float


def least(make: Callable[[], Method], threat: Goal, seed: int = 0) -> Reached:
    """The least strength at which the goal is reached, to NEAR.

    The search begins where the slope at e = 0 says that the goal is, goes up or down by growing strides until it lies
    between two strengths, and halves the way between them, on a logarithmic scale; each attack begins at what the last
    one found. make: gives the method, anew at each call, by which all that is found is scored; threat: for one slice,
    with the method as attacks may differentiate it; its own eps is not used. Of a method that passes no gradient the
    slope is that of STAND_INS; the better of what is found for them goes on by EVALUATIONS random steps.
    """
    start = torch.zeros_like(threat.kspace)
    loss = _loss(make, threat, start)
    if loss > HALF:
        return Reached(0.0, start, _shown(threat, loss))
    climbed = [threat]
    if not _passes_gradient(threat):
        climbed = [replace(threat, method=methods.load(name)) for name in STAND_INS]
    at = _clamped(NEAR * (HALF - loss) / max(_steepness(each, start) for each in climbed))
    best, below, stride, start = None, 0.0, STRIDE, None
    while best is None or best.eps > max(NEAR * below, SMALLEST):
        found = [apgd(replace(each, eps=at), seed, STEPS, starts=int(start is None), start=start).e for each in climbed]
        if len(found) > 1:  # of stand-ins
            better = max(found, key=partial(_loss, make, threat))
            found = [blindly(replace(threat, eps=at), seed, EVALUATIONS, better).e]
        (start,) = found
        loss = _loss(make, threat, start)
        if loss > HALF:
            best = Reached(at, start, _shown(threat, loss))
        elif at >= LARGEST:
            return Reached(math.inf, start, _shown(threat, loss))
        else:
            below = at
        if best is not None and below:
            at = math.sqrt(best.eps * below)
        else:
            at, stride = _clamped(at / stride if best is not None else at * stride), stride**2
    return best


def _passes_gradient(threat: Goal) -> bool:
    try:
        threat.slope(torch.zeros_like(threat.kspace))
    except NoGradient:
        return False
    return True


def _steepness(threat: Goal, e: Tensor) -> float:
    """By how much the loss grows with eps at most, from a perturbation on; next to nothing where it does not."""
    _, gradient = threat.slope(e)
    return max(float(length(gradient) * length(threat.kspace)), torch.finfo(e.real.dtype).tiny)


def _clamped(eps: float) -> float:
    return min(max(eps, SMALLEST), LARGEST)


@torch.no_grad()
def _loss(make: Callable[[], Method], threat: Goal, e: Tensor) -> float:
    return float(replace(threat, method=make()).loss(e))


def _shown(threat: Goal, loss: float) -> float:
    """c, of a loss."""
    return 1 - loss if threat.goal == "hide" else loss
