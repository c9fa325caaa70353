"""Zero-filled: what is there without any reconstruction, the lower end of every comparison."""

from torch import Tensor

from helpers.mri.fourier import ifft2c
from helpers.mri.masks import fitting
from helpers.mri.rss import rss


def reconstruct(kspace: Tensor, mask: Tensor) -> Tensor:
    """The root of the sum of squares of F^H M y, entries not measured left zero.

    kspace: (..., coil, ky, kx) complex; mask: (kx,) or (ky, kx) bool. Returns (..., y, x) real, in kspace's units.
    """
    return rss(ifft2c(fitting(mask, kspace.shape[-2:]) * kspace))
