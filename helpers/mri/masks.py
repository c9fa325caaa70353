"""Which entries of k-space are measured: seeded masks along the phase encode and in two dimensions.

Acceleration is counted as fastMRI counts it: all entries over measured entries, the center included.
"""

import zlib

import numpy as np
import torch
from torch import Tensor

from helpers.errors import BadInput

KINDS = ("random", "equispaced", "poisson")


def mask(
    kind: str, shape: tuple[int, int], acceleration: float = 4, center_fraction: float = 0.08, seed: int = 0
) -> Tensor:
    """The mask of that kind for a k-space of `shape` (ky, kx): random and equispaced (kx,), poisson (ky, kx) bool.

    BadInput where the kind is unknown or the numbers are impossible.
    """
    if kind == "random":
        return random_mask(shape[1], acceleration, center_fraction, seed)
    if kind == "equispaced":
        return equispaced_mask(shape[1], acceleration, center_fraction, seed)
    if kind == "poisson":
        return poisson_mask(shape, acceleration, center_fraction, seed)
    raise BadInput(f"there is no mask {kind!r}; choose one of {', '.join(KINDS)}")


def random_mask(width: int, acceleration: float = 4, center_fraction: float = 0.08, seed: int = 0) -> Tensor:
    """The study's mask: a full center, and outside it lines drawn at random without replacement.

    Exactly round(width / acceleration) lines in all, round(width * center_fraction) of them in the center, so that
    no mask has to be redrawn until its acceleration fits. fastMRI draws each line by a coin of its own instead.
    Returns (width,) bool; BadInput for impossible numbers.
    """
    lines, center = _counts(width, acceleration, center_fraction)
    chosen = _center(width, center)
    outside = (~chosen).nonzero().squeeze(1)
    draw = torch.randperm(len(outside), generator=torch.Generator().manual_seed(seed))
    chosen[outside[draw[: lines - center]]] = True
    return chosen


def equispaced_mask(width: int, acceleration: float = 4, center_fraction: float = 0.08, seed: int = 0) -> Tensor:
    """A full center, and every s-th line at an offset drawn from the seed: coherent aliasing, as scanners measure.

    The spacing s is the integer whose expected count of lines comes nearest to width / acceleration, so the
    acceleration is that of an integer spacing (about 3.8 where 4 is asked with a center of 8 %): report
    `realized_acceleration`. fastMRI meets the number with a fractional spacing, rounded, hence uneven lines.
    Returns (width,) bool; BadInput for impossible numbers.
    """
    lines, center = _counts(width, acceleration, center_fraction)
    chosen = _center(width, center)
    if lines == center:
        return chosen
    spacing = min(range(1, width + 1), key=lambda s: abs(center + (width - center) / s - lines))
    offset = int(torch.randint(spacing, (), generator=torch.Generator().manual_seed(seed)))
    chosen[offset::spacing] = True
    return chosen


def poisson_mask(
    shape: tuple[int, int], acceleration: float = 4, center_fraction: float = 0.08, seed: int = 0
) -> Tensor:
    """Two phase encodes, as in 3D scans: a full center, and Poisson discs that grow towards the rim of k-space.

    Drawn by sigpy's sampler; how fast the discs grow is searched for until the acceleration, 2 or more, is met to
    2 %. The search is here since sigpy.mri.poisson never returns where nothing meets it. The corners of k-space, a
    fifth of it, are left out. shape: (ky, kx). Returns (ky, kx) bool; BadInput for impossible numbers.
    """
    from sigpy.mri.samp import _poisson  # here, since it takes a second that only these masks need

    _counts(shape[0] * shape[1], acceleration, center_fraction**2)
    if acceleration < 2:
        raise BadInput(f"Poisson discs of neighboring entries do not reach {acceleration:g}; ask for 2 or more")
    center = [round(size * center_fraction) for size in shape]
    rows, columns = (_center(size, count).numpy() for size, count in zip(shape, center, strict=True))
    block = rows[:, None] & columns
    outside = [np.maximum(abs(np.arange(n) - n / 2) - c / 2, 0) for n, c in zip(shape, center, strict=True)]
    radius = np.hypot(*np.ix_(*(distance / distance.max() for distance in outside)))
    # with some seeds the acceleration jumps over what is asked for: then the next one is taken, the same every time
    for drawn in ((seed + attempt * 1_000_003) % 2**32 for attempt in range(4)):
        slowest, fastest = 0.0, float(max(shape))
        for _ in range(24):
            slope = (slowest + fastest) / 2
            discs = [np.clip((1 + slope * radius) * size / max(shape), 1, None) for size in shape]
            points = _poisson(shape[1], shape[0], 30, discs[1], discs[0], center, drawn).astype(bool)
            chosen = torch.from_numpy(points & (radius < 1) | block)
            realized = realized_acceleration(chosen)
            if abs(realized / acceleration - 1) < 0.02:
                return chosen
            slowest, fastest = (slope, fastest) if realized < acceleration else (slowest, slope)
    raise BadInput(
        f"no Poisson mask of {shape[0]} x {shape[1]} has an acceleration of {acceleration:g} and a center of"
        f" {center_fraction:g}; ask for a smaller center or another acceleration"
    )


def realized_acceleration(mask: Tensor) -> float:
    """All entries over measured entries: what a mask came to. BadInput where it measures nothing."""
    measured = int(mask.sum())
    if not measured:
        raise BadInput("the mask measures nothing; at least one entry has to be true")
    return mask.numel() / measured


def fitting(mask: Tensor, shape: tuple[int, int]) -> Tensor:
    """The mask, if it can be one of a k-space of that shape (ky, kx); else BadInput says what is wrong with it."""
    ny, nx = shape
    if mask.dtype != torch.bool or tuple(mask.shape) not in ((nx,), (ny, nx)):
        found = f"{str(mask.dtype).removeprefix('torch.')} of {' x '.join(map(str, mask.shape))}"
        raise BadInput(f"a mask of a {ny} x {nx} k-space is bool of {nx} or {ny} x {nx}, this one is {found}")
    if not mask.any():
        raise BadInput("the mask measures nothing; at least one entry has to be true")
    return mask


def center_block(mask: Tensor) -> tuple[int, int]:
    """Size (height, width) of the fully sampled center of a 2D mask: what a calibration may use.

    Of all blocks that lie around the zero frequency and are measured throughout: the one with the longest shorter
    side, then the largest area. mask: (ky, kx) bool; a column mask has to be expanded first.
    """
    best = (0, 0)
    for height in range(1, mask.shape[0] + 1):
        rows = mask[_slice(mask.shape[0], height)].all(0)
        width = center_lines(rows)
        best = max(best, (height, width), key=lambda block: (min(block), block[0] * block[1]))
        if not width:
            break
    return best


def center_lines(mask: Tensor) -> int:
    """Number of lines in the fully sampled center of a column mask: the widest centered run, 0 if there is none.

    Walking outwards to the first gap, as the published code does, counts a neighboring line that was measured by
    chance. Here the run has to be centered, so that one side's neighbors alone add at most one line; lines on both
    sides do count: they are measured, and a calibration may use them. mask: (kx,) bool.
    """
    width = mask.shape[-1]
    gaps = (~mask).nonzero().squeeze(1).tolist()
    left = max((gap for gap in gaps if gap < width // 2), default=-1)
    right = min((gap for gap in gaps if gap >= width // 2), default=width)
    below, above = width // 2 - left - 1, right - width // 2
    # a centered run of n lines has n // 2 below the zero frequency and the rest at and above it
    return max(n for n in range(width + 1) if n // 2 <= below and n - n // 2 <= above)


def held_out(mask: Tensor, share: float, seed: int = 0) -> tuple[Tensor, Tensor]:
    """A mask in two parts: what is fitted, and a share of it that is held back to judge the fit.

    Lines of a column mask, points of any other, drawn without replacement from outside the fully sampled center:
    round(share * measured) of them, at least one where the share is not 0 and there is one. mask: (kx,) or (ky, kx)
    bool; returns two masks of its shape.
    """
    outside = mask.clone()
    if mask.ndim == 1:
        outside[_slice(len(mask), center_lines(mask))] = False
    else:
        height, width = center_block(mask)
        outside[_slice(mask.shape[0], height), _slice(mask.shape[1], width)] = False
    places = outside.flatten().nonzero()[:, 0]
    count = min(len(places), max(1, round(share * int(mask.sum())))) if share else 0
    order = torch.randperm(len(places), generator=torch.Generator().manual_seed(seed)).to(places.device)
    held = torch.zeros_like(mask.flatten())
    held[places[order[:count]]] = True
    held = held.view_as(mask)
    return mask & ~held, held


def volume_seed(volume: str, seed: int = 0) -> int:
    """Seed of the one mask that all slices of a volume share, the same on every machine and in every session."""
    return zlib.crc32(f"{seed}:{volume}".encode())


def _slice(size: int, count: int) -> slice:
    """The `count` indices around the zero frequency of an axis."""
    start = size // 2 - count // 2
    return slice(start, start + count)


def _center(size: int, count: int) -> Tensor:
    chosen = torch.zeros(size, dtype=torch.bool)
    chosen[_slice(size, count)] = True
    return chosen


def _counts(size: int, acceleration: float, center_fraction: float) -> tuple[int, int]:
    """Entries measured in all and in the center, or BadInput."""
    if not acceleration >= 1:
        raise BadInput(f"an acceleration of {acceleration:g} measures more than there is; it has to be 1 or more")
    if not 0 <= center_fraction <= 1:
        raise BadInput(f"a center fraction of {center_fraction:g} is none; it has to lie between 0 and 1")
    measured, center = round(size / acceleration), round(size * center_fraction)
    if not measured:
        raise BadInput(f"an acceleration of {acceleration:g} leaves nothing of {size} entries to measure")
    if center > measured:
        raise BadInput(
            f"a center of {center} entries does not fit into the {measured} of {size} that an acceleration of"
            f" {acceleration:g} leaves; ask for a smaller center or less acceleration"
        )
    return measured, center
