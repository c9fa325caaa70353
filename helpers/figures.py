"""How the book looks: one color a method, gray images, perceptually uniform error maps, units on every axis."""

import inspect
import textwrap
from collections.abc import Callable, Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from IPython.display import Markdown, display
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from helpers import masks, metrics, stats, study
from helpers.data.slice import Slice
from helpers.fourier import ifft2c
from helpers.physics import rss

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

SCORES = {
    "ssim": "SSIM",
    "ssim_object": "SSIM inside the object",
    "ssim_matched": "SSIM after matching",
    "psnr": "PSNR (dB)",
    "nmse": "NMSE",
    "nmse_object": "NMSE inside the object",
}


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


def color(method: str) -> str:
    """The color of a method in the whole book; variants such as varnet-knee share their family's."""
    known = [name for name in COLORS if name in method]
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
    image = study.crop(rss(ifft2c(item.kspace * mask)), item)
    figure, grid = plt.subplots(1, 3, figsize=(3 * size, size + 0.4))
    lines = study.crop(log_kspace(item.kspace * mask), item)
    show(grid[0], lines, f"measured, {masks.realized_acceleration(mask):.2f}x", 1)
    show(grid[1], image, "zero-filled")
    grid[2].set_axis_off()
    if item.target is not None:
        score, peak = metrics.scores(image, item.target), float(np.quantile(array(item.target), 0.998))
        show(grid[1], image, f"zero-filled, SSIM {score['ssim']:.3f}", peak)
        show(grid[2], (image - item.target).abs(), f"error, {GAIN} times the gray scale", peak / GAIN, ERROR_MAP)
    return figure


def finding(item: Slice, twin: Slice, size: float = 2.8) -> Figure:
    """A slice with its annotated finding, its twin drawn without, and their difference, with the boxes on all three."""
    peak = float(np.quantile(array(item.target), 0.998))
    difference = (item.target - twin.target).abs()
    figure, grid = plt.subplots(1, 3, figsize=(3 * size, size + 0.4))
    show(grid[0], item.target, ", ".join(sorted({box.label for box in item.boxes})), peak)
    show(grid[1], twin.target, "the same subject without", peak)
    show(grid[2], difference, "difference", float(difference.max()), ERROR_MAP)
    for axes in grid:
        for box in item.boxes:
            corner = (box.x - 0.5, box.y - 0.5)
            axes.add_patch(plt.Rectangle(corner, box.width, box.height, fill=False, edgecolor="#88CCEE", linewidth=1.5))
    return figure


def tuning_curves(table: pd.DataFrame) -> Figure:
    """Mean SSIM against the weight lambda, a line a method and source, with 95 % intervals over the training slices.

    table: tidy, with columns method, source, lam, ssim, as `python -m helpers tune --table` writes it.
    """
    sources = list(dict.fromkeys(table["source"]))
    figure, grid = plt.subplots(1, len(sources), figsize=(3.6 * len(sources), 3.4), sharey=True, squeeze=False)
    for axes, source in zip(grid.flat, sources, strict=True):
        rows = table[table["source"] == source]
        palette = {method: color(method) for method in rows["method"].unique()}
        sns.lineplot(rows, x="lam", y="ssim", hue="method", palette=palette, marker="o", ax=axes, seed=0)
        n = rows.groupby(["volume", "slice"]).ngroups
        lambda_axis(axes, sorted(rows["lam"].unique()))
        axes.set(ylabel="SSIM", title=f"{source}, n = {n} volumes")
    return figure


def lambda_axis(axes: Axes, grid: Sequence[float]) -> None:
    """A logarithmic axis for weights lambda, with every other of the grid written out."""
    axes.set(xscale="log", xlabel="lambda (noise levels)")
    axes.set_xticks(grid, [f"{lam:g}" if number % 2 == 0 else "" for number, lam in enumerate(grid)])
    axes.minorticks_off()


def training_curves(cards: Sequence[Mapping], size: float = 4) -> Figure:
    """Validation SSIM against the steps of training, one pair of axes for each data, one line a network.

    cards: of the zoo. Dots mark steps at which a training began anew from its weights.
    """
    groups = list(dict.fromkeys(" and ".join(card["data"]) for card in cards))
    figure, grid = plt.subplots(1, len(groups), figsize=(size * len(groups), 3.6), sharey=True, squeeze=False)
    for axes, group in zip(grid.flat, groups, strict=True):
        members = [card for card in cards if " and ".join(card["data"]) == group]
        for card in members:
            steps, scores = zip(*card["curve"], strict=True)
            width = 1 + 2 * card["parameters"] / max(each["parameters"] for each in cards)
            axes.plot(steps, scores, color=color(card["name"]), linewidth=width, label=card["name"])
            marks = [index for index, step in enumerate(steps) if step in card["restarts"]]
            axes.plot(steps, scores, "o", color=color(card["name"]), markevery=marks)
        axes.set(title=f"{group}, n = {members[0]['validation_volumes']} volumes", xlabel="steps")
        axes.legend(fontsize=10)
    grid[0, 0].set_ylabel("SSIM, validation")
    return figure


def real_curves(cards: Sequence[Mapping], measured: pd.DataFrame, size: float = 4.4) -> Figure:
    """SSIM on a real scan against the steps of a training on drawn ones, whole and inside, beside classical methods.

    cards: of the zoo, those that have `also`; measured: tidy, of the same scan and mask, with the classical methods,
    which are dashed.
    """
    figure, grid = plt.subplots(1, 2, figsize=(2 * size + 2, 3.6))
    for axes, place, score in zip(grid, (1, 2), ("ssim", "ssim_object"), strict=True):
        for card, marker in zip(cards, "os^Dv<>*", strict=False):
            steps, scores = [row[0] for row in card["also"]], [row[place] for row in card["also"]]
            axes.plot(steps, scores, color=color(card["name"]), marker=marker, markersize=5, label=card["name"])
        for method in ("wavelet", "tv"):
            mean = measured.loc[measured["method"] == method, score].mean()
            axes.axhline(mean, color=color(method), linestyle="--", label=method)
        axes.set(xlabel="steps", ylabel=SCORES[score], title="one real brain, n = 1 mask")
    figure.legend(*grid[0].get_legend_handles_labels(), loc="outside right center", fontsize=11)
    return figure


def fit_curves(trajectory: Sequence[Mapping], best: int, size: float = 3.4) -> Figure:
    """How an un-trained fit evolves by steps: the residual of fitted lines, of held-out lines, the error of the image.

    trajectory: looks of `untrained.fit` with `nmse` added by a watcher; best: the step whose image was kept, dashed.
    """
    panels = {
        "loss": "residual of fitted lines",
        "held_loss": "residual of held-out lines",
        "nmse": "error of the image",
    }
    figure, grid = plt.subplots(1, 3, figsize=(3 * size, 3.2))
    for axes, (name, words) in zip(grid, panels.items(), strict=True):
        axes.plot(
            [look["step"] for look in trajectory], [look[name] for look in trajectory], color=COLORS["convdecoder"]
        )
        axes.axvline(best, color=COLORS["zero-filled"], linestyle="--")
        axes.set_title(words, fontsize=11)
        axes.set(xlabel="steps", yscale="log" if name == "loss" else "linear")
    grid[0].set_ylabel("squared, relative")
    grid[2].set_ylabel(SCORES["nmse"])
    return figure


def recipes(fits: Mapping[str, pd.DataFrame], score: str = "ssim", size: float = 3.6) -> Figure:
    """How the score of fits rises with the time they take, a panel a source, a line style a recipe.

    fits: recipe in words to the looks of `python -m helpers fit`, of one slice of every source.
    """
    sources = sorted({source for looks in fits.values() for source in looks["source"]}, reverse=True)
    figure, grid = plt.subplots(1, len(sources), figsize=(size * len(sources), 3.2), squeeze=False, sharey=True)
    for axes, source in zip(grid[0], sources, strict=True):
        for (words, looks), line in zip(fits.items(), ("-", "--", ":"), strict=False):
            shown = looks[looks["source"] == source]
            axes.plot(shown["seconds"], shown[score], line, color=color(shown["method"].iloc[0]), label=words)
        axes.set(xscale="log", xlabel="seconds (wall clock, one thread)", title=f"{source}, one slice")
    grid[0, 0].set_ylabel(SCORES[score])
    grid[0, 0].legend(loc="upper left", fontsize=11)
    return figure


def intervals(table: pd.DataFrame, by: str = "anatomy", score: str = "ssim", axes: Axes | None = None) -> Figure:
    """Mean score of every method with its 95 % interval over volumes, one group of rows for each value of `by`.

    table: tidy, as `study.table` gives it.
    """
    found = stats.summary(table, [by, "method"], score)
    groups, methods = list(dict.fromkeys(found[by])), list(dict.fromkeys(found["method"]))
    figure = axes.figure if axes else plt.figure(figsize=(8, 0.42 * len(methods) * len(groups) + 1.2))
    axes = axes or figure.subplots()
    ticks, labels = [], []
    for g, group in enumerate(groups):
        rows = found[found[by] == group].set_index("method")
        for m, method in enumerate(method for method in methods if method in rows.index):
            row, place = rows.loc[method], g * (len(methods) + 1) + m
            axes.plot([row["low"], row["high"]], [place, place], color=color(method), linewidth=4, alpha=0.5)
            axes.plot(row["mean"], place, "o", color=color(method), markersize=8)
            ticks.append(place)
            labels.append(method)
        axes.text(1.01, g * (len(methods) + 1) + (len(methods) - 1) / 2, group, transform=axes.get_yaxis_transform())
    axes.set_yticks(ticks, labels)
    axes.invert_yaxis()
    axes.set_xlabel(f"{SCORES[score]} (mean, 95 % interval; n = {_counts(found)})")
    return figure


def _counts(found: pd.DataFrame) -> str:
    """How many slices and volumes stand behind each mean, in words."""
    least, most = found["n"].min(), found["n"].max()
    slices = f"{least}" if least == most else f"{least} to {most}"
    return f"{slices} slices of {found['volumes'].max()} volumes each"


def say(sentence: str) -> None:
    """Show a sentence with computed numbers in it; the sentence is Markdown."""
    display(Markdown(sentence))


def code(function: Callable) -> str:
    """The source of a function without its docstring."""
    lines = textwrap.dedent(inspect.getsource(function))
    if function.__doc__:
        start = lines.index('"""')
        end = lines.index('"""', start + 3) + 3
        lines = lines[:start].rstrip() + lines[end:]
    return lines.strip()


def listing(*functions: Callable) -> None:
    """Show the lines of `helpers` that carry an equation out: what runs is what is shown."""
    say("\n\n".join(f"`{f.__module__}.{f.__qualname__}`\n\n```python\n{code(f)}\n```" for f in functions))
