"""The noise level of a measurement: known noise is found, units and masks do not matter, and weights follow it."""

import pytest
import torch

from helpers import methods
from helpers.data.scanner import draw_volume
from helpers.experiments import evaluate
from helpers.mri import masks
from helpers.mri.fourier import ifft2c
from helpers.mri.noise import expected_rss, noise_level
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
