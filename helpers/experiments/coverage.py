"""Which interval covers what it says: candidates for the mean of a few scores, on scores whose mean is known."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from scipy import stats as scipy_stats

from helpers import stats

RESAMPLES = 500  # of every bootstrap
TAIL = (1 - stats.LEVEL) / 2
DRAWN: dict[str, tuple[Callable, float]] = {  # scores and their true mean
    "normal": (lambda chance, shape: chance.standard_normal(shape), 0.0),
    "lognormal": (lambda chance, shape: np.exp(chance.standard_normal(shape)), float(np.exp(0.5))),
}


def student(values: np.ndarray, chance) -> tuple[np.ndarray, np.ndarray]:
    """Mean plus and minus t standard errors."""
    mean, spread, _ = stats.moments(values)
    k = values.shape[-1]
    reach = scipy_stats.t.ppf(1 - TAIL, k - 1) * spread / np.sqrt(k)
    return mean - reach, mean + reach


def johnson(values: np.ndarray, chance) -> tuple[np.ndarray, np.ndarray]:
    """Student's, moved towards the longer tail (Johnson 1978, J. Am. Stat. Assoc. 73, 536-544)."""
    _, spread, skewness = stats.moments(values)
    low, high = student(values, chance)
    moved = skewness * spread / (6 * values.shape[-1])
    return low + moved, high + moved


def bootstrap(method: str) -> Callable:
    """Efron's percentile interval, or BCa, which corrects it for bias and skewness, as scipy has them."""

    def bounds(values: np.ndarray, chance: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        options = {"n_resamples": RESAMPLES, "batch": 50, "method": method, "rng": chance}
        found = scipy_stats.bootstrap((values,), np.mean, confidence_level=stats.LEVEL, axis=-1, **options)
        return found.confidence_interval.low, found.confidence_interval.high

    return bounds


def bootstrap_t(values: np.ndarray, chance: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Student's with quantiles of the t of resampled values (Davison & Hinkley 1997, section 5.2)."""
    k = values.shape[-1]
    mean, spread, _ = stats.moments(values)
    drawn = values[:, chance.integers(k, size=(RESAMPLES, k))]
    spreads = drawn.std(-1, ddof=1)
    t = (drawn.mean(-1) - mean[:, None]) / np.where(spreads > 0, spreads, np.nan)
    low, high = np.nanquantile(t, [TAIL, 1 - TAIL], axis=-1)
    return mean - spread * high, mean - spread * low


CANDIDATES: dict[str, Callable] = {
    "percentile bootstrap": bootstrap("percentile"),
    "BCa bootstrap": bootstrap("BCa"),
    "bootstrap-t": bootstrap_t,
    "Student's t": student,
    "Johnson's t": johnson,
    "this book": lambda values, chance: stats.bounds(values),
}


def coverage(
    volumes: Sequence[int] = (6, 10, 20),
    repeats: int = 1000,
    candidates: Sequence[str] = tuple(CANDIDATES),
    seed: int = 0,
) -> pd.DataFrame:
    """How often each interval holds the true mean: a row a candidate, a column a kind of scores and number of volumes.

    All candidates see the same scores. The standard error of an entry c is sqrt(c (1 - c) / repeats).
    """
    found = {}
    for kind, (draw, mean) in DRAWN.items():
        for k in volumes:
            values = draw(np.random.default_rng((seed, k)), (repeats, k))
            for name in candidates:
                low, high = CANDIDATES[name](values, np.random.default_rng(seed))
                found.setdefault((kind, f"{k} volumes"), {})[name] = float(((low <= mean) & (mean <= high)).mean())
    return pd.DataFrame(found).loc[list(candidates)]
