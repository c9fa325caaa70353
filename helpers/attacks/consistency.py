"""The attack on the last step of an un-trained method, its data consistency, whose worst case is known."""

import torch
from torch import Tensor

from helpers.attacks import Found, Threat
from helpers.attacks.exact import LinearSense, complex_truth, worst_case
from helpers.attacks.found import Best
from helpers.data.slice import Slice
from helpers.mri.sense import Sense
from helpers.untrained.fit import Fit, fit
from helpers.untrained.problem import Problem, Settings

ROUNDS = 2


@torch.no_grad()
def consistency(threat: Threat, item: Slice, settings: Settings, seed: int = 0) -> Found:
    """The worst for the last step of an un-trained method, x = (A^H A + w)^-1 (A^H y + w G), with G held.

    That step is linear in y, so its worst case is known. Then the network is fitted to y + e, which moves G, and the
    next e is the worst for that; of `ROUNDS` the worst counts.

    threat: of the slice `item`; settings: of the fit, which keeps the seed of the method; seed: of the search alone.
    """
    y, mask, best = threat.kspace, threat.mask, Best(threat)
    fitted = fit(y, mask, settings)
    best.evaluations = 1
    for _ in range(ROUNDS):
        e = worst_for_consistency(threat, item, fitted, seed)
        fitted = fit(y + e, mask, settings)
        best.offer(e[None], threat.distance(item.crop(fitted.image))[None])
    return best.found()


@torch.no_grad()
def worst_for_consistency(threat: Threat, item: Slice, fitted: Fit, seed: int = 0) -> Tensor:
    """The e that is the worst for the last step of a fit, with G held: (coil, ky, kx)."""
    y, mask = threat.kspace, threat.mask
    sense, w = Sense.estimated(y, mask), Problem(y, mask, fitted.problem.settings).w
    linear = LinearSense(sense, w, tolerance=1e-4)
    generated = (sense.maps.conj() * fitted.coils).sum(-3)
    offset = linear.solve(sense.adjoint(y) + w * generated) - complex_truth(item, sense)
    e, _ = worst_case(linear, threat.radius[0, 0, 0], offset, seed, steps=60, measured=threat.measured)
    return e
