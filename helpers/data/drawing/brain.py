"""A head in axial slices, from the cerebellum and the orbits up to the vertex.

Coordinates in mm: x to the subject's left in the picture's right, y to the back, z upwards; z = 0 at the level of the
basal ganglia.
"""

import numpy as np

from helpers.data.drawing import skull_base
from helpers.data.drawing.brain_findings import sites
from helpers.data.drawing.canvas import Canvas
from helpers.data.drawing.cortex import sulcus_distance
from helpers.data.drawing.finding import Site
from helpers.data.drawing.shapes import ellipsoid, smooth_max, smooth_min, tube


class Head:
    """The coordinates of one slice of a head, its tissues' signals, textures and outline."""

    def __init__(self, canvas: Canvas, signal: dict[str, float]):
        chance = canvas.chance
        self.canvas, self.chance, self.signal, self.z = canvas, chance, signal, np.float32(canvas.position)
        canvas.turn(chance.normal("turn", 0.07), (chance.normal("shift x", 2), chance.normal("shift y", 3)))
        canvas.bend("bend", 1.4, 0.4)
        self.x, self.y = canvas.x, canvas.y
        self.grain, self.speckle = canvas.texture("grain", 1.25), canvas.texture("speckle", 1.25)
        self.atrophy = chance.uniform("atrophy", 0, 1) ** 2
        self.opening = chance.uniform("opening", 0.1, 0.35) + 0.9 * self.atrophy
        self._outline()

    def _outline(self) -> None:
        """Radius of the skin by angle, and the depth below it of every pixel."""
        chance = self.chance
        angle = np.linspace(-np.pi, np.pi, 721)
        top = np.sqrt(max(1 - (max(float(self.z) - 4, 0) / chance.uniform("height", 84, 92)) ** 2, 0.05))
        low = 1 - 0.1 * np.clip(-float(self.z) / 45, 0, 1) ** 2
        width, length = chance.uniform("head width", 70, 77) * top * low, chance.uniform("head length", 88, 97) * top
        radius = (np.abs(np.cos(angle) / width) ** 2.25 + np.abs(np.sin(angle) / length) ** 2.25) ** (-1 / 2.25)
        for k in (2, 3, 4, 5):
            radius *= 1 + chance.normal(f"outline {k}", 0.016 / k) * np.cos(
                k * angle + chance.uniform(f"outline at {k}", 0, 2 * np.pi)
            )
        radius *= 1 - 0.05 * np.maximum(-np.sin(angle), 0) ** 2
        fat = chance.uniform("scalp", 2.5, 6) * (
            1 + 0.25 * np.cos(2 * angle + chance.uniform("scalp at", 0, 2 * np.pi))
        )
        bone = chance.uniform("skull", 5.5, 8) * (
            1 + 0.15 * np.cos(3 * angle + chance.uniform("skull at", 0, 2 * np.pi))
        )
        self.skin = np.float32(1.8)
        self.table = (angle, radius - 1.8 - fat - 0.8 - bone)
        here, distance = np.arctan2(self.y, self.x), np.hypot(self.x, self.y)
        place = (here + np.pi) * (720 / (2 * np.pi))
        index = np.minimum(place.astype(np.int32), 719)
        share = (place - index).astype(np.float32)

        def look_up(values):
            values = values.astype(np.float32)
            return values[index] * (1 - share) + values[index + 1] * share

        self.depth = (look_up(radius) - distance) * np.float32(0.97)
        self.fat, self.bone = look_up(fat), look_up(bone)
        self.inside = self.depth - self.skin - self.fat - np.float32(0.8) - self.bone

    def surface(self, angle: float) -> tuple[float, float]:
        """The point of the inner skull in this direction."""
        wrapped = (angle + np.pi) % (2 * np.pi) - np.pi
        radius = np.interp(wrapped, *self.table)
        return float(radius * np.cos(angle)), float(radius * np.sin(angle))

    def brightness(self, tissue: str, grain: float = 0.0, speckle: float = 0.0):
        """Signal of a tissue, with a share of the two textures on it."""
        result = np.float32(self.signal[tissue])
        return result * (1 + np.float32(grain) * self.grain + np.float32(speckle) * self.speckle)

    def ball(
        self, side: float, center: tuple[float, float, float], radii: tuple[float, float, float], angle: float = 0.0
    ):
        """Distance to an ellipsoid, on the side -1 or 1 of the midline."""
        return ellipsoid((side * self.x, self.y, self.z), center, radii, angle)


def draw_brain(canvas: Canvas, signal: dict[str, float]) -> list[Site]:
    """Paints one axial slice of a healthy head and returns the places where findings can be.

    The position of the canvas is z. signal: of each tissue.
    """
    head = Head(canvas, signal)
    paint_scalp(head)
    white = paint_cerebrum(head)
    if head.z < 30:
        paint_deep_gray(head)
    paint_ventricles(head)
    if head.z < -8:
        white = np.maximum(white, skull_base.paint_posterior_fossa(head))
    if head.z < -12:
        skull_base.paint_face(head)
    paint_vessels(head)
    return sites(head, white)


def paint_scalp(head: Head) -> None:
    """Skin, fat, muscle, the two tables of the skull with marrow between, dura, and the fluid below."""
    canvas, depth = head.canvas, head.depth
    canvas.paint(-depth, head.brightness("skin"))
    canvas.paint(head.skin - depth, np.float32(0.7) * head.brightness("fat", 0.07))
    wide = head.skin + head.fat
    canvas.paint(wide - depth, 0.7 * head.signal["muscle"], alpha=0.7)
    canvas.paint(wide + np.float32(0.8) - depth, head.signal["bone"])
    diploe = np.maximum(
        wide + np.float32(0.8) + np.float32(0.3) * head.bone - depth,
        depth - wide - np.float32(0.8) - np.float32(0.68) * head.bone,
    )
    canvas.paint(diploe, np.float32(0.5) * head.brightness("marrow", 0, 0.18), alpha=0.9)
    rim = head.chance.uniform("fluid rim", 0.25, 0.8)
    canvas.paint(-head.inside, head.signal["cerebrospinal fluid"] * rim + head.signal["gray matter"] * (1 - rim))
    canvas.paint(np.abs(head.inside) - np.float32(0.35), 3 * head.signal["bone"], alpha=0.5)


def cerebrum_shape(head: Head) -> np.ndarray:
    """Distance to the surface of the cerebrum, negative inside: it ends at the orbits and the tentorium."""
    rim = head.chance.uniform("rim", 0.3, 1.0) + 2.2 * head.atrophy * (
        1 + np.float32(0.4) * head.canvas.field("rim", 8)
    )
    hull = rim - head.inside
    if head.z > -8:
        return hull
    floor = -17 - 2 / (1 + np.exp((head.y + 42) / 8)) - 7 / (1 + np.exp((30 - head.y) / 8))
    above = smooth_max(hull, np.float32(2) * (floor.astype(np.float32) - head.z), 6)
    temporal = np.minimum(*(head.ball(side, (42, -10, -20), (26, 36, 26)) for side in (-1, 1)))
    return smooth_min(above, smooth_max(temporal, hull, 4), 3)


def paint_cerebrum(head: Head) -> np.ndarray:
    """Cortex, white matter and the fluid in the sulci; returns the coverage of white matter."""
    canvas, chance = head.canvas, head.chance
    outside, sulci = cerebrum_shape(head), sulcus_distance(head)
    if head.z < -8:
        skull_base.paint_floor(head, outside)
    thick = chance.uniform("cortex", 3.0, 4.1) * (1 + np.float32(0.14) * canvas.field("cortex", 14))
    canvas.paint(outside, head.brightness("gray matter", 0.06, 0.03))
    patches = np.float32(0.025) * canvas.field("white matter", 9) + np.float32(0.02) * canvas.field("tracts", 18)
    white = head.brightness("white matter", 0.06, 0.03) * (1 + patches)
    core = np.maximum(outside + thick, thick - sulci)
    coverage = canvas.paint(core, white, soft=canvas.soft + np.float32(0.6))
    fluid = np.maximum(sulci, outside - np.float32(1.0))
    canvas.paint(fluid, head.brightness("cerebrospinal fluid", 0.03), soft=canvas.soft + np.float32(0.2), alpha=0.8)
    return coverage


def paint_deep_gray(head: Head) -> None:
    """Caudate nucleus, putamen, pallidum and thalamus."""
    canvas, u = head.canvas, head.chance.uniform
    gray, pale = head.brightness("deep gray matter", 0.05, 0.02), head.brightness("pallidum", 0.04)
    blur = canvas.soft + np.float32(1.0)
    for side in (-1, 1):
        canvas.paint(
            head.ball(side, (u("putamen", 24, 26.5), -3, 3), (u("putamen width", 4.8, 6.2), 15, 14), 0.15), gray, blur
        )
        canvas.paint(head.ball(side, (18.5, 0, 1), (3.6, 8.5, 8), 0.2), pale, blur)
        canvas.paint(head.ball(side, (u("thalamus", 9.5, 11), 10, 5), (7.5, 12.5, 10), -0.35), gray, blur)
        canvas.paint(head.ball(side, (13, -21, 7), (4.6, 8.5, 12), -0.25), gray, blur)
        tail, _ = tube((side * head.x, head.y, head.z), (15, -14, 18), (19, 12, 24))
        canvas.paint(tail - 3, gray, blur)


def paint_ventricles(head: Head) -> None:
    """The lateral ventricles as tubes from the frontal horns over the bodies to the atria, and the third ventricle."""
    canvas, chance, z = head.canvas, head.chance, head.z
    size = np.float32(chance.uniform("ventricles", 0.65, 1.15) + 0.8 * head.atrophy)
    fluid = head.brightness("cerebrospinal fluid", 0.03)
    path = ((7, -30, 2), (9, -20, 14), (10.5, -4, 21), (14, 14, 21), (21, 28, 10), (20, 46, 5))
    radii = (2.6, 4.2, 4.0, 4.2, 4.8, 1.8)
    for side in (-1, 1):
        tilt = chance.normal(f"ventricle {side}", 0.8)
        pieces = []
        for start, end, first, last in zip(path[:-1], path[1:], radii[:-1], radii[1:], strict=True):
            distance, along = tube((side * head.x - tilt, head.y, z), start, end)
            pieces.append(distance - size * (first + along * np.float32(last - first)))
        horn, along = tube((side * head.x, head.y, z), (24, 24, -2), (31, -2, -20))
        pieces.append(horn - size * (2.6 - 1.2 * along))
        canvas.paint(np.minimum.reduce(pieces), fluid)
        horns = np.minimum(
            head.ball(side, (8.5, -25, 9), (size * 3.4, 9.5, 9), -0.3),
            head.ball(side, (23, 33, 9), (size * 4, 11, 8), -0.45),
        )
        canvas.paint(horns, fluid)
        plexus = head.ball(side, (19.5, 28, 10), (1.7, 3.5, 5))
        canvas.paint(plexus, head.brightness("gray matter"), alpha=0.6)
    canvas.paint(ellipsoid((head.x, head.y, z), (0, 6, -1), (1.3 * size, 10, 12)), fluid)
    if z < 26:
        canvas.paint(
            np.maximum(np.abs(head.x) - np.float32(0.7), np.abs(head.y + 18) - 9),
            head.signal["white matter"],
            alpha=0.6,
        )


def paint_vessels(head: Head) -> None:
    """The superior sagittal sinus and small vessels."""
    canvas, chance = head.canvas, head.chance
    back = head.surface(np.pi / 2)[1]
    sinus = ellipsoid((head.x, head.y), (0, back - 2.2), (chance.uniform("sinus", 2.2, 3.6), 2.4))
    flow = 0.1 if chance.happens("sinus dark", 0.6) else 1.0
    canvas.paint(sinus, head.signal["blood"] * flow, alpha=0.9)
    for number in range(int(chance.uniform("vessels", 5, 14))):
        name = f"vessel {number} "
        center = [
            chance.uniform(name + "x", -55, 55),
            chance.uniform(name + "y", -70, 70),
            chance.uniform(name + "z", -45, 60),
        ]
        end = [c + chance.normal(name + f"aim {k}", spread) for k, (c, spread) in enumerate(zip(center, (5, 5, 14)))]
        if not min(center[2], end[2]) - 2 < head.z < max(center[2], end[2]) + 2:
            continue
        distance, _ = tube((head.x, head.y, head.z), center, end)
        coverage = canvas.coverage(
            distance - chance.uniform(name + "radius", 0.4, 1.0), canvas.pixel
        ) * canvas.coverage(-head.inside)
        canvas.blend(
            np.float32(0.8) * coverage, head.signal["blood"] * (0.05 if chance.happens(name + "dark", 0.6) else 0.7)
        )
