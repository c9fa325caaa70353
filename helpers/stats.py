"""What a mean is worth: intervals over volumes that cover what they say, p-values, and Holm's correction of many."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy import stats

LEVEL = 0.95  # what an interval covers, two-sided
RESAMPLES = 1000  # of volumes


@dataclass(frozen=True, eq=False)
class Interval:
    """A mean over volumes with its interval; n: slices in all; means: (volumes,) what each volume adds to it."""

    mean: float
    low: float
    high: float
    n: int
    means: np.ndarray

    @property
    def volumes(self) -> int:
        return len(self.means)

    def __str__(self) -> str:
        known = f"[{self.low:.3f}, {self.high:.3f}]" if self.volumes > 1 else "(one volume)"
        return f"{self.mean:.3f} {known}"

    def row(self) -> dict[str, float]:
        """As columns of a table: mean, low, high, n and volumes."""
        return {name: getattr(self, name) for name in ("mean", "low", "high", "n", "volumes")}

    def p_value(self, claimed: float = 0.0) -> float:
        """How often a mean this far from the claimed one is drawn where that is the true one, two-sided.

        Below .05 where the interval leaves the claimed one out.
        """
        mean, spread, skewness = moments(self.means)
        if self.volumes < 2 or not np.isfinite(mean):
            return np.nan
        if not spread:
            return float(mean == claimed)
        t, k = (mean - claimed) / spread, self.volumes
        unskewed = t + skewness * t**2 / 3 + skewness**2 * t**3 / 27 + skewness / (6 * k)
        return float(2 * stats.t.sf(min(abs(t), abs(unskewed)) * np.sqrt(k), k - 1))


def moments(means: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, standard deviation and skewness over the last axis, unbiased; values equal to rounding have no spread."""
    k = means.shape[-1]
    mean = means.mean(-1)
    if k < 2:
        return mean, np.nan * mean, np.nan * mean
    spread = means.std(-1, ddof=1)
    spread = np.where(spread > 1e-12 * np.abs(means).max(-1), spread, 0.0)
    standard = (means - mean[..., None]) / np.where(spread > 0, spread, 1.0)[..., None]
    return mean, spread, k / ((k - 1) * max(k - 2, 1)) * (standard**3).sum(-1)


def bounds(means) -> tuple[np.ndarray, np.ndarray]:
    """The interval of the mean of (..., volumes) values: Student's, made longer where the values are skewed.

    The t of a few skewed scores is skewed itself, so that Student's interval covers too little. Hall (1992, On the
    removal of skewness by transformation, J. R. Stat. Soc. B 54, 221-228) makes it symmetric by the increasing cubic

        g(t) = t + s t^2 / 3 + s^2 t^3 / 27 + s / (6 k)

    with s the skewness of the k values and t = (mean - truth) / spread; solved for the truth at the quantiles of
    Student's t, over sqrt(k), it gives another interval. Either end is the outer one of the two: Hall's alone rejects
    too much of normal scores at the small p-values that Holm's correction asks for. `experiments.coverage` holds it
    against others.
    """
    means = np.asarray(means, float)
    k = means.shape[-1]
    mean, spread, skewness = moments(means)

    def solved(quantile: float) -> np.ndarray:
        q = quantile / np.sqrt(k)
        root = np.cbrt(1 + skewness * (q - skewness / (6 * k)))
        return np.stack([q + 0 * skewness, 3 * (q - skewness / (6 * k)) / (root**2 + root + 1)])  # Student, Hall

    last = stats.t.ppf((1 + LEVEL) / 2, k - 1)
    return mean - spread * solved(last).max(0), mean - spread * solved(-last).min(0)


def interval(values, volumes) -> Interval:
    """How far the mean could move had other volumes been drawn.

    values: (n,) scores of slices; volumes: (n,) name of the volume of each. Slices of one volume are alike, so that
    a volume counts once, by the mean of its slices, however many it has: the mean is what to expect of another
    volume. With one volume the interval is not a number.
    """
    table = pd.DataFrame({"value": np.asarray(values, float), "volume": np.asarray(volumes)})
    means = table.groupby("volume")["value"].mean().to_numpy()
    low, high = bounds(means)
    return Interval(float(means.mean()), float(low), float(high), len(table), means)


def share(values, volumes) -> Interval:
    """The same of a share, of values 0 and 1: its interval is the exact one of as many volumes.

    That of Clopper and Pearson (Biometrika 26 (1934), 404-413), for volumes each of which has all of it or nothing:
    none spread wider at this mean. Shares near 0 or 1 have next to no spread of their own to go by.
    """
    found, tail = interval(values, volumes), (1 - LEVEL) / 2
    k, hits = found.volumes, found.volumes * found.mean
    low = stats.beta.ppf(tail, hits, k - hits + 1) if hits > 0 else 0.0
    high = stats.beta.ppf(1 - tail, hits + 1, k - hits) if hits < k else 1.0
    return replace(found, low=float(low), high=float(high))


def difference(table: pd.DataFrame, better: str, worse: str, score: str = "ssim") -> Interval:
    """Paired difference of two methods: mean of score(better) - score(worse) over the slices that both have.

    table: tidy, with columns method, volume, slice and the score, each method once a slice; and identity, where numbers
    of slices may be those of other pictures ("slice 1" is another of two than of one). Raises ValueError where the two
    share no slice.
    """
    keys = [key for key in ("volume", "slice", "identity") if key in table]
    wide = table.pivot(index=keys, columns="method", values=score)[[better, worse]].dropna()
    if wide.empty:
        raise ValueError(f"{better} and {worse} were measured on no slice in common")
    return interval(wide[better] - wide[worse], wide.index.get_level_values("volume"))


@dataclass(frozen=True)
class Gap:
    """A difference of two means over volumes that are not the same, with its interval (Welch's t).

    volumes: of the side that has fewer; spread: the standard error; freedom: its degrees.
    """

    mean: float
    volumes: int
    spread: float
    freedom: float

    def _reach(self) -> float:
        return float(stats.t.ppf((1 + LEVEL) / 2, self.freedom) * self.spread)

    @property
    def low(self) -> float:
        return self.mean - self._reach()

    @property
    def high(self) -> float:
        return self.mean + self._reach()

    __str__ = Interval.__str__

    def p_value(self, claimed: float = 0.0) -> float:
        """How often a difference this far from the claimed one is drawn where that is the true one, two-sided."""
        if self.volumes < 2:
            return np.nan
        if not self.spread:
            return float(self.mean == claimed)
        return float(2 * stats.t.sf(abs(self.mean - claimed) / self.spread, self.freedom))

    def beyond(self, margin: float) -> float:
        """How often a difference as near to 0 is drawn where the true one is as large as the margin, one-sided.

        Below .05 the two are equivalent to within the margin (two one-sided tests, Schuirmann 1987).
        """
        if self.volumes < 2:
            return np.nan
        if not self.spread:
            return float(abs(self.mean) >= margin)
        return float(stats.t.sf((margin - abs(self.mean)) / self.spread, self.freedom))


def gap(one: Interval, other: Interval) -> Gap:
    """The difference of two means, one minus the other, of volumes that are drawn each for itself (Welch 1947)."""
    sides = [
        (each.means.std(ddof=1) ** 2 / each.volumes if each.volumes > 1 else np.nan, each.volumes)
        for each in (one, other)
    ]
    square = sum(variance for variance, _ in sides)
    freedom = square**2 / sum(variance**2 / (k - 1) for variance, k in sides) if square > 0 else np.inf
    volumes = min(one.volumes, other.volumes)
    return Gap(one.mean - other.mean, volumes, float(np.sqrt(square)), float(freedom))


def resampled(table: pd.DataFrame, statistic: Callable[[pd.DataFrame], np.ndarray | float], seed: int = 0) -> tuple:
    """A statistic of rows, the ends of its interval and its p-value of zero, by a bootstrap over volumes.

    table: with a column volume, whose rows hang together; the interval is of percentiles over RESAMPLES. The statistic
    may be an array: then all four are, for each number by itself. Resamples where it is NaN are left out.
    """
    chance, parts = np.random.default_rng(seed), list(table.groupby("volume").indices.values())
    drawn = []
    for _ in range(RESAMPLES):
        chosen = chance.integers(len(parts), size=len(parts))
        drawn.append(statistic(table.iloc[np.concatenate([parts[number] for number in chosen])]))
    drawn = np.array(drawn)
    low, high = np.nanquantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    beyond, defined = np.minimum((drawn <= 0).sum(0), (drawn >= 0).sum(0)), (~np.isnan(drawn)).sum(0)
    return statistic(table), low, high, np.minimum(2 * (1 + beyond) / (1 + defined), 1)


def bias_corrected(drawn: np.ndarray, claimed: float = 0.0) -> tuple[float, float, float]:
    """The ends of the interval of a number by its resamples, and the two-sided p-value of what is claimed of it.

    drawn: the number and, after it, those of its resamples; NaN and a p-value of 1 where the number, or each of these,
    is not defined. Percentiles, moved by twice the bias of the median: resampled points lie further apart than the
    points themselves, so that a correlation near 1 is nearly always lower in a resample. Source: Efron, Canad. J. Stat.
    9 (1981), 139-158.
    """
    value, others = drawn[0], drawn[1:][np.isfinite(drawn[1:])]
    if not (np.isfinite(value) and len(others)):
        return np.nan, np.nan, 1.0

    def score(x: float) -> float:
        """The normal quantile of the share of resamples below x, half of those that are equal to it among them."""
        below = ((others < x).mean() + (others <= x).mean()) / 2
        return stats.norm.ppf(np.clip(below, 0.5 / len(others), 1 - 0.5 / len(others)))

    bias, reach = score(value), stats.norm.ppf((1 + LEVEL) / 2)
    low, high = np.quantile(others, stats.norm.cdf([2 * bias - reach, 2 * bias + reach]))
    return low, high, float(2 * stats.norm.sf(abs(score(claimed) - 2 * bias)))


def summary(table: pd.DataFrame, by: list[str], score: str = "ssim") -> pd.DataFrame:
    """One row a group: mean, low, high, n and volumes of a score, in the order in which the groups appear."""
    rows = [
        {**dict(zip(by, key, strict=True)), **interval(group[score], group["volume"]).row()}
        for key, group in table.groupby(by, sort=False)
    ]
    return pd.DataFrame(rows)


def holm(p_values: Sequence[float]) -> np.ndarray:
    """The p-values of claims that are judged together: below .05 for any false one of them in one of twenty tables.

    The smallest of m is multiplied by m, the next by m - 1, and none becomes smaller than the one before (Holm 1979,
    Scand. J. Stat. 6, 65-70). The claims may depend on each other. In the order of p_values; one that is not a number
    was not tested, stays so and does not count.
    """
    p = np.asarray(p_values, float)
    order = p.argsort()  # what is not a number comes last
    steps = p[order] * (np.isfinite(p).sum() - np.arange(len(p)))
    return np.minimum(np.maximum.accumulate(steps), 1)[order.argsort()]
