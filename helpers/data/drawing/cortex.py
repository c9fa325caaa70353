"""The folds of the brain: sulci as branching lines that grow inwards from its surface."""

import numpy as np

from helpers.data.drawing.head import Head

FAR = np.float32(12)  # mm; nothing asks for distances beyond it
REACH = 6.0  # mm around a sulcus: wider than the cortex is thick
Line = tuple[tuple[float, float], tuple[float, float], float, float]  # from, to, half width at each end


def sulcus_distance(head: Head) -> np.ndarray:
    """Distance in mm to the fluid of the nearest sulcus, negative inside it, at most FAR."""
    canvas = head.canvas
    wiggle = [
        np.float32(0.7) * canvas.field(f"wiggle {axis}", 26) + np.float32(2.0) * canvas.field(f"sway {axis}", 15)
        for axis in "xy"
    ]
    x, y = head.x + wiggle[0], head.y + wiggle[1]
    width = 1 + np.float32(0.5) * canvas.field("sulcus width", 16)
    result = np.full(canvas.image.shape, FAR, np.float32)
    for start, end, wide, narrow in [*outer_sulci(head), *midline_sulci(head), *lateral_fissures(head)]:
        window = canvas.window([start, end], REACH + max(wide, narrow))
        u, v = x[window] - np.float32(start[0]), y[window] - np.float32(start[1])
        if u.size == 0:
            continue
        dx, dy = np.float32(end[0] - start[0]), np.float32(end[1] - start[1])
        along = np.clip((u * dx + v * dy) / (dx * dx + dy * dy), 0, 1)
        distance = np.hypot(u - along * dx, v - along * dy)
        distance -= (np.float32(wide) + along * np.float32(narrow - wide)) * np.maximum(width[window], np.float32(0.2))
        np.minimum(result[window], distance, out=result[window])
    return result


def branching(
    head: Head, name: str, start: tuple[float, float], direction: float, length: float, open_: float
) -> list[Line]:
    """One sulcus: three bent pieces, narrowing, with a fork at its end or a branch on its way."""
    chance, drift = head.chance, head.z / 40
    point, width, lines = start, open_, []
    for piece in range(3):
        direction += 0.26 * chance.normal(f"{name} bend {piece}") + 0.15 * drift * chance.normal(
            f"{name} drift {piece}"
        )
        step = length / 3
        end = (point[0] + step * np.cos(direction), point[1] + step * np.sin(direction))
        narrow = width * 0.75
        lines.append((point, end, width, narrow))
        if piece and chance.happens(f"{name} branch {piece}", 0.4 if piece == 2 else 0.15):
            side = 1 if chance.happens(f"{name} side {piece}", 0.5) else -1
            turn = direction + side * chance.uniform(f"{name} fork {piece}", 0.7, 1.4)
            reach = length * chance.uniform(f"{name} reach {piece}", 0.25, 0.45)
            lines.append((point, (point[0] + reach * np.cos(turn), point[1] + reach * np.sin(turn)), width, narrow))
        point, width = end, narrow
    return lines


# length of shallow, middling and deep sulci in mm, and what share of all is up to there
LENGTHS = ((12, 18, 0.35), (18, 26, 0.8), (26, 35, 1.0))


def outer_sulci(head: Head) -> list[Line]:
    """The sulci of the convexity: about one every 11 mm, wandering and waning from slice to slice."""
    chance, lines = head.chance, []
    count = int(chance.uniform("sulci", 38, 48))
    for number in range(count):
        name = f"sulcus {number}"
        wander = 0.18 * chance.normal(name) + 0.3 * float(head.z) / 40 * chance.normal(name + " slope")
        start = head.surface(2 * np.pi * (number + wander) / count)
        kind = chance.uniform(name + " kind", 0, 1)
        low, high, _ = next(lengths for lengths in LENGTHS if kind < lengths[2])
        length = chance.uniform(name + " length", low, high) * min(1.0, np.hypot(*start) / 72)
        length *= 0.85 + 0.3 * np.cos(float(head.z) / 16 + chance.uniform(name + " phase", 0, 2 * np.pi))
        inwards = np.arctan2(-0.8 * start[1], -start[0]) + 0.25 * chance.normal(name + " lean")
        lines += branching(head, name, start, inwards, length, head.opening * chance.uniform(name + " open", 0.5, 1.5))
    return lines


def midline_sulci(head: Head) -> list[Line]:
    """The fissure between the hemispheres, whole above the corpus callosum, and the sulci on its faces."""
    chance, lines = head.chance, []
    front, back = head.surface(-np.pi / 2)[1], head.surface(np.pi / 2)[1]
    lift = np.clip((head.z - 20) / 14, 0, 1)
    genu, splenium = -30 + 30 * lift, 30 - 30 * lift
    width = 0.25 + 0.5 * head.opening
    for name, start, end in (("front", front, genu), ("back", back, splenium)):
        stops = np.linspace(start, end, 4)
        sway = [0, *(chance.normal(f"fissure {name} {k}", 0.8) for k in range(2)), 0]
        lines += [((sway[k], stops[k]), (sway[k + 1], stops[k + 1]), width, width) for k in range(3)]
        for k in range(4):
            for side in (-1, 1):
                label = f"medial {name} {k} {side}"
                place = start + (end - start) * (k + chance.uniform(label, 0.3, 1.0)) / 4.3
                slant = (0 if side > 0 else np.pi) + chance.normal(label + " slant", 0.5)
                lines += branching(
                    head, label, (0, place), slant, chance.uniform(label + " length", 6, 15), width * 0.8
                )
    return lines


def lateral_fissures(head: Head) -> list[Line]:
    """The Sylvian fissures and the insula behind them, at the levels where they are."""
    if not -20 < head.z < 24:
        return []
    chance, lines = head.chance, []
    for side in (-1, 1):
        name, fade = f"insula {side} ", 1 - abs(float(head.z) - 2) / 26
        mouth = head.surface(-0.1 + chance.normal(name, 0.08))
        deep = 39 + chance.uniform(name + "depth", 0, 4) + 8 * (1 - fade)
        turn = (side * deep, -1 + chance.normal(name + "turn", 3))
        half = 5 + 11 * fade
        wide = 0.7 * head.opening + 0.25
        middle = (side * (deep + 11), mouth[1] + chance.normal(name + "middle", 3))
        front = (turn[0] + side * chance.uniform(name + "front", 0, 4), turn[1] - half)
        back = (
            turn[0] - side * chance.uniform(name + "back", -1, 3),
            turn[1] + half * chance.uniform(name + "tail", 0.8, 1.3),
        )
        lines.append(((side * mouth[0], mouth[1]), middle, wide * 1.4, wide))
        lines.append((middle, turn, wide, wide))
        lines += [(turn, front, wide, wide * 0.6), (turn, back, wide, wide * 0.6)]
        tip = (front[0] + side * 9, front[1] - 3 + chance.normal(name + "tip", 2))
        lines.append((front, tip, wide * 0.6, wide * 0.4))
    return lines
