"""Gradients through a converged solver, by the implicit function theorem: one linear solve, and no iterate kept."""

from collections.abc import Callable

import torch
from torch import Tensor

from helpers.mri.conjugate_gradients import conjugate_gradients
from helpers.mri.sense import SHARE, Sense
from helpers.sparsity.bases import Basis
from helpers.sparsity.proximal_gradient import soft_threshold
from helpers.sparsity.total_variation import from_planes, gradient, gradient_adjoint, power, to_planes

# An attack normalizes its gradient, whose cosine to the exact one is above .99 with these two.
TOLERANCE = 0.03  # of the linear solve, relative
FLAT = 3e-3  # gradients of an image that are shorter, in the unit of the data, are taken for zero, and stay so


def attached(x: Tensor, right: Tensor, solve: Callable[[Tensor], Tensor]) -> Tensor:
    """The solution x of F(x) = right, with the gradient that it has as a function of its right-hand side.

    dx = H^-1 d(right), H = dF/dx symmetric: where autograd brings a slope g to x, `solve` returns H^-1 g, and that is
    what it takes on to whatever `right` was made of. x and right have one shape; the value of `right` does not matter.
    """
    shift = right - right.detach()
    if shift.requires_grad:
        shift.register_hook(solve)
    return x.detach() + shift


def l1(sense: Sense, kspace: Tensor, lam: Tensor, x: Tensor, wavelet: Basis, tolerance: float = TOLERANCE) -> Tensor:
    """The minimizer of 1/2 ||A x - y||^2 + lam ||W x||_1 as a function of y and lam.

    On the support I of c = W x, with u = c / |c| and everything else held at zero, a minimum has
    W A^H (A x - y) + lam u = 0. Differentiated, as maps that are linear over the reals,

        (P W A^H A W^H P + lam D) dc = P W A^H dy - u dlam,   D dc = (dc - u Re(conj(u) dc)) / |c|.

    Solved by conjugate gradients, preconditioned by 1 + lam / |c|, which is large where c is small. The support is
    that after one more proximal step from x, which makes zeros exact. At its edge the minimizer has kinks.

    sense: A; kspace: y (..., coil, ky, kx) complex; lam: the weight itself, (..., 1, 1); x: (..., y, x) the minimizer,
    the gradient is as good as that; wavelet: W. Maps count as constants. Source: Bertrand et al., JMLR 2022.
    """
    with torch.no_grad():
        step = 1 / sense.bound
        moved = x - step * (sense.gram(x) - sense.adjoint(kspace))
        c = soft_threshold(wavelet.forward(moved), lam * step)
        moduli = c.abs()
        support = moduli > 0
        u = torch.where(support, c / moduli.clamp(min=torch.finfo(moduli.dtype).tiny), 0)
        bend = torch.where(support, lam / moduli.clamp(min=torch.finfo(moduli.dtype).tiny), 0)
        root = (1 + bend).rsqrt()

    quick = sense.compressed(min(SHARE, tolerance**2))

    def hessian(v: Tensor) -> Tensor:
        curved = wavelet.forward(quick.gram(wavelet.adjoint(v)))
        return torch.where(support, curved, 0) + bend * (v - u * (u.conj() * v).real)

    @torch.no_grad()
    def solve(g: Tensor) -> Tensor:
        right = root * torch.where(support, wavelet.forward(g), 0)
        z = conjugate_gradients(lambda z: root * hessian(root * z), right, tolerance)
        return wavelet.adjoint(root * z)

    return attached(x, sense.adjoint(kspace) - lam * wavelet.adjoint(u), solve)


def tv(
    sense: Sense, kspace: Tensor, lam: Tensor, x: Tensor, flat: float = FLAT, tolerance: float = TOLERANCE
) -> Tensor:
    """The minimizer of 1/2 ||A x - y||^2 + lam TV(x), isotropic, as a function of y and lam.

    Where the gradient g = D x of the image is not zero, with length l and direction n = g / l, TV is smooth, and where
    it is zero it stays so, which a stiff spring of strength lam / flat sees to. Differentiated,

        (A^H A + lam D^H B D) dx = A^H dy - D^H p dlam,   B = (1 - n n^T) / l,  or 1 / flat where l <= flat,

    with lam D^H p = A^H y - A^H A x at the minimum. Solved by conjugate gradients, preconditioned by the diagonal. The
    spring lets flat pixels give way a little, in proportion to flat; the smaller it is, the more steps the solve takes.

    Arguments as in `l1`; flat: in the unit of the image. Source: as `l1`; Deledalle et al., SIAM 2014.
    """
    with torch.no_grad():
        slope = (sense.adjoint(kspace) - sense.gram(x)) / lam
        field = gradient(to_planes(x))
        lengths = power(field, isotropic=True).sqrt()
        sloped = lengths > flat
        n = torch.where(sloped, field / lengths.clamp(min=flat), 0)
        stiffness = lam[..., None, None] / lengths.clamp(min=flat)
        # of a pixel's four differences, two by the stiffness of its neighbors; 1 - n n^T leaves one direction of two
        pixel = stiffness.squeeze((-4, -3))
        held = (2 * pixel + pixel.roll(-1, -2) + pixel.roll(-1, -1)) / 2
        seen = torch.atleast_2d(sense.shifted_mask).mean((-2, -1), keepdim=True)
        diagonal = (sense.maps.abs().square() * seen).sum(-3) + held
        root = diagonal.clamp(min=torch.finfo(diagonal.dtype).tiny).rsqrt()

    quick = sense.compressed(min(SHARE, tolerance**2))

    def hessian(v: Tensor) -> Tensor:
        along = gradient(to_planes(v))
        across = along - n * (n * along).sum((-4, -3), keepdim=True)
        return quick.gram(v) + from_planes(gradient_adjoint(stiffness * across))

    @torch.no_grad()
    def solve(g: Tensor) -> Tensor:
        return root * conjugate_gradients(lambda z: root * hessian(root * z), root * g, tolerance)

    return attached(x, sense.adjoint(kspace) - lam * slope, solve)
