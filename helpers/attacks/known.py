"""Which attacks are known for which method: where methods and attacks meet."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from helpers import methods
from helpers.attacks import Found, Threat
from helpers.attacks.apgd import apgd
from helpers.attacks.black_box import black_box, shaken
from helpers.attacks.consistency import consistency
from helpers.attacks.exact import LinearSense, complex_truth, worst_for_sense
from helpers.attacks.found import tried
from helpers.attacks.fresh_fits import STEPS as REFITS
from helpers.attacks.fresh_fits import fresh_fits
from helpers.attacks.joint import WARM, joint
from helpers.attacks.noise import noise
from helpers.attacks.unknowns import Decoder, Iterate, penalty
from helpers.attacks.worst import AGREE
from helpers.data.slice import Slice
from helpers.methods.sense import MU
from helpers.mri.masks import fitting
from helpers.mri.sense import Sense
from helpers.sparsity.ongoing import Ongoing
from helpers.sparsity.splitting import SOFT
from helpers.untrained.problem import Settings
from helpers.untrained.recipes import FITS

IMPLICIT = ("wavelet", "tv", *(f"l1-{name}" for name in methods.BASES))  # differentiable at the minimum
# of SENSE in the black-box attack: nearly converged, proposals are all alike, cost ten times as much, and on validation
# slices the attack gained a third as much by them
CRUDE = 0.5
STEPS = 40  # of a gradient attack: more steps from one start find more than fewer from two (chapter "audit")
EVALUATIONS = 60  # of a black-box attack


def differentiable(name: str, source: str | Slice, **options) -> methods.Method:
    """A method in the form in which its gradient is had most cheaply, for a search: see `Ongoing` and `agreement`.

    For l1-wavelet and TV that is the implicit one, and each solve goes on from the last one's image.
    """
    softer = {} if name == "tv" else {"spring": SOFT}
    search = {"implicit": True, "ongoing": Ongoing(**softer)} if name in IMPLICIT else {}
    return methods.load(name, source=source, **options, **search)


def agreement(name: str, device: torch.device, searched: bool = False) -> float:
    """How far, relative, two losses of the same perturbation may lie apart; searched: one is that of `differentiable`.

    A search on l1-wavelet and TV sees images on their way to the minimum, and any loss may be that of a large step.
    On a processor all methods repeat themselves to the last bit. On a GPU they do not, and an un-trained fit magnifies
    rounding: fits that differed in it alone were seen to differ by up to a fifth.
    """
    if searched and name in IMPLICIT:
        return 1.0
    return 0.2 if methods.family(name) == "un-trained" and device.type != "cpu" else AGREE


def attacks_on(
    name: str,
    item: Slice,
    seed: int = 0,
    steps: int = STEPS,
    starts: int = 0,
    evaluations: int = EVALUATIONS,
    fit_steps: int | None = None,
    refits: int = REFITS,
    known: Sequence[Tensor] = (),
) -> dict[str, Callable[[Threat], Found]]:
    """The attacks on a method for one slice, by name, each to be called with its `Threat`.

    noise and the worst for SENSE for all; apgd where a gradient may be had (steps; starts: so many from noise, too),
    from the worst of `known`, perturbations of any strength (coil, ky, kx), or else from the worst for SENSE; so does
    black box (evaluations), for a reader's own method and SigPy's; joint for methods that minimize, SENSE, l1 in any
    basis, TV and un-trained networks in their SENSE form, and consistency, the worst for the last step of these.
    fit_steps: of un-trained networks, where others than their own are attacked; refits: steps of the attack by
    gradients through fits of them, each a fit from new, 0 to leave it out.
    """
    found: dict[str, Callable[[Threat], Found]] = {"noise": partial(noise, seed=seed)}
    found["worst for sense"] = partial(_transferred, item, seed)
    kind = methods.family(name)
    if kind != "un-trained":
        found["apgd"] = partial(_climbing, item, seed, steps, starts, known)
    if name in ("sense", *IMPLICIT):
        found["joint"] = partial(_jointly, name, item, seed)
    if name in FITS and FITS[name].maps:
        settings = replace(FITS[name], steps=fit_steps or FITS[name].steps)
        found["joint"] = partial(_jointly_fitted, settings, item, seed)
        if settings.consistency:  # else the last step is no minimum, but puts the measured entries in place
            found["consistency"] = partial(consistency, item=item, settings=settings, seed=seed)
            if refits:
                found["fresh fits"] = partial(fresh_fits, item=item, settings=settings, seed=seed, steps=refits)
    if kind == "own" or name.startswith("sigpy"):
        found["black box"] = partial(_at_random, item, seed, evaluations, known)
    return found


def _jointly(name: str, item: Slice, seed: int, threat: Threat) -> Found:
    """The joint attack, with the penalty of the method and the truth as the clean coil maps see it."""
    y, mask = threat.kspace, threat.mask
    sense = Sense.estimated(y, mask)
    image = Iterate(sense.adjoint(y), sense.bound, penalty(name, item, y, mask))
    return joint(threat, sense, image, complex_truth(item, sense))


def _jointly_fitted(settings: Settings, item: Slice, seed: int, threat: Threat) -> Found:
    """The joint attack on an un-trained network, with its weights in place of the image."""
    sense = Sense.estimated(threat.kspace, threat.mask)
    decoder = Decoder(threat.kspace, threat.mask, settings, seed)
    return joint(threat, sense, decoder, complex_truth(item, sense), steps=WARM + min(300, settings.steps), looks=1)


@torch.no_grad()
def _transferred(item: Slice, seed: int, threat: Threat) -> Found:
    return tried(threat, [worst_for_sense(item, threat, seed)])


def _climbing(item: Slice, seed: int, steps: int, starts: int, known: Sequence[Tensor], threat: Threat) -> Found:
    """APGD from the worst of what is known, or else for SENSE, and from so many draws of noise."""
    return apgd(threat, seed, steps, starts, _begin(item, seed, known, threat))


def _at_random(item: Slice, seed: int, evaluations: int, known: Sequence[Tensor], threat: Threat) -> Found:
    """The black-box attack from the worst of what is known, or else for SENSE."""
    return blindly(threat, seed, evaluations, _begin(item, seed, known, threat))


@torch.no_grad()
def _begin(item: Slice, seed: int, known: Sequence[Tensor], threat: Threat) -> Tensor:
    """The worst of what is known, and where nothing is, for SENSE."""
    if known:
        return tried(threat, map(threat.stretched, known)).e
    return worst_for_sense(item, threat, seed)


def blindly(threat: Threat, seed: int, evaluations: int, start: Tensor | None = None) -> Found:
    """The black-box attack along directions that shake SENSE, from a perturbation (coil, ky, kx), or from the first."""
    y, mask = threat.kspace, fitting(threat.mask, tuple(threat.kspace.shape[-2:]))
    linear = LinearSense(Sense.estimated(y, mask), MU, tolerance=CRUDE)
    return black_box(threat, shaken(linear), seed, evaluations, start=start)
