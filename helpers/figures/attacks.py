"""Figures of attacks: what a perturbation looks like, and what it costs at every strength."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from torch import Tensor

from helpers.data.slice import Slice
from helpers.figures.look import ERROR_MAP, GAIN, array, color, ordered, show
from helpers.findings import transfer
from helpers.mri import metrics

NAMES = {"noise": "noise", "nothing": "clean", transfer.WORST: "the worst of all"}


def perturbed(item: Slice, images: Mapping[str, Mapping[str, Tensor]], size: float = 1.9) -> Figure:
    """Reconstructions of perturbed measurements: a row a method, a column a perturbation, and the error of the last.

    item: the slice; images: name of the method to (words for the perturbation to (y, x) image).
    """
    peak = float(np.quantile(array(item.target), 0.998))
    columns = len(next(iter(images.values()))) + 1
    figure, grid = plt.subplots(
        len(images), columns, figsize=(size * columns, (size + 0.3) * len(images)), squeeze=False
    )
    for axes, (name, shown) in zip(grid, images.items(), strict=True):
        for place, (words, image) in zip(axes, shown.items(), strict=False):
            show(place, image, f"{words}\nSSIM {metrics.scores(image, item.target)['ssim']:.3f}", peak)
        error = (list(shown.values())[-1] - item.target).abs()
        show(axes[-1], error, f"error, {GAIN} times\nthe gray scale", peak / GAIN, ERROR_MAP)
        axes[0].text(-0.04, 0.5, name, rotation=90, ha="right", va="center", transform=axes[0].transAxes, fontsize=13)
    return figure


def strengths(
    table: pd.DataFrame,
    score: str = "ssim",
    protocol: str = "corrected",
    size: float = 3.4,
    exact: pd.Series | None = None,
) -> Figure:
    """Figure 3: what each perturbation costs each method against its strength, one pair of axes for each attacked one.

    table: of `transfer.rows`; bands are 95 % intervals over volumes. Lower is worse. exact: by strength, the largest
    loss that there is where it is known, see `findings.audit.exact`: a dashed line.
    """
    table = table[table["protocol"] == protocol]
    lost = transfer.lost(table, score)
    methods = ordered(lost["method"])
    panels = ["noise", *methods]
    lines = -(-len(panels) // 3)
    figure, grid = plt.subplots(lines, 3, figsize=(3 * size, size * lines), sharex=True, sharey=True, squeeze=False)
    for axes in grid.flat[len(panels) :]:
        axes.set_axis_off()
    for axes, attacked in zip(grid.flat, panels, strict=False):
        for method in methods:
            rows = lost[(lost["attacked"] == attacked) & (lost["method"] == method)]
            hue, at = color(method), [0, *rows["eps"]]  # without a perturbation nothing is lost
            axes.plot(at, [0, *-rows["mean"]], "o-", color=hue, label=method)
            axes.fill_between(at, [0, *-rows["low"]], [0, *-rows["high"]], color=hue, alpha=0.2, linewidth=0)
        if exact is not None and attacked != "noise":
            axes.plot([0, *exact.index], [0, *-exact], "--", color="0.4", label="SENSE, exact", zorder=0)
        axes.set_title("Gaussian noise" if attacked == "noise" else f"found for {attacked}", fontsize=12)
        axes.set(xlabel="strength eps", xlim=(0, None))
    words = f"mean of {transfer.counted(table)}, each of another volume"
    figure.supylabel(f"change of {metrics.SCORES[score]}\n({words})", fontsize=12)
    figure.suptitle(f"{protocol} protocol", fontsize=13)
    grid.flat[len(panels) - 1].legend(fontsize=10, loc="lower left")
    return figure


def matrix(table: pd.DataFrame, eps: float, protocol: str = "corrected", score: str = "ssim") -> Figure:
    """The same as a matrix at one strength: rows for whom a perturbation was found, columns for whom it is tried."""
    table = table[(table["protocol"] == protocol) & (table["eps"] == eps)]
    lost = transfer.lost(table, score)
    methods = ordered(lost["method"])
    wide = lost.pivot(index="attacked", columns="method", values="mean").loc[
        ["noise", *methods, transfer.WORST], methods
    ]
    figure, axes = plt.subplots(figsize=(1.15 * len(methods) + 2.2, 0.55 * len(wide) + 1.4))
    sns.heatmap(
        wide.rename(index=NAMES),
        annot=True,
        fmt=".3f",
        cmap="viridis",
        vmin=0,
        linewidths=1,
        ax=axes,
        cbar_kws={"label": f"loss of {metrics.SCORES[score]}"},
    )
    axes.set(xlabel="method", ylabel="found for", title=f"{protocol}, eps {eps:g}, mean of {transfer.counted(table)}")
    axes.tick_params(axis="y", rotation=0)
    axes.grid(visible=False)
    return figure


def efforts(table: pd.DataFrame) -> Figure:
    """What each gradient attack reaches against its steps, as a share of the most that is known: does it flatten?

    table: of `audit.shares`, with steps. One pair of axes for each attack and start; lines are means, and bands hold
    all slices, of which there are too few for an interval.
    """
    n = len(table[["volume", "slice"]].drop_duplicates())
    attacks, methods = (list(dict.fromkeys(table[key])) for key in ("by", "method"))
    looks = {
        "palette": {method: color(method) for method in methods},
        "dashes": {method: (2, 2) if "," in method else "" for method in methods},
    }
    figure, grid = plt.subplots(1, len(attacks), figsize=(3.2 * len(attacks) + 2, 3.4), sharey=True, squeeze=False)
    for axes, attack in zip(grid.flat, attacks, strict=True):
        rows = table[table["by"] == attack]
        shown = {"hue": "method", "style": "method", "hue_order": methods, "style_order": methods, **looks}
        sns.lineplot(rows, x="steps", y="share", **shown, markers=["o"] * len(methods), ax=axes, errorbar=("pi", 100))
        axes.set(xscale="log", xlabel="steps")
        axes.set_title(attack.replace(" from ", "\nfrom ").replace(", climbing ", "\nclimbing "), fontsize=11)
        axes.set_ylabel(f"increase of the loss, share\nof the worst known (n = {n} slices)")
        axes.set_xticks(sorted(rows["steps"].unique()), [f"{steps:g}" for steps in sorted(rows["steps"].unique())])
        axes.minorticks_off()
        handles, labels = axes.get_legend_handles_labels()
        axes.get_legend().remove()
    figure.legend(handles, labels, loc="outside right center", fontsize=11)
    return figure


def perturbation(e: Tensor, like: Tensor, columns: Sequence[str] = ("perturbation", "and 10 times brighter")) -> Figure:
    """A perturbation in image space beside the image, on its gray scale. e, like: (y, x) magnitudes."""
    peak = float(np.quantile(array(like), 0.998))
    figure, grid = plt.subplots(1, 3, figsize=(7, 2.7))
    show(grid[0], like, "image", peak)
    show(grid[1], e, columns[0], peak)
    show(grid[2], e, columns[1], peak / 10)
    return figure
