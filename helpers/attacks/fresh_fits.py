"""The attack on un-trained networks by gradients through the fit, every iterate a fresh fit."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from helpers.attacks.consistency import worst_for_consistency
from helpers.attacks.found import ROUNDING, Found
from helpers.attacks.threat import Threat, direction, length
from helpers.data.slice import Slice
from helpers.untrained.fit import Fit, Fitting, fit
from helpers.untrained.implicit_gradient import implicit_gradient
from helpers.untrained.problem import Settings

STEPS = 5  # at 6 % the second still adds a fifth
NEW = 0.7  # share of the new direction in a step; the rest is what there was, since a gradient holds nearby only
FINALISTS = 2  # by each loss: the method's own seed may rank what comes close otherwise
SHORTER = 0.5  # share of a fit's steps that a fit of the search has: it costs half, and its gradients lead as far


@dataclass(frozen=True)
class Known:
    """A perturbation that is known already, such as one made for another method or for a smaller strength.

    e: (coil, ky, kx) complex, of any strength; fitted: the method's own fit to y + e, where there was one.
    """

    e: Tensor
    fitted: Fit | None = None


def fresh_fits(
    threat: Threat,
    item: Slice,
    settings: Settings,
    seed: int = 0,
    steps: int = STEPS,
    late: float = 0.0,
    starts: Sequence[Known] = (),
) -> Found:
    """Maximize the loss of an un-trained method over ||e|| = eps ||y||, see `fresh_fits_by`."""
    (found,) = fresh_fits_by({"": threat}, item, settings, seed, steps, late, starts).values()
    return found


@torch.no_grad()
def fresh_fits_by(
    threats: Mapping[str, Threat],
    item: Slice,
    settings: Settings,
    seed: int = 0,
    steps: int = STEPS,
    late: float = 0.0,
    starts: Sequence[Known] = (),
) -> dict[str, Found]:
    """The worst for an un-trained method by each of several losses, from one ascent of one after the other.

        e <- eps ||y|| (.7 g / ||g|| + .3 e / ||e||) / ||.||,   g: see `implicit_gradient`, at a fit to y + e from new,

    since a fit that goes on from the last one does not let the network follow. The first loss is climbed from the worst
    of the starts; without any, from the gradient of the clean fit or from the worst for data consistency; each loss
    that follows from the worst by it that the search has met so far. Fits of the search have half the steps and the
    seed that follows `seed`, one and the same, so that it climbs one function and not the luck of the method's own. The
    worst `FINALISTS` by each loss are then reconstructed by the method, and of these and of the starts that come with a
    fit the worst counts.

    threats: by name, of the slice `item`, which differ in score or reference alone; their method is the one that is
    attacked. settings: of its fits. late: attack the stop, too: no fit of the search ends before its last step, and so
    much of the relative held-out loss is taken off the relative loss. starts: those with a fit to y + e, e of the
    strength of the threat, cost nothing; the others are stretched to it, and cost a fit of the search. steps: for each
    loss; 0 leaves the starts. Each `Found.curve` has the fits of the search until the end of its own ascent, starts
    first, whose losses are not quite the method's; `evaluations` counts all fits. BadInput as in `implicit_gradient`.
    """
    threat = next(iter(threats.values()))
    climb = _Climb(item, threat, settings, seed + 1, late)
    made = [each for each in starts if each.fitted is not None and _of_strength(threat, each.e)]
    others = [each.e for each in starts if not any(each is one for one in made)] if starts else climb.starts(seed)
    searched = [(e, climb.fit(e)) for e in map(threat.stretched, others)]
    reached, norms, ends = [(each.e, each.fitted) for each in made] + searched, {}, {}
    for name, climbed in threats.items():
        e, fitted = max(reached, key=lambda each: float(climbed.distance(climb.image(each[1]))))
        norms[name] = []
        for _ in range(steps):
            g = threat.allowed(climb.slope(e, fitted, climbed.distance))
            e = threat.stretched(NEW * direction(g) + (1 - NEW) * direction(e))
            fitted = climb.fit(e)
            searched.append((e, fitted))
            norms[name].append(length(g)[0, 0, 0])
        reached, ends[name] = searched or reached, len(searched)  # whose losses compare with each other

    seen = [(each.e, climb.image(each.fitted)) for each in made]
    images = [climb.image(fitted) for _, fitted in searched]
    losses = {name: each.distance(torch.stack(images)) for name, each in threats.items() if images}
    for finalist in sorted({number for each in losses.values() for number in _largest(each)}):
        e, _ = searched[finalist]
        seen.append((e, threat.images(e)))
        climb.fits += 1
    curves = {name: each[: ends[name]].cummax(0).values for name, each in losses.items()}
    return {name: _worst(each, seen, curves.get(name), norms[name], climb.fits) for name, each in threats.items()}


def _of_strength(threat: Threat, e: Tensor) -> bool:
    return bool((length(e) / threat.radius - 1).abs() < ROUNDING)


def _largest(losses: Tensor) -> list[int]:
    return losses.topk(min(FINALISTS, len(losses))).indices.tolist()


def _worst(threat: Threat, seen: Sequence[tuple], curve: Tensor | None, norms: Sequence, fits: int) -> Found:
    """Of perturbations and their images by the method, the one whose image is worst."""
    losses = torch.stack([threat.distance(image) for _, image in seen])
    curve, norms = losses[:0] if curve is None else curve, torch.stack(norms) if norms else losses[:0]
    e, image = seen[int(losses.argmax())]
    return Found(e, losses.max(), curve, norms, fits, image)


class _Climb:
    """What is climbed: fits of one seed, from new, and the gradient through them."""

    def __init__(self, item: Slice, threat: Threat, settings: Settings, seed: int, late: float):
        self.item, self.threat, self.seed, self.late, self.fits = item, threat, seed, late, 0
        self.settings = replace(settings, steps=math.ceil(SHORTER * settings.steps))

    def fit(self, e: Tensor) -> Fit:
        self.fits += 1
        stop = self.settings.steps if self.late else None
        return fit(self.threat.kspace + e, self.threat.mask, self.settings, self.seed, stop=stop)

    def image(self, fitted: Fit) -> Tensor:
        return self.item.crop(fitted.image)

    def starts(self, seed: int) -> list[Tensor]:
        """Where the ascent begins by itself: the gradient at the clean fit, and the worst for data consistency."""
        threat, nothing = self.threat, torch.zeros_like(self.threat.kspace)
        clean = self.fit(nothing)
        return [self.slope(nothing, clean, threat.distance), worst_for_consistency(threat, self.item, clean, seed)]

    def slope(self, e: Tensor, fitted: Fit, distance: Callable[[Tensor], Tensor]) -> Tensor:
        """The gradient in e of a distance, at a fit to y + e, whatever its seed; 0 for a measurement of zeros."""
        if not fitted.state:
            return torch.zeros_like(e)
        late = 0.0
        if self.late and fitted.problem.judged:
            held = fitted.problem.loss(fitted.problem.held, fitted.generated)
            late = self.late * float(distance(self.image(fitted)) / held)
        fitting = Fitting(fitted.problem, self.seed, fitted.state)
        return implicit_gradient(fitting, fitted.generated, lambda image: distance(self.item.crop(image)), late)
