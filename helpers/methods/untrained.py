"""ConvDecoder, Deep Decoder and Deep Image Prior: a network fitted to one measurement, with nothing learned before."""

import math
from dataclasses import replace

import torch
from torch import Tensor

from helpers.errors import BadInput
from helpers.untrained.fit import fit
from helpers.untrained.recipes import FITS

AT_ONCE = 16  # fits side by side on a GPU, which one does not fill


def reconstruct(
    kspace: Tensor,
    mask: Tensor,
    name: str,
    seed: int = 0,
    seeds: int = 1,
    steps: int | None = None,
    seconds: float = math.inf,
    precision: str | None = None,
    mu: float | None = None,
    consistency: float | None = None,
    at_once: int | None = None,
    progress: bool = False,
) -> Tensor:
    """The image that an un-trained network gives when it is fitted to the measurement, see `fit.fit`.

    kspace: (..., coil, ky, kx) complex, zero where nothing was measured; mask: (kx,) or (ky, kx) bool; name: one of
    `recipes.FITS`. seed: of the first fit; seeds: how many fits are averaged, with the seeds that follow; steps,
    precision, mu, consistency: others than its own, see `problem.Settings`; seconds: a limit for each fit, after which
    the best image so far counts; at_once: how many fits, of slices, perturbations and seeds, are computed side by side,
    by default 16 on a GPU and 1 on a processor; progress: a bar on standard error. Returns (..., y, x) real on the full
    grid, in the units of kspace; no gradient reaches kspace. BadInput for impossible numbers. Source: section 2.3 of
    the paper; Darestani & Heckel 2021.
    """
    if any(number is not None and number < 1 for number in (seeds, steps, at_once)) or not seconds > 0:
        raise BadInput("an un-trained network needs at least 1 seed, 1 step, 1 fit at once and more than 0 seconds")
    change = {"steps": steps, "precision": precision, "mu": mu, "consistency": consistency}
    settings = replace(FITS[name], **{key: value for key, value in change.items() if value is not None})
    slices = kspace.detach().reshape(-1, *kspace.shape[-3:])
    options = {"seconds": seconds, "progress": progress}
    work = [(one, seed + n) for one in slices for n in range(seeds)]
    size, images = at_once or (1 if kspace.device.type == "cpu" else AT_ONCE), []
    for first in range(0, len(work), size):
        measured, chosen = zip(*work[first : first + size], strict=True)
        if len(chosen) == 1:
            images.append(fit(*measured, mask, settings, *chosen, **options).image)
        else:
            images += fit(torch.stack(measured), mask, settings, chosen, **options).image
    means = torch.stack(images).unflatten(0, (-1, seeds)).mean(1)
    return means.reshape(*kspace.shape[:-3], *kspace.shape[-2:])
