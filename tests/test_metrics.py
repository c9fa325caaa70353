"""Metrics: closed forms, fastMRI's own definitions, and the traps."""

import numpy as np
import pytest
import torch
from fastmri import evaluate
from scipy import ndimage

from helpers.mri import metrics


@pytest.fixture
def pair():
    rng = np.random.default_rng(0)
    y, x = np.mgrid[-32:32, -32:32]
    target = ((x**2 + 1.5 * y**2) < 24**2) * (1.0 + 0.3 * ndimage.gaussian_filter(rng.standard_normal((64, 64)), 2))
    return target + 0.05 * rng.standard_normal((64, 64)), target + 0.01


def test_agrees_with_fastmri(pair):
    image, target = pair
    peak = target.max()
    assert metrics.ssim(image, target, peak) == pytest.approx(evaluate.ssim(target[None], image[None], peak), abs=1e-12)
    assert metrics.psnr(image, target, peak) == pytest.approx(evaluate.psnr(target[None], image[None], peak), abs=1e-10)
    assert metrics.nmse(image, target) == pytest.approx(evaluate.nmse(target[None], image[None]), abs=1e-12)


def test_a_perfect_image(pair):
    target = torch.as_tensor(pair[1])
    scores = metrics.scores(target, target)
    assert scores["ssim"] == scores["ssim_object"] == 1
    assert scores["nmse"] == scores["nmse_object"] == 0
    assert scores["psnr"] == np.inf


def test_psnr_of_a_constant_error(pair):
    target = pair[1]
    assert metrics.psnr(target + 0.1, target, 1.0) == pytest.approx(20, abs=1e-9)


def test_scores_have_no_units(pair):
    image, target = map(torch.as_tensor, pair)
    small, large = metrics.scores(image, target), metrics.scores(1e7 * image, 1e7 * target)
    assert small == pytest.approx(large, rel=1e-9)


def test_the_object_is_the_drawn_one(pair):
    y, x = np.mgrid[-32:32, -32:32]
    drawn = (x**2 + 1.5 * y**2) < 24**2
    found = metrics.object_mask(pair[1])
    assert (found & drawn).sum() / (found | drawn).sum() > 0.9  # smoothing moves the edge by about a pixel


def test_the_object_is_found_above_a_noise_floor(pair):
    rng = np.random.default_rng(1)
    noisy = np.sqrt(
        (pair[1] + 0.1 * rng.standard_normal((64, 64))) ** 2 + sum(0.01 * rng.standard_normal((15, 64, 64)) ** 2)
    )
    y, x = np.mgrid[-32:32, -32:32]
    drawn, found = (x**2 + 1.5 * y**2) < 24**2, metrics.object_mask(noisy)
    assert (found & drawn).sum() / (found | drawn).sum() > 0.85  # an SNR of about 10


def test_black_background_does_not_raise_the_score_inside(pair):
    target = pair[1]
    noisy = target + 0.03 * np.random.default_rng(2).standard_normal(target.shape)
    inside = metrics.object_mask(target)
    whole, inner = (
        metrics.scores(torch.as_tensor(np.where(inside, noisy, target.min())), torch.as_tensor(target)),
        metrics.scores(torch.as_tensor(noisy), torch.as_tensor(target)),
    )
    assert whole["ssim"] > inner["ssim"] + 0.1
    assert whole["nmse_object"] == pytest.approx(inner["nmse_object"], rel=1e-12)


def test_a_hot_pixel_lowers_the_score(pair):
    image, target = pair
    hot = image.copy()
    hot[0, 0] = 1000 * target.max()
    assert metrics.ssim(hot, target, target.max()) < metrics.ssim(image, target, target.max())
    # the trap: the range of the prediction makes every error small
    assert metrics.ssim(hot, target, hot.max() - hot.min()) > metrics.ssim(image, target, target.max())


def test_matching_hides_contrast(pair):
    target = torch.as_tensor(pair[1])
    assert metrics.scores(0.5 * target + 3, target)["ssim_matched"] == pytest.approx(1, abs=1e-9)
    assert metrics.scores(0.5 * target + 3, target)["ssim"] < 0.5


def test_the_range_of_the_volume_is_fastmris_and_has_its_own_column(pair):
    """fastMRI scores a volume at a time with the largest of its targets; the mean over its slices is the same."""
    image, target = pair
    images, targets = np.stack([image, 0.2 * image]), np.stack([target, 0.2 * target])
    rows = [metrics.scores(torch.as_tensor(i), torch.as_tensor(t), targets.max()) for i, t in zip(images, targets)]
    assert np.mean([row["ssim_volume"] for row in rows]) == pytest.approx(evaluate.ssim(targets, images), abs=1e-12)
    assert rows[0]["ssim_volume"] == rows[0]["ssim"] and rows[1]["psnr_volume"] > rows[1]["psnr"] + 10
    assert "ssim_volume" not in metrics.scores(torch.as_tensor(image), torch.as_tensor(target))


def test_an_object_at_the_border_has_a_score():
    target = torch.full((32, 32), 1e-6)
    target[:2] = 1
    assert all(np.isfinite(each) for each in metrics.scores(1.1 * target, target).values())
