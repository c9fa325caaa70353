"""The same problems solved by sigpy: references to check and time the project's own solvers against.

sigpy solves one slice at a time on the CPU with numpy, so these give no gradients.
"""

from collections.abc import Callable

import numpy as np
import torch
from sigpy.mri import app
from torch import Tensor

from helpers.methods.sense import MU
from helpers.mri.coils import espirit
from helpers.mri.noise import expected_rss, scale
from helpers.sparsity.proximal_gradient import weight


def sense(kspace: Tensor, mask: Tensor, mu: float = MU, iterations: int = 100) -> Tensor:
    """`methods.sense` by sigpy.mri.app.SenseRecon: conjugate gradients; arguments and image as there."""
    return _each(app.SenseRecon, kspace, mask, None, lamda=mu, max_iter=iterations)


def wavelet(kspace: Tensor, mask: Tensor, lam: float, iterations: int = 100) -> Tensor:
    """min_x 1/2 ||M F S x - y||^2 + lam ||W x||_1 by sigpy.mri.app.L1WaveletRecon: FISTA with its zero-padded db4.

    Arguments and image as in `methods.l1`. The padded W is no unitary transform, so that sigpy's proximal step
    is only nearly that of the problem.
    """
    # ||A|| <= 1 for maps of unit norm, so that a step of 1 is safe; left alone, sigpy estimates it from random numbers
    return _each(app.L1WaveletRecon, kspace, mask, lam, max_iter=iterations, alpha=1)


def tv(kspace: Tensor, mask: Tensor, lam: float, iterations: int = 100) -> Tensor:
    """min_x 1/2 ||M F S x - y||^2 + lam ||G x||_1 by sigpy.mri.app.TotalVariationRecon: primal-dual hybrid gradient.

    G: periodic differences along both axes, each penalized by itself, where `methods.tv` penalizes their length.
    Arguments and image as there.
    """
    # ||A||^2 + ||G||^2 <= 1 + 8
    return _each(app.TotalVariationRecon, kspace, mask, lam, max_iter=iterations, sigma=1, tau=1 / 9)


@torch.no_grad()  # what little autograd could follow, the unit and the noise level, would mislead an attack
def _each(solver: Callable, kspace: Tensor, mask: Tensor, lam: float | None, **options) -> Tensor:
    """`expected_rss` of what one of sigpy's solvers finds for every slice of a batch; lam as in `weight`."""
    unit = scale(kspace)
    slices = (-1, *kspace.shape[-3:])
    maps = espirit(kspace, mask).reshape(slices).cpu().numpy()
    normalized = kspace / unit[..., None]
    measured = normalized.reshape(slices).cpu().numpy()
    given = (
        [{}] * len(measured)
        if lam is None
        else [{"lamda": float(each)} for each in weight(lam, normalized, mask).flatten()]
    )
    weights = mask.expand(kspace.shape[-2:]).cpu().numpy().astype(measured.real.dtype)
    images = [
        solver(y, s, weights=weights, show_pbar=False, **options, **own).run()
        for y, s, own in zip(measured, maps, given, strict=True)
    ]
    x = torch.from_numpy(np.stack(images)).to(kspace.device).reshape(*kspace.shape[:-3], *kspace.shape[-2:])
    return expected_rss(x, normalized, mask) * unit
