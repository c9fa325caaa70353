"""Tuning from a single under-sampled measurement: lambda chosen by lines that are held back, with no reference at all.

The conclusion of the paper says that this might be possible. Each function is a method, such as
`python -m helpers evaluate helpers.self_tuned:wavelet helpers.self_tuned:tv` measures.
"""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from helpers.coils import espirit
from helpers.masks import held_out
from helpers.methods import tv as total_variation
from helpers.methods import wavelet as l1_wavelet
from helpers.physics import Sense, scale
from helpers.solvers import residual, weight
from helpers.tuning import GRID

FOLDS = 3
SHARE = 0.1  # of the measured lines, held back in each fold
SOLVERS = {"wavelet": (l1_wavelet.solve, espirit), "tv": (total_variation.solve, partial(espirit, crop=0))}


def held_out_losses(
    method: str, kspace: Tensor, mask: Tensor, grid: Sequence[float] = GRID, folds: int = FOLDS, seed: int = 0
) -> Tensor:
    """How badly each lambda predicts lines that it has not seen: ||A x - y||^2 / ||y||^2 of them, mean over the folds.

    method: "wavelet" or "tv"; kspace: (coil, ky, kx) complex, zero where nothing was measured; mask: (kx,) or (ky, kx)
    bool; grid: lambdas as multiples of the noise level. Returns (len(grid),) double.
    """
    solve, maps_of = SOLVERS[method]
    y = kspace / scale(kspace)[..., None]
    maps, losses = maps_of(y, mask), torch.zeros(len(grid), dtype=torch.double)
    for fold in range(folds):
        fitted, held = held_out(mask, SHARE, seed + fold)
        unseen = Sense(maps, held)
        energy = residual(unseen, y, torch.zeros_like(maps[0]))
        for number, lam in enumerate(grid):
            x = solve(Sense(maps, fitted), y, weight(lam, y, mask)).x
            losses[number] += float(residual(unseen, y, x) / energy) / folds
    return losses


def chosen(method: str, kspace: Tensor, mask: Tensor, grid: Sequence[float] = GRID, **options) -> float:
    """The lambda of the grid that predicts held-out lines best; arguments as in `held_out_losses`."""
    return float(grid[int(held_out_losses(method, kspace, mask, grid, **options).argmin())])


def wavelet(kspace: Tensor, mask: Tensor) -> Tensor:
    """l1-wavelet reconstruction with the lambda that this one measurement chooses; a method, for one slice."""
    return l1_wavelet.reconstruct(kspace, mask, chosen("wavelet", kspace, mask))


def tv(kspace: Tensor, mask: Tensor) -> Tensor:
    """Total variation with the lambda that this one measurement chooses; a method, for one slice."""
    return total_variation.reconstruct(kspace, mask, chosen("tv", kspace, mask))
