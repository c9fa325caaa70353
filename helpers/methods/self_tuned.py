"""Tuning from a single under-sampled measurement: lambda chosen by lines that are held back, with no reference at all.

The conclusion of the paper says that this might be possible. Each function is a method, such as
`python -m helpers evaluate helpers.methods.self_tuned:wavelet helpers.methods.self_tuned:tv` measures.
"""

from collections.abc import Sequence
from functools import partial

import pandas as pd
import torch
from torch import Tensor

from helpers.methods import l1
from helpers.methods import tv as total_variation
from helpers.mri.coils import espirit
from helpers.mri.masks import held_out
from helpers.mri.noise import scale
from helpers.mri.sense import Sense
from helpers.sparsity.proximal_gradient import GRID, residual, weight

FOLDS = 3
SHARE = 0.1  # of the measured lines, held back in each fold
GAP = 1e-3  # certified: enough to tell one lambda of l1 from the next
SOLVERS = {"wavelet": (partial(l1.solve, tol=GAP), espirit), "tv": (total_variation.solve, partial(espirit, crop=0))}


def losses(
    method: str, kspace: Tensor, mask: Tensor, grid: Sequence[float] = GRID, folds: int = FOLDS, seed: int = 0
) -> pd.DataFrame:
    """How well each lambda explains the lines that it is fitted to, and predicts those that it has not seen.

    method: "wavelet" or "tv"; kspace: (coil, ky, kx) complex, zero where nothing was measured; mask: (kx,) or (ky, kx)
    bool; grid: lambdas as multiples of the noise level. Returns a row a fold and lambda: lam, fold, and
    ||A x - y||^2 / ||y||^2 of the fitted lines as `loss`, of the others as `held_loss`.
    """
    solve, maps_of = SOLVERS[method]
    y = kspace / scale(kspace)[..., None]
    maps, rows = maps_of(y, mask), []
    nothing = torch.zeros_like(maps[0])
    for fold in range(folds):
        fitted, held = (Sense(maps, part) for part in held_out(mask, SHARE, seed + fold))
        for lam in grid:
            x = solve(fitted, y, weight(lam, y, mask)).x
            parts = {"loss": fitted, "held_loss": held}
            found = {name: float(residual(part, y, x) / residual(part, y, nothing)) for name, part in parts.items()}
            rows.append({"lam": lam, "fold": fold} | found)
    return pd.DataFrame(rows)


def chosen(method: str, kspace: Tensor, mask: Tensor, grid: Sequence[float] = GRID, **options) -> float:
    """The lambda of the grid that predicts held-out lines best; arguments as in `losses`."""
    return float(losses(method, kspace, mask, grid, **options).groupby("lam")["held_loss"].mean().idxmin())


def wavelet(kspace: Tensor, mask: Tensor) -> Tensor:
    """l1-wavelet reconstruction with the lambda that this one measurement chooses; a method, for one slice."""
    return l1.reconstruct(kspace, mask, chosen("wavelet", kspace, mask))


def tv(kspace: Tensor, mask: Tensor) -> Tensor:
    """Total variation with the lambda that this one measurement chooses; a method, for one slice."""
    return total_variation.reconstruct(kspace, mask, chosen("tv", kspace, mask))
