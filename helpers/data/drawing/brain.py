"""The brain in axial slices, from the cerebellum and the orbits up to the vertex.

Coordinates as in `head`; z = 0 at the level of the basal ganglia.
"""

import numpy as np

from helpers.data.drawing import skull_base
from helpers.data.drawing.brain_findings import sites
from helpers.data.drawing.canvas import Canvas
from helpers.data.drawing.cortex import sulcus_distance
from helpers.data.drawing.finding import Site
from helpers.data.drawing.head import PERIOSTEUM, Head
from helpers.data.drawing.shapes import ellipsoid, sigmoid, smooth_max, smooth_min, tube


def draw_brain(canvas: Canvas, signal: dict[str, float]) -> list[Site]:
    """Paints one axial slice of a healthy head and returns the places where findings can be.

    The position of the canvas is z. signal: of each tissue.
    """
    head = Head(canvas, signal)
    paint_scalp(head)
    white = paint_cerebrum(head)
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
    canvas, skull = head.canvas, head.skull
    canvas.paint(-head.depth, head.brightness("skin"))
    canvas.paint(np.float32(1.8) - head.depth, np.float32(0.7) * head.brightness("fat", 0.07))
    canvas.paint(-skull, 0.7 * head.signal["muscle"], alpha=0.7)
    canvas.paint(PERIOSTEUM - skull, head.signal["bone"])
    within = skull - PERIOSTEUM
    diploe = np.maximum(np.float32(0.3) * head.bone - within, within - np.float32(0.68) * head.bone)
    canvas.paint(diploe, np.float32(0.5) * head.brightness("marrow", 0, 0.18), alpha=0.9)
    rim = head.chance.uniform("fluid rim", 0.15, 0.6)
    canvas.paint(-head.inside, head.signal["cerebrospinal fluid"] * rim + head.signal["gray matter"] * (1 - rim))
    canvas.paint(np.abs(head.inside) - np.float32(0.35), 3 * head.signal["bone"], alpha=0.5)


def cerebrum_shape(head: Head) -> np.ndarray:
    """Distance to the surface of the cerebrum, negative inside: it ends at the orbits and the tentorium."""
    shrunk = 1.8 * head.atrophy * (1 + np.float32(0.4) * head.canvas.field("rim", 8))
    hull = head.chance.uniform("rim", 0.3, 1.0) + shrunk - head.inside
    if head.z > -8:
        return hull
    floor = -17 - 2 * sigmoid((-head.y - 42) / 8) - 7 * sigmoid((head.y - 30) / 8)
    above = smooth_max(hull, 2 * (floor - head.z), 6)
    temporal = np.minimum(*(ellipsoid(half.point, (42, -10, -20), (26, 36, 26)) for half in head.halves()))
    return smooth_min(above, smooth_max(temporal, hull, 4), 3)


def paint_cerebrum(head: Head) -> np.ndarray:
    """Cortex, white matter and the fluid in the sulci; returns the coverage of white matter."""
    canvas, chance = head.canvas, head.chance
    outside, sulci = cerebrum_shape(head), sulcus_distance(head)
    if head.z < -8:
        skull_base.paint_floor(head, outside)
    thick = chance.uniform("cortex", 3.1, 4.2) * (1 + np.float32(0.14) * canvas.field("cortex", 14))
    canvas.paint(outside, head.brightness("gray matter", 0.06, 0.03))
    patches = np.float32(0.025) * canvas.field("white matter", 9) + np.float32(0.02) * canvas.field("tracts", 18)
    white = head.brightness("white matter", 0.06, 0.03) * (1 + patches)
    core = thick + np.maximum(outside, -sulci)
    coverage = canvas.paint(core, white, soft=canvas.soft + np.float32(0.6))
    fluid = np.maximum(sulci, outside - np.float32(1.0))
    # many sulci are thinner than a pixel: the share of fluid in them, not their width, is what varies
    filled = np.clip(0.3 + 1.2 * head.opening + np.float32(0.3) * canvas.field("sulcus fluid", 12), 0.1, 0.9)
    canvas.paint(fluid, head.brightness("cerebrospinal fluid", 0.03), alpha=filled.astype(np.float32))
    return coverage


def paint_deep_gray(head: Head) -> None:
    """Putamen, pallidum, thalamus and caudate nucleus."""
    uniform, gray = head.chance.uniform, "deep gray matter"
    putamen, width = (uniform("putamen", 24, 26.5), -3, 3), uniform("putamen width", 4.8, 6.2)
    for half in head.halves():
        half.paint_ball(putamen, (width, 15, 14), gray, 0.05, angle=0.15, blur=1)
        half.paint_ball((18.5, 0, 1), (3.6, 8.5, 8), "pallidum", 0.04, angle=0.2, blur=1)
        half.paint_ball((uniform("thalamus", 9.5, 11), 10, 5), (7.5, 12.5, 10), gray, 0.05, angle=-0.35, blur=1)
        half.paint_ball((13, -21, 7), (4.6, 8.5, 12), gray, 0.05, angle=-0.25, blur=1)
        half.paint_tube((15, -14, 18), (19, 12, 24), (3, 3), gray, 0.05)


# middle line and radius of a lateral ventricle: frontal horn, body, atrium, occipital horn
VENTRICLE = (
    ((7, -30, 2), 2.6),
    ((9, -20, 14), 4.2),
    ((10.5, -4, 21), 4.0),
    ((14, 14, 21), 4.2),
    ((21, 28, 10), 4.8),
    ((20, 46, 5), 1.8),
)


def paint_ventricles(head: Head) -> None:
    """The lateral ventricles as tubes with two wider horns, their choroid plexus, and the third ventricle."""
    fluid = "cerebrospinal fluid"
    size = head.chance.uniform("ventricles", 0.65, 1.15) + 0.8 * head.atrophy
    for half in head.halves():
        tilt = head.chance.normal(f"ventricle {half.flip}", 0.8)
        part = half.near([(0, -36, -2), (30, 52, 26)], 4)
        pieces = []
        for ((x0, y0, z0), first), ((x1, y1, z1), last) in zip(VENTRICLE[:-1], VENTRICLE[1:], strict=True):
            distance, along = tube(part.point, (x0 + tilt, y0, z0), (x1 + tilt, y1, z1))
            pieces.append(distance - np.float32(size) * (first + along * (last - first)))
        part.canvas.paint(np.minimum.reduce(pieces), part.brightness(fluid))
        half.paint_tube((24, 24, -2), (31, -2, -20), (2.6 * size, 1.4 * size), fluid)
        half.paint_ball((8.5, -25, 9), (size * 3.4, 9.5, 9), fluid, angle=-0.3)
        half.paint_ball((23, 33, 9), (size * 4, 11, 8), fluid, angle=-0.45)
        half.paint_ball((19.5, 28, 10), (1.7, 3.5, 5), "gray matter", alpha=0.6)
    head.paint_ball((0, 6, -1), (1.3 * size, 10, 12), fluid)
    septum = head.near([(0, -27, 0), (0, -9, 26)], 1)
    between = np.maximum(np.abs(septum.x) - np.float32(0.7), np.abs(septum.y + 18) - 9)
    septum.canvas.paint(between, septum.brightness("white matter"), alpha=0.6)


def paint_vessels(head: Head) -> None:
    """The superior sagittal sinus and small vessels."""
    chance, z = head.chance, float(head.z)
    back = head.surface(np.pi / 2)[1] - 2.2
    flow = 0.1 if chance.happens("sinus dark", 0.6) else 1.0
    width = chance.uniform("sinus", 2.2, 3.6)
    head.paint_tube((0, back, z - 9), (0, back, z + 9), (width, width), "blood", factor=flow, alpha=0.9)
    for number in range(int(chance.uniform("vessels", 5, 14))):
        name = f"vessel {number} "
        reach = (("x", -55, 55, 5), ("y", -70, 70, 5), ("z", -45, 60, 14))
        start = tuple(chance.uniform(name + axis, low, high) for axis, low, high, _ in reach)
        end = tuple(
            s + chance.normal(f"{name}aim {axis}", far) for s, (axis, _, _, far) in zip(start, reach, strict=True)
        )
        radius, dark = chance.uniform(name + "radius", 0.4, 1.0), chance.happens(name + "dark", 0.6)
        if np.interp(np.arctan2(start[1], start[0]), *head.table) > np.hypot(*start[:2]) + 2:
            head.paint_tube(start, end, (radius, radius), "blood", factor=0.05 if dark else 0.7, alpha=0.8)
