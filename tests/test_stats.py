"""Intervals and claims: closed forms, coverage, what counting slices instead of volumes would hide, and Holm's laws."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as some
from scipy import stats as scipy_stats
from scipy.stats import binomtest

from helpers import figures, stats
from helpers.experiments.coverage import CANDIDATES, coverage
from helpers.findings import verdicts

SKEWED = np.exp(np.random.default_rng(0).standard_normal(12))


def test_equal_values_leave_no_doubt():
    found = stats.interval([0.5] * 6, list("aabbcc"))
    assert (found.mean, found.low, found.high, found.n, found.volumes) == (0.5, 0.5, 0.5, 6, 3)
    assert found.p_value(0.5) == 1 and found.p_value(0.4) == 0


def test_one_volume_says_nothing():
    found = stats.interval([0.1, 0.9], ["a", "a"])
    assert found.mean == 0.5 and np.isnan(found.low) and str(found) == "0.500 (one volume)"
    assert np.isnan(found.p_value())


def test_symmetric_values_have_students_interval():
    values = np.array([-3, -1, -0.5, 0.5, 1, 3]) + 2
    found = stats.interval(values, range(6))
    student = scipy_stats.ttest_1samp(values, 1)
    assert (found.low, found.high) == pytest.approx(tuple(student.confidence_interval(stats.LEVEL)))
    assert found.p_value(1) == pytest.approx(student.pvalue)


@pytest.mark.parametrize("values", [SKEWED, -SKEWED, SKEWED[:3], SKEWED[:2]])
def test_the_interval_is_the_means_that_are_not_rejected(values):
    found = stats.interval(values, range(len(values)))
    for end, inwards in ((found.low, 1), (found.high, -1)):
        assert found.p_value(end) == pytest.approx(1 - stats.LEVEL)
        assert found.p_value(end + inwards * 0.01) > 1 - stats.LEVEL > found.p_value(end - inwards * 0.01)


def test_the_interval_reaches_towards_the_longer_tail_and_follows_the_units():
    found, turned = (stats.interval(values, range(12)) for values in (SKEWED, 5 - 2 * SKEWED))
    student = scipy_stats.ttest_1samp(SKEWED, 0).confidence_interval(stats.LEVEL)
    assert found.high > student.high and found.low == pytest.approx(student.low)
    assert (turned.low, turned.high) == pytest.approx((5 - 2 * found.high, 5 - 2 * found.low))


def test_a_volume_counts_once_however_many_slices_it_has():
    values = np.random.default_rng(0).standard_normal(10)
    once = stats.interval(values, np.arange(10))
    counts = [30, 1, 2, 3, 4, 1, 1, 7, 1, 1]
    often = stats.interval(np.repeat(values, counts), np.repeat(np.arange(10), counts))
    assert (often.mean, often.low, often.high) == pytest.approx((once.mean, once.low, once.high))


def test_slices_of_a_volume_are_not_independent():
    """Slices that share what their volume adds: counted one by one, their interval covers about half of the time."""
    rng = np.random.default_rng(1)
    hits = {"volumes": 0, "slices": 0}
    for _ in range(300):
        counts = rng.integers(1, 9, 10)
        volumes = np.repeat(np.arange(10), counts)
        values = rng.standard_normal(10)[volumes] + 0.3 * rng.standard_normal(len(volumes))
        for words, each in (("volumes", volumes), ("slices", np.arange(len(volumes)))):
            found = stats.interval(values, each)
            hits[words] += found.low <= 0 <= found.high
    assert hits["volumes"] > 0.91 * 300 and hits["slices"] < 0.75 * 300  # standard errors are .012 and .027


def test_coverage():
    """Within .02 of .95 for normal scores. The standard error of a share of 20,000 near .95 is .0015: the bounds are
    .02 and three of them. For lognormal scores none that was tried covers as much; floors are what was measured, less
    three standard errors of .002.
    """
    ours = coverage(repeats=20_000, candidates=["this book"]).loc["this book"]
    assert ours["normal"].between(0.93 - 0.005, 0.97 + 0.005).all(), ours
    assert (ours["lognormal"] > [0.90, 0.91, 0.92]).all(), ours


def test_none_that_was_tried_covers_lognormal_scores_better():
    """All see the same 1,000 draws, so that most of the error, .009 each, is shared: .005 is left for the rest."""
    table = coverage(repeats=1000)["lognormal"]
    assert list(table.index) == list(CANDIDATES) and table.columns.str.endswith("volumes").all()
    assert (table <= table.loc["this book"] + 0.005).all().all(), table
    assert table.loc["percentile bootstrap", "6 volumes"] < 0.8  # what this book used before


@pytest.mark.parametrize("hits", [0, 1, 2, 7, 15])
def test_the_interval_of_a_share_is_the_exact_one_of_its_volumes(hits):
    """As scipy's binomial test has it, and it moves with the share: .405 above 2 of 15, where Student's had .895."""
    found = stats.share([1.0] * hits + [0.0] * (15 - hits), range(15))
    exact = binomtest(hits, 15).proportion_ci(stats.LEVEL, method="exact")
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high))


def test_a_share_of_one_volume_or_of_equal_ones_has_an_interval():
    """One finding that is hidden, none of one, and one of two in each of three volumes."""
    for values, volumes in (([1.0], [0]), ([0.0], [0]), ([1, 0] * 3, [0, 0, 1, 1, 2, 2])):
        found = stats.share(values, volumes)
        assert 0 <= found.low <= found.mean <= found.high <= 1 and found.high - found.low > 0.5


def test_shares_of_findings_that_hang_together_are_covered():
    """Volumes of one to four findings, all hidden alike or each for itself; a standard error is .005."""
    rng = np.random.default_rng(3)
    for rate, alike in ((0.05, True), (0.05, False), (0.3, True), (0.3, False)):
        covered = 0
        for _ in range(500):
            volumes = np.repeat(np.arange(15), rng.integers(1, 5, 15))
            chance = rng.random(15)[volumes] if alike else rng.random(len(volumes))
            found = stats.share((chance < rate).astype(float), volumes)
            covered += found.low <= rate <= found.high
        assert covered >= 0.95 * 500 - 1.7 * 5, (rate, alike, covered)


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


def test_summary_keeps_the_order_and_counts():
    table = pd.DataFrame({"method": list("bbaa"), "volume": [0, 1, 0, 1], "ssim": [0.1, 0.3, 0.5, 0.7]})
    found = stats.summary(table, ["method"])
    assert list(found["method"]) == ["b", "a"] and list(found["n"]) == [2, 2]
    assert found["mean"].tolist() == pytest.approx([0.2, 0.6])
    assert list(found.columns) == ["method", "mean", "low", "high", "n", "volumes"]


def test_the_bias_of_resamples_is_taken_off():
    """Of a number of which resamples are too low by a deviation half of the time, the interval is as far above it."""
    others = scipy_stats.norm.ppf((np.arange(1, 20_000)) / 20_000)
    assert stats.bias_corrected(np.array([0.0, *others])) == pytest.approx((-1.96, 1.96, 1), abs=1e-2)
    low, high, p = stats.bias_corrected(np.array([0.5, *others]), claimed=1 - 1.96)
    assert (low, high, p) == pytest.approx((1 - 1.96, 1 + 1.96, 0.05), abs=1e-2)


def test_the_interval_of_a_correlation_near_one_reaches_above_it():
    """Points that lie further apart in every resample: percentiles alone end below the true correlation too often."""
    chance, missed = np.random.default_rng(0), {"percentiles": 0, "corrected": 0}
    x = np.linspace(0, 1, 12)
    true = np.corrcoef(x, x + 0.12 * np.cos(5 * np.arange(12)))[0, 1]
    for _ in range(200):
        volumes = x + 0.12 * np.cos(5 * np.arange(12)) + 0.15 * chance.standard_normal((12, 12))
        means = [volumes.mean(0), *volumes[chance.integers(12, size=(300, 12))].mean(1)]
        drawn = np.array([np.corrcoef(x, each)[0, 1] for each in means])
        missed["percentiles"] += np.quantile(drawn[1:], 0.975) < true
        missed["corrected"] += stats.bias_corrected(drawn)[1] < true
    assert missed["corrected"] < missed["percentiles"] / 1.5


def test_holm_by_hand():
    """Four p-values: the smallest four times, the next three times, twice, once; none below the one before."""
    assert stats.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert stats.holm([0.01, np.nan, 0.03]) == pytest.approx([0.02, np.nan, 0.03], nan_ok=True)
    assert stats.holm([0.9, 0.8]) == pytest.approx([1, 1]) and len(stats.holm([])) == 0


@given(some.lists(some.floats(0, 1), min_size=1, max_size=20))
def test_holm_raises_p_values_keeps_their_order_and_is_no_stricter_than_bonferroni(p_values):
    p, adjusted = np.array(p_values), stats.holm(p_values)
    assert (adjusted >= p).all() and (adjusted <= np.minimum(len(p) * p, 1)).all()
    assert (np.diff(adjusted[p.argsort()]) >= 0).all()


def test_holm_keeps_a_table_without_effects_from_false_verdicts():
    """Twenty false claims on ten volumes: by themselves, more than half of the tables have a false verdict."""
    rng, tables = np.random.default_rng(3), 100
    false = {"together": 0, "alone": 0}
    for _ in range(tables):
        found = verdicts.verdicts([stats.interval(rng.standard_normal(10), range(10)) for _ in range(20)])
        together, alone = zip(*found)
        false["together"] += set(together) != {"undecided"}
        false["alone"] += set(alone) != {"undecided"}
    assert false["together"] / tables < 0.05 + 0.066 and false["alone"] / tables > 0.4  # three standard errors of .022


@pytest.mark.parametrize("shift, said", [(0.2, "supported"), (-0.2, "contradicted"), (0.0, "undecided")])
def test_verdict(shift, said):
    values = np.linspace(-0.1, 0.1, 6)
    assert verdicts.verdict(stats.interval(values + shift, range(6))) == said
    assert verdicts.verdict(stats.interval(values + shift + 1, range(6)), margin=1) == said


def test_no_verdict_on_less_than_six_volumes():
    clear = [0.5, 0.51, 0.49, 0.5, 0.5]
    assert verdicts.verdict(stats.interval(clear * 2, list(range(5)) * 2)) == "no verdict, 5 volumes"
    assert verdicts.verdict(stats.interval([0.5], [0])) == "no verdict, 1 volume"
    assert verdicts.verdict(stats.interval([*clear, 0.5], range(6))) == "supported"


def test_claims_are_judged_together_and_the_page_says_what_that_takes(capsys):
    """Claims with p-values of .03: one stands alone, of two neither does; one on five volumes does not count."""
    values = np.array([-3, -1, -0.5, 0.5, 1, 3])
    close = stats.interval(values + scipy_stats.t.isf(0.015, 5) * scipy_stats.sem(values), range(6))
    few = stats.interval([0.5, 0.51, 0.49, 0.5, 0.5], range(5))
    assert close.p_value() == pytest.approx(0.03)
    assert verdicts.verdicts([close, few])[0] == ("supported", "supported")
    found = verdicts.verdicts([close, few, close])
    assert found == [("undecided", "supported"), ("no verdict, 5 volumes",) * 2, ("undecided", "supported")]
    cells = [f"0.1 [0.0, 0.2]: {verdicts.worded(*each)}" for each in found]
    assert cells[0].endswith("undecided (supported without Holm's correction)")
    table = pd.DataFrame({"SSIM": [*cells, "not measured"]}, index=["a", "b", "c", "d"])
    said = verdicts.sentence(table)
    assert "The 2 claims" in said and said.endswith("these would be decided as well: a, SSIM; c, SSIM.*")
    assert "No claim of this table has 6 volumes or more" in verdicts.sentence(table[1:2])
    assert verdicts.sentence(pd.DataFrame({"SSIM": ["0.1 [0.0, 0.2]: undecided"]})).endswith(
        "the verdicts are the same.*"
    )
    figures.claims(table)
    assert "SSIM" in capsys.readouterr().out


def test_what_is_no_number_has_no_p_value():
    """A mean that nobody knows was far from any claim, with p = 0."""
    assert np.isnan(stats.interval([np.nan, 0.1, 0.2], ["a", "b", "c"]).p_value(0.0))


def test_resamples_without_a_value_say_nothing_about_the_others():
    """Of two volumes at -1 and 1, half of the resamples are undefined, and the rest is as often below as above 0."""
    table = pd.DataFrame({"volume": ["a", "b"], "value": [-1.0, 1.0]})
    found = stats.resampled(table, lambda rows: rows["value"].mean() or np.nan)
    assert found[1:3] == (-1, 1)
    assert found[3] > 0.9
    with pytest.warns(RuntimeWarning, match="All-NaN"):
        assert stats.resampled(table, lambda rows: np.nan)[3] == 1
