"""Pathology of the knee: where it can be, how it looks, how often it occurs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from helpers.data.drawing.finding import Site
from helpers.data.drawing.shapes import ellipsoid

if TYPE_CHECKING:
    from helpers.data.drawing.knee import Knee

NORMAL = {"coronal": 1, "sagittal": 0, "axial": 2}  # index of the axis that a plane is cut across


def sites(knee: Knee, regions: dict[str, np.ndarray]) -> list[Site]:
    """The findings of this subject, as far as this slice meets them."""
    return [
        site
        for site in (
            *tears(knee, regions["meniscus"]),
            *defects(knee, regions["cartilage"]),
            *edema(knee, regions["marrow"]),
        )
    ]


def near_slices(knee: Knee, name: str, axis: int, low: float, high: float) -> float:
    """A place along one axis of the knee: across the slices it lies near the middle of the volume."""
    if axis == NORMAL[knee.plane]:
        middle = knee.canvas.chance.kept[("middle",)]
        return float(np.clip(middle + knee.chance.normal(name, 4), low, high))
    return knee.chance.uniform(name, low, high)


def tears(knee: Knee, meniscus: np.ndarray) -> list[Site]:
    """Meniscal tears: a bright line through the dark wedge, over part of its arc."""
    chance, canvas = knee.chance, knee.canvas
    x, y, z = knee.point
    found = []
    for side, name in ((-1, "medial tear"), (1, "lateral tear")):
        if not chance.happens(name, 0.35):
            continue
        turn = chance.uniform(name + " place", -1.9, 1.9)
        center = (side * (20.5 + 13.5 * np.cos(turn)), 5 + 16 * np.sin(turn), float(knee.joint_line))
        slant = chance.normal(name + " slant", 0.35)
        line = np.abs(z - center[2] - slant * (side * (x - center[0]))) - chance.uniform(name + " width", 0.4, 0.8)
        reach = ellipsoid(knee.point, center, (chance.uniform(name + " reach", 4, 7), 8, 6))
        coverage = canvas.coverage(np.maximum(line, reach), canvas.pixel) * meniscus
        found.append(Site("Meniscus Tear", coverage, knee.signal["fluid"] * np.float32(0.9)))
    return found


def defects(knee: Knee, cartilage: np.ndarray) -> list[Site]:
    """Cartilage defects: a piece of it replaced by fluid."""
    chance, canvas = knee.chance, knee.canvas
    if not chance.happens("defect", 0.35):
        return []
    side = -1 if chance.happens("defect side", 0.6) else 1
    center = (
        side * near_slices(knee, "defect X", 0, 13, 27),
        near_slices(knee, "defect Y", 1, 0, 18),
        0.5,
    )
    if knee.plane == "axial":
        center = (side * chance.uniform("defect X", 5, 14), -28, knee.canvas.chance.kept[("middle",)])
    width = chance.uniform("defect width", 3, 6)
    coverage = canvas.coverage(ellipsoid(knee.point, center, (width, 7, 4 if knee.plane != "axial" else 8))) * cartilage
    return [Site("Cartilage - Full Thickness loss/defect", coverage, knee.signal["fluid"])]


def edema(knee: Knee, marrow: np.ndarray) -> list[Site]:
    """Bone marrow edema: a cloud of water under the joint surface, bright where fat is suppressed."""
    chance, canvas = knee.chance, knee.canvas
    if not chance.happens("edema", 0.35):
        return []
    side = -1 if chance.happens("edema side", 0.5) else 1
    above = chance.happens("edema in the femur", 0.5)
    height = -chance.uniform("edema Z", 8, 16) if above else chance.uniform("edema Z", 10, 18)
    center = [side * chance.uniform("edema X", 12, 28), chance.uniform("edema Y", -4, 18), height]
    axis = NORMAL[knee.plane]
    if abs(center[axis] - chance.kept[("middle",)]) > 6:
        center[axis] = chance.kept[("middle",)] + chance.normal("edema offset", 3)
    radii = [chance.uniform(f"edema radius {k}", 6, 11) for k in range(3)]
    ragged = np.float32(1.5) * canvas.field("edema edge", 14)
    coverage = canvas.coverage(ellipsoid(knee.point, center, radii) + ragged, np.float32(9)) * marrow
    signal = np.float32(0.75 * knee.signal["edema"] + 0.25 * knee.signal["marrow"])
    return [Site("Bone- Subchondral edema", np.float32(0.7) * coverage, signal)]
