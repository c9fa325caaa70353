"""Which attacks are known for which method: where `methods` and `attacks` meet."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from helpers import methods, study
from helpers.attacks import Found, Threat
from helpers.attacks.apgd import apgd
from helpers.attacks.black_box import black_box, shaken
from helpers.attacks.exact import LinearSense, worst_case
from helpers.attacks.found import Best, tried
from helpers.attacks.joint import joint
from helpers.attacks.noise import noise
from helpers.attacks.threat import length
from helpers.attacks.worst import AGREE
from helpers.bases import basis
from helpers.coils import espirit
from helpers.data.slice import Slice
from helpers.fits import FITS
from helpers.fourier import ifft2c
from helpers.masks import fitting
from helpers.physics import Sense, noise_level, scale
from helpers.solvers import soft_threshold, weight
from helpers.total_variation import Prox
from helpers.untrained import Fitting, fit
from helpers.untrained_problem import Problem, Settings

IMPLICIT = ("wavelet", "tv", *(f"l1-{name}" for name in methods.BASES))  # differentiable at the minimum
MU = 0.01  # of SENSE, as its method has it
ROUNDS = 2
STEPS = 40  # of a gradient attack: more steps from one start find more than fewer from two (chapter "audit")


def differentiable(name: str, source: str, **options) -> methods.Method:
    """A method in the form in which its gradient is had most cheaply: for l1-wavelet and TV the implicit one."""
    return methods.load(name, source=source, **options, **({"implicit": True} if name in IMPLICIT else {}))


def agreement(name: str, device: torch.device) -> float:
    """How far, relative, two losses of the same perturbation may lie apart.

    On a processor all methods repeat themselves to the last bit. On a GPU they do not, and an un-trained fit magnifies
    rounding: fits that differed in it alone were seen to differ by up to a fifth.
    """
    return 0.2 if methods.family(name) == "un-trained" and device.type != "cpu" else AGREE


def known(
    name: str,
    item: Slice,
    seed: int = 0,
    steps: int = STEPS,
    starts: int = 0,
    evaluations: int = 60,
    fit_steps: int | None = None,
) -> dict[str, Callable[[Threat], Found]]:
    """The attacks on a method for one slice, by name, each to be called with its `Threat`.

    noise and the worst for SENSE for all; apgd from there (steps; starts: so many from noise, too) where a gradient may
    be had; joint for methods that minimize, SENSE, l1-wavelet, TV and un-trained networks in their SENSE form; black
    box (evaluations) for what passes no gradient and is quick. fit_steps: of un-trained networks, where others than
    their own are attacked.
    """
    found: dict[str, Callable[[Threat], Found]] = {"noise": partial(noise, seed=seed)}
    found["worst for sense"] = partial(_transferred, item, seed)
    kind = methods.family(name)
    if kind != "un-trained":
        found["apgd"] = partial(_climbing, item, seed, steps, starts)
    if name in ("sense", *IMPLICIT):
        found["joint"] = partial(_jointly, name, item, seed)
    if name in FITS and FITS[name].maps:
        settings = replace(FITS[name], steps=fit_steps or FITS[name].steps)
        found["joint"] = partial(_jointly_fitted, settings, item, seed)
        if settings.consistency:  # else the last step is no minimum, but puts the measured entries in place
            found["consistency"] = partial(_through_consistency, settings, item, seed)
    if kind == "own" or name.startswith("sigpy"):
        found["black box"] = partial(_blindly, seed, evaluations)
    return found


def _jointly(name: str, item: Slice, seed: int, threat: Threat) -> Found:
    """The joint attack, with the penalty of the method and the truth as the clean coil maps see it."""
    y, mask = threat.kspace, threat.mask
    sense = Sense(espirit(y, mask), mask)
    image = Iterate(sense.adjoint(y), sense.bound, _penalty(name, item.source, y, mask))
    return joint(threat, sense, image, truth(item, sense))


def _jointly_fitted(settings: Settings, item: Slice, seed: int, threat: Threat) -> Found:
    """The joint attack on an un-trained network, with its weights in place of the image."""
    sense = Sense(espirit(threat.kspace, threat.mask), threat.mask)
    decoder = Decoder(threat.kspace, threat.mask, settings, seed)
    return joint(threat, sense, decoder, truth(item, sense), steps=min(400, settings.steps), looks=1)


@torch.no_grad()
def _through_consistency(settings: Settings, item: Slice, seed: int, threat: Threat) -> Found:
    """The worst for the last step of an un-trained method, x = (A^H A + w)^-1 (A^H y + w G), with G held.

    That step is linear in y, so its worst case is known. Then the network is fitted to y + e, which moves G, and the
    next e is the worst for that; of `ROUNDS` the worst counts.
    """
    y, mask, best = threat.kspace, threat.mask, Best(threat)
    problem = Problem(y, mask, settings, seed)
    sense = Sense(espirit(y, mask), mask)
    linear, fitted = LinearSense(sense, problem.w, tolerance=1e-4), fit(y, mask, settings, seed)
    best.evaluations = 1
    for _ in range(ROUNDS):
        generated = (sense.maps.conj() * fitted.coils).sum(-3)
        offset = linear.solve(sense.adjoint(y) + problem.w * generated) - truth(item, sense)
        e, _ = worst_case(linear, threat.radius[0, 0, 0], offset, seed, steps=60)
        fitted = fit(y + e, mask, settings, seed)
        best.offer(e[None], threat.distance(study.crop(fitted.image, item))[None])
    return best.found()


def truth(item: Slice, sense: Sense) -> Tensor:
    """The image x* of the full k-space as coil maps see it: (y, x) complex on the full grid, where maps are."""
    return (sense.maps.conj() * ifft2c(item.kspace)).sum(-3)


def worst_for_sense(item: Slice, threat: Threat, seed: int = 0) -> Tensor:
    """The worst perturbation of the complex image of SENSE, which is known: where gradient attacks begin.

    The distance to the truth is maximized. Returns e (coil, ky, kx) of the strength of the threat.
    """
    y, mask = threat.kspace, threat.mask
    sense = Sense(espirit(y, mask), mask)
    linear = LinearSense(sense, MU, tolerance=1e-4)
    e, _ = worst_case(linear, threat.radius[0, 0, 0], linear(y) - truth(item, sense), seed, steps=60)
    return e


@torch.no_grad()
def _transferred(item: Slice, seed: int, threat: Threat) -> Found:
    return tried(threat, [worst_for_sense(item, threat, seed)])


def _climbing(item: Slice, seed: int, steps: int, starts: int, threat: Threat) -> Found:
    """APGD from the worst for SENSE, and from so many draws of noise."""
    return apgd(threat, seed, steps, starts, worst_for_sense(item, threat, seed))


def _penalty(name: str, source: str, y: Tensor, mask: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
    """The proximal step of a method's penalty, (image, step) to image, in the units of y."""
    if name == "sense":
        return ridge
    unit = scale(y)
    lam = (weight(methods.tuned(name, source)["lam"], y / unit[..., None], mask) * unit[..., 0, 0])[..., None, None]
    if name == "tv":
        return Prox(lam, y[0])
    sparse = basis(y.shape[-2:], methods.REGISTRY[name].options.get("name", "db4"))
    return lambda z, step: sparse.adjoint(soft_threshold(sparse.forward(z), lam * step))


def ridge(z: Tensor, step: Tensor) -> Tensor:
    """The proximal step of SENSE's penalty, MU/2 ||x||^2."""
    return z / (1 + MU * step)


def noise_levels(e: Tensor, y: Tensor, mask: Tensor) -> float:
    """The strength of a perturbation as a multiple of that of the noise that is in the measurement already."""
    entries = 2 * y.shape[0] * mask.expand(y.shape[-2:]).sum()
    return float(length(e) / (noise_level(y, mask) * entries.sqrt()).clamp(min=1e-30))


def _blindly(seed: int, evaluations: int, threat: Threat) -> Found:
    """The black-box attack along directions that shake SENSE."""
    y, mask = threat.kspace, fitting(threat.mask, tuple(threat.kspace.shape[-2:]))
    linear = LinearSense(Sense(espirit(y, mask), mask), MU, tolerance=1e-3)
    return black_box(threat, shaken(linear), seed, evaluations)


class Iterate:
    """What the joint attack varies for SENSE, l1-wavelet and TV: the image, by proximal gradient steps of 1 / `bound`.

    prox: (image, step) to image, of the penalty.
    """

    def __init__(self, start: Tensor, bound: Tensor, prox: Callable[[Tensor, Tensor], Tensor]):
        self.x, self.step, self.prox = start, 1 / bound, prox

    def image(self) -> Tensor:
        return self.x

    def descend(self, slope: Tensor) -> None:
        self.x = self.prox(self.x - self.step * slope, self.step)


class Decoder:
    """What it varies for an un-trained network: the weights, by the optimizer of its fit, with all lines fitted.

    kspace, mask: the clean measurement; settings: of the fit, in its SENSE form.
    """

    def __init__(self, kspace: Tensor, mask: Tensor, settings: Settings, seed: int = 0):
        self.problem = Problem(kspace, mask, replace(settings, held=0), seed)
        self.fitting = Fitting(self.problem, seed)

    def image(self) -> Tensor:
        self.output = self.fitting.image()
        return self.problem.whole(self.output.detach())

    def descend(self, slope: Tensor) -> None:
        self.fitting.descend(self.output, self.problem.preconditioned(slope[self.problem.rows]))
