"""What an image can hide or invent: the least perturbation that takes a finding away, or draws one."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from helpers import methods
from helpers.attacks.known import differentiable
from helpers.attacks.threat import noise_levels
from helpers.data.slice import Slice
from helpers.experiments import pathologies
from helpers.experiments.live import measured_live
from helpers.experiments.pathologies import Case, Marked, case, has_twins, places, where
from helpers.features.goal import GOALS, SMALLEST, Goal, Reached, least
from helpers.features.recovered import Finding
from helpers.methods import Method
from helpers.methods.border import called
from helpers.profiles import Profile
from helpers.shifts.lines import measured

METHODS = ("unet", "varnet", "wavelet", "tv")
COUNT = 20  # findings, one a volume
KEYS = ["made_for", "goal", "identity", "box"]  # of all rows of one search


@dataclass(frozen=True)
class Search:
    """The least that reaches a goal for one finding and method, and what it was sought in.

    start: the slice that is perturbed; mask: what is measured of it; finding; found
    """

    start: Slice
    mask: Tensor
    finding: Finding
    found: Reached

    @torch.no_grad()
    def image(self, method: Method, perturbed: bool = True) -> Tensor:
        """What a method makes of the slice, with the perturbation or without, cropped to the target."""
        y = self.mask * self.start.kspace
        return self.start.crop(called(method, y + self.found.e if perturbed else y, self.mask))


def search(one: Case, box: int, goal: str, name: str, seed: int = 0) -> Search | None:
    """Look for the least strength at which a goal is reached for a finding of a slice; None without the twin it needs.

    box: which finding of the slice; goal: of `goal.GOALS`: to invent one is to draw it into the twin without it.
    """
    start = one.item if goal == "hide" else one.without
    if start is None:
        return None
    finding = pathologies.finding(one, one.item.boxes[box])
    mask = measured(start, seed=seed)
    make = partial(methods.load, name, start)
    attacked = differentiable(name, start)
    threat = Goal(attacked, mask * start.kspace, mask, SMALLEST, one.item.target, finding=finding, goal=goal)
    return Search(start, mask, finding, least(make, threat, seed))


def rows(one: Case, box: int, goal: str, name: str, others: Sequence[str] = (), seed: int = 0) -> Iterator[dict]:
    """The least strength at which a goal is reached for one finding and method, and what that does to others.

    A row for the method that the perturbation was made for, and one for each of `others` that is given it as it is:
    before and after are c of `Finding.shown`. eps: 0 where the goal is reached without, infinite where it is not. See
    `search` for the rest.
    """
    sought = search(one, box, goal, name, seed)
    if sought is None:
        return
    start, found = sought.start, sought.found
    for method in (name, *(other for other in others if other != name)):
        load = partial(methods.load, method, start)
        before, after = (float(sought.finding.shown(sought.image(load(), each))) for each in (False, True))
        yield {
            "made_for": name,
            "method": method,
            "goal": goal,
            "eps": found.eps,
            "noise_levels": noise_levels(found.e, sought.mask * start.kspace, sought.mask),
            "volume": start.volume,
            "slice": start.number,
            "identity": one.item.identity,
            "box": box,
            "label": sought.finding.box.label,
            **where(sought.finding.box),
            "snr": start.snr,
            "before": before,
            "after": after,
        }


def live(
    names: Sequence[str], profile: Profile, data: str, count: int, seed: int = 0, boxes: Path | None = None
) -> pd.DataFrame:
    """The rows of the first findings of a source or a reader's data, one a volume, searched for here and now."""
    work = [
        (case(data, profile, each.place, boxes), each.boxes[0][0], goal, name, names, seed)
        for each in one_a_volume(places(data, profile, boxes=boxes), count)
        for goal in GOALS
        for name in names
        if goal == "hide" or has_twins(data)
    ]
    return measured_live(rows, work, "what hides or invents a finding")


def one_a_volume(found: Iterable[Marked], count: int) -> list[Marked]:
    """The first marked slice of each of so many volumes."""
    chosen: dict[str, Marked] = {}
    for each in found:
        if len(chosen) < count:
            chosen.setdefault(each.volume, each)
    return list(chosen.values())
