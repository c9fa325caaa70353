"""What the tables of findings say: whether a score tells how well they are shown, who shows them, who hides them."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pandas as pd

from helpers import stats
from helpers.features.goal import HALF
from helpers.findings import verdicts
from helpers.findings.shifts import BASE, LINE
from helpers.findings.verdicts import Measured
from helpers.mri import metrics

RANKING = ("varnet", "unet", "convdecoder", "wavelet")  # of the paper, the best first
ERROR, MISSED, INVENTED = "error in the box", "hidden", "invented"
UNTOLD = "without a trace"  # in the image: with the finding and without it the box is nearly the same
KEYS = ["family", "variant"]
FINDING = ["volume", "slice", "box"]
LINED = 3  # variants: two points are always on a line
SCORES = ("ssim", "ssim_object")


def with_rates(table: pd.DataFrame) -> pd.DataFrame:
    """The table with whether a finding is hidden or invented by the method itself: 1, 0, or NaN where nobody knows.

    Nobody does of a real scan, of which there is none without the finding: texture and noise are in its box, too.
    Also whether it is UNTOLD: what is hidden by a box that is too dark or too bright by itself has left its trace.
    """
    with_it, without = (
        pd.Series(pd.to_numeric(table.get(name, np.nan)), table.index) for name in ("shown_with", "shown_without")
    )
    rates = {}
    for name, shown, beyond in (
        (MISSED, with_it.where(without.notna()), np.less),
        (INVENTED, without, np.greater),
        (UNTOLD, with_it - without, np.less),
    ):
        rates[name] = pd.Series(beyond(shown, HALF), table.index).where(shown.notna()).astype(float)
    return table.assign(**rates)


def common(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of findings that every variant was measured on: means over other findings are not to be compared.

    A variant that was measured on less than half of them, as an un-trained network is, is left out instead.
    """
    count = rows.groupby(KEYS)["volume"].transform("size")
    return _by_all(rows[2 * count >= count.max()])


def with_fewer(rows: pd.DataFrame) -> pd.DataFrame | None:
    """The rows of the findings that all variants were measured on, where `common` leaves some variant out; else None.

    For what is told of these variants beside the others.
    """
    every, left_out = _by_all(rows), common(rows).groupby(KEYS).ngroups < rows.groupby(KEYS).ngroups
    return every if left_out and len(every) else None


def _by_all(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of findings that each variant of these rows was measured on."""
    return rows[rows.groupby(FINDING)["volume"].transform("size") == rows.groupby(KEYS).ngroups]


def points(rows: pd.DataFrame, scores: Sequence[str]) -> pd.DataFrame:
    """Means of scores of every variant, with intervals over volumes: score, score_low, score_high; volumes, n."""
    found = {}
    for key, group in rows.groupby(KEYS, sort=False):
        found[key] = {"n": len(group), "volumes": group["volume"].nunique()}
        for score in scores:
            known = group[group[score].notna()]
            if len(known):
                mean = stats.interval(known[score], known["volume"])
                found[key] |= {score: mean.mean, f"{score}_low": mean.low, f"{score}_high": mean.high}
    return pd.DataFrame.from_dict(found, orient="index").rename_axis(KEYS)


def judged(table: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """The claims on small features: what was measured and the verdict, a column a protocol, a row a claim.

    That scores of whole images and errors in boxes lie on a line: that the correlation of the means of all variants
    over the findings that they have in `common`, turned round, is above LINE; the same over single findings, within
    each variant, which is what a reader of one image has; that of every two neighbors in the ranking of the paper the
    first has the smaller error, over the findings that both have. All are judged together, with Holm's correction.
    """
    claims = {}
    for protocol, rows in table.groupby("protocol", sort=False):
        volumes, shared = int(rows.groupby(KEYS)["volume"].nunique().min()), common(rows)
        for score in [score for score in SCORES if score in rows and rows[score].notna().all()]:
            name = metrics.SCORES[score]
            means = [_means(shared, column, seed) for column in (score, "nmse_box")]
            words = f"{name} and the error in the box lie on a line, of methods"
            claims[words, protocol] = Measured.resampled(-_correlation(*means), LINE, shared["volume"].nunique())
            words = f"the higher {name}, the smaller the error in the box, of findings"
            claims[words, protocol] = Measured.resampled(-_within(rows, score, "nmse_box", seed), 0, volumes)
        families = rows.groupby(["family", *FINDING])["nmse_box"].mean().unstack("family")
        for better, worse in pairwise(name for name in RANKING if name in families):
            both = (families[worse] - families[better]).dropna()
            less = stats.interval(both, both.index.get_level_values("volume"))
            said = "supported" if less.mean > 0 else "contradicted"
            claims[f"{better} errs less in the box than {worse}", protocol] = Measured(
                str(less), less.volumes, less.p_value(), said
            )
    wide = pd.Series(verdicts.cells(claims), dtype=object).unstack(sort=False)
    return wide.fillna("not measured").rename_axis("claim")


def honest(table: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """The book's own claim, that a method that scores higher hides fewer findings, leaves fewer untold, invents fewer.

    table: corrected rows `with_rates`. By the correlation of the means of all variants over the findings that they have
    in `common`, turned round; with intervals by a bootstrap over volumes.
    """
    known = common(table[table[MISSED].notna() & table[INVENTED].notna()])
    volumes, claims = int(known["volume"].nunique()), {}
    for rate in (MISSED, UNTOLD, INVENTED):
        for score in SCORES:
            drawn = -_correlation(_means(known, score, seed), _means(known, rate, seed))
            claims[f"the higher {metrics.SCORES[score]}, the fewer are {rate}", "r, turned round"] = Measured.resampled(
                drawn, 0, volumes
            )
    return pd.Series(verdicts.cells(claims), dtype=object).unstack(sort=False).rename_axis("claim, of methods")


def rates(table: pd.DataFrame) -> pd.DataFrame:
    """Of every variant, which share of findings it hides, leaves untold and invents by itself, with intervals.

    Every volume counts once, by the share of its findings. Empty where nobody knows of any.
    """
    known = with_rates(table)
    known = known[known[MISSED].notna()]
    if known.empty:
        return known
    found = points(known, ["ssim", "contrast"])

    def shares(name: str) -> pd.Series:
        return known.groupby(KEYS, sort=False)[[name, "volume"]].apply(
            lambda rows: str(stats.share(rows[name], rows["volume"]))
        )

    return pd.DataFrame(
        {
            "SSIM": found["ssim"].round(3),
            "contrast shown": found["contrast"].round(2),
            "hides": shares(MISSED),
            UNTOLD: shares(UNTOLD),
            "invents": shares(INVENTED),
            "findings": found["n"],
        }
    )


def misread(table: pd.DataFrame) -> pd.DataFrame:
    """How much of each finding's box lies in the pixels that the notebooks read for it: counts of findings by share."""
    found = table.drop_duplicates(FINDING)
    across = (
        np.minimum(found["x"] + found["width"], found["y"] + found["height"]) - found[["x", "y"]].max(axis=1)
    ).clip(0)
    share = across**2 / (found["width"] * found["height"])
    bins = pd.cut(share, [-1, 0, 0.25, 0.5, 1], labels=["none", "up to a quarter", "up to a half", "more"])
    return bins.value_counts(sort=False).rename("findings").rename_axis("of the box, they read").to_frame()


def spread(table: pd.DataFrame) -> pd.DataFrame:
    """Errors in the box, a row a family and protocol: the median, the mean and the largest of its base.

    Of findings that all have; a family that was measured on few of them is left out, see `common`.
    """
    base = table[table["variant"] == BASE]
    shared = pd.concat([common(rows) for _, rows in base.groupby("protocol", sort=False)])
    wide = shared.groupby(["family", "protocol"], sort=False)["nmse_box"].agg(["median", "mean", "max", "size"])
    return wide.rename(columns={"max": "largest", "size": "findings"}).sort_index(level="family", sort_remaining=False)


def least(table: pd.DataFrame) -> pd.DataFrame:
    """How little hides or invents a finding, a row a method and goal: medians and quartiles of all, and of how many.

    What a method hides or invents by itself takes 0. table: rows of `experiments.hidden`, of which those count whose
    method the perturbation was made for.
    """
    own, found = table[table["method"] == table["made_for"]], {}
    for key, rows in own.groupby(["method", "goal"], sort=False):
        levels = rows["noise_levels"].where(rows["eps"] > 0, 0.0).where(np.isfinite(rows["eps"]), np.inf)
        quarter, half, last = _quantiles(rows["eps"], [0.25, 0.5, 0.75])
        found[key] = {
            "eps, median": half,
            "quartiles": f"{quarter:.2g} to {last:.2g}",
            "noise levels, median": _quantiles(levels, [0.5]).item(),
            "by itself": int((rows["eps"] == 0).sum()),
            "not reached": int(np.isinf(rows["eps"]).sum()),
            "findings": len(rows),
        }
    return pd.DataFrame.from_dict(found, orient="index").rename_axis(["method", "goal"])


def handed_on(table: pd.DataFrame, goal: str) -> pd.DataFrame:
    """Of perturbations that reach a goal on one method, the share that reach it on another: a row made for, a column.

    Findings that the other method hides or invents by itself do not count.
    """
    needed = table[(table["goal"] == goal) & (table["eps"] > 0) & np.isfinite(table["eps"])]
    reached = (lambda shown: shown < HALF) if goal == "hide" else (lambda shown: shown > HALF)
    counted = needed[~reached(needed["before"])]
    found = counted.assign(reached=reached(counted["after"]))
    wide = found.pivot_table(index="made_for", columns="method", values="reached")
    order = list(dict.fromkeys(found["made_for"]))
    return wide.loc[order, [*order, *(name for name in wide if name not in order)]]


def _quantiles(values: pd.Series, shares: Sequence[float]) -> pd.Series:
    """Quantiles of values that may be infinite, as of what is not reached: then those of the order, not in between."""
    with np.errstate(invalid="ignore"):
        return values.quantile(shares).fillna(values.quantile(shares, interpolation="lower"))


def _means(rows: pd.DataFrame, score: str, seed: int) -> np.ndarray:
    """Means of a score of every variant, each volume once, in a row, and those of resampled volumes in further ones."""
    means = rows.pivot_table(index="volume", columns=KEYS, values=score, sort=False)
    if means.empty:
        return np.full((1, 0), np.nan)
    weights = _weights(len(means), seed)
    with np.errstate(invalid="ignore"):
        return weights @ means.fillna(0).to_numpy() / (weights @ means.notna().to_numpy())


def _within(rows: pd.DataFrame, one: str, other: str, seed: int) -> np.ndarray:
    """The rank correlation of two columns within each variant, averaged over variants, of all and of resamples."""
    rows = rows.dropna(subset=[one, other])
    ranks = rows.groupby(KEYS)[[one, other]].rank()
    x, y = ranks[one], ranks[other]
    terms = rows[["volume", *KEYS]].assign(n=1.0, x=x, y=y, xx=x * x, yy=y * y, xy=x * y)
    sums = terms.pivot_table(index="volume", columns=KEYS, values=["n", "x", "y", "xx", "yy", "xy"], aggfunc="sum")
    weights = _weights(len(sums), seed)
    n, x, y, xx, yy, xy = (weights @ sums[name].fillna(0).to_numpy() for name in ("n", "x", "y", "xx", "yy", "xy"))
    with np.errstate(invalid="ignore", divide="ignore"):
        r = (n * xy - x * y) / np.sqrt((n * xx - x**2) * (n * yy - y**2))
    known = np.isfinite(r)
    return np.where(known.any(1), np.where(known, r, 0).sum(1) / known.sum(1).clip(1), np.nan)


def _weights(volumes: int, seed: int) -> np.ndarray:
    """How often each volume counts: once each in the first row, as often as it was drawn in those of resamples."""
    drawn = np.random.default_rng(seed).multinomial(volumes, [1 / volumes] * volumes, stats.RESAMPLES)
    return np.vstack([np.ones(volumes), drawn])


def _correlation(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """r of the numbers of each row; NaN of fewer than LINED."""
    if x.shape[1] < LINED:
        return np.full(len(x), np.nan)
    x, y = (each - each.mean(1, keepdims=True) for each in (x, y))
    with np.errstate(invalid="ignore", divide="ignore"):
        return (x * y).sum(1) / np.sqrt((x**2).sum(1) * (y**2).sum(1))
