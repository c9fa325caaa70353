"""Figures of images: sheets, reconstructions with their errors, what a mask leaves, a finding and its twin."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from helpers.data.slice import Slice
from helpers.figures.look import ERROR_MAP, GAIN, array, show
from helpers.mri import masks, metrics
from helpers.mri.fourier import ifft2c
from helpers.mri.rss import rss


def images(panels: Mapping[str, Tensor], columns: int = 4, size: float = 2.2, peak: float | None = None) -> Figure:
    """A sheet of images, each under its title; panels: title to (y, x)."""
    rows = -(-len(panels) // columns)
    columns = min(columns, len(panels))
    figure, grid = plt.subplots(rows, columns, figsize=(size * columns, (size + 0.35) * rows), squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, (title, image) in zip(grid.flat, panels.items(), strict=False):
        show(axes, image, title, peak)
    return figure


def log_kspace(kspace: Tensor) -> Tensor:
    """The magnitude of a k-space over all coils on a logarithmic scale, from 0 to 1 over four decades."""
    magnitude = kspace.abs().square().sum(-3).sqrt()
    return (1 + (magnitude / magnitude.max()).clamp(min=1e-4).log10() / 4).clamp(0, 1)


def comparison(item: Slice, reconstructions: Mapping[str, Tensor], size: float = 1.9) -> Figure:
    """Reconstructions of one slice side by side, and below each its error at `GAIN` times the gray scale.

    item: the slice, shown first where it has a target; reconstructions: name of the method to (y, x) image.
    Without a target there is nothing to subtract, and the images stand alone.
    """
    if item.target is None:
        return images(reconstructions, columns=len(reconstructions), size=size)
    peak = float(np.quantile(array(item.target), 0.998))
    columns = len(reconstructions) + 1
    figure, grid = plt.subplots(2, columns, figsize=(size * columns, 2 * size + 0.6))
    show(grid[0, 0], item.target, "fully sampled", peak)
    grid[1, 0].set_axis_off()
    for axes, (name, image) in zip(grid.T[1:], reconstructions.items(), strict=True):
        score = metrics.scores(image, item.target)
        show(axes[0], image, f"{name}\nSSIM {score['ssim']:.3f}", peak)
        show(axes[1], (image - item.target).abs(), "", peak / GAIN, ERROR_MAP)
    grid[1, 0].text(1, 0.5, f"error,\n{GAIN} times the\ngray scale", ha="right", va="center", fontsize=12)
    return figure


def measured(item: Slice, mask: Tensor, size: float = 2.6) -> Figure:
    """What a mask leaves of a slice: the measured lines, the zero-filled image, and its error where there is a target.

    mask: (kx,) or (ky, kx) bool.
    """
    image = item.crop(rss(ifft2c(item.kspace * mask)))
    figure, grid = plt.subplots(1, 3, figsize=(3 * size, size + 0.4))
    lines = item.crop(log_kspace(item.kspace * mask))
    show(grid[0], lines, f"measured, {masks.realized_acceleration(mask):.2f}x", 1)
    show(grid[1], image, "zero-filled")
    grid[2].set_axis_off()
    if item.target is not None:
        score, peak = metrics.scores(image, item.target), float(np.quantile(array(item.target), 0.998))
        show(grid[1], image, f"zero-filled, SSIM {score['ssim']:.3f}", peak)
        show(grid[2], (image - item.target).abs(), f"error, {GAIN} times the gray scale", peak / GAIN, ERROR_MAP)
    return figure


def finding(item: Slice, twin: Slice | None, size: float = 2.8) -> Figure:
    """A slice with its annotated findings, its twin drawn without, and their difference, with the boxes on all three.

    twin: None where nobody knows what the slice would be without: then it stands alone.
    """
    peak = float(np.quantile(array(item.target), 0.998))
    figure, grid = plt.subplots(1, 3 if twin else 1, figsize=((3 if twin else 1) * size, size + 0.4), squeeze=False)
    show(grid[0, 0], item.target, ", ".join(sorted({box.label for box in item.boxes})), peak)
    if twin:
        difference = (item.target - twin.target).abs()
        show(grid[0, 1], twin.target, "the same subject without", peak)
        show(grid[0, 2], difference, "difference", float(difference.max()), ERROR_MAP)
    for axes in grid.flat:
        for box in item.boxes:
            corner = (box.x - 0.5, box.y - 0.5)
            axes.add_patch(plt.Rectangle(corner, box.width, box.height, fill=False, edgecolor="#88CCEE", linewidth=1.5))
    return figure
