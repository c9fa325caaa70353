"""Pathology of the knee: where it can be, how it looks, how often it occurs."""

import numpy as np

from helpers.data.drawing.coils import AXES
from helpers.data.drawing.finding import Site
from helpers.data.drawing.knee_anatomy import Knee
from helpers.data.drawing.shapes import ellipsoid


def sites(knee: Knee, regions: dict[str, np.ndarray]) -> list[Site]:
    """The findings of this subject in this slice; regions: coverage of meniscus, cartilage and marrow."""
    return [*tears(knee, regions["meniscus"]), *defects(knee, regions["cartilage"]), *edema(knee, regions["marrow"])]


def across(knee: Knee, axis: int, value: float, spread: float = 2.0) -> float:
    """A coordinate of a finding: as drawn along the slices, near the middle of the volume across them."""
    if AXES[knee.plane][2] != axis:
        return value
    return knee.canvas.middle / knee.size + knee.chance.normal(f"finding {axis}", spread)


def tears(knee: Knee, meniscus: np.ndarray) -> list[Site]:
    """Meniscal tears: a bright line through the dark wedge, over part of its arc."""
    chance, canvas, found = knee.chance, knee.canvas, []
    x, y, z = knee.point
    for side, name in ((-1, "medial tear"), (1, "lateral tear")):
        if not chance.happens(name, 0.35):
            continue
        turn = chance.uniform(name + " place", -1.7, 1.7)
        if knee.plane == "coronal":
            turn = np.arcsin(np.clip((across(knee, 1, 0) - 5) / 16, -1, 1))
        elif knee.plane == "sagittal":
            turn = np.sign(turn) * np.arccos(np.clip((side * across(knee, 0, 0) - 20.5) / 13.5, -1, 1))
        center = (side * (20.5 + 13.5 * np.cos(turn)), 5 + 16 * np.sin(turn), float(knee.joint_line))
        slant = chance.normal(name + " slant", 0.35)
        line = np.abs(z - center[2] - slant * (side * (x - center[0]))) - chance.uniform(name + " width", 0.4, 0.8)
        reach = ellipsoid(knee.point, center, (chance.uniform(name + " reach", 4, 7), 8, 6))
        coverage = canvas.coverage(np.maximum(line, reach), canvas.pixel) * meniscus
        found.append(Site("Meniscus Tear", coverage, np.float32(0.9 * knee.signal["fluid"])))
    return found


def defects(knee: Knee, cartilage: np.ndarray) -> list[Site]:
    """Cartilage defects, on a femoral condyle or behind the kneecap: a piece of it replaced by fluid."""
    chance, canvas = knee.chance, knee.canvas
    if not chance.happens("defect", 0.35):
        return []
    side = -1 if chance.happens("defect side", 0.6) else 1
    width = chance.uniform("defect width", 3, 6)
    if knee.plane == "axial":
        center = (side * chance.uniform("defect x", 4, 14), -24.0, across(knee, 2, 0))
        radii = (width, 4.5, 8)
    else:
        center = (across(knee, 0, side * chance.uniform("defect x", 13, 27)), across(knee, 1, 9), 0.5)
        radii = (width, 7, 4) if knee.plane == "coronal" else (7, width, 4)
    coverage = canvas.coverage(ellipsoid(knee.point, center, radii)) * cartilage
    return [Site("Cartilage - Full Thickness loss/defect", coverage, np.float32(knee.signal["fluid"]))]


def edema(knee: Knee, marrow: np.ndarray) -> list[Site]:
    """Bone marrow edema: a cloud of water under the joint surface, bright where fat is suppressed."""
    chance, canvas = knee.chance, knee.canvas
    if not chance.happens("edema", 0.35):
        return []
    side = -1 if chance.happens("edema side", 0.5) else 1
    above = chance.happens("edema in the femur", 0.5)
    height = -chance.uniform("edema z", 8, 16) if above else chance.uniform("edema z", 10, 18)
    center = (
        across(knee, 0, side * chance.uniform("edema x", 12, 28)),
        across(knee, 1, chance.uniform("edema y", -4, 18)),
        across(knee, 2, height),
    )
    radii = [chance.uniform(f"edema radius {k}", 6, 11) for k in range(3)]
    ragged = np.float32(1.5) * canvas.field("edema edge", 14)
    coverage = canvas.coverage(ellipsoid(knee.point, center, radii) + ragged, np.float32(9)) * marrow
    signal = np.float32(0.75 * knee.signal["edema"] + 0.25 * knee.signal["marrow"])
    return [Site("Bone- Subchondral edema", np.float32(0.7) * coverage, signal)]
