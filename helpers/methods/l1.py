"""l1-wavelet: the image that explains the measurement and has few large wavelet coefficients."""

from functools import partial

import torch
from torch import Tensor

from helpers.mri.noise import expected_rss, scale
from helpers.mri.rss import rss
from helpers.mri.sense import Sense
from helpers.sparsity.bases import Basis, basis
from helpers.sparsity.implicit_gradients import l1 as minimizer
from helpers.sparsity.ongoing import Ongoing
from helpers.sparsity.proximal_gradient import (
    DataTerm,
    ProximalGradient,
    Solution,
    certified,
    residual,
    soft_threshold,
    weight,
)
from helpers.sparsity.splitting import FIRST, LOOK, SPRING, Splitting

TOLERANCE = 3e-4  # certified: the image is about .001 from the minimum; at 1e-3 it is .004, worth .0015 of SSIM
CAP = 2000
CORRECTIONS = 2  # steps toward dual feasibility before the gap is read: they make the bound several times tighter


def reconstruct(
    kspace: Tensor,
    mask: Tensor,
    lam: float | Tensor,
    name: str = "db4",
    tol: float | None = TOLERANCE,
    cap: int = CAP,
    implicit: bool = False,
    last: int | None = None,
    ongoing: Ongoing | None = None,
) -> Tensor:
    """Image from few measurements by minimizing 1/2 ||M F S x - y||^2 + lam ||W x||_1 over complex images x.

    kspace: (..., coil, ky, kx) complex, zero where nothing was measured; mask: (kx,) or (ky, kx) bool; lam: weight
    of the penalty as a multiple of the noise level (see `weight`), a number or (...); name: the wavelet, or
    another of `bases.basis`; tol and cap as in `solve`. Returns `noise.expected_rss` of what the coils see of x,
    (..., y, x) real on the full grid, in the units of kspace; differentiable in kspace, with implicit by one linear
    solve at the minimum (see `implicit_gradients.l1`), or through all iterations, or so many further ones from the
    minimum, the `last`, as Genzel et al. 2022 do: both are unstable where next to nothing is left to solve; ongoing:
    for a search, each solve begins where the last one ended, and ends at that looser gap. The coil maps S are estimated
    from the measurement. Source: Lustig et al. 2007; section 2.2 of the paper.
    """
    unit = scale(kspace)
    kspace = kspace / unit[..., None]
    model, penalty = Sense.estimated(kspace, mask), weight(lam, kspace, mask)
    with torch.set_grad_enabled(torch.is_grad_enabled() and not implicit and last is None):
        x = (ongoing(solve) if ongoing else solve)(model, kspace, penalty, name, tol=tol, cap=cap).x
    if implicit:
        x = minimizer(model, kspace, penalty[..., None, None], x, basis(kspace.shape[-2:], name))
    elif last is not None:
        x = solve(model, kspace, penalty, name, None, last, start=x).x
    # where no coil sees anything the data do not bind x, and a basis that is not local fills it
    return expected_rss(rss(model.maps) * x, kspace, mask) * unit


def solve(
    sense: Sense,
    kspace: Tensor,
    lam: float | Tensor,
    name: str = "db4",
    tol: float | None = TOLERANCE,
    cap: int = CAP,
    levels: int | None = None,
    start: Tensor | None = None,
    spring: float = SPRING,
) -> Solution:
    """Minimize the `objective` P(x) = 1/2 ||A x - y||^2 + lam ||W x||_1, W = bases.basis((y, x), name, levels).

    sense: A; kspace: y (..., coil, ky, kx) complex; lam: the weight itself, a number or (...). Stops when the duality
    gap (P(x) - D) / P(x) <= tol, which bounds (P(x) - P*) / P(x). D is the dual objective at u = s r, r the residual
    of an image close to x and s the largest scaling with ||W A^H u||_inf <= lam; the best D so far counts. Warns
    after `cap` iterations; with tol None takes exactly `cap` of them. start: the first x, (..., y, x), by default
    A^H y. By `Splitting`, whose `spring` is no softer than this; under a mask of points, which does not keep rows
    apart, by `ProximalGradient`.
    """
    data = DataTerm(sense, kspace)
    wavelet = basis(kspace.shape[-2:], name, levels)
    lam = torch.as_tensor(lam, dtype=data.b.real.dtype, device=data.b.device)[..., None, None]

    def value(x: Tensor, gram_x: Tensor) -> Tensor:
        return data.value(x, gram_x) + lam[..., 0, 0] * l1_norm(wavelet, x)

    def prox(z: Tensor, step: Tensor) -> Tensor:
        return wavelet.adjoint(soft_threshold(wavelet.forward(z), lam * step))

    bound = partial(lower_bound, data, wavelet, lam)
    if sense.columns:
        iteration = Splitting(data, wavelet, lam, value, partial(bound, corrections=0), start, spring)
        return certified(iteration, tol, cap, LOOK, FIRST if start is None else LOOK)
    return certified(ProximalGradient(data, prox, value, bound, start), tol, cap)


def objective(
    sense: Sense, kspace: Tensor, lam: float | Tensor, x: Tensor, name: str = "db4", levels: int | None = None
) -> Tensor:
    """P(x) = 1/2 ||A x - y||^2 + lam ||W x||_1 of images x (..., y, x), (...) double; arguments as in `solve`."""
    return residual(sense, kspace, x) + lam * l1_norm(basis(x.shape[-2:], name, levels), x)


def l1_norm(wavelet: Basis, x: Tensor) -> Tensor:
    """||W x||_1, the moduli of all coefficients: images (..., y, x) to (...) double."""
    return wavelet.forward(x).abs().sum((-2, -1), dtype=torch.double)


def lower_bound(
    data: DataTerm, wavelet: Basis, lam: Tensor, x: Tensor, gram_x: Tensor, corrections: int = CORRECTIONS
) -> Tensor:
    """A lower bound of the minimum, (...) double, from the residual of x; lam (..., 1, 1), gram_x = A^H A x.

    Few coefficients of W A^H r exceed lam near the minimum, but the largest sets the scaling. Steps along the
    excess bring it down: each moves x, and so r, by what soft thresholding leaves of W A^H r.
    """
    best = torch.full_like(data.energy, -torch.inf)
    for correction in range(corrections + 1):
        slopes = wavelet.forward(data.b - gram_x)
        largest = slopes.abs().amax((-2, -1)).clamp(min=torch.finfo(slopes.real.dtype).tiny)
        best = torch.maximum(best, data.lower_bound(x, gram_x, lam[..., 0, 0] / largest))
        if correction < corrections:
            x = x + 2 / data.sense.bound * wavelet.adjoint(soft_threshold(slopes, lam))
            gram_x = data.sense.gram(x)
    return best
