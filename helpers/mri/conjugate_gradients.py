"""Conjugate gradients: images that solve N x = b, a batch at once."""

from collections.abc import Callable

import torch
from torch import Tensor


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
        ratio = torch.where(active, following / torch.where(active, energy, 1), 0)  # at rest nothing may grow
        direction = residual + ratio * direction
        energy = following
    return x


def _energy(image: Tensor) -> Tensor:
    return image.abs().square().sum((-2, -1), keepdim=True)
