"""Can the attacks be trusted? What they find against steps, starts, each other, noise, and the exact worst case."""

from collections.abc import Iterator
from functools import partial

import torch

from helpers import methods, published
from helpers.attacks import Found, Threat, known
from helpers.attacks.apgd import apgd
from helpers.attacks.exact import EXACT, LinearSense, complex_truth, worst_case, worst_for_sense
from helpers.attacks.found import tried
from helpers.attacks.joint import joint
from helpers.attacks.known import attacks_on, differentiable
from helpers.attacks.noise import noise
from helpers.attacks.pgd import pgd
from helpers.attacks.unknowns import Iterate, ridge
from helpers.data.slice import Slice
from helpers.experiments import evaluate, transfer
from helpers.methods.sense import MU
from helpers.mri.sense import Sense

LINEAR = "sense, complex image"  # whose exact worst case is known
METHODS = (LINEAR, "sense", "wavelet", "tv", "unet", "varnet", "convdecoder")
STEPS = (5, 10, 20, known.STEPS)
EPS = 0.02
KEYS = ["method", "eps", "identity"]  # what is audited in one piece


def rows(item: Slice, name: str, eps: float = EPS, seed: int = 0) -> Iterator[dict]:
    """Every attack on a method for one slice, with more and more steps where it has any: one row each.

    Columns: method, attack, start (of a gradient attack: noise, or the worst for SENSE; else none), steps (0 where
    there are none), eps, volume, slice, identity, clean (the loss without a perturbation), loss, exact (the largest
    there is, where it is known), flattened (share of the increase that the last quarter of the steps gained),
    first_gradient, last_gradient (norms, relative to the largest on the way).
    """
    mask, seed = evaluate.mask_of(item, seed=seed), item.seed(seed)
    y = mask * item.kspace
    where = {"method": name, "eps": eps, "volume": item.volume, "slice": item.number, "identity": item.identity}
    exact = float("nan")
    if name == LINEAR:
        sense = Sense.estimated(y, mask)
        linear, truth = LinearSense(sense, MU, tolerance=EXACT), complex_truth(item, sense)
        threat = Threat(linear, y, mask, eps, truth)
        _, value = worst_case(linear, threat.radius[0, 0, 0], linear(y) - truth, seed, measured=threat.measured)
        exact = float(value**2 / truth.norm() ** 2)
        image = Iterate(sense.adjoint(y), sense.bound, ridge)
        single = {"noise": partial(noise, seed=seed), "joint": lambda threat: joint(threat, sense, image, truth)}
    else:
        threat = Threat(differentiable(name, item.source), y, mask, eps, item.target)
        single = attacks_on(name, item, seed)
        single.pop("apgd", None)
    if name in transfer.PUBLISHED:
        single["published"] = partial(_as_published, name, item, seed)
    with torch.no_grad():
        clean = float(threat.loss(torch.zeros_like(y)))
    for attack, find in single.items():
        yield where | _row(attack, "none", 0, clean, find(threat), exact)
    if methods.family(name) == "un-trained":
        return
    start = worst_for_sense(item, threat, seed)
    for steps in STEPS:
        for words, begin in (("noise", {"starts": 1}), ("the worst for SENSE", {"starts": 0, "start": start})):
            if name != LINEAR or words == "noise":  # which would begin where it should end
                yield where | _row("apgd", words, steps, clean, apgd(threat, seed, steps, **begin), exact)
        yield where | _row("pgd", "noise", steps, clean, pgd(threat, seed, steps), exact)


def _as_published(name: str, item: Slice, seed: int, threat: Threat) -> Found:
    """What the notebooks' attack finds, brought to the strength of ours and tried on our method."""
    e = published.attacks.as_published(name, item, threat.kspace, threat.mask, threat.eps, threat.eps, seed)
    return tried(threat, [threat.stretched(e)])


def _row(attack: str, start: str, steps: int, clean: float, found: Found, exact: float) -> dict:
    loss, curve, norms = float(found.loss), found.curve.flatten(), found.gradient_norms.flatten()
    late = float((curve[-1] - curve[-1 - len(curve) // 4]) / (curve[-1] - clean)) if steps else float("nan")
    ends = norms[[0, -1]] / norms.max() if len(norms) else torch.full((2,), float("nan"))
    return {
        "attack": attack,
        "start": start,
        "steps": steps,
        "clean": clean,
        "loss": loss,
        "exact": exact,
        "flattened": late,
        "first_gradient": float(ends[0]),
        "last_gradient": float(ends[1]),
    }
