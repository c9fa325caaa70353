"""Can the attacks be trusted? What they find against steps, starts, each other, noise, and the exact worst case."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from helpers import methods, published
from helpers.attacks import Found, Threat, known
from helpers.attacks.apgd import apgd
from helpers.attacks.exact import EXACT, LinearSense, complex_truth, worst_case, worst_for_sense
from helpers.attacks.found import tried
from helpers.attacks.fresh_fits import Known, fresh_fits
from helpers.attacks.joint import joint
from helpers.attacks.known import IMPLICIT, attacks_on, differentiable
from helpers.attacks.noise import noise
from helpers.attacks.pgd import pgd
from helpers.attacks.threat import NoGradient, direction
from helpers.attacks.unknowns import Iterate, ridge
from helpers.data.slice import Slice
from helpers.experiments import evaluate, worst_known
from helpers.experiments.worst_known import SCORES, fitted_by
from helpers.methods.sense import MU
from helpers.mri.sense import Sense

LINEAR = "sense, complex image"  # whose exact worst case is known
METHODS = (LINEAR, "sense", "wavelet", "tv", "unet", "varnet", "convdecoder")
MARKS = (5, 10, 20)  # steps of an ascent at which is noted how far it has come
LAST = 20  # iterations from the minimum through which a solver is unrolled
EPS = (0.02, 0.04, 0.08)
OWN = "own"  # the attack of the transfer matrix
KEYS = ["method", "identity"]  # what is audited in one piece: an attack begins where that on a smaller strength came to
STEP = 0.01  # of the radius: how far a gradient is followed to see whether it is one
HELD = 0.3  # weight of the held-out loss in the attack on an un-trained network that holds its stop, see `fresh_fits`


def rows(
    item: Slice,
    name: str,
    strengths: Sequence[float] = EPS,
    steps: int = known.STEPS,
    seed: int = 0,
    through: Sequence[float] = (),
) -> Iterator[dict]:
    """Every attack on a method for one slice, and how far each came after more and more steps: one row each.

    Columns: method, attack (`OWN` is that of the transfer matrix; on un-trained networks it begins without what was
    made for others), start (of a gradient attack), climbed (which score, or none), score (in which the row is judged:
    each find in both), steps (0 where there are none), eps, volume, slice, identity, clean (the loss without a
    perturbation), loss, exact (the largest there is, where it is known), seconds (that the attack took; `OWN` for both
    scores), flattened (share of the increase that the last quarter of the effort gained), first_gradient, last_gradient
    (norms, relative to the largest on the way; zero or NaN where there is none), repeated (how far two images of the
    same measurement lie apart, relative to their error), foretold (see `foretold`). Losses after all steps are by a
    method made anew. steps: of gradient attacks; seed: of mask, noise and starts; through: other strengths of the
    matrix, through the smaller of which its attack comes to those that are audited.
    """
    mask, seed = evaluate.mask_of(item, seed=seed), item.seed(seed)
    where = {"method": name, "volume": item.volume, "slice": item.number, "identity": item.identity}
    made = (
        _linear(item, mask, strengths, steps, seed)
        if name == LINEAR
        else _audited(item, name, mask, strengths, steps, seed, through)
    )
    for row in made:
        yield where | row


def _audited(
    item: Slice, name: str, mask: Tensor, strengths: Sequence[float], steps: int, seed: int, through: Sequence[float]
) -> Iterator[dict]:
    y, make = mask * item.kspace, partial(methods.load, name, item)
    method = differentiable(name, item)
    passed = {*strengths, *(eps for eps in through if eps < max(strengths))}
    threats = {
        eps: {score: Threat(method, y, mask, eps, item.target, score=score) for score in SCORES} for eps in passed
    }

    def image(e: Tensor) -> Tensor:
        with torch.no_grad():
            return item.crop(make()(y + e, mask))

    def judged(threat: dict[str, Threat], e: Tensor) -> dict[str, float]:
        made = image(e)
        return {score: float(each.distance(made)) for score, each in threat.items()}

    first = threats[min(strengths)]
    clean, probe = judged(first, 0 * y), first[SCORES[0]].noise(seed)[0]
    once, again = (image(probe) for _ in range(2))
    checks = {"repeated": float((once - again).norm() / (once - item.target).norm())}
    chance = checks["repeated"] > known.agreement(name, y.device)
    for eps in sorted(strengths) if chance else ():  # nothing that such a method gives can be attacked, or compared
        losses = judged(threats[eps], threats[eps][SCORES[0]].noise(seed)[0])
        yield from _found(eps, "noise", "none", None, clean, losses, checks)
    if chance:
        return
    fits = methods.family(name) == "un-trained"
    checks["foretold"] = float("nan") if fits else foretold(first[SCORES[0]], probe)
    linear = {eps: worst_for_sense(item, threats[eps][SCORES[0]], seed) for eps in passed}
    starts = {eps: [] if fitted_by(name) else [Known(e)] for eps, e in linear.items()}

    def others(eps: float, own: Mapping[str, Tensor]) -> Iterator[dict]:
        for attack, start, score, find in _others(name, item, threats[eps], own, linear[eps], steps, seed):
            began = time.monotonic()
            try:
                found = find()
            except NoGradient:  # of which there is nothing to climb
                continue
            took = {"seconds": time.monotonic() - began}
            yield from _found(eps, attack, start, score, clean, judged(threats[eps], found.e), checks | took, found)

    began = time.monotonic()
    for eps, best, finds in worst_known.by_strength(name, item, y, mask, passed, steps, seed, starts):
        took = {"seconds": time.monotonic() - began}
        if eps in strengths:
            for score, each in best.items():
                losses = {key: float(judge.distance(each.image)) for key, judge in threats[eps].items()}
                yield from _found(eps, OWN, "what is known", score, clean, losses, checks | took, finds[score].found)
            yield from others(eps, {score: each.e for score, each in best.items()})
        began = time.monotonic()


def _others(
    name: str,
    item: Slice,
    threat: Mapping[str, Threat],
    own: Mapping[str, Tensor],
    linear: Tensor,
    steps: int,
    seed: int,
) -> Iterator[tuple[str, str, str | None, Callable[[], Found]]]:
    """What else there is to find most of: attack, start, the score that it climbs, and how it is found."""
    squared = threat[SCORES[0]]
    single = attacks_on(name, item, seed, steps) | {"worst for sense": lambda threat: tried(threat, [linear])}
    gradient = single.pop("apgd", None)
    if settings := fitted_by(name):
        refits = worst_known.REFITS
        single["fresh fits, stop held"] = partial(
            fresh_fits, item=item, settings=settings, seed=seed, steps=refits, late=HELD
        )
    if name in published.protocol.METHODS:
        single["published"] = partial(as_published, name, item, seed)
    for attack, find in single.items():
        yield attack, "none", None, partial(find, squared)
    for score, each in threat.items() if gradient else ():
        yield "apgd", "the worst for SENSE", score, partial(apgd, each, seed, steps, 0, linear)
        yield "apgd", "noise", score, partial(apgd, each, seed, steps, 1)
        yield "pgd", "noise", score, partial(pgd, each, seed, steps, 1)
        if name in IMPLICIT:
            unrolled = replace(each, method=methods.load(name, item, last=LAST))
            yield "apgd, unrolled", OWN, score, partial(apgd, unrolled, seed, max(1, steps // 4), 0, own[score])


def _linear(item: Slice, mask: Tensor, strengths: Sequence[float], steps: int, seed: int) -> Iterator[dict]:
    """The complex image of SENSE with the maps of the clean scan, whose worst case is known."""
    y = mask * item.kspace
    sense = Sense.estimated(y, mask)
    linear, truth = LinearSense(sense, MU, tolerance=EXACT), complex_truth(item, sense)
    single: dict[str, Callable[[Threat], Found]] = {
        "noise": partial(noise, seed=seed),
        "joint": lambda threat: joint(threat, sense, Iterate(sense.adjoint(y), sense.bound, ridge), truth),
        OWN: lambda threat: apgd(threat, seed, steps),
        "pgd": lambda threat: pgd(threat, seed, steps),
    }
    for eps in sorted(strengths):
        threat = Threat(linear, y, mask, eps, truth)
        _, value = worst_case(linear, threat.radius[0, 0, 0], linear(y) - truth, seed, measured=threat.measured)
        exact = {"exact": float(value**2 / truth.norm() ** 2)}
        with torch.no_grad():
            clean = {SCORES[0]: float(threat.loss(0 * y))}
        for attack, find in single.items():
            found, climbs = find(threat), attack in (OWN, "pgd")
            start, climbed = ("noise", SCORES[0]) if climbs else ("none", None)
            yield from _found(eps, attack, start, climbed, clean, {SCORES[0]: float(found.loss)}, exact, found)


def foretold(threat: Threat, e: Tensor) -> float:
    """What a step of `STEP` of the radius along the gradient at e gains, over what the gradient foretells.

    1 where the gradient is that of the loss; far from it where it is shattered, or another function's; 0 where there is
    none to follow.
    """
    try:
        before, gradient = threat.slope(e[None])
    except NoGradient:
        return 0.0
    step = STEP * threat.radius * direction(gradient)
    with torch.no_grad():
        gained = threat.loss(e[None] + step) - before
    expected = (gradient.conj() * step).real.sum((-3, -2, -1))
    return float(gained / expected) if float(expected) else 0.0


def as_published(name: str, item: Slice, seed: int, threat: Threat) -> Found:
    """What the notebooks' attack finds, brought to the strength of ours and tried on our method."""
    e = published.attacks.as_published(name, item, threat.mask, threat.eps, seed)
    return tried(threat, [threat.stretched(e)])


def _found(
    eps: float,
    attack: str,
    start: str,
    climbed: str | None,
    clean: dict[str, float],
    losses: dict[str, float],
    more: dict[str, float],
    found: Found | None = None,
) -> Iterator[dict]:
    """The rows of one find: in each score after all of its effort, and in the one that it climbed on the way."""
    row = {"eps": eps, "attack": attack, "start": start, "climbed": climbed or "none"}
    curve = found.curve.flatten() if climbed else torch.zeros(0)
    steps = len(curve) - 1 if climbed else 0
    for mark in MARKS:
        if mark < steps:
            seen = {"score": climbed, "steps": mark, "clean": clean[climbed], "loss": float(curve[mark])}
            yield row | seen | more
    for score, loss in losses.items():
        end = {"score": score, "steps": steps, "clean": clean[score], "loss": loss}
        if score == climbed:
            late = float(curve[-1] - curve[-1 - len(curve) // 4])
            norms = found.gradient_norms.flatten()
            ends = norms[[0, -1]] / norms.max() if len(norms) else torch.full((2,), float("nan"))
            end |= {
                "flattened": late / max(float(curve[-1]) - clean[score], 1e-30),
                "first_gradient": float(ends[0]),
                "last_gradient": float(ends[1]),
            }
        yield row | end | more
