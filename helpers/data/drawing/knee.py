"""A knee in three dimensions, cut in any plane.

Coordinates in mm: X to the lateral side, Y to the back, Z to the foot; the joint line is at Z = 0. Every slice of a
volume cuts the same shapes, so coronal, sagittal and axial pictures of a subject agree with each other.
"""

import numpy as np

from helpers.data.drawing import knee_bones as bones
from helpers.data.drawing import knee_findings
from helpers.data.drawing.canvas import Canvas
from helpers.data.drawing.chance import Chance
from helpers.data.drawing.shapes import ellipsoid, sigmoid, smooth_max, tube

# name: (X, Y, Z) and radii (X, Y) at the upper and at the lower end
MUSCLES = {
    "vastus medialis": ((-24, -16, -110), (15, 18), (-34, -10, -22), (5, 9)),
    "vastus lateralis": ((27, -14, -110), (14, 18), (35, -6, -32), (4, 8)),
    "rectus femoris": ((2, -32, -120), (20, 11), (0, -30, -58), (9, 3)),
    "semimembranosus": ((-20, 36, -110), (14, 13), (-29, 29, -2), (7, 7)),
    "semitendinosus": ((-8, 47, -110), (9, 7), (-27, 43, -8), (3, 3)),
    "biceps femoris": ((26, 37, -110), (13, 13), (35, 25, 8), (4, 6)),
    "sartorius": ((-42, 10, -110), (6, 12), (-43, 22, 14), (3, 7)),
    "gastrocnemius medialis": ((-16, 36, -34), (8, 6), (-20, 45, 110), (23, 17)),
    "gastrocnemius lateralis": ((17, 36, -32), (9, 6), (19, 45, 110), (20, 16)),
    "popliteus": ((10, 31, 10), (12, 4), (-6, 25, 60), (14, 6)),
    "soleus": ((14, 30, 28), (7, 4), (4, 33, 120), (28, 12)),
    "tibialis anterior": ((21, -7, 26), (5, 6), (24, -2, 110), (12, 15)),
    "peroneus longus": ((38, 9, 26), (3, 5), (38, 14, 110), (7, 12)),
}


class Knee:
    """The coordinates of one slice of a knee, its tissues' signals, and its textures."""

    def __init__(self, canvas: Canvas, plane: str, signal: dict[str, float]):
        chance, self.canvas, self.signal, self.plane = canvas.chance, canvas, signal, plane
        self.chance: Chance = chance
        shift = chance.normal("shift x", 3), chance.normal("shift y", 4) + (4 if plane == "axial" else 0)
        canvas.turn(chance.normal("turn", 0.06), shift)
        canvas.bend("bend", 2.5, 0.5)
        size = np.float32(chance.uniform("size", 0.88, 1.1))
        across, down, through = canvas.x / size, canvas.y / size, np.float32(canvas.position) / size
        side = 1 if chance.happens("right knee", 0.5) else -1
        if plane == "coronal":
            self.point = (side * across, through, down)
        elif plane == "axial":
            self.point = (side * across, down, through)
        else:
            self.point = (through, across, down)
        self.grain = canvas.texture("grain", 1.2)
        self.speckle = canvas.texture("speckle", 1.2)
        self.effusion = chance.uniform("effusion", 0, 1) ** 2

    def brightness(self, tissue: str, grain: float = 0.0, speckle: float = 0.0):
        """Signal of a tissue, with a share of the two textures on it."""
        result = np.float32(self.signal[tissue])
        return result * (1 + np.float32(grain) * self.grain + np.float32(speckle) * self.speckle)


def draw_knee(canvas: Canvas, plane: str, signal: dict[str, float]) -> list[knee_findings.Site]:
    """Paints one slice of a healthy knee and returns the places where findings can be.

    plane: "coronal", "sagittal" or "axial"; the position of the canvas is Y, X or Z. signal: of each tissue.
    """
    knee = Knee(canvas, plane, signal)
    shapes = bones.bone_shapes(knee)
    body = paint_envelope(knee)
    paint_muscles(knee, body)
    paint_joint(knee, shapes)
    regions = {"cartilage": bones.paint_cartilage(knee, shapes)}
    paint_ligaments(knee)
    regions["meniscus"] = paint_menisci(knee)
    regions["marrow"] = bones.paint_bones(knee, shapes, body)
    paint_tendons(knee)
    paint_vessels(knee, body, shapes)
    canvas.image *= 1 + np.float32(0.03) * knee.grain
    return knee_findings.sites(knee, regions)


def paint_envelope(knee: Knee) -> np.ndarray:
    """Skin, fat and fascia; returns the distance to the skin."""
    chance, canvas = knee.chance, knee.canvas
    x, y, z = knee.point
    width, depth = chance.uniform("leg width", 55, 61), chance.uniform("leg depth", 56, 61)
    thigh = 1 + np.float32(chance.uniform("thigh", 0.001, 0.0022)) * np.maximum(-z - 15, 0)
    calf = np.float32(chance.uniform("calf", 5, 12)) * sigmoid((z - 45) / 12)
    waist = 1 - np.float32(0.04) * np.exp(-(((z - 12) / 25) ** 2))
    egg = 1 + np.float32(chance.uniform("egg", 0.14, 0.26)) * np.clip((y - 8) / depth, -1, 0.35)
    # the kneecap stands out in front and the shin lies deeper
    front = np.float32(chance.uniform("shin", 6, 10)) * sigmoid((z - 8) / 9) + 4 * sigmoid((-z - 52) / 8)
    scale = thigh * waist
    middle = np.float32(1) + (calf + front) / 2
    body = ellipsoid((x, y - middle), (0, 0), (width * scale * egg, depth * scale + (calf - front) / 2))
    fat = chance.uniform("fat", 3, 9) * (1 + np.float32(0.25) * canvas.field("fat", 7))
    canvas.paint(body, knee.brightness("skin"), alpha=0.9)
    canvas.paint(body + np.float32(1.7), knee.brightness("fat", 0.06))
    septa = np.clip(np.abs(knee.speckle) - np.float32(1.7), 0, 1) * np.float32(0.5)
    canvas.blend(canvas.coverage(body + 2) * septa, knee.signal["muscle"])
    fascia = np.abs(body + fat) - np.float32(0.35)
    canvas.paint(fascia, knee.signal["ligament"], alpha=0.55)
    knee.fascia = body + fat
    return body


def paint_muscles(knee: Knee, body: np.ndarray) -> None:
    """Muscles as long bellies along the leg, with fat between and within them."""
    canvas, chance = knee.canvas, knee.chance
    x, y, z = knee.point
    signal = knee.brightness("muscle", 0.07, 0.06)
    fibers = np.clip(np.float32(1.6) * np.abs(knee.speckle) - np.float32(2.3), 0, 1) * np.float32(0.5)
    signal = signal + fibers * (knee.signal["fat"] - signal)
    bulk = chance.uniform("muscle bulk", 0.9, 1.2)
    wobble = canvas.field("muscle edge", 16) * np.float32(0.8)
    covered = np.zeros_like(canvas.image)
    for name, (start, start_radii, end, end_radii) in MUSCLES.items():
        top = start[2] + chance.normal(name + " top", 3)
        along = (z - top) / (end[2] - top)
        inside = np.clip(along, 0, 1)
        ends = np.sqrt(np.maximum(1 - (2 * inside - 1) ** 8, 0)) + np.float32(0.01)
        center = [
            s + inside * (e - s) + chance.normal(f"{name} {k}", 1.5) for k, (s, e) in enumerate(zip(start[:2], end[:2]))
        ]
        radii = [bulk * (s + inside * (e - s)) * ends for s, e in zip(start_radii, end_radii, strict=True)]
        distance = np.maximum(
            ellipsoid((x, y), center, radii), np.abs(along - 0.5) * (end[2] - top) - (end[2] - top) / 2
        )
        distance = np.maximum(distance, knee.fascia + np.float32(0.6)) + wobble
        coverage = canvas.coverage(distance)
        # a thin layer of fat stays between neighbors
        canvas.blend(
            covered * canvas.coverage(np.abs(distance) - np.float32(0.3)) * np.float32(0.7), knee.signal["fat"]
        )
        canvas.blend(coverage * (1 - covered), signal)
        covered = np.maximum(covered, coverage)


def paint_joint(knee: Knee, shapes: dict[str, np.ndarray]) -> None:
    """The capsule's contents: fluid between the bones and in the recess above the kneecap, fat in the notch."""
    canvas, chance = knee.canvas, knee.chance
    x, y, z = knee.point
    gap = np.float32(2.6 + 1.2 * knee.effusion)
    film = (
        np.maximum(np.minimum(shapes["femur"], shapes["patella"]), np.minimum(shapes["tibia"], shapes["patella"])) - gap
    )
    between = np.minimum(
        np.maximum(shapes["femur"], shapes["tibia"]) - np.float32(3.2),
        np.maximum(shapes["femur"], shapes["patella"]) - np.float32(4),
    )
    canvas.paint(between, knee.brightness("fluid") * np.float32(0.8), alpha=0.35 + 0.6 * knee.effusion)
    del film
    fill = knee.brightness("fat", 0.1) * np.float32(0.55) + np.float32(
        0.25 * knee.signal["fluid"] + 0.1 * knee.signal["ligament"]
    )
    canvas.paint(ellipsoid(knee.point, (0, 18, -6), (9, 20, 16)), fill)
    thickness = np.float32(0.6 + 5 * knee.effusion)
    recess = ellipsoid(knee.point, (chance.normal("recess", 2), -29, -58), (18, thickness + 1.2, 15), 0)
    canvas.paint(recess, knee.brightness("fluid"), alpha=0.9)
    for side in (-1, 1):
        gutter = ellipsoid(knee.point, (side * 37, -14, -26), (0.6 + 4 * knee.effusion, 9, 15))
        canvas.paint(gutter, knee.brightness("fluid"), alpha=0.8)


def paint_menisci(knee: Knee) -> np.ndarray:
    """Two wedges bent to a C, open towards the middle; returns their coverage."""
    canvas, chance = knee.canvas, knee.chance
    x, y, z = knee.point
    total = np.zeros_like(canvas.image)
    signal = knee.brightness("meniscus", 0.0, 0.12)
    for side, name in ((-1, "medial"), (1, "lateral")):
        outer = chance.uniform(name + " meniscus outer", 16.5, 18.5)
        inner = chance.uniform(name + " meniscus inner", 7.5, 10)
        height = chance.uniform(name + " meniscus height", 2.9, 3.9)
        stretch = 1.25 if side < 0 else 1.1
        u, v = side * x - np.float32(20.5), (y - 5) / np.float32(stretch)
        radius = np.sqrt(u * u + v * v)
        half = height * np.clip((radius - inner) / (outer - inner), 0, 1.2)
        wedge = np.maximum(np.abs(z - knee.joint_line) - half, np.maximum(radius - outer, inner - radius))
        opening = -u - np.float32(8) + np.float32(0.15) * np.abs(v)
        total = np.maximum(total, canvas.paint(np.maximum(wedge, opening), signal))
    return total


def paint_ligaments(knee: Knee) -> None:
    """The cruciate and the collateral ligaments."""
    canvas, chance = knee.canvas, knee.chance
    striped = knee.brightness("ligament", 0, 0.3) + np.float32(0.12 * knee.signal["muscle"])
    start, end = (6, 16, -18), (-2 + chance.normal("anterior cruciate", 1), -9, 4)
    distance, along = tube(knee.point, start, end)
    canvas.paint(distance - (2.8 + 1.5 * along), striped)
    middle, low = (0, 22 + chance.normal("posterior cruciate", 1.5), -8), (1, 27, 9)
    first, _ = tube(knee.point, (-5, 3, -15), middle)
    second, _ = tube(knee.point, middle, low)
    canvas.paint(np.minimum(first, second) - np.float32(3.4), knee.brightness("ligament", 0, 0.1))
    x, y, z = knee.point
    bow = np.float32(39.5) - (z + 4) ** 2 / np.float32(220)
    band = np.maximum(np.abs(x + bow) - np.float32(1.0), np.abs(y - 4) - np.float32(7))
    canvas.paint(np.maximum(band, np.abs(z - 8) - np.float32(34)), knee.signal["ligament"])
    lateral, _ = tube(knee.point, (38, 8, -20), (35, 19, 13))
    canvas.paint(lateral - np.float32(1.8), knee.signal["ligament"])


def paint_tendons(knee: Knee) -> None:
    """The quadriceps tendon above the kneecap and the patellar tendon below it."""
    canvas = knee.canvas
    x, y, z = knee.point
    for name, start, end, thickness in (
        ("quadriceps", (0, -39, -44), (2, -38, -115), 2.9),
        ("patellar", (0, -38, -13), (4, -27, 31), 2.4),
    ):
        distance, _ = tube((x / np.float32(5), y, z), (start[0] / 5, *start[1:]), (end[0] / 5, *end[1:]))
        signal = knee.brightness("ligament", 0, 0.15) + np.float32(0.1 * knee.signal["muscle"])
        canvas.paint(distance - np.float32(thickness), signal)


def paint_vessels(knee: Knee, body: np.ndarray, shapes: dict[str, np.ndarray]) -> None:
    """The popliteal artery, vein and nerve, and small vessels in the fat."""
    canvas, chance = knee.canvas, knee.chance
    x, y, z = knee.point
    sway = 3 * np.sin(z / np.float32(chance.uniform("vessel sway", 18, 28)))
    for name, center, radius in (("artery", (3, 37), 3.0), ("vein", (7, 43), 3.6), ("nerve", (10, 49), 2.4)):
        radius = radius * chance.uniform(name + " radius", 0.8, 1.2)
        distance = ellipsoid((x - sway, y), center, (radius, radius))
        flow = chance.choose(name + " flow", ("dark", "bright"), (0.65, 0.35))
        value = (
            0.55 * knee.signal["muscle"]
            if name == "nerve"
            else knee.signal["blood"] * (0.08 if flow == "dark" else 0.95)
        )
        canvas.paint(distance, value, alpha=0.9)
    outside = canvas.coverage(body + 3) * (1 - canvas.coverage(knee.fascia - 1))
    for vessel in range(int(chance.uniform("small vessels", 4, 12))):
        name = f"vessel {vessel} "
        center = [chance.uniform(name + axis, -reach, reach) for axis, reach in (("X", 58), ("Y", 58), ("Z", 60))]
        aim = [chance.normal(name + axis + " aim", spread) for axis, spread in (("X", 6), ("Y", 6), ("Z", 40))]
        distance, _ = tube(knee.point, center, [c + a for c, a in zip(center, aim, strict=True)])
        bright = chance.choose(name + "flow", ("dark", "bright"))
        coverage = canvas.coverage(distance - chance.uniform(name + "radius", 0.6, 1.4), canvas.pixel) * outside
        canvas.blend(coverage, knee.signal["blood"] * (0.15 if bright == "dark" else 1))
