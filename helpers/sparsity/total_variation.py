"""Total variation of complex images: the sum over pixels of the length of the gradient, periodic at the border."""

import torch
from torch import Tensor, fft

INNER = 3  # dual steps of the first proximal step; each starts from the last one's result, so that few suffice
GROWTH = 20  # one dual step more every so many proximal steps: an accelerated method asks for ever more exact ones


def gradient(planes: Tensor) -> Tensor:
    """D x: differences to the pixels above and to the left, (..., plane, y, x) to (..., 2, plane, y, x).

    planes: real, one plane for a real image, two (real and imaginary part) for a complex one; see `to_planes`.
    """
    field = torch.stack([planes, planes], -4)
    down, right = field.select(-4, 0), field.select(-4, 1)
    down[..., 1:, :].sub_(planes[..., :-1, :])
    down[..., :1, :].sub_(planes[..., -1:, :])
    right[..., 1:].sub_(planes[..., :-1])
    right[..., :1].sub_(planes[..., -1:])
    return field


def gradient_adjoint(field: Tensor) -> Tensor:
    """D^H p, minus the divergence: (..., 2, plane, y, x) to (..., plane, y, x)."""
    down, right = field.unbind(-4)
    image = down + right
    image[..., :-1, :].sub_(down[..., 1:, :])
    image[..., -1:, :].sub_(down[..., :1, :])
    image[..., :-1].sub_(right[..., 1:])
    image[..., -1:].sub_(right[..., :1])
    return image


def to_planes(image: Tensor) -> Tensor:
    """Real and imaginary part as planes: (..., y, x) complex to (..., 2, y, x) real, which computes faster."""
    return torch.view_as_real(image).movedim(-1, -3).contiguous()


def from_planes(planes: Tensor) -> Tensor:
    """The complex image of two planes: the inverse of `to_planes`."""
    return torch.complex(*planes.unbind(-3))


def power(field: Tensor, isotropic: bool) -> Tensor:
    """Squared lengths of the gradient vectors: over both directions and planes if isotropic, else each direction's."""
    return field.square().sum((-4, -3) if isotropic else -3, keepdim=True)


def total_variation(image: Tensor, isotropic: bool = True) -> Tensor:
    """TV(x) = sum over pixels of |D x|, isotropic: (..., y, x) complex to (...) double.

    isotropic False sums the moduli of the two directions, as sigpy does; BART's is isotropic, both are periodic.
    """
    lengths = power(gradient(to_planes(image)), isotropic).sqrt()
    return lengths.sum((-4, -3, -2, -1), dtype=torch.double)


class Prox:
    """The proximal step of lam TV, solved on its dual by accelerated projections that remember the last solution.

    prox(z, step) is the minimizer of 1/2 ||x - z||^2 + step lam TV(x) = z - step D^H p, the dual field p of length
    at most lam in every pixel. `field` is that p, zero before the first step. lam: (..., 1, 1); like: an image of
    the shape, dtype and device of those to come.
    Sources: Beck & Teboulle 2009, Fast gradient-based algorithms for constrained total variation denoising; on the
    growing number of dual steps, Schmidt, Le Roux & Bach 2011.
    """

    def __init__(self, lam: Tensor, like: Tensor, isotropic: bool = True, inner: int = INNER):
        self.limit, self.isotropic, self.inner, self.calls = lam[..., None, None], isotropic, inner, 0
        self.field = gradient(torch.zeros_like(to_planes(like.detach())))

    def __call__(self, z: Tensor, step: Tensor) -> Tensor:
        planes = to_planes(z * (1 / step))
        field = extrapolated = self.field
        t = 1.0
        for _ in range(self.inner + self.calls // GROWTH):
            short = planes - gradient_adjoint(extrapolated)
            new = self.project(torch.add(extrapolated, gradient(short), alpha=1 / 8))
            t_new = (1 + (1 + 4 * t * t) ** 0.5) / 2
            extrapolated, field, t = torch.lerp(field, new, 1 + (t - 1) / t_new), new, t_new
        self.field, self.calls = field, self.calls + 1
        return from_planes(planes - gradient_adjoint(field)) * step

    def project(self, field: Tensor) -> Tensor:
        """The closest field no longer than lam anywhere."""
        least = self.limit.square().clamp(min=torch.finfo(field.dtype).tiny)
        return field * power(field, self.isotropic).clamp(min=least).rsqrt().mul(self.limit)


def lift(image: Tensor, field: Tensor) -> Tensor:
    """The field p' closest to p with D^H p' = image, for an image of mean zero: one Poisson equation, solved by FFT.

    image: (..., y, x) complex; field: p (..., 2, 2, y, x). Returns p' of the same shape.
    """
    ny, nx = image.shape[-2:]
    along_y, along_x = (
        2 - 2 * torch.cos(2 * torch.pi * fft.fftfreq(n, dtype=field.dtype, device=field.device)) for n in (ny, nx)
    )
    laplacian = along_y[:, None] + along_x
    laplacian[0, 0] = 1
    missing = fft.fft2(image - from_planes(gradient_adjoint(field))) / laplacian
    missing[..., 0, 0] = 0
    return field + gradient(to_planes(fft.ifft2(missing)))
