"""Shapes as signed distances in mm, negative inside: plain functions of coordinates, which may be arrays or numbers."""

import numpy as np


def sigmoid(t):
    """A smooth step from 0 to 1."""
    return 0.5 + 0.5 * np.tanh(0.5 * t)


def smooth_max(a, b, width: float):
    """Intersection of two shapes with its edge rounded over `width` mm."""
    overlap = np.maximum(width - np.abs(a - b), 0)
    return np.maximum(a, b) + overlap * overlap * (0.25 / width)


def smooth_min(a, b, width: float):
    """Union of two shapes with a fillet of `width` mm."""
    return -smooth_max(-a, -b, width)


def ellipsoid(point, center, radii, angle: float = 0.0):
    """Distance to an ellipse or ellipsoid, to first order; `angle` turns the first two axes.

    point, center, radii: as many entries as dimensions; radii may be arrays.
    """
    offset = [p - c for p, c in zip(point, center, strict=True)]
    if angle:
        cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
        offset[:2] = offset[0] * cos + offset[1] * sin, offset[1] * cos - offset[0] * sin
    near = sum((o / r) ** 2 for o, r in zip(offset, radii, strict=True))
    slope = sum((o / (r * r)) ** 2 for o, r in zip(offset, radii, strict=True))
    return (near - np.sqrt(near)) / np.sqrt(slope + 1e-12)


def tube(point, start, end):
    """Distance to the segment from start to end, and the place along it from 0 to 1."""
    direction = [float(e - s) for s, e in zip(start, end, strict=True)]
    length = sum(d * d for d in direction)
    offset = [p - float(s) for p, s in zip(point, start, strict=True)]
    along = np.clip(sum(o * (d / length) for o, d in zip(offset, direction, strict=True)), 0, 1)
    return np.sqrt(sum((o - along * d) ** 2 for o, d in zip(offset, direction, strict=True))), along
