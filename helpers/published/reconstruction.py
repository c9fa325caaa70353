"""What the published notebooks do where this book does otherwise, kept apart so that both can be run."""

import numpy as np
import pywt
import torch
from torch import Tensor

from helpers.mri.fourier import fft2c, ifft2c
from helpers.mri.noise import scale
from helpers.mri.rss import rss
from helpers.mri.sense import Sense
from helpers.untrained.fit import fit
from helpers.untrained.problem import Settings


def mask(width: int, seed: int, acceleration: float = 4, center_fraction: float = 0.07) -> Tensor:
    """The notebooks' mask: fastMRI's random lines, redrawn until the count fits, the outermost then zeroed.

    Lines outside the center are kept one by one by chance until the realized acceleration is within .03 of the
    one asked for; then every line more than 160 from the center is dropped, and nothing is drawn in its place.
    The notebooks set no seed; here it is an argument. Returns (kx,) bool.
    """
    rng = np.random.default_rng(seed)
    center = round(width * center_fraction)
    chance = (width / acceleration - center) / (width - center)
    first = (width - center + 1) // 2
    while True:
        lines = rng.random(width) < chance
        lines[first : first + center] = True
        if abs(width / lines.sum() - acceleration) <= 0.03:
            break
    lines[np.abs(np.arange(width) - width // 2) > 160] = False
    return torch.from_numpy(lines)


def low_pass(length: int) -> Tensor:
    """The only coefficients that the notebooks penalize: low-pass rows of db3, 3 levels, extended by zeros."""
    return torch.from_numpy(pywt.wavedec(np.eye(length), "db3", mode="zero", level=3, axis=0)[0])


def l1(kspace: Tensor, mask: Tensor, lam: float = 0.035, step: float = 0.028, steps: int = 1000) -> Tensor:
    """The notebooks' "l1 minimization": a fixed number of gradient steps on a penalty of the low-pass band.

    Descends from zero on 1/2 ||A x - y||^2 + lam ||L x||_1 by sub-gradients, without a proximal step or
    momentum; L keeps the low-pass band alone. The defaults are their setting for knees (lambda 1e-12, learning
    rate 1e5, 1000 steps on 15 x 640 x 368 samples of 1e-4) in normalized units; their attack notebook has
    lambda 1e-18, which is lam = 0 here. Contract of a method: kspace (coil, ky, kx), returns (y, x).
    """
    unit = scale(kspace)
    y = kspace / unit[..., None]
    A = Sense.estimated(y, mask)
    rows, columns = (low_pass(n).to(y.device, y.real.dtype) for n in y.shape[-2:])
    backprojection, x = A.adjoint(y), torch.zeros_like(y[..., 0, :, :])
    for _ in range(steps):
        coefficients = rows.to(x.dtype) @ x @ columns.T.to(x.dtype)
        signs = torch.complex(coefficients.real.sign(), coefficients.imag.sign())
        penalty = rows.T.to(x.dtype) @ signs @ columns.to(x.dtype)
        x = x - step * (A.gram(x) - backprojection + lam * penalty)
    return x.abs() * unit


def with_clean_samples(kspace: Tensor, mask: Tensor, clean: Tensor, settings: Settings, seed: int = 0) -> Tensor:
    """The notebooks' score of a ConvDecoder after an attack: the data-consistency step puts the clean samples back.

    A fit to the perturbed kspace (coil, ky, kx), whose measured entries are then replaced by those of `clean`, the
    measurement before the attack, so that most of the perturbation is gone. settings: how it is fitted, ours, since
    the published recipe takes hours. Returns (y, x).
    """
    generated = fft2c(fit(kspace, mask, settings, seed).coils)
    return rss(ifft2c(torch.where(mask, clean, generated)))
