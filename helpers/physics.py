"""What the scanner does: y = M F S x + noise, with its adjoint, and the one scale that every method works in."""

import torch
from torch import Tensor

from helpers.fourier import fft2c, ifft2c


class Sense:
    """The measurement operator A = M F S of accelerated multi-coil MRI (equation of section 2 of the paper).

    maps: (..., coil, y, x) complex, the sensitivities S; mask: (kx,) or (ky, kx) bool, the sampled entries M.
    """

    def __init__(self, maps: Tensor, mask: Tensor):
        self.maps, self.mask = maps, mask

    def forward(self, image: Tensor) -> Tensor:
        """y = M F S x: image (..., y, x) complex to k-space (..., coil, ky, kx)."""
        return self.mask * fft2c(self.maps * image[..., None, :, :])

    def adjoint(self, kspace: Tensor) -> Tensor:
        """x = S^H F^H M y: k-space (..., coil, ky, kx) to image (..., y, x)."""
        return (self.maps.conj() * ifft2c(self.mask * kspace)).sum(-3)

    def gram(self, image: Tensor) -> Tensor:
        """A^H A x: image (..., y, x) to image (..., y, x)."""
        return self.adjoint(self.forward(image))


def rss(images: Tensor) -> Tensor:
    """Root of the sum of squares over the coils: (..., coil, y, x) complex to (..., y, x) real."""
    return images.abs().square().sum(-3).sqrt()


def scale(kspace: Tensor) -> Tensor:
    """The unit of a measurement: the 99th percentile of its zero-filled RSS image.

    Every method works on kspace / scale and gives its image back times scale, so that no method depends on the
    units of a file. kspace: (..., coil, ky, kx) complex, zero where nothing was measured. Returns (..., 1, 1)
    real; 1 where the measurement is all zero.
    """
    images = rss(ifft2c(kspace)).flatten(-2)
    unit = torch.quantile(images, 0.99, dim=-1)[..., None, None]
    return torch.where(unit > 0, unit, torch.ones_like(unit))
