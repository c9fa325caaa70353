"""The bones of the knee and their cartilage, in the coordinates of `knee_anatomy`."""

import numpy as np

from helpers.data.drawing.knee_anatomy import Knee
from helpers.data.drawing.shapes import ellipsoid, sigmoid, smooth_max, smooth_min


def bone_shapes(knee: Knee) -> dict[str, np.ndarray]:
    """Distances to femur, tibia, fibula and patella."""
    space = knee.chance.uniform("joint space", 0, 1.5)
    knee.joint_line = np.float32(2.2 + space / 2)
    knee.plateau = np.float32(4.6 + space)
    return {"femur": femur(knee), "tibia": tibia(knee), "fibula": fibula(knee), "patella": patella(knee)}


def femur(knee: Knee) -> np.ndarray:
    """A shaft that flares into two condyles, with the groove of the kneecap in front and the notch behind."""
    chance = knee.chance
    x, y, z = knee.point
    flare = sigmoid((z + np.float32(chance.uniform("femur flare", 42, 50))) / np.float32(9))
    width = np.float32(chance.uniform("femur shaft", 12.5, 15.5)) + np.float32(21.5) * flare
    depth = np.float32(13.5) + np.float32(7) * flare
    shaft = ellipsoid((x, y + 4 - 2 * flare), (0, 0), (width, depth))
    shaft = smooth_max(shaft, z + 17, 8)
    result = shaft
    for side in (-1, 1):
        center = side * chance.uniform(f"condyle {side}", 19.5, 21.5)
        apart = np.abs(x - center)
        drop = z + np.float32(0.011) * apart * apart - (0.8 if side < 0 else 0)
        wheel = ellipsoid((y, drop), (9, -19.5), (chance.uniform("condyle depth", 27, 30), 19.5))
        taper = np.float32(17.5) - np.float32(0.06) * np.maximum(y - 12, 0) ** np.float32(1.3)
        result = smooth_min(result, smooth_max(wheel, apart - taper, 10), 7)
    groove = np.float32(chance.uniform("groove", 4, 7)) * np.exp(-((x / 9) ** 2))
    trochlea = ellipsoid((x, y - groove, z), (0, -7, -25), (34, 19, 21))
    result = smooth_min(result, trochlea, 6)
    wide = chance.uniform("notch width", 8, 10.5)
    notch = ellipsoid(knee.point, (0, 27, -5), (wide, 28, 27))
    return smooth_max(result, -notch, 3)


def tibia(knee: Knee) -> np.ndarray:
    """A plateau with two spines in the middle on a tapering shaft, and the tubercle of the patellar tendon."""
    chance = knee.chance
    x, y, z = knee.point
    spines = chance.uniform("spines", 4, 6.5) * np.exp(-(((np.abs(x) - 3.8) / 3) ** 2) - ((y - 4) / 8) ** 2)
    top = knee.plateau - spines - np.float32(0.0035) * (np.abs(x) - 20) ** 2 + np.float32(0.07) * (y - 5)
    flare = sigmoid((np.float32(chance.uniform("tibia flare", 24, 31)) - z) / 8)
    width = np.float32(chance.uniform("tibia shaft", 14, 17)) + np.float32(21) * flare
    depth = np.float32(15) + np.float32(10.5) * flare
    shaft = ellipsoid((x, y - 3 - 3 * flare), (0, 0), (width, depth))
    result = smooth_max(shaft, top - z, 5)
    return smooth_min(result, ellipsoid(knee.point, (3, -14, 27), (9, 9, 14)), 6)


def fibula(knee: Knee) -> np.ndarray:
    """A thin bone behind and to the side of the tibia, with a thicker head."""
    x, y, z = knee.point
    radius = np.float32(5.2) + np.float32(3.8) * np.exp(-(((z - 23) / 10) ** 2))
    stem = ellipsoid((x, y), (knee.chance.uniform("fibula", 30, 34), 20), (radius, radius))
    return smooth_max(stem, knee.chance.uniform("fibula head", 14, 18) - z, 6)


def patella(knee: Knee) -> np.ndarray:
    """The kneecap: round in front, with a ridge towards the groove behind."""
    chance = knee.chance
    x, y, z = knee.point
    height = chance.uniform("patella height", -32, -25)
    tilt = chance.normal("patella tilt", 0.06)
    across = x - chance.normal("patella shift", 2)
    shape = ellipsoid((across, y, z), (0, -37.5, height), (21.5, 11.5, chance.uniform("patella length", 18, 21)), tilt)
    return smooth_max(shape, (y + 29.5 + np.float32(0.38) * np.abs(across)) * np.float32(0.93), 3)


def paint_cartilage(knee: Knee, shapes: dict[str, np.ndarray]) -> np.ndarray:
    """Cartilage on the faces that meet; returns its coverage. The bones are painted over it afterwards."""
    canvas, chance = knee.canvas, knee.chance
    x, y, z = knee.point
    thick = chance.uniform("cartilage", 1.7, 2.7) * (1 + np.float32(0.12) * canvas.field("cartilage", 12))
    signal = knee.brightness("cartilage", 0.06, 0.04)
    below, in_front, behind = z + 16, -y - 12, y - 22
    facing = np.maximum(np.maximum(below, np.minimum(in_front, z + 44)), np.minimum(behind, z + 34))
    side = np.maximum(np.abs(x) - 34, np.float32(5) - np.abs(x) - 40 * sigmoid((-y - 6) / 2))
    limits = {
        "femur": np.maximum(-facing, side),
        "tibia": np.maximum(np.maximum(z - knee.plateau - 3, 6 - np.abs(x)), np.abs(x) - 34),
        "patella": -(y + np.float32(37)),
    }
    total = np.zeros_like(canvas.image)
    for bone, limit in limits.items():
        shell = np.maximum(shapes[bone] - thick * (1.3 if bone == "patella" else 1), limit)
        total = np.maximum(total, canvas.paint(shell, signal))
    for bone in limits:
        total *= 1 - canvas.coverage(shapes[bone])
    return total


def paint_bones(knee: Knee, shapes: dict[str, np.ndarray]) -> np.ndarray:
    """Cortical bone around marrow with its trabeculae; returns the coverage of the marrow near the joint."""
    canvas, chance = knee.canvas, knee.chance
    x, y, z = knee.point
    trabeculae = canvas.texture("trabeculae", 0.35, 0.06, 0.35)
    patchy = np.clip(np.float32(0.22) * canvas.field("red marrow", 9) + np.float32(0.08), 0, 0.5)
    red = patchy * np.float32(chance.happens("red marrow", 0.5)) * (sigmoid((-z - 30) / 6) + sigmoid((z - 26) / 6))
    yellow = knee.brightness("marrow", 0.08) * (1 + np.float32(0.07) * trabeculae)
    marrow = yellow + red * (knee.signal["red marrow"] - yellow)
    total = np.zeros_like(canvas.image)
    for name, shape in shapes.items():
        cortex = chance.uniform(name + " cortex", 0.8, 1.2)
        away = np.clip((np.abs(z) - 30) / 40, 0, 1) * np.float32(1.6 if name in ("femur", "tibia") else 0.4)
        canvas.paint(shape, knee.signal["bone"])
        coverage = canvas.paint(shape + (cortex + away), marrow)
        total = np.maximum(total, coverage)
    wave = 2.5 * np.cos(x / 10 + y / 13) + np.float32(0.4) * knee.grain
    scar = np.float32(0.7 * knee.signal["bone"] + 0.3 * knee.signal["marrow"])
    strength = chance.uniform("growth plate", 0.3, 0.75)
    for name, height in (
        ("femur", -chance.uniform("femur scar", 30, 36)),
        ("tibia", chance.uniform("tibia scar", 17, 22)),
    ):
        plate = np.maximum(np.abs(z - height - wave) - np.float32(0.45), shapes[name] + 3)
        canvas.paint(plate, scar, alpha=strength)
    return total
