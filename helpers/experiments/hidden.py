"""What an image can hide or invent: the least perturbation that takes a finding away, or draws one."""

from collections.abc import Iterator, Sequence
from functools import partial

import torch
from torch import Tensor

from helpers import methods
from helpers.attacks.known import differentiable
from helpers.attacks.threat import noise_levels
from helpers.data.slice import Slice
from helpers.experiments.pathologies import Case, where
from helpers.features.goal import SMALLEST, Goal, least
from helpers.features.recovered import Finding
from helpers.methods.border import called
from helpers.shifts.lines import measured

METHODS = ("unet", "varnet", "wavelet", "tv")
COUNT = 20  # findings, one a volume
KEYS = ["made_for", "goal", "identity", "box"]  # of all rows of one search


def rows(one: Case, box: int, goal: str, name: str, others: Sequence[str] = (), seed: int = 0) -> Iterator[dict]:
    """The least strength at which a goal is reached for one finding and method, and what that does to others.

    box: which finding of the slice; goal: of `goal.GOALS`; to invent one, a twin without it is needed, else there is no
    row. A row for the method that the perturbation was made for, and one for each of `others` that is given it as it
    is: before and after are c of `Finding.shown`. eps: 0 where the goal is reached without, infinite where it is not.
    """
    start = one.item if goal == "hide" else one.without
    if start is None:
        return
    there = one.item.boxes[box]
    finding = Finding.of(there, one.item.target, None if one.without is None else one.without.target)
    mask = measured(start, seed=seed)
    y, load = mask * start.kspace, partial(methods.load, source=start.source)
    threat = Goal(differentiable(name, start.source), y, mask, SMALLEST, one.item.target, finding=finding, goal=goal)
    found = least(partial(load, name), threat, seed)
    for method in (name, *(other for other in others if other != name)):
        before, after = (_shown(finding, load(method), start, mask, e) for e in (torch.zeros_like(y), found.e))
        yield {
            "made_for": name,
            "method": method,
            "goal": goal,
            "eps": found.eps,
            "noise_levels": noise_levels(found.e, y, mask),
            "volume": start.volume,
            "slice": start.number,
            "identity": one.item.identity,
            "box": box,
            "label": there.label,
            **where(there),
            "snr": start.snr,
            "before": before,
            "after": after,
        }


@torch.no_grad()
def _shown(finding: Finding, method: methods.Method, start: Slice, mask: Tensor, e: Tensor) -> float:
    """c of what a method makes of the slice and a perturbation of its measured entries."""
    return float(finding.shown(start.crop(called(method, mask * start.kspace + e, mask))))
