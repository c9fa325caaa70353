"""The lower levels of a head: cerebellum and brain stem behind, orbits and sinuses in front, bone between."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from helpers.data.drawing.shapes import ellipsoid, tube

if TYPE_CHECKING:
    from helpers.data.drawing.brain import Head


def paint_floor(head: Head, outside: np.ndarray) -> None:
    """What fills the skull where the brain does not: a film of fluid, bone, and fat and muscle in front."""
    canvas = head.canvas
    bare = canvas.coverage(-head.inside) * canvas.coverage(-outside)
    canvas.blend(bare, np.float32(0.25) * head.brightness("marrow", 0.05, 0.2) + np.float32(head.signal["bone"]))
    front = bare * canvas.coverage(head.y + 14 + np.float32(2) * canvas.field("floor", 10), 6)
    canvas.blend(
        front, np.float32(0.4) * head.brightness("fat", 0.12) + np.float32(0.3) * head.brightness("muscle", 0, 0.2)
    )
    film = np.maximum(np.minimum(outside - 2, ellipsoid((head.x, head.y), (0, 2), (15, 18))), -head.inside)
    canvas.paint(film, head.brightness("cerebrospinal fluid", 0.03), alpha=0.85)


def paint_posterior_fossa(head: Head) -> np.ndarray:
    """Midbrain, pons, cerebellum with its leaves, fourth ventricle; returns the coverage of their white matter."""
    canvas, chance = head.canvas, head.chance
    fluid = head.brightness("cerebrospinal fluid", 0.03)
    bone = np.float32(0.2) * head.brightness("marrow", 0, 0.3) + np.float32(head.signal["bone"])
    for side in (-1, 1):
        petrous, along = tube((side * head.x, head.y, head.z), (16, 4, -38), (60, 20, -34))
        canvas.paint(np.maximum(petrous - (6 + 4 * along), np.float32(3) - head.depth), bone)
    lobe = ellipsoid((head.x, head.y, head.z), (0, 46, -40), (chance.uniform("cerebellum", 50, 56), 38, 25))
    lobe = np.maximum(lobe, np.float32(1.5) - head.inside)
    canvas.paint(lobe - np.float32(1.2), fluid, alpha=0.6)
    canvas.paint(lobe, head.brightness("gray matter", 0.05, 0.03))
    wave = np.float32(1.1) * canvas.field("leaves", 14)
    ring = np.hypot(head.x / np.float32(1.5), head.y - 20) + wave
    leaves = np.sin(ring * np.float32(2 * np.pi / chance.uniform("leaf", 3.2, 4.2)))
    canvas.blend(
        canvas.coverage(lobe + np.float32(1.0))
        * np.clip(leaves - np.float32(0.3) + np.float32(0.5) * head.speckle, 0, 1)
        * np.float32(0.3),
        fluid,
    )
    white = head.brightness("white matter", 0.06)
    covered = np.zeros_like(canvas.image)
    for side in (-1, 1):
        core = head.ball(side, (22, 40, -37), (17, 12, 12), 0.25) + np.float32(1.8) * leaves + wave
        covered = np.maximum(covered, canvas.paint(core, white))
    point = (head.x, head.y, head.z)
    canvas.paint(
        ellipsoid(point, (0, 42, -36), (4.5, 17, 18)) + np.float32(0.8) * leaves, head.brightness("gray matter", 0.05)
    )
    cistern = np.minimum(ellipsoid(point, (0, 13, -15), (21, 17, 10)), ellipsoid(point, (0, -8, -21), (11, 9, 6)))
    canvas.paint(np.maximum(cistern + np.float32(1.2) * wave, -lobe), fluid, alpha=0.85)
    stem = np.minimum(ellipsoid(point, (0, 13, -15), (17.5, 12.5, 13)), ellipsoid(point, (0, 9, -36), (17, 13.5, 17)))
    gray_white = np.float32(0.35) * head.brightness("gray matter", 0.04) + np.float32(0.65) * white
    canvas.paint(np.maximum(stem - 2, -lobe - 40), fluid, alpha=0.6)
    covered = np.maximum(covered, canvas.paint(stem, gray_white))
    canvas.paint(
        np.minimum(ellipsoid(point, (0, 26, -36), (6.5, 4, 10)), ellipsoid(point, (0, 19, -18), (1.4, 1.4, 12))), fluid
    )
    canvas.paint(ellipsoid(point, (0, -5.5, -34), (2, 1.8, 20)), 0.06 * head.signal["blood"])
    return covered


def paint_face(head: Head) -> None:
    """Eyes in their orbits, optic nerves, and the air-filled sinuses."""
    canvas, chance = head.canvas, head.chance
    level = -33 + chance.normal("eye level", 2)
    apart = chance.uniform("eyes", 30, 33)
    front = head.surface(-np.pi / 2)[1]
    for side in (-1, 1):
        cone, along = tube((side * head.x, head.y, head.z), (apart, front + 13, level), (11, front + 52, level + 2))
        canvas.paint(cone - (16 - 11 * along), np.float32(0.75) * head.brightness("fat", 0.08))
        wall, along = tube((side * head.x, head.y, head.z), (apart + 9, front + 24, level), (14, front + 50, level))
        canvas.paint(wall - np.float32(1.9), head.signal["muscle"])
        inner, _ = tube((side * head.x, head.y, head.z), (apart - 11, front + 20, level), (10, front + 46, level))
        canvas.paint(inner - np.float32(1.8), head.signal["muscle"])
        nerve, _ = tube((side * head.x, head.y, head.z), (apart, front + 16, level), (8, front + 56, level + 3))
        canvas.paint(nerve - np.float32(2.2), head.signal["white matter"])
        center = (apart, front + 13, level)
        globe = head.ball(side, center, (12.2, 12.2, 12.2))
        canvas.paint(globe - np.float32(0.8), 0.6 * head.signal["muscle"])
        canvas.paint(globe, head.signal["cerebrospinal fluid"])
        canvas.paint(head.ball(side, (apart, front + 4.5, level), (4.6, 2.2, 4.6)), 0.5 * head.signal["muscle"])
        canvas.paint(head.ball(side, (53, 26, -38), (9, 12, 12)) + 4 * np.abs(head.speckle), 0, alpha=0.9)
        canvas.paint(head.ball(side, (31, front + 22, -60), (14, 17, 14)), 0)
    cells = np.float32(1.6) * np.abs(head.speckle)
    point = (head.x, head.y, head.z)
    canvas.paint(
        ellipsoid(point, (0, front + 22, -34), (chance.uniform("ethmoid", 8, 11), 19, 17)) + cells, 0, alpha=0.9
    )
    canvas.paint(ellipsoid(point, (chance.normal("sphenoid", 2), -28, -38), (12, 11, 12)), 0, alpha=0.95)
