"""How the published notebooks measure and reconstruct: their mask, their l1, their score of a ConvDecoder."""

import numpy as np
import pywt
import torch
from torch import Tensor

from helpers.mri.fourier import fft2c, ifft2c
from helpers.mri.masks import random_mask
from helpers.mri.noise import scale
from helpers.mri.rss import rss
from helpers.mri.sense import Sense
from helpers.untrained.fit import fit
from helpers.untrained.problem import Settings

REACH = 160  # lines from the center, beyond which they zero the mask: half the width of their images


def mask(width: int, seed: int, acceleration: float = 4, center_fraction: float = 0.07, reach: int = REACH) -> Tensor:
    """The notebooks' mask: fastMRI's random lines, redrawn until the count fits, the outermost then zeroed.

    Lines outside the center are kept one by one by chance until the realized acceleration is within .03 of the one
    asked for, or as near as a count of so few lines comes; then every line more than `reach` from the center is
    dropped, and nothing is drawn in its place. The notebooks set no seed; here it is an argument. Returns (kx,) bool;
    BadInput for impossible numbers.
    """
    random_mask(width, acceleration, center_fraction)  # which says what is impossible
    rng = np.random.default_rng(seed)
    center = round(width * center_fraction)
    chance = (width / acceleration - center) / max(1, width - center)
    first = (width - center + 1) // 2
    off = {count: abs(width / count - acceleration) for count in range(max(1, center), width + 1)}
    lines = np.zeros(width, bool)
    while off.get(lines.sum(), np.inf) > max(0.03, min(off.values())):
        lines = rng.random(width) < chance
        lines[first : first + center] = True
    lines[np.abs(np.arange(width) - width // 2) > reach] = False
    return torch.from_numpy(lines)


def low_pass(length: int) -> Tensor:
    """The only coefficients that the notebooks penalize: low-pass rows of db3, 3 levels, extended by zeros."""
    return torch.from_numpy(pywt.wavedec(np.eye(length), "db3", mode="zero", level=3, axis=0)[0])


def l1(
    kspace: Tensor,
    mask: Tensor,
    lam: float = 0.035,
    step: float = 0.028,
    steps: int = 1000,
    maps: Tensor | None = None,
) -> Tensor:
    """The notebooks' "l1 minimization": a fixed number of gradient steps on a penalty of the low-pass band.

    Descends from zero on 1/2 ||A x - y||^2 + lam ||L x||_1 by sub-gradients, without a proximal step or
    momentum; L keeps the low-pass band alone. The defaults are their setting for knees (lambda 1e-12, learning
    rate 1e5, 1000 steps on 15 x 640 x 368 samples of 1e-4) in normalized units; their attack notebook has
    lambda 1e-18, which is lam = 0 here. maps: (coil, y, x) complex, which that notebook keeps from the clean
    measurement when it reconstructs the perturbed one; None: those of kspace itself, as the one on bases has it.
    Contract of a method: kspace (coil, ky, kx), returns (y, x).
    """
    unit = scale(kspace)
    y = kspace / unit[..., None]
    A = Sense.estimated(y, mask) if maps is None else Sense(maps, mask)
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
    measurement before the attack, so that most of the perturbation is gone. settings: how it is fitted. Returns (y, x).
    """
    generated = fft2c(fit(kspace, mask, settings, seed).coils)
    return rss(ifft2c(torch.where(mask, clean, generated)))


def convdecoder(kspace: Tensor, mask: Tensor, settings: Settings, seed: int = 0) -> Tensor:
    """The notebooks' ConvDecoder, to whose image the measured samples are put back: (coil, ky, kx) to (y, x)."""
    return with_clean_samples(kspace, mask, kspace, settings, seed)


def normalized(image: Tensor, kspace: Tensor) -> Tensor:
    """The image of a U-Net as the notebooks leave it: in units of mean and deviation of its own zero-filled input.

    image: (..., y, x) real; kspace: what it was made of, (..., coil, ky, kx), zero where nothing was measured.
    """
    seen = rss(ifft2c(kspace))
    return (image - seen.mean((-2, -1), keepdim=True)) / seen.std((-2, -1), keepdim=True)
