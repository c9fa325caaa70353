"""A slice of a head: its coordinates, and how deep every pixel lies below the skin."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import numpy as np

from helpers.data.drawing.anatomy import Anatomy, Point
from helpers.data.drawing.canvas import Canvas

TURN = 720  # directions in which the outline is known
SKIN, PERIOSTEUM = np.float32(1.8), np.float32(0.8)  # mm


class Head(Anatomy):
    """One axial slice; x to the side, y to the back, z upwards, in mm.

    depth, skull, inside   mm below the skin, below the scalp, and below the inner surface of the skull
    bone                   thickness of the skull in mm in the direction of each pixel
    """

    def __init__(self, canvas: Canvas, signal: dict[str, float]):
        super().__init__(canvas, signal, roughness=1.25)
        chance = self.chance
        canvas.turn(chance.normal("turn", 0.07), (chance.normal("shift x", 2), chance.normal("shift y", 3)))
        canvas.bend("bend", 1.4, 0.4)
        self.x, self.y, self.z, self.flip = canvas.x, canvas.y, np.float32(canvas.position), 1
        self.atrophy = chance.uniform("atrophy", 0, 1) ** 2
        self.opening = chance.uniform("opening", 0.05, 0.3) + 0.9 * self.atrophy
        self._outline()

    def project(self, point: Point) -> Point:
        return self.flip * point[0], point[1], point[2] - self.canvas.position

    def halves(self) -> Iterator[Head]:
        """The head and its mirror image: what is painted at x > 0 of each appears on both sides."""
        yield self
        mirrored = copy.copy(self)
        mirrored.x, mirrored.flip = -self.x, -1
        yield mirrored

    def _outline(self) -> None:
        """Radius of the skin by angle, and the depth below it of every pixel."""
        chance, z = self.chance, float(self.z)
        angle = np.linspace(-np.pi, np.pi, TURN + 1)

        def wave(name: str, k: int) -> np.ndarray:
            return np.cos(k * angle + chance.uniform(name, 0, 2 * np.pi))

        top = np.sqrt(max(1 - (max(z - 4, 0) / chance.uniform("height", 84, 92)) ** 2, 0.05))
        low = 1 - 0.1 * np.clip(-z / 45, 0, 1) ** 2
        width, length = chance.uniform("head width", 70, 77) * top * low, chance.uniform("head length", 88, 97) * top
        radius = (np.abs(np.cos(angle) / width) ** 2.25 + np.abs(np.sin(angle) / length) ** 2.25) ** (-1 / 2.25)
        for k in (2, 3, 4, 5):
            radius *= 1 + chance.normal(f"outline {k}", 0.016 / k) * wave(f"outline at {k}", k)
        radius *= 1 - 0.05 * np.maximum(-np.sin(angle), 0) ** 2
        fat = chance.uniform("scalp", 2.5, 6) * (1 + 0.25 * wave("scalp at", 2))
        bone = chance.uniform("skull", 5.5, 8) * (1 + 0.15 * wave("skull at", 3))
        self.table = (angle, radius - SKIN - fat - PERIOSTEUM - bone)
        place = (np.arctan2(self.y, self.x) + np.float32(np.pi)) * np.float32(TURN / (2 * np.pi))
        index = np.minimum(place.astype(np.int32), TURN - 1)
        share = place - index

        def look_up(values: np.ndarray) -> np.ndarray:
            values = values.astype(np.float32)
            return values[index] + share.astype(np.float32) * (values[1:] - values[:-1])[index]

        self.depth = (look_up(radius) - np.hypot(self.x, self.y)) * np.float32(0.97)
        self.skull = self.depth - SKIN - look_up(fat)
        self.bone = look_up(bone)
        self.inside = self.skull - PERIOSTEUM - self.bone

    def surface(self, angle: float) -> tuple[float, float]:
        """The point of the inner skull in this direction."""
        wrapped = (angle + np.pi) % (2 * np.pi) - np.pi
        radius = np.interp(wrapped, *self.table)
        return float(radius * np.cos(angle)), float(radius * np.sin(angle))
