"""What is said of hard slices: planted rankings in which noise, anatomy or neither makes a slice hard."""

import numpy as np
import pandas as pd
import pytest

from helpers import figures
from helpers.findings import hard


def planted(by_noise: float, by_anatomy: float, volumes: int = 40, seed: int = 0) -> pd.DataFrame:
    """A ranking whose SSIM falls by so much for a standard deviation of the noise and of the high frequencies."""
    chance, rows = np.random.default_rng(seed), []
    for volume in range(volumes):
        noise, anatomy = chance.standard_normal(2)
        for number in range(5):
            detail = anatomy + 0.3 * chance.standard_normal()
            rows.append(
                {
                    "volume": f"v{volume}",
                    "slice": number,
                    "acquisition": "AB"[volume % 2],
                    "snr": 40 * np.exp(-0.4 * noise),
                    "high_clean": 0.1 + 0.02 * detail,
                    "high": 0.1 + 0.02 * detail + 0.02 * noise,
                    "ssim": 0.8 - by_noise * noise - by_anatomy * detail + 0.01 * chance.standard_normal(),
                }
            )
    return pd.DataFrame(rows)


NOISE, ANATOMY = hard.PREDICTORS.values()


def said(table: pd.DataFrame, *key: str) -> str:
    return table.loc[key, "above zero"].rsplit(": ", 1)[1]


def value(table: pd.DataFrame, *key: str) -> float:
    return float(table.loc[key, "above zero"].split(" ")[0])


@pytest.mark.parametrize("which", ["all slices", "within acquisitions"])
def test_a_regression_tells_noise_from_anatomy(which):
    noisy, detailed = (hard.regression(planted(*each)) for each in ((0.05, 0.0), (0.0, 0.05)))
    assert said(noisy, NOISE, which) == "supported" and said(noisy, ANATOMY, which) != "contradicted"
    assert said(detailed, ANATOMY, which) == "contradicted" and said(detailed, NOISE, which) != "supported"
    assert value(noisy, NOISE, which) == pytest.approx(0.05, abs=0.015)
    assert value(detailed, ANATOMY, which) == pytest.approx(-0.05, abs=0.015)


def test_noise_alone_looks_like_high_frequencies_until_it_is_taken_out():
    found = hard.more_high_frequencies(planted(0.05, 0.0))
    assert said(found, "share of the energy", "all slices") == "supported"
    assert said(found, "the same, without the noise's", "all slices") != "supported"
    anatomy = hard.more_high_frequencies(planted(0.0, 0.05))
    assert said(anatomy, "the same, without the noise's", "all slices") == "supported"


def test_within_acquisitions_the_difference_is_what_was_planted():
    """All hard slices but a few are of one acquisition, of other frequencies; hard ones have .05 more in each."""
    chance, rows = np.random.default_rng(0), []
    for number in range(400):
        first = number % 2
        rank = (0.0 if first else 1.0) + 0.55 * chance.random() + 0.45 * (number % 40 < 2)
        rows.append({"acquisition": "AB"[first], "volume": f"v{number}", "slice": 0, "snr": 40.0, "ssim": rank})
    table = pd.DataFrame(rows)
    is_hard = hard.marked(table)["hard"].to_numpy()
    table["high"] = table["high_clean"] = 0.2 * (table["acquisition"] == "A") + 0.05 * is_hard
    found = hard.more_high_frequencies(table)
    assert value(found, "share of the energy", "within acquisitions") == pytest.approx(0.05, abs=1e-3)


def test_the_share_that_is_explained_is_that_which_was_planted():
    both = hard.explained(planted(0.03, 0.04))
    assert both["both"] > 0.9 and both[ANATOMY] > both[NOISE] > 0.1
    assert both["both"] == pytest.approx(both[NOISE] + both[ANATOMY], abs=0.15)


def test_a_tenth_is_hard_and_its_composition_adds_up():
    ranking = planted(0.05, 0.0)
    found = hard.composition(ranking)
    assert hard.marked(ranking)["hard"].sum() == 20
    assert found["share of all"].sum() == pytest.approx(1) and found["share of the hard"].sum() == pytest.approx(1)


def test_few_volumes_get_no_verdict():
    assert set(hard.regression(planted(0.05, 0.0, volumes=3))["above zero"].str.contains("no verdict, 3")) == {True}


def test_the_figure_of_hard_slices_marks_a_tenth():
    figure = figures.shifts.hardness(hard.marked(planted(0.05, 0.0)))
    assert "200 slices of 40 volumes" in figure.axes[1].get_title()


def test_scans_that_say_no_snr_have_a_figure_all_the_same():
    rows = hard.marked(planted(0.05, 0.0))
    assert len(figures.shifts.hardness(rows.assign(snr=np.nan)).axes) == 2
    assert len(figures.shifts.hardness(rows.assign(high_clean=rows["high_clean"].where(rows.index > 0, 0))).axes) == 3
