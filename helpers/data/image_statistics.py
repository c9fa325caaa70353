"""Statistics of images: five numbers by which drawn and real slices could be told apart."""

import numpy as np
import pywt
import torch
from torch import Tensor

from helpers.errors import BadInput
from helpers.mri.fourier import center_crop, fft2c, ifft2c

SIZE = 128  # pixels along a side at which images are compared
BAND = (0.03, 0.35)  # cycles a pixel
LEVELS = 4  # of the wavelet transform
LARGEST = 0.05  # share of the detail coefficients
CENTER = 0.08  # share of the lines


def image_statistics(image: Tensor, kspace: Tensor | None = None) -> dict[str, float]:
    """How an image is made up, whatever its units: the same five numbers for drawn and for real slices.

    image: (y, x) real, a magnitude image of at least 32 x 32. It is cropped to the central square and, if larger than
    128 x 128, reduced to that by keeping its low frequencies, so that images of any size compare.
    kspace: (coil, ky, kx) complex, fully sampled; only `center` uses it.

    Returns
    slope     of the radially averaged power spectrum between .03 and .35 cycles a pixel, log against log
    sparsity  share of the db4 detail coefficients' energy that the largest 5 % of them hold
    gradient  mean length of the gradient over the image's standard deviation
    snr       90th percentile of the square, not reduced, over the deviation in its quiet blocks; NaN where those
              are constant
    center    share of the energy of k-space in the central 8 % of the lines (last axis), without kspace of the square

    BadInput where the image is too small, not finite or constant.
    """
    if image.ndim != 2 or min(image.shape) < 32:
        raise BadInput(f"statistics need an image of at least 32 x 32 pixels, not one of shape {tuple(image.shape)}")
    image = image.detach().cpu().double()
    if not torch.isfinite(image).all() or image.std() == 0:
        raise BadInput("statistics need an image of finite numbers that are not all the same")
    square = center_crop(image, (min(image.shape),) * 2)
    small = reduce(square, min(SIZE, len(square))).numpy()
    return {
        "slope": spectral_slope(small),
        "sparsity": concentration(small),
        "gradient": float(np.hypot(*np.gradient(small)).mean() / small.std()),
        "snr": float(torch.quantile(square.flatten(), 0.9)) / background_deviation(square),
        "center": center_energy(fft2c(square.to(torch.complex128))[None] if kspace is None else kspace),
    }


def reduce(square: Tensor, size: int) -> Tensor:
    """The lowest frequencies of an image, on a coarser grid. square: (n, n) real; returns (size, size)."""
    spectrum = center_crop(fft2c(square.to(torch.complex128)), (size, size))
    return ifft2c(spectrum).real * (size / len(square))


def spectral_slope(image: np.ndarray) -> float:
    """Exponent of the power spectrum, averaged over rings one frequency step wide. image: (n, n)."""
    power = np.abs(np.fft.fft2(image)) ** 2
    frequency = np.fft.fftfreq(len(image))
    ring = np.rint(np.hypot(frequency[:, None], frequency[None]) * len(image)).astype(int).ravel()
    mean = np.bincount(ring, power.ravel()) / np.bincount(ring)
    radius = np.arange(len(mean)) / len(image)
    inside = (radius >= BAND[0]) & (radius <= BAND[1])
    return float(np.polyfit(np.log(radius[inside]), np.log(mean[inside]), 1)[0])


def concentration(image: np.ndarray) -> float:
    """Share of the energy of the db4 details that their largest 5 % hold. image: (n, n)."""
    levels = min(LEVELS, pywt.dwt_max_level(len(image), "db4"))
    details = pywt.wavedec2(image, "db4", mode="symmetric", level=levels)[1:]
    energy = np.sort(np.concatenate([band.ravel() for level in details for band in level]) ** 2)[::-1]
    return float(energy[: round(LARGEST * energy.size)].sum() / energy.sum())


def background_deviation(square: Tensor) -> float:
    """Standard deviation where nothing is: the lowest tenth among 8 x 8 blocks. square: (n, n); NaN if it is zero."""
    side = len(square) // 8
    blocks = square[: 8 * side, : 8 * side].reshape(8, side, 8, side).transpose(1, 2).flatten(2)
    return float(torch.quantile(blocks.std(-1).flatten(), 0.1)) or float("nan")


def center_energy(kspace: Tensor) -> float:
    """Share of the energy in the central 8 % of the lines. kspace: (coil, ky, kx) complex."""
    energy = kspace.abs().square().sum((0, 1))
    count = round(CENTER * len(energy))
    start = len(energy) // 2 - count // 2
    return float(energy[start : start + count].sum() / energy.sum())
