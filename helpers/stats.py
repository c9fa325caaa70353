"""What a mean is worth: intervals bootstrapped over volumes."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

RESAMPLES = 4000


@dataclass(frozen=True)
class Interval:
    """A mean with its bootstrap interval over `volumes` volumes and `n` slices."""

    mean: float
    low: float
    high: float
    n: int
    volumes: int

    def __str__(self) -> str:
        known = f"[{self.low:.3f}, {self.high:.3f}]" if self.volumes > 1 else "(one volume)"
        return f"{self.mean:.3f} {known}"


def interval(values, volumes, level: float = 0.95, seed: int = 0) -> Interval:
    """How far the mean could move had other volumes been drawn: percentile bootstrap over volumes.

    values: (n,) scores of slices; volumes: (n,) name of the volume of each. Slices of one volume are alike, so
    whole volumes are resampled (cluster bootstrap, Davison & Hinkley 1997, section 3.8). With one volume the
    interval is not a number.
    """
    table = pd.DataFrame({"value": np.asarray(values, float), "volume": np.asarray(volumes)})
    groups = table.groupby("volume")["value"]
    sums, counts = groups.sum().to_numpy(), groups.size().to_numpy()
    mean, k = sums.sum() / counts.sum(), len(sums)
    if k < 2:
        return Interval(mean, np.nan, np.nan, len(table), k)
    drawn = np.random.default_rng(seed).integers(k, size=(RESAMPLES, k))
    means = sums[drawn].sum(1) / counts[drawn].sum(1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(mean, low, high, len(table), k)


def difference(table: pd.DataFrame, better: str, worse: str, score: str = "ssim", seed: int = 0) -> Interval:
    """Paired difference of two methods: mean of score(better) - score(worse) over the slices that both have.

    table: tidy, with columns method, volume, slice and the score, each method once a slice. Raises ValueError
    where the two share no slice.
    """
    wide = table.pivot(index=["volume", "slice"], columns="method", values=score)[[better, worse]].dropna()
    if wide.empty:
        raise ValueError(f"{better} and {worse} were measured on no slice in common")
    return interval(wide[better] - wide[worse], wide.index.get_level_values("volume"), seed=seed)


def summary(table: pd.DataFrame, by: list[str], score: str = "ssim", seed: int = 0) -> pd.DataFrame:
    """One row a group: mean, low, high, n and volumes of a score, in the order in which the groups appear."""
    rows = [
        {**dict(zip(by, key, strict=True)), **vars(interval(group[score], group["volume"], seed=seed))}
        for key, group in table.groupby(by, sort=False)
    ]
    return pd.DataFrame(rows)
