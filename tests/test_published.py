"""The published recipes do what the notebooks do: their masks' counts, their early stop, their missing sparsity."""

import pytest
import torch

from helpers import published
from helpers.data.scanner import draw_volume
from helpers.experiments import evaluate
from helpers.mri import masks
from helpers.mri.noise import scale
from helpers.mri.sense import Sense
from helpers.profiles import profile


@pytest.fixture(scope="module")
def measured():
    item = draw_volume("knee", 0, profile("smoke"), slices=1)[0]
    mask = evaluate.mask_of(item)
    return item.kspace * mask, mask


def test_a_mask_of_368_lines_measures_less_than_a_quarter():
    found = [masks.realized_acceleration(published.reconstruction.mask(368, seed)) for seed in range(50)]
    assert 4.3 < sum(found) / 50 < 4.6  # 4.45 by the study's own simulation
    assert not any(published.reconstruction.mask(368, seed)[:24].any() for seed in range(50))


def test_a_narrow_mask_is_what_it_says():
    """Of 320 lines none lies more than 160 from the center, so that nothing is dropped."""
    assert masks.realized_acceleration(published.reconstruction.mask(320, 0)) == pytest.approx(4, abs=0.031)


def test_the_same_seed_gives_the_same_mask():
    assert torch.equal(published.reconstruction.mask(368, 5), published.reconstruction.mask(368, 5))
    assert not torch.equal(published.reconstruction.mask(368, 5), published.reconstruction.mask(368, 6))


def test_without_its_penalty_it_is_gradient_descent_on_least_squares(measured):
    """k steps of length t from zero: x = t sum_j (I - t A^H A)^j A^H y, in closed form from the plain operator."""
    y, mask = measured
    unit = scale(y)
    A = Sense.estimated(y / unit, mask)
    x = torch.zeros_like(y[0])
    for _ in range(5):
        x = x + 0.2 * A.adjoint(y / unit - A.forward(x))
    found = published.reconstruction.l1(y, mask, lam=0, step=0.2, steps=5)
    assert torch.allclose(found, x.abs() * unit, atol=1e-5 * float(unit))


def test_the_penalty_is_that_of_the_low_pass_band(measured):
    """The sub-gradient of ||L x||_1 is its slope, by finite differences in double."""
    rows, columns = published.reconstruction.low_pass(40), published.reconstruction.low_pass(24)
    assert rows.shape[0] < 40 / 4  # three levels: the low-pass band alone
    generator = torch.Generator().manual_seed(0)
    x, d = (torch.randn(40, 24, generator=generator, dtype=torch.double) for _ in range(2))
    slope = (rows @ (x + 1e-6 * d) @ columns.T).abs().sum() - (rows @ (x - 1e-6 * d) @ columns.T).abs().sum()
    penalty = rows.T @ (rows @ x @ columns.T).sign() @ columns
    assert float(slope) / 2e-6 == pytest.approx(float((penalty * d).sum()), rel=1e-6)


def test_it_depends_on_units_no_more_than_ours(measured):
    y, mask = measured
    once, often = published.reconstruction.l1(y, mask, steps=20), published.reconstruction.l1(1e6 * y, mask, steps=20)
    assert torch.allclose(often, 1e6 * once, rtol=1e-3, atol=1e-3 * float(often.max()))
