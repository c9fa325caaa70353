"""What networks learn from: examples without end, each a function of the seed and the step alone."""

from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from multiprocessing import get_context

import numpy as np
import torch
from torch import Tensor

from helpers.data import DRAWN, open_data, say_left_out
from helpers.data.scanner import draw_volume
from helpers.data.slice import Slice
from helpers.data.stored import Empty
from helpers.errors import BadInput
from helpers.mri import masks
from helpers.mri.fourier import center_crop, crop_readout, ifft2c
from helpers.mri.noise import scale
from helpers.mri.rss import rss
from helpers.profiles import Profile

SUBJECTS, SLICES = 4, 2  # drawn subjects in a block, and slices of each
BLOCK = SUBJECTS * SLICES
NARROW = 0.5  # share of the examples without oversampled phase encodes


@dataclass(frozen=True)
class Example:
    """One training step's worth: kspace (batch, coil, ky, kx) complex64 with zeros off the mask (kx,) bool, and
    target (batch, y, x) float32, the RSS of the full data around the center. Units: `noise.scale` is 1."""

    kspace: Tensor
    mask: Tensor
    target: Tensor


@dataclass(frozen=True)
class Drawn:
    """Blocks of slices from the synthetic scanner, new subjects in every one.

    All slices of a block have one shape, so that they can share a batch. vary: three blocks in ten have another
    matrix (0.85 to 1.4 times the profile's, with or without oversampled phase encodes) and thus another pixel.
    """

    sources: tuple[str, ...]
    profile: Profile
    seed: int = 0
    vary: bool = True

    def parts(self, block: int) -> list[partial]:
        """What draws the block, a subject each, to be called here or in another process."""
        rng = np.random.default_rng([self.seed, block, 1])
        size, source = self.profile, self.sources[block % len(self.sources)]
        coils = int(rng.integers(max(3, size.coils // 2), size.coils + size.coils // 2 + 1))
        if self.vary and rng.random() < 0.3:
            size = _resized(size, float(rng.uniform(0.85, 1.4)), oversampled=bool(rng.random() < 0.5))
        first = self.seed * 1_000_000 + block * SUBJECTS
        options = {"slices": SLICES, "split": "train", "coils": coils}
        return [partial(draw_volume, source, first + k, size, **options) for k in range(SUBJECTS)]


class Files:
    """Blocks of slices from the training volumes of a folder: one volume each, in a new order every time round."""

    def __init__(self, folder: str, seed: int = 0):
        self.folder, self.seed = folder, seed
        places = enumerate(open_data(folder, split="train").places)
        self.volumes = [[index for index, _ in group] for _, group in groupby(places, key=lambda place: place[1][0])]

    def parts(self, block: int) -> list[partial]:
        """What reads the block: slices of one volume."""
        turn, place = divmod(block, len(self.volumes))
        rng = np.random.default_rng([self.seed, turn, 2])
        indices = self.volumes[rng.permutation(len(self.volumes))[place]]
        picked = rng.permutation(indices)[:BLOCK].tolist()
        return [partial(_read, self.folder, index) for index in picked]


def blocks_of(data: Sequence[str], profile: Profile, seed: int, vary: bool) -> Drawn | Files:
    """The blocks behind names of drawn sources, or behind one folder; BadInput for a mixture."""
    if all(name in DRAWN for name in data):
        return Drawn(tuple(data), profile, seed, vary)
    if len(data) > 1:
        raise BadInput(f"train on drawn sources ({', '.join(DRAWN)}) or on one folder, not on {' and '.join(data)}")
    return Files(data[0], seed)


class Stream:
    """The blocks that a step may use: a window that moves on, so that each slice serves about `reuse` times.

    What a step sees depends on its number alone, not on how fast workers are or where a run was resumed. blocks:
    how many are held in memory; batch: slices used a step, over all processes; workers: processes that draw ahead,
    none to draw in this one.
    """

    def __init__(self, source: Drawn | Files, batch: int = 1, blocks: int = 16, reuse: int = 6, workers: int = 0):
        self.source, self.blocks, self.rate = source, blocks, batch / (reuse * BLOCK)
        self.held: dict[int, list[Slice] | list[Future]] = {}
        self.ahead = 1 + workers // SUBJECTS if workers else 0
        self.pool = None
        if workers:
            self.pool = ProcessPoolExecutor(workers, get_context("spawn"), torch.set_num_threads, (1,))

    def at(self, step: int) -> list[list[Slice]]:
        """The blocks of that step."""
        first = int(step * self.rate)
        wanted = range(first, first + self.blocks)
        for old in [block for block in self.held if block < first]:
            del self.held[old]
        for block in range(first, wanted.stop + self.ahead):
            if block not in self.held:
                parts = self.source.parts(block)
                self.held[block] = (
                    [self.pool.submit(part) for part in parts]
                    if self.pool
                    else [item for part in parts for item in part()]
                )
        for block in wanted:
            self.held[block] = [
                item for held in self.held[block] for item in (held.result() if isinstance(held, Future) else [held])
            ]
        return [self.held[block] for block in wanted]

    def close(self) -> None:
        """End the workers."""
        if self.pool:
            self.pool.shutdown(cancel_futures=True)


def example(blocks: Sequence[Sequence[Slice]], key: Sequence[int], batch: int = 1, cropped: bool = True) -> Example:
    """One example from the blocks of a step: slices of one block, changed as other scanners would, under a new mask.

    key: integers, usually seed, step and process, that everything random follows from; cropped: only a band of the
    rows of the image (exact: a mask along kx acts on each row alone), which is cheaper than the whole readout.
    """
    rng = np.random.default_rng([*key, 3])
    blocks = [block for block in blocks if block]
    if not blocks:
        raise BadInput("the volumes to train on hold nothing but zeros; give other data")
    block = blocks[rng.integers(len(blocks))]
    picked = rng.choice(len(block), size=batch, replace=batch > len(block))
    chosen = [block[index] for index in picked]
    if any(item.mask is not None for item in chosen):
        raise BadInput(f"{chosen[0].volume} is undersampled; networks are trained on fully sampled volumes")
    kspace = torch.stack([item.kspace for item in chosen])
    shape = tuple(chosen[0].target.shape)
    for axis in (-2, -1):
        if rng.random() < 0.5:
            kspace = flipped(kspace, axis)
    if kspace.shape[1] > 3 and rng.random() < 0.25:
        kspace = compressed(kspace, int(rng.integers(3, kspace.shape[1])))
    if rng.random() < NARROW:
        kspace = narrowed(kspace, shape[1])
    if cropped:
        height = min(shape[0], max(32, 16 * round(rng.uniform(0.3, 0.7) * shape[0] / 16)))
        kspace = band(kspace, height, int(rng.integers(-(shape[0] - height) // 2, (shape[0] - height) // 2 + 1)))
    elif rng.random() < 0.75:
        kspace = crop_readout(kspace, shape[0])  # as scanners deliver it that do not oversample, and half as dear
    mask = _mask(rng, tuple(kspace.shape[-2:]))
    measured = kspace * mask
    unit = scale(measured)
    height = min(shape[0], kspace.shape[-2])
    target = center_crop(rss(ifft2c(kspace)), (height, shape[1])) / unit
    return Example(measured / unit[..., None], mask, target)


def flipped(kspace: Tensor, axis: int) -> Tensor:
    """k-space of the image mirrored along an axis, about the pixel of its origin."""
    turned = kspace.flip(axis)
    return turned if kspace.shape[axis] % 2 else turned.roll(1, axis)


def narrowed(kspace: Tensor, width: int) -> Tensor:
    """k-space of the central `width` columns of the image, as scanners have it that do not oversample phase encodes.

    kspace: (..., ky, kx), fully sampled; returns (..., ky, width). Without such examples no loss sees what a network
    writes into the last columns of its grid: the target ends before them, and zeros are put around most widths until
    16 divides them. Two small VarNets wrote up to 90 deviations there, a bright column in every image that fills its
    grid. Once it is there SSIM hardly pulls it back: its slope vanishes where an error is large.
    """
    return crop_readout(kspace.mT, width).mT


def compressed(kspace: Tensor, coils: int) -> Tensor:
    """k-space of so many virtual coils, those with the most energy (Buehrer et al. 2007), as scanners may deliver it.

    kspace: (batch, coil, ky, kx); returns (batch, coils, ky, kx).
    """
    flat = kspace.flatten(2)
    vectors = torch.linalg.eigh(flat @ flat.mH).eigenvectors[..., -coils:]
    return (vectors.mH @ flat).unflatten(2, kspace.shape[2:])


def band(kspace: Tensor, height: int, offset: int) -> Tensor:
    """k-space of `height` rows of the image around the row `offset` below its center; see `crop_readout`."""
    rows = kspace.shape[-2]
    frequency = torch.arange(rows, device=kspace.device) - rows // 2
    ramp = torch.exp(2j * torch.pi * offset / rows * frequency.double()).to(kspace.dtype)
    return crop_readout(kspace * ramp[:, None], height)


def _mask(rng: np.random.Generator, shape: tuple[int, int]) -> Tensor:
    """A column mask: mostly the study's (random, 4x, center 8 %), now and then another, so that none is a surprise."""
    usual, kind = rng.random() < 0.75, "random" if rng.random() < 0.85 else "equispaced"
    acceleration, center = (4.0, 0.08) if usual else (rng.uniform(3, 6), rng.uniform(0.05, 0.1))
    return masks.mask(kind, shape, acceleration, center, int(rng.integers(2**31)))


def _resized(size: Profile, factor: float, oversampled: bool) -> Profile:
    """A profile of another matrix, in steps of 16 pixels as scanners have it."""
    rows, columns = (16 * round(factor * length / 16) for length in size.image)
    stretch = [full / length for full, length in zip(size.kspace, size.image, strict=True)]
    width = 2 * round(stretch[1] * columns / 2) if oversampled else columns
    return replace(size, name=f"{size.name}-{rows}", image=(rows, columns), kspace=(round(stretch[0] * rows), width))


def _read(folder: str, index: int) -> list[Slice]:
    """One slice of a folder, as a list, since a drawn part holds several, and one that is all zero is left out."""
    try:
        return [open_data(folder, split="train")[index]]
    except Empty as error:
        say_left_out([error])
        return []
