"""What the scanner does: y = M F S x + noise, with its adjoint."""

from functools import cached_property

import torch
from torch import Tensor, fft

from helpers.mri.coils import espirit
from helpers.mri.fourier import fft2c, ifft2c

CACHE = 2**16  # complex numbers that a processor keeps close by: the Gram operator works on no more at a time
SHARE = 1e-3  # of the energy of coil maps, that compression may leave out


class Sense:
    """The measurement operator A = M F S of accelerated multi-coil MRI (equation of section 2 of the paper).

    maps: (..., coil, y, x) complex, the sensitivities S; mask: (kx,) or (ky, kx) bool, the sampled entries M, or one
    for every item of a batch, (..., 1, 1, kx) or (..., 1, ky, kx).
    """

    def __init__(self, maps: Tensor, mask: Tensor):
        self.maps, self.mask = maps, mask
        self.columns = mask.ndim == 1 or mask.shape[-2] == 1

    @classmethod
    def estimated(cls, kspace: Tensor, mask: Tensor, **options) -> "Sense":
        """A with the maps that the measurement itself gives: kspace, mask and options as `coils.espirit` takes them."""
        return cls(espirit(kspace, mask, **options), mask)

    def forward(self, image: Tensor) -> Tensor:
        """y = M F S x: image (..., y, x) complex to k-space (..., coil, ky, kx)."""
        return self.mask * fft2c(self.maps * image[..., None, :, :])

    def adjoint(self, kspace: Tensor) -> Tensor:
        """x = S^H F^H M y: k-space (..., coil, ky, kx) to image (..., y, x)."""
        return (self.maps.conj() * ifft2c(self.mask * kspace)).sum(-3)

    def gram(self, image: Tensor) -> Tensor:
        """A^H A x: image (..., y, x) to image (..., y, x), exactly `adjoint(forward(image))` and much faster.

        F^H M F is a circular convolution, so it commutes with the shifts that center the transform, and they cancel.
        Under a mask along kx alone it convolves each image row by itself: one-dimensional transforms suffice, and
        the rows are taken a few at a time, as many as the processor's cache holds.
        """
        if not self.columns:
            axes = (-2, -1)
            spectra = fft.fft2(self.maps * image[..., None, :, :], dim=axes)
            return (self.maps.conj() * fft.ifft2(spectra * self.shifted_mask, dim=axes)).sum(-3)
        rows = []
        image = image.expand(torch.broadcast_shapes(image.shape, self.maps.shape[:-3] + self.maps.shape[-2:]))
        for (maps, conjugate), block in zip(self.blocks, image.split(self.height, dim=-2), strict=True):
            # in place, because memory that is freed and asked for again costs as much as the transforms
            images = fft.ifft(fft.fft(maps * block[..., None, :, :]).mul_(self.shifted_mask))
            rows.append(images.mul_(conjugate).sum(-3))
        return torch.cat(rows, dim=-2)

    def compressed(self, share: float = SHARE) -> "Sense":
        """A with fewer, virtual coils: nearly the same Gram operator for a fraction of the work.

        Under a mask along kx alone the rows of the image do not mix, and A^H A is the same for any unitary combination
        of the coils of a row. In each row the combinations of most energy are kept, as many as leave out at most
        `share` of the energy of the maps, and the same number in all. Under a mask of points it is A itself.
        Source: Zhang et al., MRM 2013, geometric coil compression, with maps instead of data.
        """
        if not self.columns:
            return self
        rows = self.maps.detach().transpose(-3, -2)
        energy, combinations = torch.linalg.eigh(rows @ rows.mH)  # from the least
        energy = energy.sum(-2)
        enough = energy.cumsum(-1) <= share * energy.sum(-1, keepdim=True)
        dropped = int(enough.sum(-1).min())
        return Sense((combinations[..., dropped:].mH @ rows).transpose(-3, -2), self.mask)

    @property
    def bound(self) -> Tensor:
        """A bound of the largest eigenvalue of A^H A: the most that the coils weigh a pixel. (..., 1, 1) real."""
        return self.maps.detach().abs().square().sum(-3).amax((-2, -1), keepdim=True)

    @cached_property
    def shifted_mask(self) -> Tensor:
        """The mask with its zero frequency first, as real numbers, which multiply faster than bool."""
        axes = -1 if self.columns else (-2, -1)
        return fft.ifftshift(self.mask, dim=axes).to(self.maps.real.dtype)

    @property
    def height(self) -> int:
        """Rows that the Gram operator takes at a time: all of them on a GPU, which has no use for small pieces."""
        if self.maps.device.type != "cpu":
            return self.maps.shape[-2]
        return max(1, CACHE // max(1, self.maps[..., 0, :].numel()))

    @cached_property
    def blocks(self) -> list[tuple[Tensor, Tensor]]:
        """The maps and their conjugates, a few rows at a time, each contiguous."""
        return [
            (block.contiguous(), block.conj().resolve_conj().contiguous())
            for block in self.maps.split(self.height, dim=-2)
        ]
