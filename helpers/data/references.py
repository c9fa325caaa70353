"""Whether the references that a file stores are images of its k-space, and its maximum theirs."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from torch import Tensor

from helpers.data.hdf5 import opened
from helpers.data.stored import LARGEST
from helpers.errors import say_once

PEAK = 1e-3  # by which a maximum that a file states may differ from that of its references, being rounded
UNLIKE = 0.1  # of its norm, by which a reference differs from the RSS of its k-space only if it is another image
APART = 10.0  # times that the norms of an image and of its k-space differ only where their units do


def stated_peak(told: float, path: Path) -> float | None:
    """The maximum that a file states, if it is that of its references; else theirs. None where it states none."""
    if not np.isfinite(told):
        return None
    brightest = _brightest(path, path.stat().st_mtime_ns)
    if abs(told - brightest) <= PEAK * brightest:
        return told
    say_once(f"{path}: its attribute max, {told:.3g}, is not that of its references, {brightest:.3g}, which is taken")
    return brightest if brightest < LARGEST else None


@lru_cache(maxsize=16)
def _brightest(path: Path, modified: int) -> float:
    """The maximum of the references of a file; `modified` keys the cache."""
    with opened(path) as file:
        return float(np.fmax.reduce([np.fmax.reduce(each, axis=None) for each in file["reconstruction_rss"]]))


def say_of_reference(
    target: Tensor, computed: Tensor | None, kspace: Tensor, stored: Sequence[int], path: Path
) -> None:
    """Say where a reference is not an image of its k-space, as far as that shows: `computed` is known where it is full.

    Both are cropped, to (y, x), from an image of the shape `stored`; kspace: (coil, ky, kx). fastMRI's references are
    the RSS of full k-space, to rounding.
    """
    if tuple(stored) != tuple(target.shape):
        say_once(
            f"{path}: its references, of {' x '.join(map(str, stored))}, are larger than its k-space; what is"
            f" scored by is their middle, of {' x '.join(map(str, target.shape))}"
        )
    ratio = float(target.norm() / kspace.norm())  # in one unit, a little below 1
    if not 1 / APART < ratio < APART:
        say_once(f"{path}: its reference is {ratio:.0e} times its k-space; scores mean nothing unless one is rescaled")
    elif computed is not None and (computed - target).norm() > UNLIKE * target.norm():
        say_once(
            f"{path}: its reference is not the RSS of its k-space, but turned, moved, rescaled or of another kind;"
            " scores mean nothing unless that is meant; remove reconstruction_rss to have it computed"
        )
