"""Artificial features: a small thing of fixed content, put anywhere into a scan as its coils would see it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from helpers.data.slice import Slice
from helpers.errors import BadInput
from helpers.mri.coils import espirit
from helpers.mri.fourier import center_crop, fft2c, ifft2c
from helpers.mri.rss import rss
from helpers.shifts.subject import as_recorded

SHAPES = ("square", "disk", "cross", "line")
TURN = 0.6180339887498949  # of the width, from one band of rows to the next: no two windows come to lie side by side
PUBLISHED = 1 / 6  # of the maximum, which the notebooks add to every coil

Place = tuple[int, int]  # row and column of the top left pixel of a window in the target


@dataclass(frozen=True)
class Feature:
    """What is put into a window of size x size pixels.

    size      pixels along a side
    contrast  how far it goes from what is there to the maximum: 1 all the way, as in the paper; below 0 to black
    shape     one of `SHAPES`; of 3 pixels a disk is a square, of 4 a cross
    """

    size: int = 3
    contrast: float = 1.0
    shape: str = "square"

    def stamp(self) -> Tensor:
        """Where in its window the feature is: (size, size) of 0 and 1. BadInput for an unknown shape or no pixel."""
        if self.size < 1 or self.shape not in SHAPES:
            raise BadInput(f"a feature has 1 pixel or more and is one of {', '.join(SHAPES)}, not {self.shape}")
        away = (torch.arange(self.size) - (self.size - 1) / 2).abs()
        middle = away <= 0.5
        return {
            "square": torch.ones(self.size, self.size),
            "disk": (away[:, None] ** 2 + away**2 <= (self.size / 2) ** 2).float(),
            "cross": (middle[:, None] | middle).float(),
            "line": middle[:, None].expand(self.size, self.size).float(),
        }[self.shape]


@dataclass(frozen=True)
class Scan:
    """A slice with what its features are seen by: coil maps S of the full k-space, and the image x = S^H F^H k.

    Where S has norm 1 over the coils, S times an image is in the range of the coil model, exactly.
    """

    item: Slice
    maps: Tensor
    image: Tensor

    @classmethod
    def of(cls, item: Slice) -> "Scan":
        maps = espirit(item.kspace, torch.ones(item.kspace.shape[-1], dtype=torch.bool), crop=0)
        return cls(item, maps, (maps.conj() * ifft2c(item.kspace)).sum(-3))

    @property
    def peak(self) -> float:
        return float(self.item.target.max())

    def places(self, size: int) -> tuple[int, int]:
        """How many rows and columns of places a window of that size has in the target."""
        height, width = self.item.target.shape
        return height - size + 1, width - size + 1

    def added(self, feature: Feature, places: Sequence[Place]) -> Tensor:
        """delta (y, x) complex on the full grid: the feature at all places, in phase with what is there."""
        there = self.image.abs()
        phase = torch.where(there > 0, self.image / there.clamp(min=torch.finfo(there.dtype).tiny), 1)
        way = self.peak - there if feature.contrast > 0 else there
        return phase * feature.contrast * self.stamped(feature, places) * way

    def stamped(self, feature: Feature, places: Sequence[Place]) -> Tensor:
        """Where on the full grid the feature is, (y, x) of 0 and 1."""
        whole = torch.zeros(self.image.shape, device=self.image.device)
        top, left = ((n - t) // 2 for n, t in zip(self.image.shape, self.item.target.shape, strict=True))
        for row, column in places:
            window = (slice(top + row, top + row + feature.size), slice(left + column, left + column + feature.size))
            whole[window] = feature.stamp().to(whole)
        return whole

    def with_feature(self, feature: Feature, places: Sequence[Place]) -> Slice:
        """The slice with k + F S delta, and the reference of that; contrast 0 changes nothing, to the bit.

        Lines that the scanner left at zero stay so: there would be signal without noise, and a method that estimates
        the noise would be misled a thousandfold.
        """
        if feature.contrast == 0:
            return self.item
        return _with(self.item, self.maps * self.added(feature, places))

    def as_published(self, feature: Feature, places: Sequence[Place]) -> Slice:
        """The same as the notebooks have it: a real constant in every coil alike, which no coil model can produce."""
        return _with(self.item, self.constant(feature, places))

    def constant(self, feature: Feature, places: Sequence[Place]) -> Tensor:
        """What the notebooks add to the coil images, (coil, y, x): a share of the maximum, in all of them alike."""
        constant = PUBLISHED * feature.contrast * self.peak * self.stamped(feature, places)
        return constant.to(self.item.kspace).expand_as(self.item.kspace)

    def outside(self, images: Tensor) -> float:
        """The share of the energy of coil images (coil, y, x) that lies outside the range of the coil model."""
        seen = self.maps * (self.maps.conj() * images).sum(-3, keepdim=True)
        return float((images - seen).norm() ** 2 / images.norm() ** 2)


def _with(item: Slice, images: Tensor) -> Slice:
    kspace = item.kspace + as_recorded(item, fft2c(images))
    target = center_crop(rss(ifft2c(kspace)), tuple(item.target.shape)).contiguous()
    return replace(item, kspace=kspace, target=target, peak=None)


def together(shape: tuple[int, int], band: int) -> Iterator[list[Place]]:
    """All places of a grid, in groups that are measured in one image: one place in each band of rows.

    Under a mask of columns the lines that are missing mix the pixels of a row, so that windows in other bands see each
    other only through a method's own reach, its coil maps and its scale. Every place is in one group.
    """
    rows, columns = shape
    step = max(1, round(TURN * columns))
    for first in range(min(band, rows)):
        for column in range(columns):
            yield [(row, (column + k * step) % columns) for k, row in enumerate(range(first, rows, band))]


def windows(image: Tensor, places: Sequence[Place], size: int) -> Tensor:
    """The windows of an image (y, x) at these places: (place, size, size)."""
    return torch.stack([image[row : row + size, column : column + size] for row, column in places])
