"""The coordinates of a knee in three dimensions, which slices of any plane cut.

In mm: x to the lateral side, y to the back, z to the foot; the joint line is at z = 0. Every slice of a volume cuts the
same shapes, so coronal, sagittal and axial pictures of a subject agree with each other.
"""

import numpy as np

from helpers.data.drawing.anatomy import Anatomy, Point
from helpers.data.drawing.canvas import Canvas
from helpers.data.drawing.coils import AXES


class Knee(Anatomy):
    """One slice of a knee: which of its coordinates runs across the slice depends on the plane.

    size       of the subject; its coordinates are those of a knee of size 1
    effusion   0 to 1, how much fluid the joint holds
    Left by one painter for the next: joint_line and plateau, heights in mm of the joint space; fascia, distance to the
    inner side of the fat under the skin; web, texture of septa; flesh, signal of muscle; wobble, unevenness of its
    surface in mm; covered, menisci, coverage of what was painted; under_skin, coverage of the fat.
    """

    def __init__(self, canvas: Canvas, plane: str, signal: dict[str, float]):
        super().__init__(canvas, signal, roughness=1.2)
        chance, self.plane = self.chance, plane
        shift = chance.normal("shift x", 3), chance.normal("shift y", 4) + (4 if plane == "axial" else 0)
        canvas.turn(chance.normal("turn", 0.06), shift)
        canvas.bend("bend", 2.5, 0.5)
        self.size = chance.uniform("size", 0.88, 1.1)
        self.side = -1 if plane != "sagittal" and chance.happens("left knee", 0.5) else 1
        place = [canvas.x * np.float32(self.side / self.size), canvas.y / np.float32(self.size)]
        place.append(np.float32(canvas.position / self.size))
        self.x, self.y, self.z = (place[AXES[plane].index(axis)] for axis in range(3))
        self.effusion = chance.uniform("effusion", 0, 1) ** 2

    def project(self, point: Point) -> Point:
        right, down, through = (self.size * point[axis] for axis in AXES[self.plane])
        return self.side * right, down, through - self.canvas.position
