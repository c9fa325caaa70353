"""Intervals: closed forms, coverage, and what resampling slices instead of volumes would hide."""

import numpy as np
import pandas as pd
import pytest

from helpers import stats
from helpers.findings.verdicts import verdict


def test_equal_values_leave_no_doubt():
    found = stats.interval([0.5] * 6, list("aabbcc"))
    assert (found.mean, found.low, found.high, found.n, found.volumes) == (0.5, 0.5, 0.5, 6, 3)


def test_one_volume_says_nothing():
    found = stats.interval([0.1, 0.9], ["a", "a"])
    assert found.mean == 0.5 and np.isnan(found.low) and str(found) == "0.500 (one volume)"


def test_repeated_slices_do_not_shrink_the_interval():
    values = np.random.default_rng(0).standard_normal(10)
    once = stats.interval(values, np.arange(10))
    often = stats.interval(np.repeat(values, 30), np.repeat(np.arange(10), 30))
    assert (often.low, often.high) == pytest.approx((once.low, once.high))


def test_coverage():
    rng = np.random.default_rng(1)
    hits = 0
    for trial in range(200):
        values = rng.standard_normal((25, 1)) + 0.1 * rng.standard_normal((25, 2))
        found = stats.interval(values.ravel(), np.repeat(np.arange(25), 2), seed=trial)
        hits += found.low <= 0 <= found.high
    assert 0.87 <= hits / 200 <= 0.99  # 95 % nominal, a percentile bootstrap of 25 covers about 93 %, s.e. 1.8 %


def test_paired_difference_removes_the_slices_own_difficulty():
    rng = np.random.default_rng(2)
    base = rng.uniform(0.3, 0.9, 12)
    volume = np.repeat(np.arange(6), 2)
    rows = [
        {"method": method, "volume": v, "slice": i, "ssim": b + gain}
        for method, gain in (("tv", 0.02), ("wavelet", 0.0))
        for i, (b, v) in enumerate(zip(base, volume))
    ]
    found = stats.difference(pd.DataFrame(rows), "tv", "wavelet")
    assert (found.mean, found.low, found.high) == pytest.approx((0.02, 0.02, 0.02))


def test_methods_without_common_slices():
    table = pd.DataFrame({"method": ["a", "b"], "volume": [0, 1], "slice": [0, 0], "ssim": [0.5, 0.6]})
    with pytest.raises(ValueError, match="no slice in common"):
        stats.difference(table, "a", "b")


@pytest.mark.parametrize(
    "low, high, said", [(0.1, 0.2, "supported"), (-0.2, -0.1, "contradicted"), (-1, 1, "undecided")]
)
def test_verdict(low, high, said):
    assert verdict(stats.Interval((low + high) / 2, low, high, 4, 4)) == said


def test_summary_keeps_the_order_and_counts():
    table = pd.DataFrame({"method": list("bbaa"), "volume": [0, 1, 0, 1], "ssim": [0.1, 0.3, 0.5, 0.7]})
    found = stats.summary(table, ["method"])
    assert list(found["method"]) == ["b", "a"] and list(found["n"]) == [2, 2]
    assert found["mean"].tolist() == pytest.approx([0.2, 0.6])
