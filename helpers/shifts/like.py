"""Making a scan like those of another site in one thing, all else equal: what a shift is made of."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from helpers.data.slice import Slice
from helpers.mri.fourier import center_crop, ifft2c
from helpers.mri.rss import rss
from helpers.shifts import signal

NOISE, REFERENCE, COILS, MATRIX = "noise", "noise, reference too", "coils", "matrix"
THINGS = (NOISE, REFERENCE, COILS, MATRIX)
NEAR = 0.05  # ratios that differ from 1 by less are no difference


def differences(first: Sequence[Slice], second: Sequence[Slice]) -> dict[str, float]:
    """In which things the second set of slices is worse off than the first, and by how much: levels of `like`.

    Ratios of medians: of the SNR, where all slices say theirs; of the number of coils; of the rows of the image. What
    is the same or better off, such as fewer coils in the first set, cannot be made so, and is left out.
    """
    noise = _median([item.snr or np.nan for item in first]) / _median([item.snr or np.nan for item in second])
    coils, rows = (
        _median([size(item) for item in second]) / _median([size(item) for item in first])
        for size in (lambda item: item.kspace.shape[0], lambda item: item.target.shape[0])
    )
    found = {NOISE: noise, REFERENCE: noise} if noise > 1 + NEAR else {}
    return found | {name: share for name, share in ((COILS, coils), (MATRIX, rows)) if share < 1 - NEAR}


def like(item: Slice, thing: str, level: float, seed: int = 0) -> Slice:
    """The slice as scans of the other site are in one of `THINGS`, by a level of `differences`.

    Noise is added either to what methods see, and its floor to the reference, or its grain to the reference as well,
    which is how the other site's own references are: then part of what is lost is the score's and no method's.
    """
    if thing == COILS:
        return signal.with_coils(item, level)
    if thing == MATRIX:
        return signal.of_matrix(item, level)
    noisy = signal.noisier(item, level, seed)
    if thing == NOISE:
        return noisy
    target = center_crop(rss(ifft2c(noisy.kspace)), tuple(item.target.shape)).contiguous()
    return replace(noisy, target=target, peak=None)


def _median(values: Sequence[float]) -> float:
    return float(torch.tensor(values, dtype=torch.double).quantile(0.5))  # nan where one of them is
