"""The paper that anatomy is drawn on: coordinates in mm, random fields, and painting with soft edges."""

import copy
from functools import lru_cache

import numpy as np
from scipy import fft, sparse

from helpers.data.drawing.chance import Chance


@lru_cache(maxsize=64)
def spline_matrix(samples: int, controls: int) -> sparse.csr_array:
    """Catmull-Rom interpolation as a matrix (samples, controls): smooth curves through a few random numbers."""
    place = np.linspace(1, controls - 2.001, samples)
    left = np.floor(place).astype(int)
    t = place - left
    weights = (
        -0.5 * t**3 + t**2 - 0.5 * t,
        1.5 * t**3 - 2.5 * t**2 + 1,
        -1.5 * t**3 + 2 * t**2 + 0.5 * t,
        0.5 * t**3 - 0.5 * t**2,
    )
    columns = np.clip(left + np.arange(-1, 3)[:, None], 0, controls - 1)
    rows = np.broadcast_to(np.arange(samples), columns.shape)
    entries = np.stack(weights).astype(np.float32).ravel(), (rows.ravel(), columns.ravel())
    return sparse.coo_array(entries, shape=(samples, controls)).tocsr()


def interpolate(grid: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """A smooth picture through the numbers of a coarse grid, whose outermost points lie outside the picture.

    grid: (m, n) real or complex; returns `shape`, of the same type. Sparse products, since those of dense matrices
    change their last bits with the number of threads.
    """
    across = (spline_matrix(shape[1], grid.shape[1]) @ grid.T).T
    return spline_matrix(shape[0], grid.shape[0]) @ np.ascontiguousarray(across)


def cut(whole, window: tuple[slice, slice], shape: tuple[int, int]):
    """A copy of an object whose arrays of this shape are views of a window of its arrays."""
    part = copy.copy(whole)
    for name, value in vars(whole).items():
        if isinstance(value, np.ndarray) and value.shape == shape:
            setattr(part, name, value[window])
    return part


class Canvas:
    """One slice while it is drawn.

    image  (rows, columns) float32, the signal painted so far, air being 0
    x, y   float32 coordinates in mm, right and down, zero at the center; anatomy bends and turns them
    soft   width in mm of every edge: one pixel, and more where the slice meets a surface at an angle
    position  in mm of the slice in its volume: random fields change smoothly with it
    middle    in mm, of the middle of the volume: findings lie near it
    number    of the slice in its volume
    """

    def __init__(
        self,
        chance: Chance,
        shape: tuple[int, int],
        pixel: float,
        position: float,
        middle: float = 0.0,
        number: int = 0,
    ):
        self.chance, self.pixel = chance, np.float32(pixel)
        self.position, self.middle, self.number = position, middle, number
        rows, columns = ((np.arange(n, dtype=np.float32) - n // 2) * self.pixel for n in shape)
        self.y, self.x = np.meshgrid(rows, columns, indexing="ij")
        self.placed = (1.0, 0.0, 0.0, 0.0)
        self.image = np.zeros(shape, np.float32)
        self.soft = self.pixel + np.float32(1.4) * np.abs(self.field("edge width", 10))

    def field(self, name: str, controls: int) -> np.ndarray:
        """A smooth field of unit variance with this many control points across, smooth from slice to slice too."""
        grids = self.chance.array(name, (2, controls + 4, controls + 4))
        turn = self.position * controls / 150
        grid = np.float32(np.cos(turn)) * grids[0] + np.float32(np.sin(turn)) * grids[1]
        return interpolate(grid, self.image.shape)

    def texture(self, name: str, slope: float, low: float = 0.0, high: float = 0.5) -> np.ndarray:
        """Noise with the spectrum 1 / f^slope between `low` and `high` cycles per pixel, unit variance.

        Each slice sees another part of the volume's one texture.
        """

        def make():
            shape = self.image.shape
            frequency = np.hypot(fft.fftfreq(shape[0])[:, None], fft.rfftfreq(shape[1])[None])
            inside = (frequency > max(low, 0.004)) & (frequency < high)
            weight = np.where(inside, np.maximum(frequency, 0.004) ** -slope, 0).astype(np.float32)
            noise = self.chance.generator(name).standard_normal(shape, dtype=np.float32)
            result = fft.irfft2(fft.rfft2(noise) * weight, s=shape)
            return result / result.std()

        result = self.chance.keep(("texture", name, self.image.shape), make)
        return np.roll(result, (self.number * 89, self.number * 67), axis=(0, 1))

    def turn(self, angle: float, shift: tuple[float, float]) -> None:
        """Rotates the subject in the plane by `angle` and moves it by `shift` = (x, y) mm."""
        cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
        x, y = self.x - np.float32(shift[0]), self.y - np.float32(shift[1])
        self.x, self.y = x * cos + y * sin, y * cos - x * sin
        self.placed = (cos, sin, *shift)

    def bend(self, name: str, coarse: float, fine: float) -> None:
        """Bends the coordinates at random by `coarse` mm over long distances and by `fine` mm over short ones."""
        for axis in ("x", "y"):
            shift = coarse * self.field(f"{name} coarse {axis}", 5) + fine * self.field(f"{name} fine {axis}", 14)
            setattr(self, axis, getattr(self, axis) + shift.astype(np.float32))

    def window(self, points: list[tuple[float, float]], reach: float) -> tuple[slice, slice]:
        """Rows and columns that hold everything within `reach` mm of the points (x, y), bending included."""
        cos, sin, right, down = self.placed
        (rows, columns), margin = self.image.shape, reach + 6
        across = [x * cos - y * sin + right for x, y in points]
        along = [x * sin + y * cos + down for x, y in points]
        edges = []
        for values, size in ((along, rows), (across, columns)):
            low = int((min(values) - margin) / self.pixel) + size // 2
            high = int((max(values) + margin) / self.pixel) + size // 2
            edges.append(slice(min(max(low, 0), size), min(max(high, 0), size)))
        return tuple(edges)

    def cut(self, window: tuple[slice, slice]) -> "Canvas":
        """The part of the canvas inside a window: what is painted on it appears on the whole."""
        return cut(self, window, self.image.shape)

    def coverage(self, distance, soft=None) -> np.ndarray:
        """Share of each pixel that lies inside a shape."""
        return np.clip(0.5 - distance / (self.soft if soft is None else soft), 0, 1).astype(np.float32)

    def blend(self, coverage, signal) -> None:
        """Replaces a share of what is there by a tissue's signal."""
        self.image += coverage * (signal - self.image)

    def paint(self, distance, signal, soft=None, alpha=1.0) -> np.ndarray:
        """Fills a shape with a tissue's signal and returns its coverage."""
        coverage = self.coverage(distance, soft) * alpha
        self.blend(coverage, signal)
        return coverage
