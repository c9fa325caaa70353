"""What is said of shifts: planted tables in which all is alike, or one family is not, or the line is known."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats as scipy_stats

from helpers import figures, stats
from helpers.experiments.shifts import RAW
from helpers.findings import shifts
from helpers.shifts import like
from helpers.shifts.factors import FACTORS, in_words


def planted(drop, volumes=20, noise=0.01, seed=0, slope=1.0):
    """A table in which each family loses what `drop` says: three variants each, scores that volumes share."""
    chance, rows = np.random.default_rng(seed), []
    quality = {"unet": 0.85, "varnet": 0.9, "wavelet": 0.75, "tv": 0.8}
    for side in ("in", "out"):
        for volume in range(volumes):
            luck = 0.05 * chance.standard_normal()
            for family, mean in quality.items():
                for variant, more in (("base", 0), ("small", -0.02), ("large", 0.01)):
                    score = mean + more
                    if side == "out":
                        score = 0.8 + slope * (score - 0.8) - drop[family]
                    rows.append(
                        {
                            "shift": "site",
                            "protocol": "corrected",
                            "domain": "knee",
                            "side": side,
                            "family": family,
                            "variant": variant,
                            "volume": f"{side}-{volume}",
                            "ssim": score + luck + noise * chance.standard_normal(),
                        }
                    )
    return pd.DataFrame(rows)


ALIKE = dict.fromkeys(("unet", "varnet", "wavelet", "tv"), 0.08)


def test_welch_is_scipys():
    chance = np.random.default_rng(0)
    one, other = chance.standard_normal(9), 0.3 + 2 * chance.standard_normal(14)
    found = stats.gap(stats.interval(one, range(9)), stats.interval(other, range(14)))
    expected = scipy_stats.ttest_ind(one, other, equal_var=False)
    assert found.p_value() == pytest.approx(expected.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(expected.confidence_interval()))
    assert found.volumes == 9


def test_equivalence_is_two_one_sided_tests():
    chance = np.random.default_rng(0)
    one, other = 0.01 * chance.standard_normal(20), 0.01 * chance.standard_normal(20)
    found = stats.gap(stats.interval(one, range(20)), stats.interval(other, range(20)))
    sides = [
        scipy_stats.ttest_ind(one, other + sign * 0.02, equal_var=False, alternative=way).pvalue
        for sign, way in ((1, "less"), (-1, "greater"))
    ]
    assert found.beyond(0.02) == pytest.approx(max(sides))
    assert found.beyond(0.02) < 0.05 < found.beyond(0.001)


def test_what_was_planted_is_found():
    table = planted(ALIKE | {"wavelet": 0.15})
    rows = shifts.one(table, "site", "corrected", "knee")
    for name, found in shifts.drops(rows).items():
        assert found.low < (0.15 if name == "wavelet" else 0.08) < found.high
    found = shifts.differences(rows)
    assert found["unet", "wavelet"].mean == pytest.approx(-0.07, abs=0.01)
    assert found["unet", "varnet"].low < 0 < found["unet", "varnet"].high


def test_volumes_that_are_hard_for_all_do_not_blur_who_loses_more():
    """Luck of .05 a volume is shared: the drop itself is known to .03, differences of drops to .01."""
    rows = planted(ALIKE)
    drop, apart = shifts.drops(rows)["unet"], shifts.differences(rows)["unet", "varnet"]
    assert drop.high - drop.low > 4 * (apart.high - apart.low)


@pytest.mark.parametrize(
    ("drop", "volumes", "said"),
    [
        (ALIKE, 20, "supported"),
        (ALIKE | {"wavelet": 0.15}, 20, "contradicted"),
        (ALIKE | {"wavelet": 0.1}, 20, "undecided"),  # just as far apart as the margin
        (ALIKE, 5, "no verdict, 5 volumes"),
    ],
)
def test_the_verdict_on_all_alike(drop, volumes, said):
    assert shifts.alike(shifts.differences(planted(drop, volumes))).endswith(f": {said}")


def test_the_line_is_the_one_that_was_planted():
    for slope in (1.0, 0.6):
        found = shifts.line(planted(ALIKE, noise=0.003, slope=slope))
        assert found.loc["slope", "low"] < slope < found.loc["slope", "high"]
        assert found.loc["r", "value"] > 0.99 and found.loc["r", "low"] > 0.95
    above = shifts.effective(planted(ALIKE | {"tv": 0.0}, noise=0.001))
    assert above.groupby("family").mean().idxmax() == "tv" and above.sum() == pytest.approx(0, abs=1e-9)


def test_chance_makes_no_line():
    rows = planted(ALIKE)
    chance = np.random.default_rng(1)
    rows.loc[rows["side"] == "out", "ssim"] = chance.random((rows["side"] == "out").sum())
    assert shifts.line(rows).loc["r", "low"] < shifts.LINE


def test_all_claims_of_a_table_are_judged_together(monkeypatch):
    """Of drops that grow, some are supported alone and not among all claims, and then say so."""
    monkeypatch.setattr(shifts, "RESAMPLES", 30)
    said = []
    for size in np.linspace(0.01, 0.1, 10):
        table = planted(dict.fromkeys(ALIKE, 0.0) | {"unet": size})
        found = shifts.judged(table, "site", "knee", scores=["ssim"]).loc["unet loses"].iloc[0]
        alone = shifts.drops(table)["unet"].p_value() < 0.05
        said.append(found.rpartition(": ")[2])
        assert alone == (said[-1] != "undecided")
    assert said[0] == "undecided" and said[-1] == "supported"
    assert "undecided (supported without Holm's correction)" in said


def test_all_claims_of_a_shift_stand_in_one_table():
    table = planted(ALIKE)
    found = shifts.judged(table, "site", "knee", scores=["ssim"])
    (column,) = found.columns
    assert column == "corrected, SSIM" and len(found) == 7
    assert all(cell.endswith(": supported") for cell in found[column]), found
    other = shifts.judged(planted(dict.fromkeys(ALIKE, 0.0)), "site", "knee", scores=["ssim"])
    assert not any("supported" in other.loc[f"{name} loses", column] for name in ALIKE)


def test_families_on_fewer_volumes_are_compared_on_what_they_share():
    rows = planted(ALIKE)
    few = rows["volume"].isin([f"{side}-{n}" for side in ("in", "out") for n in range(12)])
    rows = rows[(rows["family"] != "tv") | few]
    assert shifts.drops(rows)["tv"].volumes == 12 and shifts.drops(rows)["unet"].volumes == 20
    assert shifts.differences(rows)["unet", "tv"].volumes == 12
    shared = shifts.common(rows)
    assert shared["volume"].nunique() == 24 and set(shared["family"]) == set(rows["family"])
    pd.testing.assert_frame_equal(shifts.line(rows), shifts.line(shared))
    one_sided = rows[(rows["family"] != "wavelet") | (rows["side"] == "in")]
    assert set(shifts.points(one_sided).index.unique("family")) == {"unet", "varnet", "tv"}


def taken_apart():
    """A table whose drop of .08 is .03 of noise, .01 of the reference's, .02 of the readout, and .02 of subjects."""
    table = planted(dict.fromkeys(ALIKE, 0.06), noise=0.001)
    first, second = (table[(table["side"] == side) & (table["variant"] == "base")] for side in ("in", "out"))
    changed = ((first, like.NOISE, 0.03), (first, like.REFERENCE, 0.04), (second, RAW, 0.02))
    more = [rows.assign(side=side, ssim=rows["ssim"] - lost) for rows, side, lost in changed]
    return pd.concat([table, *more], ignore_index=True)


def test_a_shift_is_taken_apart_as_it_was_put_together():
    found = shifts.made_of(taken_apart())
    assert list(found.columns) == list(ALIKE)
    for name in found:
        means = found[name].map(lambda part: part.mean)
        assert means.drop("the whole shift").sum() == pytest.approx(means["the whole shift"])
        expected = {"noise that the methods see": 0.03, "noise in the reference": 0.01, RAW: 0.02}
        assert means[list(expected)].to_dict() == pytest.approx(expected)
    figure = figures.shifts.parts(found)
    assert len(figure.axes[0].get_yticks()) == 5 and "n = 20 volumes" in figure.axes[0].get_xlabel()


def test_what_tunes_itself_is_held_against_what_was_tuned():
    for drop, said in ((0.0, "supported"), (0.08, "undecided"), (0.16, "contradicted")):
        table = planted(ALIKE | {"unet": drop})
        found = shifts.closed(table, {"unet": "wavelet", "nobody": "tv"})
        assert len(found) == 1 and found["more"].iloc[0].endswith(f": {said}")


def test_the_slices_that_lose_most_are_found():
    here, there = planted(ALIKE), planted(dict.fromkeys(ALIKE, 0.0))
    here["volume"] = here["volume"].str.replace("out", "in")
    here.loc[(here["side"] == "out") & (here["volume"] == "in-7"), "ssim"] -= 0.5
    assert shifts.worst(here, there, "varnet", 3)[0] == "in-7"


def test_the_figure_of_a_shift_has_every_variant_and_says_how_many_volumes():
    figure = figures.shifts.sides(planted(ALIKE), "site", ["knee"])
    (axes,) = figure.axes
    assert len(axes.containers) == 12 and "n = 20 volumes a side" in axes.get_title()
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["base", "small", "large", *ALIKE]


def test_the_figure_of_factors_has_a_panel_each_and_marks_the_usual_level():
    rows = [
        {"factor": name, "level": in_words(level), "method": "tv", "volume": str(volume), "ssim": 0.8 - 0.01 * volume}
        for name in ("noise", "mask")
        for level in FACTORS[name].levels
        for volume in range(3)
    ]
    figure = figures.shifts.factors(pd.DataFrame(rows))
    noise, mask = sorted(figure.axes, key=lambda axes: axes.get_xlabel(), reverse=True)
    assert noise.get_xlabel() == FACTORS["noise"].words and len(mask.get_xticks()) == len(FACTORS["mask"].levels)
    assert "n = 3 volumes" in figure.get_supylabel()


def test_one_family_alone_is_judged_without_others():
    table = planted(ALIKE)
    found = shifts.judged(table[table["family"] == "unet"], "site", "knee", scores=["ssim"])
    assert found.loc["unet loses"].notna().all() and not any("alike" in words for words in found.index)
