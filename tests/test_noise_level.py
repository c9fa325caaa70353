"""The noise level of a measurement: known noise is found, units and masks do not matter, and weights follow it."""

import json

import pandas as pd
import pytest
import torch

from helpers import methods
from helpers.__main__ import main
from helpers.data.scanner import draw_volume
from helpers.experiments import evaluate, noise_levels
from helpers.experiments.noise_levels import Scan
from helpers.mri import masks
from helpers.mri.fourier import fft2c, ifft2c
from helpers.mri.noise import _squares, expected_rss, noise_level, recorded, recorded_share, variance
from helpers.mri.rss import rss
from helpers.profiles import profile
from helpers.sparsity.proximal_gradient import weight


def noise(*shape: int, deviation: float = 1.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return deviation * torch.view_as_complex(torch.randn(*shape, 2, generator=generator))


@pytest.mark.parametrize("kind", masks.KINDS)
def test_pure_noise(kind):
    mask = masks.mask(kind, (128, 72), 4, 0.08, 0)
    found = noise_level(noise(6, 128, 72, deviation=0.3) * mask, mask)
    assert float(found) == pytest.approx(0.3, rel=0.1)  # the median of some 700 moduli: 3 % standard error


def test_units_and_batches():
    mask = masks.random_mask(72)
    y = noise(2, 4, 128, 72) * mask
    y[1] *= 1e-7
    found = noise_level(y, mask)
    assert found.shape == (2,)
    assert torch.allclose(found, torch.stack([noise_level(each, mask) for each in y]))
    assert torch.allclose(noise_level(1e7 * y, mask), 1e7 * found)


def test_lines_that_the_scanner_left_at_zero_do_not_count():
    mask = masks.random_mask(72)
    y = noise(4, 128, 72) * mask
    expected = noise_level(y, mask)
    y[..., :8] = 0
    assert float(noise_level(y, mask)) == pytest.approx(float(expected), rel=0.1)


@pytest.mark.parametrize("unit", [1e-12, 1, 1e9])
def test_nor_do_they_after_a_transform_back_and_forth(unit):
    """It leaves rounding in them, which was taken for noise a million times too low."""
    item = next(item for seed in range(9) for item in draw_volume("knee", seed, profile("smoke"), 1) if _gaps(item))
    there = fft2c(ifft2c(unit * item.kspace))
    whole = torch.ones(there.shape[-1], dtype=torch.bool)
    assert (there[unit * item.kspace == 0] != 0).any()
    assert torch.equal(recorded(there), item.kspace != 0)
    assert float(noise_level(there, whole)) == pytest.approx(unit * float(noise_level(item.kspace, whole)), rel=1e-3)


def _gaps(item) -> bool:
    return bool((item.kspace == 0).all(-2).any())


def test_zeros_have_no_noise_and_still_a_weight():
    mask = masks.random_mask(72)
    zeros = torch.zeros(4, 128, 72, dtype=torch.complex64)
    assert noise_level(zeros, mask) == 0 and weight(0.1, zeros, mask) > 0


def test_drawn_slices_have_the_noise_that_was_drawn():
    """The level times the SNR is the signal: the same for one subject at any SNR, where noise outweighs edges."""
    signals = []
    for snr in (10, 20, 40):
        item = draw_volume("knee", 0, profile("smoke"), slices=1, snr=snr)[0]
        mask = evaluate.mask_of(item)
        signals.append(float(noise_level(item.kspace * mask, mask)) * snr / float(item.target.quantile(0.9)))
    assert max(signals) / min(signals) < 1.3


def test_no_gradient_passes():
    """That of a median lies in one entry; beside it, nothing else of a method's gradient would be seen."""
    item = draw_volume("knee", 0, profile("smoke"), slices=1)[0]
    mask = evaluate.mask_of(item)
    y = (item.kspace * mask).requires_grad_()
    assert not noise_level(y, mask).requires_grad
    (gradient,) = torch.autograd.grad(methods.load("varnet-knee")(y, mask).square().sum(), y)
    power = gradient.abs().square().flatten().sort(descending=True).values
    assert power[: len(power) // 100].sum() < 0.9 * power.sum()  # 99.5 % with the gradient of the median


def test_the_expected_reference_is_that_of_noise_alone():
    """Where nothing is, the RSS of noise of C coils has a mean square of 2 C sigma^2."""
    mask = masks.random_mask(72, 1)
    y = noise(6, 128, 72, deviation=0.3)
    expected = expected_rss(torch.zeros(128, 72, dtype=torch.complex64), y, mask)
    assert float(expected.square().mean()) == pytest.approx(float(rss(ifft2c(y)).square().mean()), rel=0.05)


def test_the_expected_reference_of_a_silent_measurement_is_the_image():
    mask = masks.random_mask(72)
    image = noise(128, 72)
    assert torch.allclose(expected_rss(image, torch.zeros(4, 128, 72, dtype=torch.complex64), mask), image.abs())


@pytest.fixture(scope="module")
def grid():
    """Every source, sharp or not, oversampled or not, with 4, 8 and 15 coils, under every mask and at every SNR."""
    scans = [scan for scan in noise_levels.scans(0) if scan.subject < 3]
    return pd.DataFrame(row for scan in scans for row in noise_levels.rows(scan, profile("laptop")))


@pytest.mark.slow
def test_lines_find_the_noise_of_every_drawn_scan(grid):
    """What is asked for: within 10 % in the middle, 20 % at worst; a sharp scan of 4 coils at SNR 250 has 1.23."""
    found = grid[grid["mask"] != "poisson"]["ratio"]
    assert found.median() == pytest.approx(1, abs=0.1) and found.between(0.8, 1.2).mean() > 0.99
    assert found.min() > 0.8 and found.max() < 1.25


@pytest.mark.slow
def test_points_find_the_noise_where_coils_are_many(grid):
    """Points have no neighbors far out: single ones are left, whose signal may fill all dimensions that coils have."""
    found = grid[(grid["mask"] == "poisson") & (grid["coils"] > 4)]
    assert found["ratio"].median() == pytest.approx(1, abs=0.1) and found["ratio"].min() > 0.8
    assert found[found["coils"] == 15]["ratio"].max() < 1.3
    assert found[(found["snr"] < 100) & (found["kept"] == 1)]["ratio"].max() < 1.25


@pytest.mark.parametrize("kept, snr", [(0.4, 150), (0.6, 150), (0.4, 60)])
def test_a_sharp_scan_of_few_coils_is_not_full_of_noise(kept, snr):
    """A brain whose image reaches the edge of k-space, where noise was once looked for: 3.3, 1.6 and 1.7 times."""
    clean, noise = noise_levels.parts(Scan("brain", 3, 4, False, kept), profile("paper"))
    for kind in ("random", "equispaced"):
        mask = masks.mask(kind, tuple(clean.shape[-2:]), 4, 0.08, 0)
        found = noise_level((clean + noise / snr) * mask, mask)
        assert float(found) * snr == pytest.approx(noise_levels.truth(noise), rel=0.15)


def test_larger_squares_see_through_signal_and_single_points_do_not():
    """Which estimate is the least: single points where there is nothing but noise, squares where signal is all over."""
    clean, noise_at_1 = noise_levels.parts(Scan("brain", 0, 4, False, 0.4), profile("laptop"))
    mask = masks.random_mask(clean.shape[-1])

    def found(y, side):
        patches = _squares(y, mask.expand(y.shape[-2:]), side)
        return float(variance(patches).sqrt()) / noise_levels.truth(noise_at_1)

    sharp = (250 * clean + noise_at_1) * mask
    assert found(sharp, 1) > 2 * found(sharp, 3) and found(sharp, 3) < 1.35
    assert found(noise_at_1 * mask, 1) == pytest.approx(1, rel=0.1)


@pytest.mark.parametrize("kind", masks.KINDS)
@pytest.mark.parametrize("coils", [1, 2, 4, 8, 15, 32])
def test_any_number_of_coils(kind, coils):
    mask = masks.mask(kind, (128, 72), 4, 0.08, 0)
    found = noise_level(noise(coils, 128, 72, deviation=0.3) * mask, mask)
    assert float(found) == pytest.approx(0.3, rel=0.1)


@pytest.mark.parametrize("kind", masks.KINDS)
def test_correlated_coils_have_the_noise_of_their_mean(kind):
    """The reference is lifted by the sum over the coils of their variances, whatever their covariance is."""
    mixing = torch.eye(8) + 0.12 * torch.randn(8, 8, generator=torch.Generator().manual_seed(1))
    y = torch.einsum("ij,jyx->iyx", mixing + 0j, noise(8, 128, 72))
    mask = masks.mask(kind, (128, 72), 4, 0.08, 0)
    truth = float((mixing.square().sum() / 8).sqrt())
    assert float(noise_level(y * mask, mask)) == pytest.approx(truth, rel=0.1)


@pytest.mark.parametrize("kind", masks.KINDS)
def test_zeros_around_a_kspace_have_no_floor(kind):
    y = torch.zeros(4, 256, 144, dtype=torch.complex64)
    y[:, 64:-64, 36:-36] = noise(4, 128, 72)
    mask = masks.mask(kind, (256, 144), 4, 0.08, 0)
    assert float(recorded_share(mask * y, mask)) == pytest.approx(0.25, rel=0.02)
    floor = expected_rss(torch.zeros(256, 144, dtype=y.dtype), mask * y, mask)
    assert float(floor.square().mean()) == pytest.approx(float(rss(ifft2c(y)).square().mean()), rel=0.2)
    whole = noise(4, 128, 72) * masks.random_mask(72)
    assert float(recorded_share(whole, masks.random_mask(72))) == 1


def test_a_coil_that_is_switched_off_counts_as_one_without_noise():
    mask = masks.random_mask(72)
    y = noise(8, 128, 72) * mask
    y[3] = 0
    assert float(noise_level(y, mask)) == pytest.approx((7 / 8) ** 0.5, rel=0.1)


def test_rows_that_were_filled_with_zeros_do_not_count():
    """Zero-filling interpolation and partial echoes leave rows at zero, and an elliptic shutter leaves corners."""
    mask = masks.random_mask(72)
    y = noise(4, 128, 72) * mask
    y[:, :40] = 0
    y[:, 120:, 60:] = 0
    assert float(noise_level(y, mask)) == pytest.approx(1, rel=0.1)


@pytest.mark.parametrize("shape", [(8, 8), (9, 11), (320, 8)])
@pytest.mark.parametrize("coils", [1, 3, 16])
def test_small_scans_and_whole_ones(shape, coils):
    """All measured, or a single line or entry: there is a level, and it is that of the noise where it can be known."""
    y = noise(coils, *shape)
    assert float(noise_level(y, torch.ones(shape[1], dtype=torch.bool))) == pytest.approx(1, rel=0.25)
    line = torch.arange(shape[1]) == shape[1] // 2
    assert 0.5 < float(noise_level(y * line, line)) < 1.5
    entry = torch.zeros(shape, dtype=torch.bool)
    entry[0, 0] = True
    assert torch.isfinite(noise_level(y * entry, entry))


@pytest.mark.parametrize("unit", [1e-12, 1e9])
def test_units_do_not_matter(unit):
    mask = masks.random_mask(72)
    y = noise(4, 128, 72) * mask
    assert float(noise_level(unit * y, mask)) == pytest.approx(unit * float(noise_level(y, mask)), rel=1e-5)
    assert noise_level(unit * y, mask).dtype == torch.float32


def test_the_study_says_what_is_off_and_goes_on(tmp_path, monkeypatch, capsys):
    some = noise_levels.scans(0)[:4]
    monkeypatch.setattr(noise_levels, "scans", lambda first: some[:3])
    command = ["noise", "--profile", "smoke", "--table", str(tmp_path / "noise.csv"), "--json"]
    assert main(command) == 0
    capsys.readouterr()
    monkeypatch.setattr(noise_levels, "scans", lambda first: some)
    assert main(command) == 0
    (first, *_) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert first["scans"] == "all" and first["n"] == 4 * 15 and first["least"] <= first["median"] <= first["largest"]
