"""Figures of shifts: scores on one side against those on the other, and what one factor at a time costs."""

from collections.abc import Iterable, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from helpers import stats
from helpers.figures.look import COLORS, color, plain_ticks
from helpers.findings import shifts
from helpers.mri import metrics
from helpers.shifts.factors import FACTORS, in_words

MARKERS = {"base": "o", "small": "v", "large": "^", "haar": "s", "dct": "D", "half": "<", "double": ">", "attack": "X"}


def sides(
    table: pd.DataFrame,
    shift: str,
    domains: Sequence[str],
    protocol: str = "corrected",
    score: str = "ssim",
    size: float = 4.4,
) -> Figure:
    """Figures 2, 4 and 6: the score of every variant elsewhere against that where it was made, one panel a domain.

    Bars are 95 % intervals over the volumes that all have; gray: nothing lost; dashed: the line through all variants.
    """
    figure, grid = plt.subplots(1, len(domains), figsize=(size * len(domains) + 1.6, size), squeeze=False)
    for axes, domain in zip(grid.flat, domains, strict=True):
        rows = shifts.common(shifts.one(table, shift, protocol, domain))
        found = shifts.points(rows, score)
        for (family, variant), row in found.iterrows():
            bars = (
                [[row[side] - row[f"{side}_low"]] for side in ("in", "out")],
                [[row[f"{side}_high"] - row[side]] for side in ("in", "out")],
            )
            x, y = ([[low[0]], [high[0]]] for low, high in zip(*bars, strict=True))
            label = family if variant == "base" else None
            axes.errorbar(
                row["in"],
                row["out"],
                y,
                x,
                fmt=MARKERS.get(variant, "P"),
                color=color(family),
                label=label,
                linewidth=1,
            )
        low, high = min(found[["in", "out"]].min()), max(found[["in", "out"]].max())
        ends = np.array([low - 0.05, high + 0.05])
        axes.plot(ends, ends, color=COLORS["zero-filled"], linewidth=1, zorder=0)
        slope, intercept = np.polyfit(found["in"], found["out"], 1)
        axes.plot(ends, slope * ends + intercept, "--", color="0.3", linewidth=1, zorder=0)
        n = _counts(rows.groupby(["side", "family"])["volume"].nunique())
        words = metrics.SCORES[score]
        axes.set(xlim=ends, ylim=ends, xlabel=f"{words} where it was made", ylabel=f"{words} elsewhere")
        axes.set_title(f"{shift}, made on {domain}, n = {n} volumes a side", fontsize=12)
    variants_told(figure, grid[0, 0], rows["variant"])
    return figure


def variants_told(figure: Figure, axes: Axes, variants: Iterable[str]) -> None:
    """The legend of a figure of families, each in its color, and of their variants, each with its mark."""
    for variant in dict.fromkeys(variants):
        axes.plot([], [], MARKERS.get(variant, "P"), color="0.4", label=variant)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside right center", fontsize=11)


def parts(found: pd.DataFrame, score: str = "ssim", size: float = 8.0) -> Figure:
    """What a shift is made of (`findings.shifts.made_of`): for each part a bar a family, with its 95 % interval."""
    figure, axes = plt.subplots(figsize=(size, 0.5 + 0.24 * found.size))
    thick = 0.8 / len(found.columns)
    for number, name in enumerate(found):
        places = [row + (number + 0.5) * thick - 0.4 for row in range(len(found))]
        means = np.array([part.mean for part in found[name]])
        reach = np.array([[part.mean - part.low, part.high - part.mean] for part in found[name]]).T
        axes.barh(places, means, thick, color=color(name), label=name)
        axes.errorbar(means, places, xerr=reach, fmt="none", ecolor="0.2", elinewidth=1)
    axes.axvline(0, color="0.4", linewidth=1)
    axes.set_yticks(range(len(found)), found.index)
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    n = _counts([part.volumes for part in found.to_numpy().flat])
    axes.set_xlabel(f"lost of {metrics.SCORES[score]} (n = {n} volumes a side)")
    figure.legend(loc="outside right center", fontsize=11)
    return figure


def drawn_to_real(found: pd.DataFrame, score: str = "ssim", size: float = 5.2) -> Figure:
    """Each method on real scans against drawn ones (`findings.drawn_to_real.both`); gray: nothing lost."""
    figure, axes = plt.subplots(figsize=(size + 3, size))
    marks, used = "osD^v<>P*X", {}
    for method, row in found.iterrows():
        shade = color(method)
        mark = marks[used.setdefault(shade, 0) % len(marks)]
        used[shade] += 1
        bars = [
            [[row[where] - row[f"{where}_low"]], [row[f"{where}_high"] - row[where]]] for where in ("drawn", "real")
        ]
        axes.errorbar(
            row["drawn"], row["real"], bars[1], bars[0], fmt=mark, color=shade, label=method, linewidth=1, markersize=7
        )
    ends = [found[["drawn", "real"]].min().min() - 0.02, found[["drawn", "real"]].max().max() + 0.02]
    axes.plot(ends, ends, color=COLORS["zero-filled"], linewidth=1, zorder=0)
    one = found["volumes"].max() == 1
    bars = "range over masks, n = 1 scan" if one else f"95 % interval, n = {found['volumes'].max()} scans"
    axes.set(xlabel=f"{metrics.SCORES[score]} on drawn slices", ylabel=f"{metrics.SCORES[score]} on real ones ({bars})")
    figure.legend(loc="outside right center", fontsize=10)
    return figure


def hardness(ranking: pd.DataFrame, size: float = 4.2) -> Figure:
    """The SSIM of every ranked slice against the SNR of its reference and its high frequencies; hard ones are filled.

    ranking: rows of `experiments.hard.row` with the column `hard` of `findings.hard.marked`.
    """
    words = {
        "snr": "SNR of the reference",
        "high": "high frequencies, share of the energy",
        "high_clean": "the same, without the noise's",
    }
    words = {name: label for name, label in words.items() if (ranking[name] > 0).any()}  # few scans say their SNR
    figure, (grid,) = plt.subplots(1, len(words), figsize=(len(words) * size, size), sharey=True, squeeze=False)
    for axes, (name, label) in zip(grid, words.items(), strict=True):
        for marker, (acquisition, rows) in zip("osD^v<>P", ranking.groupby("acquisition"), strict=False):
            for hard, group in rows.groupby("hard"):
                face = "#882255" if hard else "none"
                edge = "#882255" if hard else "0.55"
                axes.scatter(group[name], group["ssim"], 14, marker=marker, facecolors=face, edgecolors=edge)
            axes.scatter([], [], 30, marker=marker, facecolors="none", edgecolors="0.3", label=acquisition)
        axes.set(xlabel=label, xscale="log")
        shown = ranking.loc[ranking[name] > 0, name]
        plain_ticks(axes.xaxis, shown.min(), shown.max())
    grid[0].set_ylabel(f"{metrics.SCORES['ssim']} of the i-RIM")
    grid[0].legend(fontsize=9)
    n = ranking["volume"].nunique()
    grid[len(words) // 2].set_title(f"{len(ranking)} slices of {n} volumes; filled: the hard ones", fontsize=12)
    return figure


def factors(table: pd.DataFrame, score: str = "ssim", size: float = 3.2) -> Figure:
    """What one thing at a time costs: the score of each method against the level of each factor, one panel a factor.

    table: of `experiments.factors.rows`; bands are 95 % intervals over volumes, the dotted line is the usual level.
    """
    names = [name for name in FACTORS if name in set(table["factor"])]
    across = min(3, len(names))
    lines = -(-len(names) // across)
    figure, grid = plt.subplots(lines, across, figsize=(size * across + 1, size * lines), squeeze=False, sharey=True)
    for axes in grid.flat[len(names) :]:
        axes.set_axis_off()
    for axes, name in zip(grid.flat, names, strict=False):
        rows, factor = table[table["factor"] == name], FACTORS[name]
        levels = [in_words(level) for level in factor.levels if in_words(level) in set(rows["level"])]
        found = stats.summary(rows, ["method", "level"], score)
        for method in [each for each in COLORS if each in set(rows["method"])] + sorted(
            set(rows["method"]) - set(COLORS)
        ):
            one = found[found["method"] == method].set_index("level").reindex(levels)
            axes.plot(range(len(levels)), one["mean"], "o-", color=color(method), label=method, markersize=4)
            axes.fill_between(range(len(levels)), one["low"], one["high"], color=color(method), alpha=0.15, linewidth=0)
        axes.axvline(levels.index(in_words(factor.usual)), color="0.6", linestyle=":", linewidth=1, zorder=0)
        axes.set_xticks(range(len(levels)), [each.removeprefix("as ") for each in levels], fontsize=9)
        axes.set_xlabel(factor.words, fontsize=11)
    if score.startswith("ssim"):  # of a few volumes intervals reach beyond
        grid[0, 0].set_ylim(0, 1)
    grid[0, 0].legend(fontsize=9, loc="lower left")
    n = table["volume"].nunique()
    figure.supylabel(f"{metrics.SCORES[score]} (mean, 95 % interval; n = {n} volumes)", fontsize=12)
    return figure


def _counts(numbers: Sequence[int]) -> str:
    """How many volumes, in words: one number, or the smallest and the largest."""
    return " to ".join(f"{count}" for count in sorted({min(numbers), max(numbers)}))
