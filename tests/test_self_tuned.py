"""Lambda from one measurement: held-out lines have a minimum where fitted lines have none, and it is a good one."""

import pandas as pd
import pytest
import torch

from helpers.data.scanner import draw_volume
from helpers.experiments import evaluate
from helpers.methods import load, self_tuned
from helpers.mri import metrics
from helpers.profiles import profile

GRID = (0.01, 0.2, 20.0)


@pytest.fixture(scope="module")
def measured():
    item = draw_volume("brain", 0, profile("smoke"), slices=1, split="train", snr=40)[0]
    mask = evaluate.mask_of(item)
    return item, item.kspace * mask, mask


@pytest.mark.parametrize("name", ["wavelet", "tv"])
def test_fitted_lines_ask_for_no_prior_and_held_out_lines_for_some(measured, name):
    _, kspace, mask = measured
    found = self_tuned.losses(name, kspace, mask, GRID, folds=2).groupby("lam").mean()
    assert found["loss"].idxmin() == GRID[0] and found["held_loss"].idxmin() == GRID[1]
    assert self_tuned.chosen(name, kspace, mask, GRID, folds=2) == GRID[1]


@pytest.mark.parametrize("name", ["wavelet", "tv"])
def test_it_is_a_method_close_to_the_one_that_was_tuned_on_references(measured, name):
    item, kspace, mask = measured
    image = getattr(self_tuned, name)(kspace, mask)
    assert torch.equal(image, getattr(self_tuned, name)(kspace, mask))
    scores = [
        metrics.scores(evaluate.reconstruct(method, item, mask), item.target)["ssim"]
        for method in (getattr(self_tuned, name), load(name, source="brain"))
    ]
    assert scores[0] > scores[1] - 0.02  # +.01 and -.01 were seen


def test_units_do_not_matter(measured):
    _, kspace, mask = measured
    found, scaled = (self_tuned.losses("wavelet", unit * kspace, mask, GRID, folds=1) for unit in (1, 1e6))
    pd.testing.assert_frame_equal(found, scaled, rtol=0.02, atol=0)  # solved to a gap of .01
