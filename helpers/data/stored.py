"""What a stored k-space holds, of whatever format: which slices are taken, which entries were measured, if any."""

from pathlib import Path

import torch
from torch import Tensor

from helpers.errors import BadInput, say_once

SMALLEST = 16  # rows or columns; below, neither a wavelet nor a window of SSIM fits
ROUNDING = 1e-6  # of the largest entry of a k-space, what float32 leaves after a transform and its inverse
LARGEST = 1e15  # magnitude up to which float32 can square and sum
ROUNDED = 0.75  # share of its entries that a full k-space in whole numbers keeps; masks of points measure less
SPARSE = 2 / 3  # share of what lies between its edges that a mask measures at most, if a scan was undersampled at all
OFF = 4  # columns by which the strongest lies beside the middle in no scan that was centered


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


def sampling(entries: Tensor, rounded: bool = False) -> Tensor | None:
    """The mask of a k-space stored with zeros where nothing was measured; None where it is fully sampled.

    entries: (ky, kx) bool. Zero padding around the data and cut corners (an ellipse) count as fully sampled,
    since scanners do both; where values may have been `rounded` to zero, single entries that are missing do, too, as
    long as no row or column is. Returns (kx,) bool where whole columns are missing, else (ky, kx).
    """
    rows, columns = entries.any(1), entries.any(0)
    box = _box(entries)
    y, x = (torch.linspace(-1, 1, size) for size in box.shape)
    ellipse = y[:, None] ** 2 + x**2 <= 0.95
    centered = all(first <= n // 2 <= last for n, (first, last) in zip(entries.shape, map(_extent, (rows, columns))))
    least = ROUNDED if rounded and box.any(0).all() and box.any(1).all() else 0.999
    if centered and box[ellipse].float().mean() > least:
        return None
    whole = box.any(1).all() and (entries[rows] == columns).float().mean() > 0.999
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


def say_of_mask(mask: Tensor, path: Path) -> None:
    """Say where the mask (kx,) or (ky, kx) of a file leaves out next to nothing, padding apart."""
    share, inner = (each.float().mean() for each in (mask, _box(mask.expand(1, -1) if mask.ndim == 1 else mask)))
    if share > 0.5 and inner > SPARSE:  # of all entries, too: below, a scan is two times accelerated or more
        say_once(
            f"{path}: its own mask leaves out but a few lines or entries; its scores are not to be compared with those"
            " of undersampled scans"
        )


def say_of_center(kspace: Tensor, path: Path) -> None:
    """Say where the zero frequency of a full k-space (coil, ky, kx) is not in the middle, where masks keep lines.

    It is where most energy is. Rows may lie further off, since an echo may be asymmetric and no mask is of rows alone.
    """
    energy = kspace.abs().square().sum(0)
    for name, allowed, along in (("column", OFF, energy.sum(0)), ("row", 3 * len(energy) // 8, energy.sum(1))):
        strongest, middle = int(along.argmax()), len(along) // 2
        there, here = (along[max(each - OFF, 0) : each + OFF + 1].sum() for each in (strongest, middle))
        if abs(strongest - middle) > allowed and here < there / 2:  # noise alone is as strong anywhere
            say_once(
                f"{path}: its strongest {name} is {strongest}, not {middle} in the middle; scores mean nothing unless"
                " its zero frequency is moved there, as by fftshift"
            )


def reaches_beyond(kspace: Tensor, mask: Tensor) -> bool:
    """Whether a k-space holds data where its mask is False, beyond the rounding of a transform there and back."""
    return bool((kspace * ~mask).abs().max() > ROUNDING * kspace.abs().max())


def _box(entries: Tensor) -> Tensor:
    """The part of entries (ky, kx) bool between the first and the last row and column that hold any."""
    return entries[tuple(slice(first, last + 1) for first, last in map(_extent, (entries.any(1), entries.any(0))))]


def _extent(marked: Tensor) -> tuple[int, int]:
    """First and last index that is marked."""
    where = marked.nonzero()
    return int(where[0]), int(where[-1])
