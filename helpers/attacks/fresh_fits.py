"""The attack on un-trained networks by gradients through the fit, every iterate a fresh fit."""

from dataclasses import replace

import torch
from torch import Tensor

from helpers.attacks.consistency import worst_for_consistency
from helpers.attacks.exact import worst_for_sense
from helpers.attacks.found import Best, Found
from helpers.attacks.threat import Threat, direction, length
from helpers.data.slice import Slice
from helpers.untrained.fit import Fit, Fitting, fit
from helpers.untrained.implicit_gradient import implicit_gradient
from helpers.untrained.problem import Settings

NEW = 0.7  # share of the new direction in a step; the rest is what there was, since a gradient holds nearby only


def fresh_fits(
    threat: Threat, item: Slice, settings: Settings, seed: int = 0, steps: int = 4, late: float = 0.0
) -> Found:
    """Maximize the loss of an un-trained method over ||e|| = eps ||y||, by the gradient through a fit to y + e.

        e <- eps ||y|| (.7 g / ||g|| + .3 e / ||e||) / ||.||,   g: see `implicit_gradient`, at a fit to y + e from new,

    since a fit that goes on from the last one does not let the network follow. It begins at the worst of three: the
    gradient at the clean fit, the worst for data consistency, the worst for SENSE; and the best iterate counts.

    threat: of the slice `item`, its method the one that is attacked, which makes the loss of what is found; settings:
    of its fits. Those of the search have the seed that follows `seed`, one and the same, so that it climbs one function
    and not the luck of the method's own. late: attack the stop, too, with so much of the relative change of the
    held-out loss against that of the loss; where a fit stops earlier than the clean one, the gradient is that of a fit
    with the stop held at the clean one's. steps: 0 leaves the starts. BadInput as in `implicit_gradient`.
    """
    y, best, climb = threat.kspace, Best(threat), _Climb(threat, item, settings, seed + 1, late)
    clean = climb.clean
    starts = [climb.slope(0 * y, clean), worst_for_consistency(threat, item, clean, seed)]
    starts = [threat.stretched(each) for each in (*starts, worst_for_sense(item, threat, seed))]
    tried = []
    for e in starts:
        tried.append((e, climb.fit(e)))
        best.offer(e[None], climb.loss(tried[-1][1])[None])
    e, fitted = max(tried, key=lambda each: float(climb.loss(each[1])))
    for _ in range(steps):
        g = climb.slope(e, fitted)
        e = threat.stretched(NEW * direction(g) + (1 - NEW) * direction(e))
        fitted = climb.fit(e)
        best.offer(e[None], climb.loss(fitted)[None], length(g)[None, 0, 0, 0])
    found = best.found()
    with torch.no_grad():
        return replace(found, loss=threat.loss(found.e), evaluations=climb.fits + 1)


class _Climb:
    """What is climbed: fits of one seed, from new, and the gradient through them."""

    def __init__(self, threat: Threat, item: Slice, settings: Settings, seed: int, late: float):
        self.threat, self.item, self.settings, self.seed = threat, item, settings, seed
        self.fits = 0
        self.clean = self.fit(torch.zeros_like(threat.kspace))
        held = [look["held_loss"] for look in self.clean.trajectory]
        self.late = late and late * float(self.loss(self.clean)) / min(held)

    def fit(self, e: Tensor, stop: int | None = None) -> Fit:
        self.fits += 1
        return fit(self.threat.kspace + e, self.threat.mask, self.settings, self.seed, stop=stop)

    def distance(self, image: Tensor) -> Tensor:
        return self.threat.distance(self.item.crop(image))

    def loss(self, fitted: Fit) -> Tensor:
        return self.distance(fitted.image)

    def slope(self, e: Tensor, fitted: Fit) -> Tensor:
        """The gradient in e at a fit to y + e."""
        if self.late and fitted.best < self.clean.best:
            fitted = self.fit(e, self.clean.best)
        fitting = Fitting(fitted.problem, self.seed, fitted.state)
        return implicit_gradient(fitting, fitted.generated, self.distance, self.late)
