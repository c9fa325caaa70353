"""The worst case of a linear method, which is known: the yardstick of every attack."""

import torch
from torch import Tensor

from helpers.attacks.threat import Threat, direction
from helpers.data.slice import Slice
from helpers.methods.sense import MU
from helpers.mri.conjugate_gradients import conjugate_gradients
from helpers.mri.fourier import ifft2c
from helpers.mri.sense import Sense

EXACT = 1e-6  # tolerance at which the worst case is known to some 1e-5; at 1e-4 it is off by .1 %


class LinearSense:
    """f(y) = R y with R = (A^H A + mu)^-1 A^H, the complex image; y (..., coil, ky, kx) to (..., y, x)."""

    def __init__(self, sense: Sense, mu: float, tolerance: float = 1e-8):
        self.sense, self.mu, self.tolerance = sense, mu, tolerance

    def __call__(self, kspace: Tensor, mask: Tensor | None = None) -> Tensor:
        return self.solve(self.sense.adjoint(kspace))

    def adjoint(self, image: Tensor) -> Tensor:
        """R^H x = A (A^H A + mu)^-1 x: (..., y, x) to (..., coil, ky, kx)."""
        return self.sense.forward(self.solve(image))

    def solve(self, right: Tensor) -> Tensor:
        """(A^H A + mu)^-1 of an image, (..., y, x)."""
        return conjugate_gradients(lambda x: self.sense.gram(x) + self.mu * x, right, self.tolerance)


@torch.no_grad()
def worst_case(
    method: LinearSense,
    radius: Tensor,
    offset: Tensor | None = None,
    seed: int = 0,
    starts: int = 2,
    steps: int = 200,
    measured: Tensor | bool = True,
) -> tuple[Tensor, Tensor]:
    """max over ||e|| <= radius of ||R e + r||: the perturbation (coil, ky, kx) and the value.

    offset: r (y, x), the error without a perturbation, f(y) - x* for the distance to the truth, or nothing for that to
    the clean output, which makes the value radius times the largest singular value of R. A convex function is largest
    on the sphere, where e <- radius R^H (R e + r) / ||.|| climbs at every step: power iteration for r = 0, and from
    several random starts otherwise. Stops when a step gains less than a millionth. measured: where e may be other than
    zero, `Threat.measured`; else all that the method is given.
    """
    generator = torch.Generator().manual_seed(seed)
    maps, best = method.sense.maps, (None, -torch.inf)
    r = torch.zeros_like(maps[0]) if offset is None else offset
    for _ in range(starts):
        e = torch.randn(maps.shape, dtype=maps.dtype, generator=generator).to(maps.device)
        e = radius * direction(measured * (method.sense.mask * e))
        value = torch.zeros(())
        for _ in range(steps):
            moved = method(e) + r
            before, value = value, moved.norm()
            if value - before <= 1e-6 * value:
                break
            e = radius * direction(measured * method.adjoint(moved))
        if value > best[1]:
            best = e, value
    return best


def complex_truth(item: Slice, sense: Sense) -> Tensor:
    """The image x* of the full k-space as coil maps see it: (y, x) complex on the full grid, where maps are.

    Of a scan with a mask of its own nobody knows the rest: then the reference, with the phase of the image of SENSE.
    """
    if item.mask is None:
        return (sense.maps.conj() * ifft2c(item.kspace)).sum(-3)
    x = LinearSense(sense, MU, tolerance=1e-4)(item.kspace)
    seen = item.crop(x)
    seen.copy_(item.target * torch.sgn(seen))
    return x


def worst_for_sense(item: Slice, threat: Threat, seed: int = 0) -> Tensor:
    """The worst perturbation of the complex image of SENSE, which is known: where gradient attacks may begin.

    The distance to the truth is maximized. Returns e (coil, ky, kx) of the strength of the threat.
    """
    y, mask = threat.kspace, threat.mask
    sense = Sense.estimated(y, mask)
    linear = LinearSense(sense, MU, tolerance=1e-4)
    offset = linear(y) - complex_truth(item, sense)
    e, _ = worst_case(linear, threat.radius[0, 0, 0], offset, seed, steps=60, measured=threat.measured)
    return e
