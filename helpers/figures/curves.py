"""Figures of numbers: tuning, training and fits on their way, and scores with their intervals."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from helpers import stats
from helpers.figures.look import COLORS, color, lambda_axis
from helpers.mri.metrics import SCORES


def tuning_curves(table: pd.DataFrame) -> Figure:
    """Mean SSIM against the weight lambda, a line a method and source, with 95 % intervals over the training slices.

    table: tidy, with columns method, source, lam, ssim, as `python -m helpers tune --table` writes it.
    """
    sources = list(dict.fromkeys(table["source"]))
    figure, grid = plt.subplots(1, len(sources), figsize=(3.6 * len(sources), 3.4), sharey=True, squeeze=False)
    for axes, source in zip(grid.flat, sources, strict=True):
        rows = table[table["source"] == source]
        palette = {method: color(method) for method in rows["method"].unique()}
        sns.lineplot(rows, x="lam", y="ssim", hue="method", palette=palette, marker="o", ax=axes, errorbar=stats.bounds)
        n = rows.groupby(["volume", "slice"]).ngroups
        lambda_axis(axes, sorted(rows["lam"].unique()))
        axes.set(ylabel="SSIM", title=f"{source}, n = {n} volumes")
    return figure


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

    trajectory: looks of `fit.fit` with `nmse` added by a watcher; best: the step whose image was kept, dashed.
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


def intervals(
    table: pd.DataFrame, by: str = "anatomy", score: str = "ssim", axes: Axes | None = None, words: str = ""
) -> Figure:
    """Mean score of every method with its 95 % interval over volumes, one group of rows for each value of `by`.

    table: tidy, as `evaluate.table` gives it; words: what the score is called, where it is none of ours.
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
    if score.startswith("ssim"):  # of a few volumes intervals reach beyond
        low, high = axes.get_xlim()
        axes.set_xlim(max(low, 0), min(high, 1))
    axes.set_xlabel(f"{words or SCORES[score]} (mean, 95 % interval; n = {_counts(found)})")
    return figure


def _counts(found: pd.DataFrame) -> str:
    """How many slices and volumes stand behind each mean, in words."""
    slices, volumes = (
        f"{least}" if least == most else f"{least} to {most}"
        for least, most in ((found[each].min(), found[each].max()) for each in ("n", "volumes"))
    )
    return f"{slices} slices of {volumes} volumes each"
