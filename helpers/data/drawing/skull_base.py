"""The lower levels of a head: cerebellum and brain stem behind, orbits and sinuses in front, bone between."""

import numpy as np

from helpers.data.drawing.head import Head
from helpers.data.drawing.shapes import ellipsoid, tube


def paint_floor(head: Head, outside: np.ndarray) -> None:
    """What fills the skull where the brain does not: bone, fat and muscle in front, and a film of fluid."""
    canvas = head.canvas
    bare = canvas.coverage(-head.inside) * canvas.coverage(-outside)
    canvas.blend(bare, np.float32(0.25) * head.brightness("marrow", 0.05, 0.2) + np.float32(head.signal["bone"]))
    front = bare * canvas.coverage(head.y + 14 + np.float32(2) * canvas.field("floor", 10), 6)
    face = np.float32(0.4) * head.brightness("fat", 0.12) + np.float32(0.3) * head.brightness("muscle", 0, 0.2)
    canvas.blend(front, face)
    film = np.maximum(np.minimum(outside - 2, ellipsoid((head.x, head.y), (0, 2), (15, 18))), -head.inside)
    canvas.paint(film, head.brightness("cerebrospinal fluid", 0.03), alpha=0.85)


def paint_posterior_fossa(head: Head) -> np.ndarray:
    """Petrous bones, cerebellum and brain stem; returns the coverage of their white matter."""
    for half in head.halves():
        part = half.near([(16, 4, -38), (64, 20, -34)], 12)
        petrous, along = tube(part.point, (16, 4, -38), (60, 20, -34))
        bone = np.float32(0.2) * part.brightness("marrow", 0, 0.3) + np.float32(part.signal["bone"])
        part.canvas.paint(np.maximum(petrous - (6 + 4 * along), -part.skull), bone)
    lobe = ellipsoid(head.point, (0, 46, -40), (head.chance.uniform("cerebellum", 50, 56), 38, 25))
    lobe = np.maximum(lobe, np.float32(1.5) - head.inside)
    return np.maximum(paint_cerebellum(head, lobe), paint_stem(head, lobe))


def paint_cerebellum(head: Head, lobe: np.ndarray) -> np.ndarray:
    """Gray matter with fluid between its leaves, and white matter that branches into them."""
    canvas = head.canvas
    fluid = head.brightness("cerebrospinal fluid", 0.03)
    canvas.paint(lobe - np.float32(1.2), fluid, alpha=0.4)
    canvas.paint(lobe, head.brightness("gray matter", 0.05, 0.03))
    wave = np.float32(1.1) * canvas.field("leaves", 14)
    ring = np.hypot(head.x / np.float32(1.5), head.y - 20) + wave
    leaves = np.sin(ring * np.float32(2 * np.pi / head.chance.uniform("leaf", 3.2, 4.2)))
    gaps = np.clip(leaves - np.float32(0.3) + np.float32(0.5) * head.speckle, 0, 1) * np.float32(0.3)
    canvas.blend(canvas.coverage(lobe + np.float32(1.0)) * gaps, fluid)
    covered, white = np.zeros_like(canvas.image), head.brightness("white matter", 0.06)
    for half in head.halves():
        core = ellipsoid(half.point, (22, 40, -37), (17, 12, 12), 0.25) + np.float32(1.8) * leaves + wave
        covered = np.maximum(covered, canvas.paint(core, white))
    vermis = ellipsoid(head.point, (0, 42, -36), (4.5, 17, 18)) + np.float32(0.8) * leaves
    canvas.paint(vermis, head.brightness("gray matter", 0.05))
    return covered


def paint_stem(head: Head, lobe: np.ndarray) -> np.ndarray:
    """Midbrain with its peduncles, pons, the cisterns around them, the fourth ventricle and the aqueduct."""
    canvas, point = head.canvas, head.point
    ragged = np.float32(1.5) * canvas.field("cistern", 14)
    behind = ellipsoid(point, (0, 19, -15), (19, 12, 10)) + ragged
    front = np.minimum(ellipsoid(point, (0, -8, -21), (11, 9, 6)), ellipsoid(point, (0, -1, -15), (5, 5, 8)))
    cistern = np.maximum(np.minimum(behind, front), -lobe)
    fluid = head.brightness("cerebrospinal fluid", 0.03)
    canvas.paint(cistern, fluid, alpha=0.85)
    pons, tectum = ellipsoid(point, (0, 9, -36), (17, 13.5, 17)), ellipsoid(point, (0, 17, -15), (11.5, 8.5, 11))
    peduncles = [ellipsoid(half.point, (8.5, 6, -15), (8.5, 8.5, 11), 0.4) for half in head.halves()]
    stem = np.minimum.reduce([pons, tectum, *peduncles])
    canvas.paint(np.maximum(stem - 2, -lobe - 40), fluid, alpha=0.5)
    mixed = np.float32(0.35 * head.signal["gray matter"]) + np.float32(0.65) * head.brightness("white matter", 0.06)
    covered = canvas.paint(stem, mixed)
    head.paint_ball((0, 26, -36), (6.5, 4, 10), "cerebrospinal fluid")
    head.paint_ball((0, 19, -18), (1.4, 1.4, 12), "cerebrospinal fluid")
    head.paint_ball((0, -5.5, -34), (2, 1.8, 20), "blood", factor=0.06)
    return covered


def paint_face(head: Head) -> None:
    """Eyes in their orbits, optic nerves, and the air-filled sinuses."""
    chance = head.chance
    level = -35 + chance.normal("eye level", 2)
    apart = chance.uniform("eyes", 30, 33)
    front = head.surface(-np.pi / 2)[1]
    for half in head.halves():
        half.paint_tube((apart, front + 13, level), (11, front + 52, level + 2), (16, 5), "fat", 0.08, 0.75)
        half.paint_tube((apart + 9, front + 24, level), (14, front + 50, level), (1.9, 1.9), "muscle")
        half.paint_tube((apart - 11, front + 20, level), (10, front + 46, level), (1.8, 1.8), "muscle")
        half.paint_tube((apart, front + 16, level), (8, front + 56, level + 3), (2.2, 2.2), "white matter")
        half.paint_ball((apart, front + 13, level), (13, 13, 13), "muscle", factor=0.6)
        half.paint_ball((apart, front + 13, level), (12.2, 12.2, 12.2), "cerebrospinal fluid")
        half.paint_ball((apart, front + 4.5, level), (4.6, 2.2, 4.6), "muscle", factor=0.5)
        paint_air(half, (53, 26, -38), (9, 12, 12), cells=4)
        paint_air(half, (31, front + 22, -60), (14, 17, 14))
    paint_air(head, (0, front + 22, -34), (chance.uniform("ethmoid", 8, 11), 19, 17), cells=1.6)
    paint_air(head, (chance.normal("sphenoid", 2), -28, -38), (12, 11, 12))


def paint_air(head: Head, center: tuple, radii: tuple, cells: float = 0.0) -> None:
    """A sinus: nothing gives signal there; `cells` mm of walls between its cells."""
    part = head.near([center], max(radii) + 2)
    shape = ellipsoid(part.point, center, radii) + np.float32(cells) * np.abs(part.speckle)
    part.canvas.paint(np.maximum(shape, 1 - part.skull), 0, alpha=0.95)
