"""What the knee and the head have in common: coordinates of every pixel, signals, textures, and windows of them."""

from __future__ import annotations

import numpy as np

from helpers.data.drawing.canvas import Canvas, cut
from helpers.data.drawing.shapes import ellipsoid, tube

Point = tuple[float, float, float]


class Anatomy:
    """The anatomical coordinates of one slice, the signals of its tissues, and two textures.

    x, y, z   coordinates in mm of every pixel, float32: arrays like the canvas, or a number across the slice
    signal    of each tissue
    """

    x: np.ndarray | np.float32
    y: np.ndarray | np.float32
    z: np.ndarray | np.float32

    def __init__(self, canvas: Canvas, signal: dict[str, float], roughness: float):
        self.canvas, self.chance, self.signal = canvas, canvas.chance, signal
        self.grain, self.speckle = canvas.texture("grain", roughness), canvas.texture("speckle", roughness)

    @property
    def point(self) -> tuple:
        """The coordinates (x, y, z)."""
        return self.x, self.y, self.z

    def project(self, point: Point) -> Point:
        """A point of the anatomy in mm of the canvas: right, down, and distance in front of the slice."""
        raise NotImplementedError

    def near(self, points: list[Point], reach: float) -> Anatomy:
        """The same anatomy in a window around the points: all that lies within `reach` mm of them.

        What is painted there appears on the whole canvas. Empty where the slice passes the points at a distance.
        """
        right, down, away = zip(*(self.project(point) for point in points), strict=True)
        window = self.canvas.window(list(zip(right, down, strict=True)), reach)
        if min(away) > reach or max(away) < -reach:
            window = (slice(0), slice(0))
        part = cut(self, window, self.canvas.image.shape)
        part.canvas = self.canvas.cut(window)
        return part

    def brightness(self, tissue: str, grain: float = 0.0, speckle: float = 0.0) -> np.ndarray | np.float32:
        """Signal of a tissue, with a share of the two textures on it."""
        result = np.float32(self.signal[tissue])
        if grain:
            result = result * (1 + np.float32(grain) * self.grain)
        return result * (1 + np.float32(speckle) * self.speckle) if speckle else result

    def paint_ball(
        self,
        center: Point,
        radii: Point,
        tissue: str,
        grain: float = 0.0,
        factor: float = 1.0,
        angle: float = 0.0,
        blur: float = 0.0,
        alpha: float = 1.0,
    ) -> None:
        """An ellipsoid of one tissue, `factor` times as bright as usual, its edges `blur` mm softer than others."""
        part = self.near([center], max(radii) + 2)
        soft = part.canvas.soft + np.float32(blur)
        signal = np.float32(factor) * part.brightness(tissue, grain)
        part.canvas.paint(ellipsoid(part.point, center, radii, angle), signal, soft, alpha)

    def paint_tube(
        self,
        start: Point,
        end: Point,
        radii: tuple[float, float],
        tissue: str,
        grain: float = 0.0,
        factor: float = 1.0,
        alpha: float = 1.0,
    ) -> None:
        """A straight cord of one tissue, whose radius changes from the first to the second."""
        part = self.near([start, end], max(radii) + 2)
        distance, along = tube(part.point, start, end)
        signal = np.float32(factor) * part.brightness(tissue, grain)
        part.canvas.paint(distance - (radii[0] + along * (radii[1] - radii[0])), signal, alpha=alpha)
