"""What a stored k-space holds, of whatever format: which slices are taken, which entries were measured, if any."""

from pathlib import Path

import torch
from torch import Tensor

from helpers.errors import BadInput

SMALLEST = 16  # rows or columns; below, neither a wavelet nor a window of SSIM fits
ROUNDING = 1e-6  # of the largest entry of a k-space, what float32 leaves after a transform and its inverse
LARGEST = 1e15  # magnitude up to which float32 can square and sum


def chosen(count: int, slices: int | None) -> tuple[int, ...]:
    """Which of a volume's slices to take: all, or so many spread over its middle half, where the subject is.

    Over all of it where its middle half has not as many.
    """
    if slices is None or slices >= count:
        return tuple(range(count))
    if 2 * slices > count:
        return tuple(count * (2 * step + 1) // (2 * slices) for step in range(slices))
    return tuple(count * (slices + 2 * step + 1) // (4 * slices) for step in range(slices))


class Empty(BadInput):
    """A slice of a file in which nothing was measured."""

    def __init__(self, path: Path, number: int) -> None:
        super().__init__(path, number)
        self.path, self.number = path, number

    def __str__(self) -> str:
        words = "the k-space is all zero; choose another slice or export the scan again"
        return f"{self.path}, slice {self.number}: {words}"


def sampling(entries: Tensor) -> Tensor | None:
    """The mask of a k-space stored with zeros where nothing was measured; None where it is fully sampled.

    entries: (ky, kx) bool. Zero padding around the data and cut corners (an ellipse) count as fully sampled,
    since scanners do both. Returns (kx,) bool where whole columns are missing, else (ky, kx).
    """
    rows, columns = entries.any(1), entries.any(0)
    first_row, last_row = _extent(rows)
    first_column, last_column = _extent(columns)
    box = entries[first_row : last_row + 1, first_column : last_column + 1]
    y, x = (torch.linspace(-1, 1, size) for size in box.shape)
    ellipse = y[:, None] ** 2 + x**2 <= 0.95
    ny, nx = entries.shape
    centered = first_row <= ny // 2 <= last_row and first_column <= nx // 2 <= last_column
    if centered and box[ellipse].float().mean() > 0.999:
        return None
    whole = rows[first_row : last_row + 1].all() and (entries[rows] == columns).float().mean() > 0.999
    return columns if whole else entries


def check(kspace: Tensor, path: Path, number: int) -> Tensor:
    """The k-space (coil, ky, kx) of a slice, as complex64. BadInput where nothing can be reconstructed from it."""
    name = f"{path}, slice {number}"
    kspace = kspace.to(torch.complex64)
    largest = kspace.abs().max()
    if not torch.isfinite(largest):
        raise BadInput(f"{name}: the k-space holds NaN or infinite values; export the scan again")
    if largest == 0:
        raise Empty(path, number)
    if not 1 / LARGEST < largest < LARGEST:
        raise BadInput(f"{name}: the k-space reaches {largest:.1e}, too far from 1 for float32; rescale the file")
    return kspace


def measured(kspace: Tensor) -> Tensor:
    """Where a k-space holds data in any coil, beyond the rounding of a transform there and back: (ky, kx) bool.

    Rounding lies far below its limit. Where many entries reach almost up to it, they are faint signal.
    """
    size = kspace.abs().amax(0)
    limit = ROUNDING * size.max()
    faint = ((size > limit / 3) & (size <= limit)).float().mean() > 1e-3
    return size > (0 if faint else limit)


def reaches_beyond(kspace: Tensor, mask: Tensor) -> bool:
    """Whether a k-space holds data where its mask is False, beyond the rounding of a transform there and back."""
    return bool((kspace * ~mask).abs().max() > ROUNDING * kspace.abs().max())


def _extent(marked: Tensor) -> tuple[int, int]:
    """First and last index that is marked."""
    where = marked.nonzero()
    return int(where[0]), int(where[-1])
