"""The worst that is known of one method on one slice, by each score, from strength to strength."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from helpers import methods
from helpers.attacks import Found, Threat
from helpers.attacks.consistency import worst_for_consistency
from helpers.attacks.found import tried
from helpers.attacks.fresh_fits import Known, fresh_fits_by
from helpers.attacks.known import EVALUATIONS, STEPS, agreement, attacks_on, differentiable
from helpers.attacks.worst import worst
from helpers.data.slice import Slice
from helpers.untrained.fit import Fit, fit
from helpers.untrained.problem import Settings
from helpers.untrained.recipes import FITS

SCORES = ("nmse", "ssim")  # what is climbed, in this order; by gradients the second with half the steps
# noise has rows of its own, the worst for SENSE is known, and joint descent never found most where there is a gradient
LEFT_OUT = ("noise", "worst for sense", "joint")

REFITS = 3  # steps through fits for each score: at every strength but the first they go on from those on a smaller one


@dataclass(frozen=True)
class Worst:
    """What the attack of that name found, and the image (y, x) that the method, made anew, makes of y + e."""

    attack: str
    found: Found
    image: Tensor

    @property
    def e(self) -> Tensor:
        return self.found.e


Climb = Callable[[Mapping[str, Threat], Sequence[Known]], dict[str, Worst]]  # attacks all scores at one strength


def fitted_by(name: str) -> Settings | None:
    """How an un-trained method fits whose fits have a gradient; None for every other method."""
    settings = FITS.get(name)
    return settings if settings and settings.maps and settings.consistency else None


def by_strength(
    name: str,
    item: Slice,
    y: Tensor,
    mask: Tensor,
    strengths: Sequence[float],
    steps: int,
    seed: int,
    known: Mapping[float, Sequence[Known]],
) -> Iterator[tuple[float, dict[str, Worst], dict[str, Worst]]]:
    """The worst perturbation that is allowed at each strength, by each of `SCORES`, ascending.

    Gives eps, score to the worst, and score to what was found at this very strength. Attacks begin at the worst of
    `known`, by strength, such as the worst for SENSE or what was made for others, and of what was found at the strength
    before. Whatever is found counts for every score and at every larger strength, where it is allowed as well: no loss
    falls as eps grows. Images are those of the method made anew.

    y, mask: the measurement of the slice; steps: of gradient attacks on the first score, and in their
    measure of those without gradients; seed: of their starts.
    """
    method = differentiable(name, item)
    climb = _fits(name, item, y, mask, seed) if fitted_by(name) else _gradients(name, item, steps, seed)
    best: dict[str, Worst] = {}
    for eps in sorted(strengths):
        threats = {score: Threat(method, y, mask, eps, item.target, score=score) for score in SCORES}
        before = [replace(each, attack="transferred") for each in {id(each): each for each in best.values()}.values()]
        finds = climb(threats, [*(Known(each.e) for each in before), *known[eps]])
        best = {
            score: max([*finds.values(), *before], key=lambda each, threat=threat: float(threat.distance(each.image)))
            for score, threat in threats.items()
        }
        yield eps, best, finds


def _gradients(name: str, item: Slice, steps: int, seed: int) -> Climb:
    """The attacks of `known.attacks_on`, on one score after the other; see `worst`."""
    make = partial(methods.load, name, item)
    evaluations = max(1, round(steps * EVALUATIONS / STEPS))

    def climb(threats: Mapping[str, Threat], known: Sequence[Known]) -> dict[str, Worst]:
        finds: dict[str, Worst] = {}
        for score, threat in threats.items():
            starts = [each.e for each in (*known, *finds.values())]
            here = steps if not finds else max(1, steps // 2)
            attacks = attacks_on(name, item, seed, here, evaluations=evaluations, known=starts)
            own = {words: attack for words, attack in attacks.items() if words not in LEFT_OUT}
            own["transferred"] = lambda threat, starts=starts: tried(threat, map(threat.stretched, starts))
            attack, found, image = worst(make, threat, own, agreement(name, threat.kspace.device, searched=True))
            finds[score] = Worst(attack, found, image)
        return finds

    return climb


def _fits(name: str, item: Slice, y: Tensor, mask: Tensor, seed: int) -> Climb:
    """Gradients through fits, which serve all scores at once; they begin at the worst for data consistency, too."""
    settings, clean = fitted_by(name), fit(y, mask, fitted_by(name))

    def climb(threats: Mapping[str, Threat], known: Sequence[Known]) -> dict[str, Worst]:
        first = next(iter(threats.values()))
        starts = [Known(worst_for_consistency(first, item, clean, seed)), *known]
        finds = fresh_fits_by(threats, item, settings, seed, REFITS, starts=starts)
        return {score: Worst(_whence(found, starts, first), found, found.image) for score, found in finds.items()}

    return climb


def _whence(found: Found, starts: Sequence[Known], threat: Threat) -> str:
    """How the attack through fits came to what it found: by its steps, or as one of its starts, consistency first."""
    for start, words in zip(starts, ["consistency"] + ["transferred"] * len(starts)):
        if any(torch.equal(found.e, e) for e in (start.e, threat.stretched(start.e))):
            return words
    return "fresh fits"


@torch.no_grad()
def reconstruction(name: str, item: Slice, kspace: Tensor, mask: Tensor) -> tuple[Tensor, Fit | None]:
    """What a method, made anew, makes of a measurement, cropped to the target, and its fit, if it is one."""
    if settings := fitted_by(name):
        fitted = fit(kspace, mask, settings)
        return item.crop(fitted.image), fitted
    return item.crop(methods.load(name, item)(kspace, mask)), None
