"""ConvDecoder, Deep Decoder and Deep Image Prior: a network fitted to one measurement, with nothing learned before."""

import math
from dataclasses import replace

import torch
from torch import Tensor

from helpers.errors import BadInput
from helpers.fits import FITS
from helpers.untrained import fit


def reconstruct(
    kspace: Tensor,
    mask: Tensor,
    name: str,
    seed: int = 0,
    seeds: int = 1,
    steps: int | None = None,
    seconds: float = math.inf,
    precision: str | None = None,
    progress: bool = False,
) -> Tensor:
    """The image that an un-trained network gives when it is fitted to the measurement, see `untrained.fit`.

    kspace: (..., coil, ky, kx) complex, zero where nothing was measured; mask: (kx,) or (ky, kx) bool; name: one of
    `fits.FITS`. seed: of the first fit; seeds: how many fits are averaged, with the seeds that follow; steps,
    precision: others than its own; seconds: a limit for each fit, after which the best image so far counts; progress:
    a bar on standard error. Returns (..., y, x) real on the full grid, in the units of kspace; no gradient reaches
    kspace. BadInput for impossible numbers. Source: section 2.3 of the paper; Darestani & Heckel 2021.
    """
    if seeds < 1 or (steps is not None and steps < 1) or not seconds > 0:
        raise BadInput("an un-trained network needs at least 1 seed, 1 step and more than 0 seconds")
    change = {"steps": steps, "precision": precision}
    settings = replace(FITS[name], **{key: value for key, value in change.items() if value is not None})
    slices = kspace.detach().reshape(-1, *kspace.shape[-3:])
    images = [
        sum(fit(one, mask, settings, seed + n, seconds=seconds, progress=progress).image for n in range(seeds)) / seeds
        for one in slices
    ]
    return torch.stack(images).reshape(*kspace.shape[:-3], *kspace.shape[-2:])
