"""The orthonormal wavelet transform of the book, W: periodized, two-dimensional, of images of any size."""

from functools import lru_cache

import numpy as np
import pywt
import torch
from torch import Tensor

from helpers.errors import BadInput

DENSE = 192  # lines up to this length are transformed by one matrix product
BLOCK = 16  # of longer lines, so many samples by one: the fastest of 8 to 64 on a CPU
# default levels stop before the low band of either axis would be shorter than this: on eight training knees l1 with 16
# loses .026 of SSIM to this, on brains .005; 4 gains nothing more, and the solver takes six times as long
COARSEST = 8


class Wavelet:
    """W, the change of basis in which an MR image is sparse: W^H W = W W^H = I for every image size.

    shape: (y, x) of the images; name: an orthogonal wavelet of pywt such as "haar" or "db4"; levels: how often
    the low band is split, along both axes alike. By default, as often as the low band keeps 8 samples along the
    shorter axis and no axis is shorter than the filter. Lines are periodic. Where a line has odd length at some
    level, its last sample passes to the low band unchanged, which keeps W orthonormal where padding would not.
    Even sizes agree with `pywt.wavedec2(..., mode="periodization")` in the order of `pywt.coeffs_to_array`.

    Source: Mallat, A Wavelet Tour of Signal Processing, section 7.5. Raises BadInput for a wavelet that is not
    orthogonal and for more levels than the size has.
    """

    def __init__(self, shape: tuple[int, int], name: str = "db4", levels: int | None = None):
        if name not in pywt.wavelist(kind="discrete") or not pywt.Wavelet(name).orthogonal:
            raise BadInput(f"{name!r} is no orthogonal wavelet of pywt; try 'haar' or 'db4'")
        taps = pywt.Wavelet(name).dec_len
        self.name, self.shape, self.sizes = name, tuple(shape), []
        size = self.shape
        while levels is None or len(self.sizes) < levels:
            half = tuple((n + 1) // 2 for n in size)
            if levels is None and (min(half) < COARSEST or min(size) < taps):
                break
            if min(size) < 2:
                raise BadInput(f"an image of {shape[0]} x {shape[1]} has no {levels} levels; ask for fewer")
            self.sizes.append(size)
            size = half

    @property
    def levels(self) -> int:
        """How often the low band is split, along each axis."""
        return len(self.sizes)

    def forward(self, image: Tensor) -> Tensor:
        """c = W x: image (..., y, x), complex or real, to coefficients of the same shape, coarsest at the top left."""
        return _transform(image, self, False)

    def adjoint(self, coefficients: Tensor) -> Tensor:
        """x = W^H c, the inverse as well: coefficients (..., y, x) to an image of the same shape and dtype."""
        return _transform(coefficients, self, True)


def _transform(values: Tensor, wavelet: Wavelet, adjoint: bool) -> Tensor:
    """W or W^H of (..., y, x): the small levels by matrices, the large ones block by block."""
    if tuple(values.shape[-2:]) != wavelet.shape:
        raise BadInput(f"a wavelet transform for {wavelet.shape} was given an image of {tuple(values.shape[-2:])}")
    large = [size for size in wavelet.sizes if max(size) > DENSE]
    small = wavelet.sizes[len(large) :]
    if not large:
        return _dense(values, small, wavelet.name, adjoint)
    out = values.clone(memory_format=torch.contiguous_format)
    low = out[..., : small[0][0], : small[0][1]] if small else out[..., :0, :0]
    if adjoint:
        low.copy_(_dense(low, small, wavelet.name, adjoint))
    for ny, nx in reversed(large) if adjoint else large:
        corner = _columns(out[..., :ny, :nx], wavelet.name, adjoint)
        out[..., :ny, :nx] = _columns(corner.mT, wavelet.name, adjoint).mT
    if not adjoint:
        low.copy_(_dense(low, small, wavelet.name, adjoint))
    return out


def _dense(values: Tensor, sizes: list[tuple[int, int]], name: str, adjoint: bool) -> Tensor:
    """The levels of these sizes: M X M^T of real and imaginary part, each a plane, with a matrix M for an axis."""
    planes = torch.view_as_real(values).movedim(-1, -3) if values.is_complex() else values
    planes = planes.clone(memory_format=torch.contiguous_format)
    for ny, nx in reversed(sizes) if adjoint else sizes:
        rows, columns = (_matrix(n, name, adjoint, planes.dtype, planes.device) for n in (ny, nx))
        planes[..., :ny, :nx] = rows @ planes[..., :ny, :nx] @ columns.mT
    return torch.complex(*planes.unbind(-3)) if values.is_complex() else planes


def _columns(values: Tensor, name: str, adjoint: bool) -> Tensor:
    """One level along the second-last axis: (..., n, m) to [low; high], or back when adjoint."""
    if values.is_complex():
        pairs = torch.view_as_real(values.contiguous()).flatten(-2)
        return torch.view_as_complex(_columns(pairs, name, adjoint).unflatten(-1, (-1, 2)))
    n = values.shape[-2]
    if n <= DENSE:
        return _matrix(n, name, adjoint, values.dtype, values.device) @ values
    even, low = n - n % 2, (n + 1) // 2
    if not adjoint:
        pairs = _slide(values, even, name, adjoint)
        last = values[..., even:, :]
        return torch.cat([pairs[..., 0:even:2, :], last, pairs[..., 1:even:2, :]], -2)
    pairs = torch.stack([values[..., : even // 2, :], values[..., low:, :]], -2).flatten(-3, -2)
    last = values[..., even // 2 : low, :]
    return torch.cat([_slide(pairs, even, name, adjoint)[..., :even, :], last], -2)


def _slide(values: Tensor, n: int, name: str, adjoint: bool) -> Tensor:
    """Apply the n x n periodic band matrix that maps samples to (low, high) pairs, or its transpose, block by block.

    values: (..., at least n, m) real. Returns (..., n rounded up to whole blocks, m).
    """
    kernel = _kernel(name, adjoint, values.dtype, values.device)
    reach = kernel.shape[1] - BLOCK
    rows = _rows(n, reach, values.device)
    windows = values.index_select(-2, rows).unfold(-2, kernel.shape[1], BLOCK).mT
    return (kernel @ windows).flatten(-3, -2)


@lru_cache
def _rows(n: int, reach: int, device: torch.device) -> Tensor:
    """Which rows the windows read: whole blocks, and half of the reach on either side, around the circle."""
    blocks = -(-n // BLOCK) * BLOCK
    return torch.arange(-reach // 2, blocks + reach // 2, device=device) % n


@lru_cache
def _kernel(name: str, adjoint: bool, dtype: torch.dtype, device: torch.device) -> Tensor:
    """The rows of the band matrix that make one block, (BLOCK, BLOCK + reach): cut from the middle of a dense one."""
    reach = pywt.Wavelet(name).dec_len
    n = BLOCK + 2 * reach
    bands = _matrix(n, name, False, dtype, device)
    pairs = torch.stack([bands[: n // 2], bands[n // 2 :]], 1).reshape(n, n)
    pairs = pairs.T if adjoint else pairs
    return pairs[reach : reach + BLOCK, reach // 2 : reach // 2 + BLOCK + reach].contiguous()


@lru_cache
def _matrix(n: int, name: str, adjoint: bool, dtype: torch.dtype, device: torch.device) -> Tensor:
    """One level of lines of length n as a matrix (n, n)."""
    filters = np.array([pywt.Wavelet(name).rec_lo, pywt.Wavelet(name).rec_hi])
    taps = filters.shape[1]
    even, low = n - n % 2, (n + 1) // 2
    matrix = np.zeros((n, n))
    matrix[even // 2 : low, even:] = 1
    for pair in range(even // 2):
        samples = (2 * pair - taps // 2 + 1 + np.arange(taps)) % even
        np.add.at(matrix[pair], samples, filters[0])
        np.add.at(matrix[low + pair], samples, filters[1])
    return torch.from_numpy(matrix.T.copy() if adjoint else matrix).to(device, dtype)
