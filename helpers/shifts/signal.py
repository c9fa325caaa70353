"""What the scanner records of the same subject: noise, coils, the matrix, the oversampled readout."""

from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from helpers.data.slice import Slice
from helpers.errors import BadInput
from helpers.mri.fourier import center_crop, crop_readout, fft2c, ifft2c
from helpers.mri.metrics import WINDOW
from helpers.mri.noise import noise_level, recorded
from helpers.mri.rss import rss

OFF = 0.1  # that a share of the coils may be from the one asked for: they are counted in whole ones


def noisier(item: Slice, factor: float, seed: int = 0) -> Slice:
    """The slice with `factor` times the noise that it has; 1 changes nothing, to the bit.

    White Gaussian noise of sigma sqrt(factor^2 - 1) is added to what was recorded, sigma by `noise_level`: lines that
    the scanner left at zero stay so. The reference keeps its grain, and gets the floor that this noise gives a root of
    a sum of squares on average: a method that knows its noise reproduces that floor, and loses nothing by it here. What
    the floor adds to each pixel, sqrt(s^2 + floor) - s, is that of its surroundings s: of the pixel itself it would
    smooth the grain, most where there is nothing but air, and noise would raise SSIM. BadInput for a factor below 1.
    """
    if not factor >= 1:
        raise BadInput(f"noise can be added, not taken away: a factor is 1 or more, not {factor:g}")
    if factor == 1:
        return item
    more, there = (factor**2 - 1) ** 0.5 * _sigma(item.kspace), recorded(item.kspace)
    floor = 2 * len(item.kspace) * more**2 * there.float().mean()
    kspace = item.kspace + more * _noise(item, seed) * there
    s = avg_pool2d(item.target[None], WINDOW, 1, WINDOW // 2, count_include_pad=False)[0]
    target = item.target + (s**2 + floor).sqrt() - s
    return replace(item, kspace=kspace, target=target, snr=item.snr and item.snr / factor)


def with_coils(item: Slice, share: float) -> Slice:
    """The slice as a share of its coils saw it, evenly spaced, with the reference that they give.

    The number is rounded, and 1 at least. BadInput for a share that is none, or that so few coils have not by OFF.
    """
    if not 0 < share <= 1:
        raise BadInput(f"a share of the coils is above 0 and at most 1, not {share:g}")
    coils = len(item.kspace)
    kept = max(1, round(share * coils))
    if abs(kept - share * coils) > OFF * coils:
        raise BadInput(f"{item.id} has too few coils for a share of {share:g}: {coils}")
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


def oversampled(item: Slice, times: float, seed: int = 0) -> Slice:
    """The slice with a readout of so many times the height of its reference: cut, or filled up with air.

    The same columns hold the same lines: along the readout, which is sampled fully, another field of view is exact.
    Air is noise, as strong as that of the scan: without it k-space would be an interpolation, whose noise every
    estimate takes to be next to nothing. times: 1 or more, else BadInput.
    """
    if not times >= 1:
        raise BadInput(f"the readout is as long as the image or longer: 1 or more times, not {times:g}")
    high, there = item.target.shape[0], item.kspace.shape[-2]
    odd = there % 2  # as many rows more above as below, or the image would move
    rows = max(odd + 2 * round((times * high - odd) / 2), high + (there - high) % 2)
    if rows == there:
        return item
    if rows < there:
        return replace(item, kspace=crop_readout(item.kspace, rows))
    images = ifft2c(item.kspace)
    air = replace(item, kspace=torch.zeros_like(images[..., :1, :]).expand(*images.shape[:-2], rows, -1))
    columns = recorded(item.kspace).any((-3, -2), keepdim=True)
    drawn = ifft2c(columns * _noise(air, seed)) * _sigma(item.kspace)
    before = (rows - there) // 2
    drawn[..., before : before + there, :] = images
    return replace(item, kspace=fft2c(drawn))


def _noise(item: Slice, seed: int) -> Tensor:
    """Noise of unit variance in real and imaginary part, of the size of the k-space."""
    generator = torch.Generator().manual_seed(item.seed(seed))
    drawn = torch.randn(item.kspace.shape, dtype=item.kspace.dtype, generator=generator)
    return 2**0.5 * drawn.to(item.kspace.device)


def _sigma(kspace: Tensor) -> Tensor:
    """The noise level of a full k-space."""
    return noise_level(kspace, torch.ones(kspace.shape[-1], dtype=torch.bool, device=kspace.device))


def _with_reference(item: Slice, kspace: Tensor, shape: tuple[int, int]) -> Slice:
    """The slice with another k-space, and as reference the RSS of its images, cropped."""
    return replace(item, kspace=kspace, target=center_crop(rss(ifft2c(kspace)), shape).contiguous(), peak=None)
