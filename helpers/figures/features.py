"""Figures of small features: heat maps, the detectability curve, errors in boxes, and what hides a finding."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from torch import Tensor

from helpers import stats
from helpers.data.slice import Box, Slice
from helpers.figures.look import COLORS, ERROR_MAP, array, color, plain_ticks, show
from helpers.figures.shifts import MARKERS, variants_told
from helpers.findings.shifts import BASE
from helpers.mri import metrics

GOALS = {"hide": "o", "invent": "s"}


def heat_maps(item: Slice, maps: Mapping[str, Tensor], size: float = 2.3, own: bool = False) -> Figure:
    """Figure 7: the error of a feature by where it lies, one map a method, beside the slice.

    maps: method to (rows, columns), of the square of the maximum of the reference; own: each scaled by itself to
    [0, 1], as the paper shows them, else all on one logarithmic scale.
    """
    panels = len(maps) + 1
    columns = panels if panels <= 4 else -(-panels // 2)
    rows = -(-panels // columns)
    figure, grid = plt.subplots(rows, columns, figsize=(size * columns + 0.8, (size + 0.3) * rows), squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    show(grid[0, 0], item.target, "reference")
    everything = np.concatenate([each[np.isfinite(each)].ravel() for each in map(array, maps.values())])
    scale = LogNorm(*np.quantile(everything[everything > 0], [0.01, 0.999]))
    for axes, (method, found) in zip(grid.flat[1:], maps.items(), strict=False):
        values = array(found)
        if own:
            values = (values - np.nanmin(values)) / (np.nanmax(values) - np.nanmin(values))
        drawn = axes.imshow(values, ERROR_MAP, interpolation="nearest", **({} if own else {"norm": scale}))
        axes.set_title(method, fontsize=12)
    words = "each from its least to its greatest" if own else "squared error in the window / maximum²"
    figure.colorbar(drawn, ax=grid, shrink=0.8, label=words)
    return figure


def detection(curves: pd.DataFrame, size: float = 3.0) -> Figure:
    """The detectability curve: how often a square is missed, and how much of it is shown, by its side and contrast."""
    squares = curves[curves["shape"] == "square"]
    contrasts = sorted(squares["contrast_put"].unique())
    figure, grid = plt.subplots(
        2, len(contrasts), figsize=(size * len(contrasts), 2 * size), sharex=True, sharey="row", squeeze=False
    )
    for axes, contrast in zip(grid.T, contrasts, strict=True):
        rows = squares[squares["contrast_put"] == contrast]
        for panel, score in zip(axes, ("misses", "contrast"), strict=True):
            found = stats.summary(rows, ["method", "size"], score)
            for method, one in found.groupby("method", sort=False):
                panel.plot(one["size"], one["mean"], "o-", color=color(method), label=method, markersize=4)
                low, high = (one[end].clip(0, 1.2) for end in ("low", "high"))
                panel.fill_between(one["size"], low, high, color=color(method), alpha=0.15, linewidth=0)
        axes[0].set_title(f"contrast {contrast:g}", fontsize=12)
        axes[1].set_xlabel("side of the square (pixels)", fontsize=11)
    grid[0, 0].set(ylabel="share that is missed", ylim=(-0.02, 1))
    grid[1, 0].set(ylabel="contrast shown", ylim=(0, 1.2))
    grid[0, -1].legend(fontsize=10)
    n = curves["volume"].nunique()
    figure.supxlabel(f"means and 95 % intervals over volumes, n = {n}", fontsize=11)
    return figure


def in_boxes(
    points: Mapping[str, pd.DataFrame], score: str = "ssim", error: str = "nmse_box", size: float = 3.6
) -> Figure:
    """Figure 8: error in the box against the score of the whole image, a mark a variant, a panel a protocol.

    points: by protocol, of `findings.pathologies.points`; bars are 95 % intervals over volumes.
    """
    figure, grid = plt.subplots(1, len(points), figsize=(size * len(points) + 1.4, size), squeeze=False)
    for axes, (protocol, found) in zip(grid.flat, points.items(), strict=True):
        for (family, variant), row in found.iterrows():
            bars = ([[row[name] - row[f"{name}_low"]], [row[f"{name}_high"] - row[name]]] for name in (error, score))
            label = family if variant == BASE else None
            shown = {"color": color(family), "label": label, "linewidth": 1}
            axes.errorbar(row[score], row[error], *bars, fmt=MARKERS.get(variant, "P"), **shown)
        left, right = axes.get_xlim()
        axes.set(xlabel=f"{metrics.SCORES[score]} of the image", yscale="log", xlim=(max(left, 0), min(right, 1)))
        plain_ticks(axes.yaxis, found[error].min() / 2, found[error].max() * 2)
        n = sorted({int(found["volumes"].min()), int(found["volumes"].max())})
        axes.set_title(f"{protocol}\n(volumes: n = {' to '.join(map(str, n))})", fontsize=12)
    grid[0, 0].set_ylabel("error in the box")
    told = [variant for found in points.values() for variant in found.index.get_level_values("variant")]
    variants_told(figure, grid[0, 0], told)
    return figure


def least(table: pd.DataFrame, size: float = 4.6) -> Figure:
    """The least strength that hides or invents each finding, by method: a mark a finding, the bar the median.

    table: rows of `experiments.hidden`; findings that a method hides or invents by itself stand at the left edge, those
    that no search has hidden or invented at the right one.
    """
    own = table[table["method"] == table["made_for"]]
    methods = list(dict.fromkeys(own["method"]))
    known = own["eps"][(own["eps"] > 0) & np.isfinite(own["eps"])]
    least, most = (known.min(), known.max()) if len(known) else (1e-3, 1e-2)
    edge = least / 2
    figure, axes = plt.subplots(figsize=(1.6 * size, 0.9 + 0.75 * len(methods)))
    for place, method in enumerate(methods):
        for offset, (goal, mark) in zip((-0.17, 0.17), GOALS.items(), strict=True):
            values = own[(own["method"] == method) & (own["goal"] == goal)]["eps"]
            spread = np.linspace(-0.1, 0.1, len(values)) if len(values) > 1 else np.zeros(len(values))
            shown = values.clip(edge, most * 2)
            face = color(method) if goal == "hide" else "white"
            axes.plot(
                shown, place + offset + spread, mark, color=color(method), markerfacecolor=face, markersize=5, alpha=0.8
            )
            if len(values) and np.isfinite(values.median()):
                middle = max(values.median(), edge)
                axes.plot([middle] * 2, [place + offset - 0.15, place + offset + 0.15], color="0.15", linewidth=2.5)
    for goal, mark in GOALS.items():
        axes.plot([], [], mark, color="0.3", markerfacecolor="0.3" if goal == "hide" else "white", label=goal)
    axes.axvline(edge, color="0.6", linestyle=":", linewidth=1, zorder=0)
    edges = "left edge: by the method itself"
    if np.isinf(own["eps"]).any():
        axes.axvline(2 * most, color="0.6", linestyle=":", linewidth=1, zorder=0)
        edges += "; right edge: not reached"
    axes.set(xscale="log", xlabel=f"eps, share of the measurement ({edges})")
    plain_ticks(axes.xaxis, edge, 2 * most)
    axes.set_yticks(range(len(methods)), methods)
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.set_title(f"the least that does it (volumes: n = {own['volume'].nunique()}, one finding each)", fontsize=12)
    figure.legend(loc="outside right center", fontsize=11)
    return figure


def around(
    images: Mapping[str, Tensor], box: Box, margin: int = 14, size: float = 2.2, peak: float | None = None
) -> Figure:
    """A box and what surrounds it, enlarged, in several images that share one gray scale; images: title to (y, x)."""
    figure, grid = plt.subplots(1, len(images), figsize=(size * len(images), size + 0.5), squeeze=False)
    height, width = next(iter(images.values())).shape
    top, bottom = max(box.y - margin, 0), min(box.y + box.height + margin, height)
    left, right = max(box.x - margin, 0), min(box.x + box.width + margin, width)
    peak = peak or max(float(each[top:bottom, left:right].max()) for each in images.values())
    for axes, (title, image) in zip(grid.flat, images.items(), strict=True):
        show(axes, image[top:bottom, left:right], title, peak)
        corner = (box.x - left - 0.5, box.y - top - 0.5)
        edge = COLORS["tv"]
        axes.add_patch(plt.Rectangle(corner, box.width, box.height, fill=False, edgecolor=edge, linewidth=1.3))
    return figure


def marked(image: Tensor, places: Sequence[tuple[int, int]], size: int, width: float = 2.6) -> Figure:
    """An image with the windows of features outlined; places: rows and columns of their top left pixels."""
    figure, axes = plt.subplots(figsize=(width, width))
    show(axes, image)
    for row, column in places:
        corner = (column - 0.5, row - 0.5)
        axes.add_patch(plt.Rectangle(corner, size, size, fill=False, edgecolor=COLORS["tv"], linewidth=1))
    return figure
