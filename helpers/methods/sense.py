"""SENSE: least squares with coil maps, the linear reconstruction."""

from collections.abc import Callable

import torch
from torch import Tensor

from helpers.coils import espirit
from helpers.physics import Sense, expected_rss, scale


def reconstruct(kspace: Tensor, mask: Tensor, mu: float = 0.01, tolerance: float = 1e-4) -> Tensor:
    """min_x 1/2 ||M F S x - y||^2 + mu/2 ||x||^2 with ESPIRiT maps S.

    The maps have unit norm over the coils, so that |x| is the root of the sum of squares of the coil images S x,
    and `physics.expected_rss` of x, which is returned, that of noisy ones. mu counts in units of `physics.scale` and
    is small beside the operator's norm of 1: it holds back the noise that the inverse amplifies. Gradients reach
    kspace through the solver, with the maps as constants.

    kspace: (..., coil, ky, kx) complex, zero where nothing was measured; mask: (kx,) or (ky, kx) bool; tolerance:
    see `conjugate_gradients`. Returns (..., y, x) real, in kspace's units. Source: Pruessmann et al., MRM 2001.
    """
    unit = scale(kspace)
    model = Sense(espirit(kspace, mask), mask)
    kspace = kspace / unit[..., None]
    x = conjugate_gradients(lambda x: model.gram(x) + mu * x, model.adjoint(kspace), tolerance)
    return expected_rss(x, kspace, mask) * unit


def conjugate_gradients(
    operator: Callable[[Tensor], Tensor], right: Tensor, tolerance: float = 1e-4, limit: int = 1000
) -> Tensor:
    """Solves N x = b for a Hermitian positive definite N that acts on (..., y, x).

    Stops where ||b - N x|| <= tolerance ||b|| holds for every item of the batch (at `limit` steps at the latest);
    an item that is done rests, so that a batch gives what its items give alone. Differentiable with respect to b
    and whatever N holds. Source: Hestenes and Stiefel, 1952.
    """
    x, residual, direction = torch.zeros_like(right), right, right
    energy = _energy(residual)
    goal = tolerance**2 * energy.detach()
    for _ in range(limit):
        active = energy.detach() > goal
        if not active.any():
            break
        image = operator(direction)
        curvature = (direction.conj() * image).real.sum((-2, -1), keepdim=True)
        step = torch.where(active, energy / torch.where(active, curvature, 1), 0)
        x, residual = x + step * direction, residual - step * image
        following = torch.where(active, _energy(residual), energy)
        direction = residual + following / torch.where(active, energy, 1) * direction
        energy = following
    return x


def _energy(image: Tensor) -> Tensor:
    return image.abs().square().sum((-2, -1), keepdim=True)
