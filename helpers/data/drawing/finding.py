"""A finding: what it changes in a slice, and the box around what can be seen of it."""

from dataclasses import dataclass

import numpy as np

from helpers.data.slice import Box


@dataclass(frozen=True)
class Site:
    """A finding's label, the share of every pixel of the canvas that it covers, and its signal there."""

    label: str
    coverage: np.ndarray
    signal: np.ndarray | float


def add_findings(
    image: np.ndarray, sites: list[Site], visible: float
) -> tuple[np.ndarray, list[tuple[str, np.ndarray]]]:
    """The picture with its findings, and for each of them the pixels of the canvas where it shows.

    image: (rows, columns) of the healthy subject; visible: the smallest change of signal that counts. Findings that
    do not show in this slice are left out of both.
    """
    result, shown = image, []
    for site in sites:
        change = np.abs(site.coverage * (site.signal - result))
        peak = change.max()
        if peak > 0 and peak >= visible:  # both are 0 where hardly anything is left of the subject
            result = result + site.coverage * (site.signal - result)
            shown.append((site.label, change > 0.25 * peak))
    return result, shown


def box_around(label: str, seen: np.ndarray, supersampling: int, size: tuple[int, int]) -> Box | None:
    """The tightest box around the marked pixels of a canvas, in pixels of the target; None if outside it.

    seen: (rows, columns) bool, centered as the target is; size: (height, width) of the target.
    """
    edges = []
    for axis in (0, 1):
        marked = np.flatnonzero(seen.any(1 - axis)) - seen.shape[axis] // 2
        low = int(np.floor(marked[0] / supersampling)) + size[axis] // 2
        high = int(np.floor(marked[-1] / supersampling)) + size[axis] // 2 + 1
        edges.append((max(low, 0), min(high, size[axis])))
    (top, bottom), (left, right) = edges
    if bottom <= top or right <= left:
        return None
    return Box(left, top, right - left, bottom - top, label)
