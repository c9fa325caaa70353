"""Pathology of the brain: small lesions of the white matter, and masses with edema around them."""

import numpy as np

from helpers.data.drawing.finding import Site
from helpers.data.drawing.head import Head
from helpers.data.drawing.shapes import ellipsoid


def sites(head: Head, white: np.ndarray) -> list[Site]:
    """The findings of this subject, as far as this slice meets them. white: coverage of white matter."""
    return [*lesions(head, white), *mass(head, white)]


def center_of(head: Head, name: str, low: float, high: float) -> tuple[float, float, float]:
    """A place in the white matter, near the middle of the volume."""
    angle, radius = head.chance.uniform(name + " angle", 0, 2 * np.pi), head.chance.uniform(name + " radius", low, high)
    height = head.canvas.middle + head.chance.normal(name + " height", 4)
    front = 1.25 * radius * np.sin(angle)
    return radius * np.cos(angle), max(front, 15) if height < -12 else front, height


def lesions(head: Head, white: np.ndarray) -> list[Site]:
    """Up to five small lesions, in half of the subjects."""
    chance, canvas, found = head.chance, head.canvas, []
    if not chance.happens("lesions", 0.55):
        return found
    for number in range(1 + int(5 * chance.uniform("lesion count", 0, 1) ** 2)):
        name = f"lesion {number}"
        radii = [chance.uniform(f"{name} size {k}", 1.6, 4.5) for k in range(2)] + [
            chance.uniform(name + " tall", 4, 8)
        ]
        shape = ellipsoid(head.point, center_of(head, name, 16, 40), radii, chance.uniform(name + " turn", 0, np.pi))
        found.append(
            Site(
                "Nonspecific white matter lesion",
                canvas.coverage(shape, np.float32(1.8)) * white,
                head.signal["lesion"],
            )
        )
    return found


def mass(head: Head, white: np.ndarray) -> list[Site]:
    """One subject in seven has a mass: a rim, a core, and edema in the white matter around it."""
    chance, canvas = head.chance, head.canvas
    if not chance.happens("mass", 0.15):
        return []
    center = center_of(head, "mass", 22, 36)
    size = chance.uniform("mass size", 7, 14)
    radii = (size, size * chance.uniform("mass shape", 0.75, 1.2), size * 1.2)
    shape = ellipsoid(head.point, center, radii, chance.uniform("mass turn", 0, np.pi)) + np.float32(
        1.5
    ) * canvas.field("mass edge", 12)
    shape = shape.astype(np.float32)
    inside = canvas.coverage(np.float32(2) - head.inside)
    swelling = canvas.coverage(shape - 6, np.float32(6)) * white * np.float32(0.8)
    rim, core = (
        canvas.coverage(shape) * inside,
        canvas.coverage(shape + size * chance.uniform("mass core", 0.4, 0.7)) * inside,
    )
    wet = 0.7 * head.signal["cerebrospinal fluid"] + 0.3 * head.signal["lesion"]
    signal = head.signal["edema"] * (1 - rim) + rim * head.brightness("lesion", 0.15)
    signal = signal * (1 - core) + core * wet
    return [Site("Mass", np.maximum(np.maximum(swelling, rim), core), signal)]
