"""Orthonormal bases in which an image may be sparse: wavelets, the cosine transform, and k-space itself."""

from functools import lru_cache

import numpy as np
import torch
from scipy.fft import dct
from torch import Tensor

from helpers.mri.fourier import fft2c, ifft2c
from helpers.sparsity.wavelet import Wavelet


class Cosine:
    """The two-dimensional discrete cosine transform (type 2, orthonormal) of images (..., y, x), real or complex."""

    def __init__(self, shape: tuple[int, int]):
        self.shape = tuple(shape)

    def forward(self, image: Tensor) -> Tensor:
        """c = C_y x C_x^T, the lowest frequency first."""
        return self._apply(image, False)

    def adjoint(self, coefficients: Tensor) -> Tensor:
        """x = C_y^T c C_x, the inverse as well."""
        return self._apply(coefficients, True)

    def _apply(self, values: Tensor, adjoint: bool) -> Tensor:
        # real and imaginary part as planes: a real matrix times a complex one costs four times as much
        planes = torch.view_as_real(values).movedim(-1, -3) if values.is_complex() else values
        rows, columns = (_cosines(n, planes.dtype, planes.device) for n in self.shape)
        planes = rows.mT @ planes @ columns if adjoint else rows @ planes @ columns.mT
        return torch.complex(*planes.unbind(-3)) if values.is_complex() else planes


class Fourier:
    """k-space as a basis: the degenerate case, since what was not measured has no reason to be anything but zero."""

    def __init__(self, shape: tuple[int, int]):
        self.shape = tuple(shape)

    def forward(self, image: Tensor) -> Tensor:
        return fft2c(image)

    def adjoint(self, coefficients: Tensor) -> Tensor:
        return ifft2c(coefficients)


Basis = Wavelet | Cosine | Fourier


def basis(shape: tuple[int, int], name: str, levels: int | None = None) -> Basis:
    """The basis W of that name for images (y, x): "dct", "fourier", or a wavelet as `Wavelet` takes it, with levels."""
    if name == "dct":
        return Cosine(shape)
    return Fourier(shape) if name == "fourier" else Wavelet(tuple(shape), name, levels)


@lru_cache
def _cosines(n: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.from_numpy(dct(np.eye(n), axis=0, norm="ortho")).to(device, dtype)
