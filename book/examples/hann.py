"""Zero-filled with a Hann window, in plain numpy: no noise is left, and no edge either."""

import numpy as np


def reconstruct(kspace, mask):
    """kspace (coil, ky, kx) complex, mask (kx,) bool; the image (y, x) is the root of the sum of squares over coils."""
    kspace = kspace.numpy()
    rows, columns = kspace.shape[-2:]
    window = np.outer(np.hanning(rows), np.hanning(columns))
    shifted = np.fft.ifftshift(window * kspace, axes=(-2, -1))
    coils = np.fft.fftshift(np.fft.ifft2(shifted, norm="ortho"), axes=(-2, -1))
    return np.sqrt((np.abs(coils) ** 2).sum(0))
