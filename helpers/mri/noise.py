"""The one scale that every method works in, the noise level, and what noise does to the reference of the field."""

import math

import torch
from torch import Tensor

from helpers.mri.fourier import ifft2c
from helpers.mri.rss import root, rss

OUTER = 0.05  # share of the measured entries that the noise is read from


def scale(kspace: Tensor) -> Tensor:
    """The unit of a measurement: the 99th percentile of its zero-filled RSS image.

    Every method works on kspace / scale and gives its image back times scale, so that no method depends on the
    units of a file. kspace: (..., coil, ky, kx) complex, zero where nothing was measured. Returns (..., 1, 1)
    real; 1 where the measurement is all zero.
    """
    images = rss(ifft2c(kspace)).flatten(-2)
    unit = torch.quantile(images, 0.99, dim=-1)[..., None, None]
    return torch.where(unit > 0, unit, torch.ones_like(unit))


def noise_level(kspace: Tensor, mask: Tensor) -> Tensor:
    """The standard deviation of the noise in a measurement, per real and imaginary part, from the measurement alone.

    Far out along the fully sampled readout there is little but noise. The median modulus of the outermost twentieth
    of the measured entries, by |ky|, is that of a Rayleigh distribution, sqrt(2 ln 2) deviations; entries that are
    exactly zero were never measured. Edges of the image make the level too high where the noise is low.

    No gradient passes: that of a median lies in one entry, is so large there that it hides all others, and says
    nothing about a step of any length. Attacks that followed it missed most of what they look for.

    kspace: (..., coil, ky, kx) complex, zero where nothing was measured; mask: (kx,) or (ky, kx) bool. Returns
    (...) real, in the units of kspace; 0 for a measurement of zeros.
    """
    kspace, ny = kspace.detach(), kspace.shape[-2]
    counts = mask.expand(kspace.shape[-2:]).sum(-1)
    outermost = (torch.arange(ny, device=counts.device) - ny // 2).abs().argsort(descending=True, stable=True)
    enough = counts[outermost].cumsum(0) >= OUTER * counts.sum()
    moduli = kspace[..., outermost[: int(enough.nonzero()[0]) + 1], :].abs().flatten(-3)
    median = torch.where(moduli > 0, moduli, torch.nan).nanmedian(-1).values
    return median.nan_to_num(0) / math.sqrt(2 * math.log(2))


def expected_rss(image: Tensor, kspace: Tensor, mask: Tensor) -> Tensor:
    """The reference that a complex image x leads one to expect: sqrt(|x|^2 + 2 C sigma^2).

    The reference of the field is the RSS of noisy coil images: noise of C coils, sigma in each real and imaginary
    part, lifts it above |x|, most of all in the air. A method that gives |x| is marked down for having no noise.

    image: (..., y, x) complex; kspace, mask: the measurement, as in `noise_level`, in the same units. Returns
    (..., y, x) real.
    """
    floor = 2 * kspace.shape[-3] * noise_level(kspace, mask).square()
    return root(image.abs().square() + floor[..., None, None])
