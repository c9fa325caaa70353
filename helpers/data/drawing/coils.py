"""What the coils see: loops on a ring around the subject, by the law of Biot and Savart, and the subject's phase."""

import numpy as np

from helpers.data.drawing.canvas import interpolate
from helpers.data.drawing.chance import Chance

CONTROLS, WIRES = 28, 12
AXES = {"axial": (0, 1, 2), "coronal": (0, 2, 1), "sagittal": (1, 2, 0)}  # column, row and normal of each plane


def coil_maps(
    chance: Chance, count: int, shape: tuple[int, int], pixel: float, plane: str, position: float, radius: float
) -> np.ndarray:
    """Sensitivities of `count` loops around the long axis of the body, in one slice, with the subject's own phase.

    shape: (rows, columns); pixel, position, radius: mm, `radius` that of the ring. Returns (coil, rows, columns)
    complex64 with a mean root sum of squares of 1. The field B_x - i B_y is computed on a coarse grid and interpolated.
    """
    column, row, normal = AXES[plane]
    steps = [(n - 1) * pixel / (CONTROLS - 3) for n in shape]
    rows, columns = ((np.arange(CONTROLS) - 1) * step - n // 2 * pixel for n, step in zip(shape, steps, strict=True))
    points = np.empty((3, CONTROLS, CONTROLS))
    points[row], points[column], points[normal] = rows[:, None], columns[None], position
    angles = 2 * np.pi * np.arange(WIRES) / WIRES
    start = chance.uniform("first coil", 0, 2 * np.pi)
    rings = 2 if count >= 12 else 1
    coarse = np.empty((count, CONTROLS, CONTROLS), np.complex64)
    for coil in range(count):
        name = f"coil {coil} "
        turn = start + 2 * np.pi * coil / count + chance.normal(name + "angle", 0.08)
        outward, along = np.array([np.cos(turn), np.sin(turn), 0]), np.array([-np.sin(turn), np.cos(turn), 0])
        distance = radius * (1 + chance.normal(name + "distance", 0.06))
        size = radius * chance.uniform(name + "size", 0.4, 0.6)
        height = radius * (chance.normal(name + "height", 0.15) + (0.3 * (-1) ** coil if rings == 2 else 0))
        middle = distance * outward + np.array([0, 0, height])
        axis = np.array([0, 0, 1.0])
        wire = middle + size * (np.cos(angles)[:, None] * along + np.sin(angles)[:, None] * axis)
        current = size * (-np.sin(angles)[:, None] * along + np.cos(angles)[:, None] * axis)
        offset = points[None] - wire[:, :, None, None]
        cubed = ((offset**2).sum(1) + (0.1 * radius) ** 2) ** 1.5
        current = current[:, :, None, None]
        field_x = ((current[:, 1] * offset[:, 2] - current[:, 2] * offset[:, 1]) / cubed).sum(0)
        field_y = ((current[:, 2] * offset[:, 0] - current[:, 0] * offset[:, 2]) / cubed).sum(0)
        gain = np.exp(chance.normal(name + "gain", 0.12) + 1j * chance.uniform(name + "phase", 0, 2 * np.pi))
        coarse[coil] = (field_x - 1j * field_y) * gain
    coarse /= np.sqrt((np.abs(coarse[:, 1:-1, 1:-1]) ** 2).sum(0)).mean()
    coarse *= slow_factor(chance, position)
    return np.stack([interpolate(grid, shape) for grid in coarse])


def slow_factor(chance: Chance, position: float) -> np.ndarray:
    """Transmit field and phase on the coarse grid: polynomials across the picture, and a ripple of the phase."""
    place = np.linspace(-1.04, 1.04, CONTROLS)
    x, y = place[None], place[:, None]
    terms = (x, y, x * y, x * x - 0.3, y * y - 0.3)
    bias, phase = (
        sum(chance.normal(f"{name} {k}", spread) * term for k, term in enumerate(terms))
        for name, spread in (("bias", 0.1), ("phase", 0.7))
    )
    ripples = chance.array("phase ripple", (2, 10, 10))
    ripple = np.cos(position / 25) * ripples[0] + np.sin(position / 25) * ripples[1]
    ripple = interpolate(ripple.astype(np.float32), (CONTROLS, CONTROLS))
    phase = phase + 0.25 * ripple + chance.uniform("phase offset", 0, 2 * np.pi)
    return np.exp(bias + 1j * phase)
