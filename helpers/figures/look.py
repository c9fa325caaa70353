"""How the book looks: one color a method, gray images, perceptually uniform error maps, units on every axis."""

import math
from collections.abc import Iterable, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import NullLocator
from torch import Tensor

# Paul Tol's muted scheme: told apart with any kind of color vision.
COLORS = {
    "zero-filled": "#7F7F7F",
    "sense": "#DDCC77",
    "wavelet": "#332288",
    "l1-haar": "#6699CC",
    "l1-dct": "#661100",
    "l1-fourier": "#AA7744",
    "tv": "#88CCEE",
    "unet": "#117733",
    "varnet": "#CC6677",
    "irim": "#999933",
    "convdecoder": "#882255",
    "deep-decoder": "#44AA99",
    "dip": "#AA4499",
}

ERROR_MAP = "magma"
GAIN = 4  # error maps are shown at this many times the images' gray scale


def style() -> None:
    """Set matplotlib and tables up for the book: once, at the top of a chapter."""
    pd.set_option("display.max_colwidth", None)  # verdicts are sentences, which pandas would cut
    plt.rcParams.update(
        {
            "figure.dpi": 110,
            "figure.facecolor": "white",
            "savefig.facecolor": "white",
            "figure.constrained_layout.use": True,
            "font.size": 13,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "grid.color": "#E6E6E6",
            "axes.axisbelow": True,
            "lines.linewidth": 2,
            "legend.frameon": False,
            "image.cmap": "gray",
        }
    )


def ordered(methods: Iterable[str]) -> list[str]:
    """Each method once: those of the book in its order, then all others in theirs."""
    methods = list(dict.fromkeys(methods))
    return sorted(methods, key=lambda name: list(COLORS).index(name) if name in COLORS else len(COLORS))


def color(method: str) -> str:
    """The color of a method in the whole book; variants such as varnet-knee share one, a reader's is black."""
    own = ":" in method and not method.startswith("helpers.")
    known = [name for name in COLORS if name in method and not own]
    return COLORS[max(known, key=len)] if known else "#000000"


def array(image: Tensor) -> np.ndarray:
    """An image as a real numpy array, its magnitude where it is complex."""
    image = image.detach().cpu()
    return (image.abs() if image.is_complex() else image).numpy()


def show(axes: Axes, image: Tensor, title: str = "", peak: float | None = None, cmap: str = "gray") -> None:
    """One image on one pair of axes: (y, x), 0 is black and `peak` (default: its 99.5th percentile) is white."""
    values = array(image)
    axes.imshow(values, cmap=cmap, vmin=0, vmax=peak or np.quantile(values, 0.995), interpolation="nearest")
    axes.set_title(title, fontsize=12)
    axes.set_axis_off()


def lambda_axis(axes: Axes, grid: Sequence[float]) -> None:
    """A logarithmic axis for weights lambda, with every other of the grid written out."""
    axes.set(xscale="log", xlabel="lambda (noise levels)")
    axes.set_xticks(grid, [f"{lam:g}" if number % 2 == 0 else "" for number, lam in enumerate(grid)])
    axes.minorticks_off()


def plain_ticks(axis: Axis, least: float, most: float) -> None:
    """Mark a logarithmic axis from least to most by numbers in full: 1, 2 and 5, or powers of ten where it is long."""
    digits = (1,) if most > 300 * least else (1, 2, 5)
    powers = range(math.floor(math.log10(least)), math.ceil(math.log10(most)) + 1)
    ticks = [digit * 10.0**power for power in powers for digit in digits]
    axis.set_ticks([tick for tick in ticks if least <= tick <= most])
    axis.set_major_formatter("{x:g}")
    axis.set_minor_locator(NullLocator())
