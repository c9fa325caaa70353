"""What an attack may do, and what it wants: a perturbation e of the measured entries, no longer than eps ||y||."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from helpers.attacks.losses import loss_of
from helpers.errors import BadInput
from helpers.methods import Method
from helpers.methods.border import called, guest
from helpers.mri.fourier import center_crop
from helpers.mri.noise import noise_level, recorded


class NoGradient(BadInput):
    """The method passes no gradient."""


@dataclass(frozen=True)
class Threat:
    """The rules under which every method is attacked. Leading axes (...) are a batch of slices and strengths.

    method     reconstruct(kspace, mask) -> image; coil maps, scale and data consistency are made from y + e
    kspace     y (..., coil, ky, kx) complex, zero where nothing was measured; mask (kx,) or (ky, kx) bool
    eps        strength ||e|| / ||y||, a number or (...)
    reference  (..., y, x): the image from which a perturbed one is driven away, the truth or the method's own clean
               output; images are cropped to it
    score      what the loss makes worse, one of `losses.LOSSES`
    target     (..., y, x) the clean target, which tells data range and object: where the reference is another image
    """

    method: Method
    kspace: Tensor
    mask: Tensor
    eps: float | Tensor
    reference: Tensor
    score: str = field(default="nmse", kw_only=True)
    target: Tensor | None = field(default=None, kw_only=True)

    def __post_init__(self):
        strengths = torch.as_tensor(self.eps)
        if not bool(((strengths > 0) & strengths.isfinite()).all()):
            raise BadInput(f"a strength eps is above 0, not {float(strengths.min()):g}")

    @cached_property
    def radius(self) -> Tensor:
        """The length that e may have, eps ||y||: (..., 1, 1, 1)."""
        return torch.as_tensor(self.eps, device=self.kspace.device)[..., None, None, None] * length(self.kspace)

    def images(self, e: Tensor) -> Tensor:
        """A full reconstruction of y + e: (..., coil, ky, kx) to (..., y, x), cropped to the reference."""
        image = called(self.method, self.kspace + e, self.mask, complex_too=self.reference.is_complex())
        return center_crop(image, tuple(self.reference.shape[-2:]))

    def loss(self, e: Tensor) -> Tensor:
        """What an attack maximizes: the distance of f(y + e) to the reference; (..., coil, ky, kx) to (...)."""
        return self.distance(self.images(e))

    def distance(self, images: Tensor) -> Tensor:
        """How far what the method has made is from the reference, see `losses.loss_of`: (..., y, x) to (...)."""
        return self._distance(images)

    @cached_property
    def _distance(self) -> Callable[[Tensor], Tensor]:
        return loss_of(self.score, self.reference, self.reference if self.target is None else self.target)

    def slope(self, e: Tensor) -> tuple[Tensor, Tensor]:
        """The loss and its gradient in e: (...) and (..., coil, ky, kx), zero off the mask.

        NoGradient where the method passes none, and BadInput where it passes what is none.
        """
        e = e.detach().requires_grad_()
        loss = self.loss(e)
        gradient = None
        if loss.requires_grad:
            with guest("the gradient of this method failed with"):
                (gradient,) = torch.autograd.grad(loss.sum(), e, allow_unused=True)
        if gradient is None:
            raise NoGradient("this method passes no gradient; attack it without one")
        if not torch.isfinite(gradient).all():
            raise BadInput("the gradient of this method is NaN or infinite, as that of the root of 0 is; avoid that")
        return loss.detach(), self.allowed(gradient)

    @cached_property
    def measured(self) -> Tensor:
        """What may be moved, (..., coil, ky, kx) bool: in the mask, but for what the scanner left at zero.

        Lines that only fill up a grid, and coils that are switched off, hold no noise. Moved, they would: least of all
        entries, by which a method that estimates the noise would be misled a hundredfold.
        """
        seen = recorded(self.kspace)
        return self.mask & seen.any(-3, keepdim=True) & seen.any((-2, -1), keepdim=True)

    def allowed(self, e: Tensor) -> Tensor:
        """The closest perturbation of any length: zero where nothing was measured."""
        return self.measured * e

    def project(self, e: Tensor) -> Tensor:
        """The closest perturbation that is allowed: zero where nothing was measured, and no longer than the radius."""
        e = self.allowed(e)
        return e * (self.radius / torch.maximum(length(e), self.radius))

    def stretched(self, e: Tensor) -> Tensor:
        """The perturbation of that direction whose strength is eps, to rounding."""
        return self.radius * direction(self.allowed(e))

    def noise(self, seed: int, count: int = 1) -> Tensor:
        """Gaussian noise of strength eps on the measured entries, (count, ..., coil, ky, kx): attacks must beat it."""
        generator = torch.Generator().manual_seed(seed)
        shape = torch.broadcast_shapes(self.kspace.shape, self.radius.shape)
        drawn = torch.randn((count, *shape), dtype=self.kspace.dtype, generator=generator)
        return self.stretched(drawn.to(self.kspace.device))

    def starts(self, seed: int, count: int, start: Tensor | None = None) -> Tensor:
        """Where an attack begins: `count` draws of noise, and a known perturbation (..., coil, ky, kx) before them.

        Near zero the magnitude of an image hardly moves, so that gradients from noise may miss the air around the
        object; what was found for a linear method, whose image is complex, has been there.
        """
        drawn = self.noise(seed, count)
        return drawn if start is None else torch.cat([self.stretched(start).expand(drawn.shape[1:])[None], drawn])


def length(e: Tensor) -> Tensor:
    """||e|| over coils and k-space: (..., coil, ky, kx) to (..., 1, 1, 1).

    Summed in pairs: torch's own norm adds one entry after the other in single precision, and of k-space, whose center
    outweighs the rest by far, it loses 1e-4.
    """
    return e.abs().square().sum((-3, -2, -1), keepdim=True).sqrt()


def realized(e: Tensor, y: Tensor) -> float:
    """||e|| / ||y|| of a perturbation and a measurement, (coil, ky, kx) both."""
    return float(length(e) / length(y))


def direction(e: Tensor) -> Tensor:
    """e / ||e||, and 0 for 0."""
    return e / length(e).clamp(min=torch.finfo(e.real.dtype).tiny)


def noise_levels(e: Tensor, y: Tensor, mask: Tensor) -> float:
    """The strength of a perturbation as a multiple of that of the noise that is in the measurement already.

    e, y: (coil, ky, kx) complex, y zero where nothing was measured; there is noise where the scanner has recorded.
    """
    entries = 2 * recorded(y).sum()
    return float(length(e) / (noise_level(y, mask) * entries.sqrt()).clamp(min=1e-30))
