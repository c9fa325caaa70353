"""What the scanner records of the same subject: noise, coils, the matrix, the oversampled readout."""

from dataclasses import replace

import torch
from torch import Tensor

from helpers.data.slice import Slice
from helpers.errors import BadInput
from helpers.mri.fourier import center_crop, fft2c, ifft2c
from helpers.mri.noise import noise_level
from helpers.mri.rss import rss


def noisier(item: Slice, factor: float, seed: int = 0) -> Slice:
    """The slice with `factor` times the noise that it has, its reference as it was; 1 changes nothing, to the bit.

    White Gaussian noise of sigma sqrt(factor^2 - 1) is added to what was recorded, sigma by `noise_level`: lines that
    the scanner left at zero stay so. BadInput for a factor below 1.
    """
    if not factor >= 1:
        raise BadInput(f"noise can be added, not taken away: a factor is 1 or more, not {factor:g}")
    if factor == 1:
        return item
    kspace = item.kspace
    sigma = noise_level(kspace, torch.ones(kspace.shape[-1], dtype=torch.bool, device=kspace.device))
    generator = torch.Generator().manual_seed(item.seed(seed))
    drawn = torch.randn(kspace.shape, dtype=kspace.dtype, generator=generator).to(kspace.device)  # variance 1/2 + 1/2
    return replace(item, kspace=kspace + (2 * (factor**2 - 1)) ** 0.5 * sigma * drawn * (kspace != 0))


def with_coils(item: Slice, share: float) -> Slice:
    """The slice as a share of its coils saw it, evenly spaced, with the reference that they give.

    The number is rounded, and 1 at least. BadInput for a share that is none.
    """
    if not 0 < share <= 1:
        raise BadInput(f"a share of the coils is above 0 and at most 1, not {share:g}")
    coils = len(item.kspace)
    kept = max(1, round(share * coils))
    if kept == coils:
        return item
    chosen = (torch.arange(kept) * coils) // kept
    return _with_reference(item, item.kspace[chosen], tuple(item.target.shape))


def of_matrix(item: Slice, share: float) -> Slice:
    """The slice at a coarser resolution: the center of its k-space, and an image of as many pixels fewer.

    The field of view stays. share: of rows and columns, above 0 and at most 1, else BadInput.
    """
    if not 0 < share <= 1:
        raise BadInput(f"a share of the matrix is above 0 and at most 1, not {share:g}")
    if share == 1:
        return item
    shape, image = ([2 * round(share * n / 2) for n in each.shape[-2:]] for each in (item.kspace, item.target))
    return _with_reference(item, center_crop(item.kspace, tuple(shape)), tuple(image))


def oversampled(item: Slice, times: float) -> Slice:
    """The slice with a readout of so many times the height of its reference: cut, or filled up with nothing.

    The same columns hold the same lines: along the readout, which is sampled fully, a longer field of view is exact.
    times: 1 or more, else BadInput.
    """
    if not times >= 1:
        raise BadInput(f"the readout is as long as the image or longer: 1 or more times, not {times:g}")
    rows, there = 2 * round(times * item.target.shape[0] / 2), item.kspace.shape[-2]
    if rows == there:
        return item
    images = ifft2c(item.kspace)
    if rows < there:
        images = center_crop(images, (rows, images.shape[-1]))
    else:
        before = rows // 2 - there // 2
        images = torch.nn.functional.pad(images, (0, 0, before, rows - there - before))
    return replace(item, kspace=fft2c(images))


def _with_reference(item: Slice, kspace: Tensor, shape: tuple[int, int]) -> Slice:
    """The slice with another k-space, and as reference the RSS of its images, cropped."""
    return replace(item, kspace=kspace, target=center_crop(rss(ifft2c(kspace)), shape).contiguous(), peak=None)
