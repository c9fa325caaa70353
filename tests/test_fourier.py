"""F is unitary, centered, and the one that sigpy and fastMRI use; cropping the readout loses nothing."""

import math

import pytest
import sigpy
import torch
from fastmri.fftc import fft2c_new

from helpers.mri.fourier import center_crop, crop_readout, fft2c, ifft2c

SHAPES = [(16, 12), (15, 12), (16, 9), (7, 5), (1, 4)]


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, dtype=torch.complex128, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", SHAPES)
def test_unitary(shape):
    x, y = noise(3, *shape), noise(3, *shape, seed=1)
    torch.testing.assert_close(ifft2c(fft2c(x)), x)
    torch.testing.assert_close(
        torch.vdot(y.flatten(), fft2c(x).flatten()), torch.vdot(ifft2c(y).flatten(), x.flatten())
    )


@pytest.mark.parametrize("shape", SHAPES)
def test_a_point_is_a_plane_wave(shape):
    ny, nx = shape
    y, x = ny // 3, nx - 1
    point = torch.zeros(shape, dtype=torch.complex128)
    point[y, x] = 1
    ky, kx = (torch.arange(n, dtype=torch.float64) - n // 2 for n in shape)
    ky = ky[:, None]
    angle = -2 * math.pi * (ky * (y - ny // 2) / ny + kx * (x - nx // 2) / nx)
    torch.testing.assert_close(fft2c(point), torch.polar(torch.ones_like(angle), angle).to(point) / math.sqrt(ny * nx))


@pytest.mark.parametrize("shape", SHAPES)
def test_as_sigpy_and_fastmri(shape):
    x = noise(2, *shape)
    torch.testing.assert_close(fft2c(x), torch.from_numpy(sigpy.fft(x.numpy(), axes=(-2, -1))))
    torch.testing.assert_close(fft2c(x), torch.view_as_complex(fft2c_new(torch.view_as_real(x))))


@pytest.mark.parametrize(("rows", "height"), [(16, 8), (15, 9), (16, 7), (9, 9)])
def test_cropping_the_readout_keeps_its_rows(rows, height):
    kspace, mask = noise(2, rows, 6), torch.tensor([1, 0, 1, 1, 0, 1], dtype=torch.bool)
    torch.testing.assert_close(
        ifft2c(mask * crop_readout(kspace, height)), center_crop(ifft2c(mask * kspace), (height, 6))
    )


def test_no_center_larger_than_the_image():
    with pytest.raises(ValueError, match="no center"):
        center_crop(noise(4, 4), (5, 4))
