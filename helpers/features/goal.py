"""Perturbations that hide a finding, or draw one that is not there: the rules of `Threat`, and what a box shows."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from helpers.attacks.apgd import apgd
from helpers.attacks.threat import Threat
from helpers.errors import BadInput
from helpers.features.recovered import Finding
from helpers.methods import Method

GOALS = ("hide", "invent")
HALF = 0.5  # of the contrast: with less a finding is hidden, with more there is one
SMALLEST, LARGEST = 0.0025, 0.16  # strengths between which the least that does it is sought
NEAR = 1.1  # ratio of the strengths between which it is known to lie in the end
STEPS = 12  # of gradient at a strength, from what was found at the one before


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

    Strengths double from SMALLEST until it is, and then halve the way, on a logarithmic scale; each search begins at
    what the last one found. make: gives the method, anew at each call, by which all that is found is scored; threat:
    for one slice, with the method as attacks may differentiate it; its own eps is not used.
    """
    clean = torch.zeros_like(threat.kspace)
    loss = _loss(make, threat, clean)
    if loss > HALF:
        return Reached(0.0, clean, _shown(threat, loss))
    best, below, at, start = None, SMALLEST / NEAR, SMALLEST, None
    while best is None or best.eps / below > NEAR:
        found = apgd(replace(threat, eps=at), seed, STEPS, starts=int(start is None), start=start)
        start, loss = found.e, _loss(make, threat, found.e)
        if loss > HALF:
            best = Reached(at, found.e, _shown(threat, loss))
        elif at >= LARGEST:
            return Reached(math.inf, found.e, _shown(threat, loss))
        else:
            below = at
        at = min(2 * below, LARGEST) if best is None else math.sqrt(best.eps * below)
    return best


@torch.no_grad()
def _loss(make: Callable[[], Method], threat: Goal, e: Tensor) -> float:
    return float(replace(threat, method=make()).loss(e))


def _shown(threat: Goal, loss: float) -> float:
    """c, of a loss."""
    return 1 - loss if threat.goal == "hide" else loss
