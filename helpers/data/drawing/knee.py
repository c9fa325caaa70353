"""A knee, painted slice by slice: its skin, muscles, joint, ligaments, menisci, tendons and vessels."""

import numpy as np

from helpers.data.drawing import knee_bones as bones
from helpers.data.drawing import knee_findings
from helpers.data.drawing.canvas import Canvas
from helpers.data.drawing.knee_anatomy import Knee
from helpers.data.drawing.shapes import ellipsoid, sigmoid, tube

# name: center (x, y, z) and radii (x, y) at the upper end, the same at the lower end
MUSCLES = {
    "vastus medialis": ((-24, -10, -110), (17, 24), (-33, -4, -18), (7, 14)),
    "vastus lateralis": ((27, -10, -110), (16, 24), (35, -2, -28), (6, 12)),
    "rectus femoris": ((2, -32, -120), (20, 11), (0, -30, -58), (9, 3)),
    "semimembranosus": ((-20, 36, -110), (14, 13), (-29, 29, -2), (7, 7)),
    "semitendinosus": ((-8, 47, -110), (9, 7), (-27, 43, -8), (3, 3)),
    "biceps femoris": ((26, 37, -110), (13, 13), (35, 25, 8), (4, 6)),
    "sartorius": ((-42, 10, -110), (6, 12), (-43, 22, 14), (3, 7)),
    "gastrocnemius medialis": ((-16, 44, -52), (14, 10), (-20, 45, 110), (24, 17)),
    "gastrocnemius lateralis": ((17, 44, -50), (14, 10), (19, 45, 110), (21, 16)),
    "popliteus": ((10, 31, 10), (12, 4), (-6, 25, 60), (14, 6)),
    "soleus": ((14, 30, 28), (7, 4), (4, 33, 120), (28, 12)),
    "tibialis anterior": ((23, -5, 20), (6, 9), (24, -2, 110), (13, 17)),
    "peroneus longus": ((38, 9, 20), (5, 8), (38, 12, 110), (8, 15)),
}


def draw_knee(canvas: Canvas, plane: str, signal: dict[str, float]) -> list[knee_findings.Site]:
    """Paints one slice of a healthy knee and returns the places where findings can be.

    plane: "coronal", "sagittal" or "axial"; the position of the canvas is y, x or z. signal: of each tissue.
    """
    knee = Knee(canvas, plane, signal)
    shapes = bones.bone_shapes(knee)
    body = paint_envelope(knee)
    paint_muscles(knee)
    paint_joint(knee, shapes)
    regions = {"cartilage": bones.paint_cartilage(knee, shapes)}
    paint_ligaments(knee)
    regions["meniscus"] = paint_menisci(knee)
    regions["marrow"] = bones.paint_bones(knee, shapes)
    paint_tendons(knee)
    paint_vessels(knee, body)
    canvas.image *= 1 + np.float32(0.03) * knee.grain
    return knee_findings.sites(knee, regions)


def paint_envelope(knee: Knee) -> np.ndarray:
    """Skin, fat and fascia; returns the distance to the skin."""
    chance, canvas = knee.chance, knee.canvas
    x, y, z = knee.point
    width, depth = chance.uniform("leg width", 54, 60), chance.uniform("leg depth", 58, 63)
    thigh = 1 + np.float32(chance.uniform("thigh", 0.001, 0.0022)) * np.maximum(-z - 15, 0)
    calf = np.float32(chance.uniform("calf", 5, 12)) * sigmoid((z - 45) / 12)
    waist = 1 - np.float32(0.04) * np.exp(-(((z - 12) / 25) ** 2))
    egg = 1 + np.float32(chance.uniform("egg", 0.18, 0.34)) * np.clip((y - 8) / depth, -1, 0.35)
    # the kneecap stands out in front and the shin lies deeper
    front = np.float32(chance.uniform("shin", 6, 10)) * sigmoid((z - 8) / 9) + 4 * sigmoid((-z - 52) / 8)
    scale = thigh * waist
    middle = np.float32(3.5) + (calf + front) / 2
    body = ellipsoid((x, y - middle), (0, 0), (width * scale * egg, depth * scale + (calf - front) / 2))
    fat = chance.uniform("fat", 3, 9) * (1 + np.float32(0.25) * canvas.field("fat", 7))
    canvas.paint(body, knee.signal["skin"], alpha=0.65)
    canvas.paint(body + np.float32(1.7), knee.brightness("fat", 0.06))
    knee.web = canvas.texture("web", 2.0, 0.015, 0.2)
    septa = np.clip(np.float32(0.1) - np.abs(knee.web), 0, 1) * np.float32(5)
    canvas.blend(canvas.coverage(body + 2) * septa, knee.signal["muscle"])
    fascia = np.abs(body + fat) - np.float32(0.35)
    canvas.paint(fascia, knee.signal["ligament"], alpha=0.55)
    knee.fascia = body + fat
    return body


def paint_muscles(knee: Knee) -> None:
    """Muscles as long bellies along the leg, with fat between and within them."""
    canvas, chance = knee.canvas, knee.chance
    streaks = np.clip(np.float32(0.16) - np.abs(knee.web), 0, 1) * np.float32(2.5)
    knee.flesh = knee.brightness("muscle", 0.06, 0.04)
    knee.flesh += streaks * (knee.signal["fat"] - knee.flesh)
    knee.wobble = np.float32(0.6) - np.float32(0.8) * canvas.field("muscle edge", 16)
    knee.covered = np.zeros_like(canvas.image)
    for name in MUSCLES:
        paint_muscle(knee, name, chance.uniform("muscle bulk", 0.95, 1.2))


def paint_muscle(knee: Knee, name: str, bulk: float) -> None:
    """One belly; a thin layer of fat stays between it and those painted before."""
    (x0, y0, z0), radii_0, (x1, y1, z1), radii_1 = MUSCLES[name]
    x0, x1 = (x + knee.chance.normal(name + " x", 1.5) for x in (x0, x1))
    y0, y1 = (y + knee.chance.normal(name + " y", 1.5) for y in (y0, y1))
    part = knee.near([(x0, y0, z0), (x1, y1, z1)], bulk * max(*radii_0, *radii_1))
    along = np.clip((part.z - z0) / (z1 - z0), 0, 1)
    middle = np.square(2 * along - 1)
    ends = np.sqrt(1 - middle * middle) + np.float32(0.01)
    center = x0 + along * (x1 - x0), y0 + along * (y1 - y0)
    radii = [bulk * ends * (r0 + along * (r1 - r0)) for r0, r1 in zip(radii_0, radii_1, strict=True)]
    distance = np.maximum(ellipsoid((part.x, part.y), center, radii), part.fascia) + part.wobble
    coverage = part.canvas.coverage(distance)
    border = part.canvas.coverage(np.abs(distance) - np.float32(0.3)) * np.float32(0.7)
    part.canvas.blend(part.covered * border, part.signal["fat"])
    part.canvas.blend(coverage * (1 - part.covered), part.flesh)
    np.maximum(part.covered, coverage, out=part.covered)


def paint_joint(knee: Knee, shapes: dict[str, np.ndarray]) -> None:
    """The capsule's contents: fluid between the bones and in the recess above the kneecap, fat in the notch."""
    canvas, chance = knee.canvas, knee.chance
    between = np.minimum(
        np.maximum(shapes["femur"], shapes["tibia"]) - np.float32(3.2),
        np.maximum(shapes["femur"], shapes["patella"]) - np.float32(4),
    )
    canvas.paint(between, np.float32(0.8) * knee.brightness("fluid"), alpha=0.35 + 0.6 * knee.effusion)
    notch = knee.near([(0, 18, -6)], 20)
    watery = np.float32(0.25 * knee.signal["fluid"] + 0.1 * knee.signal["ligament"])
    fill = np.float32(0.55) * notch.brightness("fat", 0.1) + watery
    notch.canvas.paint(ellipsoid(notch.point, (0, 18, -6), (9, 20, 16)), fill)
    recess = chance.normal("recess", 2), -29, -58
    knee.paint_ball(recess, (18, 1.8 + 5 * knee.effusion, 15), "fluid", alpha=0.9)
    for side in (-1, 1):
        knee.paint_ball((side * 37, -14, -26), (0.6 + 4 * knee.effusion, 9, 15), "fluid", alpha=0.8)


def paint_menisci(knee: Knee) -> np.ndarray:
    """Two wedges bent to a C, open towards the middle; returns their coverage."""
    chance = knee.chance
    knee.menisci = np.zeros_like(knee.canvas.image)
    for side, name in ((-1, "medial"), (1, "lateral")):
        outer = chance.uniform(name + " meniscus outer", 16.5, 18.5)
        inner = chance.uniform(name + " meniscus inner", 7.5, 10)
        height = chance.uniform(name + " meniscus height", 2.9, 3.9)
        stretch = 1.25 if side < 0 else 1.1
        part = knee.near([(side * 20.5, 5, float(knee.joint_line))], stretch * outer + 1)
        u, v = side * part.x - np.float32(20.5), (part.y - 5) / np.float32(stretch)
        radius = np.sqrt(u * u + v * v)
        half = height * np.clip((radius - inner) / (outer - inner), 0, 1.2)
        wedge = np.maximum(np.abs(part.z - knee.joint_line) - half, np.maximum(radius - outer, inner - radius))
        opening = -u - np.float32(8) + np.float32(0.15) * np.abs(v)
        coverage = part.canvas.paint(np.maximum(wedge, opening), part.brightness("meniscus", 0, 0.12))
        np.maximum(part.menisci, coverage, out=part.menisci)
    return knee.menisci


def paint_ligaments(knee: Knee) -> None:
    """The cruciate and the collateral ligaments."""
    chance = knee.chance
    part = knee.near([(6, 27, -18), (-5, -9, 9)], 5)
    distance, along = tube(part.point, (6, 16, -18), (-2 + chance.normal("anterior cruciate", 1), -9, 4))
    striped = part.brightness("ligament", 0, 0.3) + np.float32(0.12 * knee.signal["muscle"])
    part.canvas.paint(distance - (2.8 + 1.5 * along), striped)
    middle = (0, 22 + chance.normal("posterior cruciate", 1.5), -8)
    first, _ = tube(part.point, (-5, 3, -15), middle)
    second, _ = tube(part.point, middle, (1, 27, 9))
    part.canvas.paint(np.minimum(first, second) - np.float32(3.4), part.brightness("ligament", 0, 0.1))
    part = knee.near([(-39, 4, -26), (-34, 4, 42)], 8)
    bow = np.float32(39.5) - (part.z + 4) ** 2 / np.float32(220)
    band = np.maximum(np.abs(part.x + bow) - np.float32(1.0), np.abs(part.y - 4) - np.float32(7))
    part.canvas.paint(np.maximum(band, np.abs(part.z - 8) - np.float32(34)), knee.signal["ligament"])
    knee.paint_tube((38, 8, -20), (35, 19, 13), (1.8, 1.8), "ligament")


def paint_tendons(knee: Knee) -> None:
    """The quadriceps tendon above the kneecap and the patellar tendon below it, five times as wide as thick."""
    for start, end, thickness in (((0, -39, -44), (2, -38, -115), 2.9), ((0, -38, -13), (4, -27, 31), 2.4)):
        part = knee.near([start, end], 5 * thickness)
        flat = [(x / 5, y, z) for x, y, z in (start, end)]
        distance, _ = tube((part.x / 5, part.y, part.z), *flat)
        signal = part.brightness("ligament", 0, 0.15) + np.float32(0.1 * knee.signal["muscle"])
        part.canvas.paint(distance - np.float32(thickness), signal)


def paint_vessels(knee: Knee, body: np.ndarray) -> None:
    """The popliteal artery, vein and nerve, and small vessels in the fat."""
    chance = knee.chance
    wave = chance.uniform("vessel sway", 18, 28)
    for name, (x, y), radius in (("artery", (1, 40), 3.0), ("vein", (4, 46), 3.6), ("nerve", (6, 52), 2.4)):
        part = knee.near([(x, y, -120), (x, y, 120)], radius + 5)
        radius *= chance.uniform(name + " radius", 0.8, 1.2)
        flow = 0.08 if chance.happens(name + " dark", 0.65) else 0.95
        signal = 0.55 * knee.signal["muscle"] if name == "nerve" else flow * knee.signal["blood"]
        shape = ellipsoid((part.x - 3 * np.sin(part.z / np.float32(wave)), part.y), (x, y), (radius, radius))
        part.canvas.paint(shape, signal, alpha=0.9)
    knee.under_skin = knee.canvas.coverage(np.maximum(body + 3, 1 - knee.fascia))
    for number in range(int(chance.uniform("small vessels", 4, 14))):
        name = f"vessel {number} "
        start = [chance.uniform(name + axis, -reach, reach) for axis, reach in (("x", 58), ("y", 58), ("z", 60))]
        spread = (("x", 6), ("y", 6), ("z", 40))
        end = [
            place + chance.normal(f"{name}{axis} aim", far) for place, (axis, far) in zip(start, spread, strict=True)
        ]
        radius = chance.uniform(name + "radius", 0.6, 1.4)
        part = knee.near([start, end], radius + 2)
        distance, _ = tube(part.point, start, end)
        coverage = part.canvas.coverage(distance - np.float32(radius), part.canvas.pixel) * part.under_skin
        part.canvas.blend(coverage, knee.signal["blood"] * (0.15 if chance.happens(name + "dark", 0.5) else 1))
