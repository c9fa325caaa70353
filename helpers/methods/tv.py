"""Total variation: the image that explains the measurement and has few edges."""

from functools import partial

import torch
from torch import Tensor

from helpers.mri import coils
from helpers.mri.noise import expected_rss, scale
from helpers.mri.sense import Sense
from helpers.sparsity.implicit_gradients import tv as minimizer
from helpers.sparsity.ongoing import Ongoing
from helpers.sparsity.proximal_gradient import DataTerm, ProximalGradient, Solution, certified, residual, weight
from helpers.sparsity.total_variation import Prox, lift, power, total_variation

TOLERANCE = 3e-3  # certified; from 1e-2 to here SSIM moves by .001, from here to 1e-3 by .0005 at twice the time
CAP = 2000


def reconstruct(
    kspace: Tensor,
    mask: Tensor,
    lam: float | Tensor,
    tol: float | None = TOLERANCE,
    cap: int = CAP,
    implicit: bool = False,
    last: int | None = None,
    ongoing: Ongoing | None = None,
) -> Tensor:
    """Image from few measurements by minimizing 1/2 ||M F S x - y||^2 + lam TV(x) over complex images x.

    kspace: (..., coil, ky, kx) complex, zero where nothing was measured; mask: (kx,) or (ky, kx) bool; lam: weight
    of the penalty as a multiple of the noise level (see `weight`), a number or (...); tol and cap as in
    `solve`. Returns `noise.expected_rss` of x, (..., y, x) real on the full grid, in the units of kspace;
    differentiable in kspace, through all iterations, or with implicit by one linear solve at the minimum (see
    `implicit_gradients.tv`), or through the `last` further iterations from it; ongoing: as for l1-wavelet. The coil
    maps S are estimated from the measurement. Source: Lustig et al. 2007; Genzel et al. 2022 attack this method, by its
    last iterations.
    """
    unit = scale(kspace)
    kspace = kspace / unit[..., None]
    # maps without a crop: where no coil sees anything TV alone would bind the image, and take thousands of steps to
    maps = coils.espirit(kspace, mask, crop=0)
    model, penalty = Sense(maps, mask), weight(lam, kspace, mask)
    with torch.set_grad_enabled(torch.is_grad_enabled() and not implicit and last is None):
        x = (ongoing(solve) if ongoing else solve)(model, kspace, penalty, tol=tol, cap=cap).x
    if implicit:
        x = minimizer(model, kspace, penalty[..., None, None], x)
    elif last is not None:
        x = solve(model, kspace, penalty, tol=None, cap=last, start=x).x
    return expected_rss(x, kspace, mask) * unit


def solve(
    sense: Sense,
    kspace: Tensor,
    lam: float | Tensor,
    isotropic: bool = True,
    tol: float | None = TOLERANCE,
    cap: int = CAP,
    start: Tensor | None = None,
) -> Solution:
    """Minimize the `objective` P(x) = 1/2 ||A x - y||^2 + lam TV(x), periodic at the border.

    sense: A; kspace: y (..., coil, ky, kx) complex; lam: the weight itself, a number or (...). Stops when the duality
    gap (P(x) - D) / P(x) <= tol, which bounds (P(x) - P*) / P(x), however exact the inner proximal steps are. D is the
    dual objective Re <y, u> - 1/2 ||u||^2 at u = s r: r is the residual at x plus the constant that makes the mean
    of A^H r zero, p a field with D^H p = A^H r, made from the dual field of the last proximal step by one Poisson
    equation, and s the largest scaling with |s p| <= lam; the best D so far counts. Warns after `cap` iterations;
    with tol None takes exactly `cap` of them. start: see `ProximalGradient`.
    """
    data = DataTerm(sense, kspace)
    lam = torch.as_tensor(lam, dtype=data.b.real.dtype, device=data.b.device)[..., None, None]
    prox = Prox(lam, data.b, isotropic)

    def value(x: Tensor, gram_x: Tensor) -> Tensor:
        return data.value(x, gram_x) + lam[..., 0, 0] * total_variation(x, isotropic)

    bound = partial(lower_bound, data, prox)
    return certified(ProximalGradient(data, prox, value, bound, start), tol, cap)


def objective(sense: Sense, kspace: Tensor, lam: float | Tensor, x: Tensor, isotropic: bool = True) -> Tensor:
    """P(x) = 1/2 ||A x - y||^2 + lam TV(x) of images x (..., y, x), (...) double; arguments as in `solve`."""
    return residual(sense, kspace, x) + lam * total_variation(x, isotropic)


def lower_bound(data: DataTerm, prox: Prox, x: Tensor, gram_x: Tensor) -> Tensor:
    """A lower bound of the minimum, (...) double, from the residual of x and the dual field of a proximal step.

    The residual is that of x plus the constant that fits the data best, which makes the mean of A^H r zero, as that
    of every D^H p is. gram_x = A^H A x.
    """
    tiny = torch.finfo(x.real.dtype).tiny
    total = (data.b - gram_x).sum((-2, -1), keepdim=True)
    shift = total / data.gram_constant.sum((-2, -1), keepdim=True).real.clamp(min=tiny)
    x, gram_x = x + shift, gram_x + shift * data.gram_constant
    field = lift(data.b - gram_x, prox.field)
    longest = power(field, prox.isotropic).amax((-4, -3, -2, -1)).sqrt()
    return data.lower_bound(x, gram_x, prox.limit[..., 0, 0, 0, 0] / longest.clamp(min=tiny))
