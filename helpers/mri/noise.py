"""The one scale that every method works in, the noise level, and what noise does to the reference of the field."""

import math

import torch
from torch import Tensor

from helpers.mri.fourier import ifft2c
from helpers.mri.rss import root, rss

ENTRIES = 1000  # complex numbers that an estimate rests on, where there are as many: its standard error is 1.6 %
LARGEST = 100  # entries of a patch, all coils together: larger ones find little more, at the cube of the cost
PATCHES = 4  # of them for each of their entries
ROUNDING = 1e-5  # of the root mean square of a measurement: what is less is nothing, after a transform back and forth
FULL = 0.8  # of k-space: where so much is recorded, all counts as recorded
RINGS = 16  # of k-space
SPREAD = 2.5  # the variance of the noisiest combination of coils, over their mean: coils differ and correlate


def scale(kspace: Tensor) -> Tensor:
    """The unit of a measurement: the 99th percentile of its zero-filled RSS image.

    Every method works on kspace / scale and gives its image back times scale, so that no method depends on the
    units of a file. kspace: (..., coil, ky, kx) complex, zero where nothing was measured. Returns (..., 1, 1)
    real; 1 where the measurement is all zero.
    """
    images = rss(ifft2c(kspace)).flatten(-2)
    unit = torch.quantile(images, 0.99, dim=-1)[..., None, None]
    return torch.where(unit > 0, unit, torch.ones_like(unit))


def recorded(kspace: Tensor) -> Tensor:
    """Where a measurement holds anything, (..., coil, ky, kx) bool: not in lines that the scanner left at zero.

    Nor where they hold the rounding of a transform that the file went through, a million times below the signal: no
    scan has noise so low, and what was estimated from it would mislead every method that asks for the noise.
    """
    power = kspace.abs().square()
    filled = (power > 0).sum((-3, -2, -1), keepdim=True).clamp(min=1)
    return power > ROUNDING**2 * power.sum((-3, -2, -1), keepdim=True) / filled


@torch.no_grad()
def noise_level(kspace: Tensor, mask: Tensor) -> Tensor:
    """The standard deviation of the noise in a measurement, per real and imaginary part, from the measurement alone.

    Nowhere in the k-space of a sharp scan of high SNR is there nothing but noise. But small squares of it, through all
    coils, are redundant: their signal spans few dimensions, since coils are smooth and the object ends within the
    image; noise fills all of them. What lies in the others is noise: see `variance`. It is the root mean square over
    the coils, alike or not, correlated or not.

    Squares of 1, 2, 3, .. measured entries are taken, the outermost that there are, where the signal is weakest. Larger
    ones are more redundant, but lie further in, and a mask of points has few of them. Signal that is left makes each
    estimate too high, so the least of them is taken. It is still too high where patches are full of signal: few coils
    with a high SNR and a low resolution, under a mask of points above all.

    Deterministic; without gradients: that of a few entries would hide all others and say nothing about longer steps.

    kspace: (..., coil, ky, kx) complex, zero where nothing was measured; mask: (kx,) or (ky, kx) bool. Returns
    (...) real, in the units of kspace; 0 for a measurement of zeros. Sources: Veraart et al., NeuroImage 2016, has the
    idea for patches of diffusion images; Shin et al., MRM 2014, says why patches of k-space are of low rank.
    """
    mask = mask.expand(kspace.shape[-2:])
    items = kspace.reshape(-1, *kspace.shape[-3:])
    return torch.stack([_level(item, mask) for item in items]).reshape(kspace.shape[:-3])


def _level(kspace: Tensor, mask: Tensor) -> Tensor:
    """The level of one measurement (coil, ky, kx)."""
    seen = recorded(kspace)  # what the scanner left at zero holds no noise: lines, and coils that are switched off
    live, measured = seen.flatten(1).any(1), seen.any(0) & mask
    coils = int(live.sum())
    if not coils or not measured.any():
        return kspace.real.new_zeros(())
    kspace = kspace if coils == len(live) else kspace[live]
    sides = range(1, max(1, math.isqrt(LARGEST // coils)) + 1)
    squares = [patches for side in sides if (patches := _squares(kspace, measured, side)) is not None]
    # few coils may have no dimension to spare: then the middle of their moduli is less swayed by signal than the mean
    middle = squares[0].abs().square().median(0).values.mean() / (2 * math.log(2))
    least = torch.stack([middle, *map(variance, squares)]).amin()
    return (least * coils / len(live)).sqrt().to(kspace.device, kspace.real.dtype)


def _squares(kspace: Tensor, measured: Tensor, side: int) -> Tensor | None:
    """The outermost squares of `side` measured entries, (patch, entry) double, on the CPU; None for too few."""
    coils, ny, nx = kspace.shape
    if side > min(ny, nx):
        return None
    places = measured.unfold(0, side, 1).all(-1).unfold(1, side, 1).all(-1).nonzero()
    size = coils * side**2
    if side > 1 and len(places) * size < ENTRIES:
        return None
    y, x = (places + (side - 1) / 2).unbind(1)
    radius = ((y - ny // 2) / ny).square() + ((x - nx // 2) / nx).square()
    # stable, so that which of equals is taken is the same everywhere
    outermost = radius.argsort(descending=True, stable=True)[: max(PATCHES * size, -(-ENTRIES // size))]
    window = torch.arange(side, device=places.device)
    y, x = places[outermost].unbind(1)
    index = (nx * y + x)[:, None] + (nx * window[:, None] + window).flatten()
    # double, for the smallest of the eigenvalues; on the CPU, since no GPU is faster at a matrix this small
    return kspace.flatten(1)[:, index].cpu().to(torch.complex128).transpose(0, 1).flatten(1)


def variance(patches: Tensor) -> Tensor:
    """The variance of the noise, per real and imaginary part, in patches whose signal spans few dimensions.

    Beside r strong dimensions of signal, n patches of p entries hold noise in (n - r) (p - r) numbers, whose mean
    square is the variance. Signal is each eigenvalue beyond the largest that noise of the variance of the rest has:
    with a combination of coils that is s times as noisy as their mean, n s (1 + p / n / (s - 1)). The mean of all the
    rest does not depend on how coils correlate; their smallest or median eigenvalue would.

    patches: (patch, entry) complex. Returns (). Sources: Marchenko & Pastur 1967; Baik & Silverstein 2006.
    """
    few, many = sorted(patches.shape)
    gram = patches.mH @ patches if patches.shape[1] == few else patches @ patches.mH
    values = torch.linalg.eigvalsh(gram).clamp(min=0)  # from the least
    signal = torch.arange(few - 1, -1, -1)
    variances = values.cumsum(0) / ((few - signal) * (many - signal))
    noise = values <= variances * many * SPREAD * (1 + few / many / (SPREAD - 1))
    noise[: max(1, few // 4)] = True  # one silent coil, or entries that depend on each other, are no gap in the noise
    return variances[int(noise.int().cumprod(0).sum()) - 1] / 2


@torch.no_grad()
def recorded_share(kspace: Tensor, mask: Tensor) -> Tensor:
    """The share of k-space that the scanner records, as its measured part tells it: (...), 1 from `FULL` on.

    Less where an image was interpolated by zeros around its k-space, or for partial Fourier. By rings around the
    center, since a mask is dense there and zeros are not: what a ring's measured entries are counts for all of it.
    Lines at the edge that are missing by a few change the floor by less than its estimate is worth.

    kspace: (..., coil, ky, kx) complex, zero where nothing was measured; mask: (kx,) or (ky, kx) bool.
    """
    ny, nx = kspace.shape[-2:]
    mask = mask.expand(ny, nx)
    away = [((torch.arange(n, device=mask.device) - n // 2) / (n / 2)).abs() for n in (ny, nx)]
    ring = (RINGS * torch.maximum(away[0][:, None], away[1])).long().clamp(max=RINGS - 1)
    size, measured = (torch.bincount(each.flatten(), minlength=RINGS) for each in (ring, ring[mask]))
    shares = []
    for item in recorded(kspace).any(-3).reshape(-1, ny, nx) & mask:
        there = torch.bincount(ring[item], minlength=RINGS)
        each = torch.where(measured > 0, there / measured.clamp(min=1), there.sum() / measured.sum().clamp(min=1))
        shares.append((size * each).sum() / (ny * nx))
    share = torch.stack(shares).to(kspace.real.dtype).reshape(kspace.shape[:-3])
    return torch.where(share < FULL, share, 1)


def expected_rss(image: Tensor, kspace: Tensor, mask: Tensor) -> Tensor:
    """The reference that a complex image x leads one to expect: sqrt(|x|^2 + 2 C sigma^2 f).

    The reference of the field is the RSS of noisy coil images: noise of C coils, sigma in each real and imaginary
    part, lifts it above |x|, most of all in the air. A method that gives |x| is marked down for having no noise. f: the
    share of k-space that the scanner records, see `recorded_share`; zeros that fill up a grid hold no noise.

    image: (..., y, x) complex; kspace, mask: the measurement, as in `noise_level`, in the same units. Returns
    (..., y, x) real.
    """
    floor = 2 * kspace.shape[-3] * noise_level(kspace, mask).square() * recorded_share(kspace, mask)
    return root(image.abs().square() + floor[..., None, None])
