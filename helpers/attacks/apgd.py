"""Gradient ascent that chooses its own steps: momentum, and halved steps from the best point when it stops climbing."""

import math

import torch
from torch import Tensor

from helpers.attacks.found import Best, Found
from helpers.attacks.threat import Threat, direction, length

MOMENTUM = 0.75
CLIMBED = 0.75  # share of the steps since the last checkpoint that have to have climbed


def apgd(threat: Threat, seed: int = 0, steps: int = 40, starts: int = 1, start: Tensor | None = None) -> Found:
    """Maximize the loss over ||e|| <= eps ||y|| without a step to tune, from the starts of `Threat.starts`.

    z = P(e + alpha g / ||g||), e <- P(e + .75 (z - e) + .25 (e - previous e)), alpha_0 = 2 eps ||y||. At checkpoints,
    ever closer together, alpha halves and the search returns to the best point where fewer than .75 of the steps
    climbed, or where neither alpha nor the best loss changed since the last one. All starts are a batch, and the best
    iterate counts. Source: Croce & Hein, ICML 2020, algorithm 1.
    """
    best, e = Best(threat), threat.starts(seed, starts, start)
    previous, last = e, None
    alpha = 2 * threat.radius.expand(*e.shape[:-3], 1, 1, 1)
    climbs, marks = None, checkpoints(steps)
    best_before = alpha_halved = gradient_of_best = None
    for step in range(steps + 1):
        loss, gradient = threat.slope(e)
        better = best.offer(e, loss, length(gradient)[..., 0, 0, 0])
        wide = better[..., None, None, None]
        gradient_of_best = gradient if gradient_of_best is None else torch.where(wide, gradient, gradient_of_best)
        climbs = torch.zeros_like(loss) if climbs is None else climbs + (loss > last)
        last = loss
        if step in marks:
            since = step - marks[marks.index(step) - 1] if marks.index(step) else step
            stuck = climbs < CLIMBED * since
            if best_before is not None:
                stuck |= ~alpha_halved & (best_before >= best.loss)
            halve = stuck[..., None, None, None]
            alpha = torch.where(halve, alpha / 2, alpha)
            e, previous = (torch.where(halve, best.e, each) for each in (e, previous))
            gradient = torch.where(halve, gradient_of_best, gradient)
            best_before, alpha_halved, climbs = best.loss, stuck, torch.zeros_like(loss)
        if step < steps:
            z = threat.project(e + alpha * direction(gradient))
            weight = MOMENTUM if step else 1
            e, previous = threat.project(e + weight * (z - e) + (1 - weight) * (e - previous)), e
    return best.found()


def checkpoints(steps: int) -> list[int]:
    """The steps at which alpha may halve: p_1 = .22, p_j+1 = p_j + max(p_j - p_j-1 - .03, .06), times the steps."""
    marks, before, at = [], 0.0, 0.22
    while at <= 1:
        marks.append(math.ceil(round(at * steps, 9)))
        before, at = at, at + max(at - before - 0.03, 0.06)
    return sorted(set(marks))
