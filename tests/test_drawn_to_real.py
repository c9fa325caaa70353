"""The step from drawn slices to real ones: what one scan carries, and what several do."""

import warnings

import numpy as np
import pandas as pd
import pytest

from helpers import figures
from helpers.experiments.live import measured_live
from helpers.findings import drawn_to_real, shipped


def planted(scores: dict[str, float], volumes: int, seeds: int, spread: float) -> pd.DataFrame:
    chance = np.random.default_rng(0)
    return pd.DataFrame(
        {"method": name, "volume": f"v{v}", "slice": 0, "seed": k, "ssim": mean + spread * chance.standard_normal()}
        for name, mean in scores.items()
        for v in range(volumes)
        for k in range(seeds)
    )


DRAWN = planted({"tv": 0.8, "unet-knee": 0.9, "drawn alone": 0.5}, 12, 1, 0.01)


def test_one_scan_has_a_range_over_masks_and_several_an_interval():
    one, many = (planted({"tv": 0.7, "unet-knee": 0.75}, volumes, 5, 0.02) for volumes in (1, 8))
    for real in (one, many):
        found = drawn_to_real.both(DRAWN, real)
        assert list(found.index) == ["unet-knee", "tv"], "best on drawn slices first, and those of both tables"
        assert found.loc["tv", "drawn"] == pytest.approx(0.8, abs=0.01)
        assert len(figures.shifts.drawn_to_real(found).axes) == 1
    rows = one[one["method"] == "tv"]["ssim"]
    found = drawn_to_real.both(DRAWN, one).loc["tv"]
    assert (found["real_low"], found["real_high"], found["volumes"]) == (rows.min(), rows.max(), 1)
    found = drawn_to_real.both(DRAWN, many).loc["tv"]
    assert found["volumes"] == 8 and found["real_low"] < 0.7 < found["real_high"]


def test_methods_that_are_close_change_places_from_mask_to_mask():
    real = planted({"a": 0.700, "b": 0.702, "c": 0.9}, 1, 20, 0.01)
    found = drawn_to_real.orders(real)
    assert found["pairs"].sum() == 3
    assert found.loc["above .05"].tolist() == [2, 2] and found.iloc[0].tolist() == [1, 0]
    luck = planted({"a": 0.700, "b": 0.730}, 20, 5, 0.05)  # of single scans, not of masks
    assert drawn_to_real.orders(luck)[["pairs", "same order under every mask"]].sum().tolist() == [1, 1]


def test_what_a_chapter_measures_says_so_and_counts_its_warnings():
    def rows(number):
        if number == 2:
            warnings.warn("stopped by its cap", stacklevel=1)
        yield {"number": number}

    table = measured_live(rows, [(1,), (2,), (3,)], "numbers")
    assert table["warned"].tolist() == ["", "stopped by its cap", ""]
    assert "1 of 3 reconstructions came with a warning, such as: stopped by its cap." in shipped.whence(table, "real")
    assert shipped.whence(table.iloc[:1], "real") == "Measured here and now."
    assert "made by `python -m helpers evaluate" in shipped.whence(pd.DataFrame(), "real")
