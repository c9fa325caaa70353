"""Implicit gradients of l1 and TV: those of problems solved anew; the value of unrolling without its memory."""

import warnings
from functools import partial

import pytest
import torch
from made import coil_images

from helpers.methods import l1 as methods_l1
from helpers.methods import load
from helpers.methods import tv as methods_tv
from helpers.mri.fourier import fft2c
from helpers.mri.masks import random_mask
from helpers.mri.sense import Sense
from helpers.networks.memory import kept_bytes
from helpers.sparsity.implicit_gradients import TOLERANCE, attached, l1, tv
from helpers.sparsity.wavelet import Wavelet

LAM = 0.02


def made(rows: int, columns: int):
    """A small problem in double precision."""
    images = coil_images(4, rows, columns).to(torch.complex128)
    norm = images.abs().square().sum(0).sqrt()
    maps = torch.where(norm > 0, images / norm.clamp(min=1e-9), 0.5)
    sense = Sense(maps, random_mask(columns, 2, 0.25))
    noise = torch.randn(images.shape, dtype=images.dtype, generator=torch.Generator().manual_seed(0))
    return sense, sense.mask * fft2c(images + 0.02 * noise)


@pytest.fixture(scope="module")
def problem():
    return *made(32, 24), Wavelet((32, 24), "db2", 2)


def solved(sense, kspace, lam=LAM):
    with torch.no_grad():
        return methods_l1.solve(sense, kspace, lam, "db2", tol=1e-11, cap=20_000, levels=2).x


def loss_of(x):
    target = torch.linspace(0, 1, x.numel(), dtype=torch.float64).reshape(x.shape)
    return (x.abs() - target).square().sum()


def implicit(sense, kspace, transform, lam):
    return l1(sense, kspace, lam[..., None, None], solved(sense, kspace.detach(), lam.detach()), transform, 1e-10)


@pytest.mark.parametrize("seed", range(3))
def test_the_gradient_is_that_of_problems_solved_anew(problem, seed):
    sense, kspace, transform = problem
    y, lam = kspace.clone().requires_grad_(), torch.tensor(LAM, dtype=torch.float64).requires_grad_()
    slope_y, slope_lam = torch.autograd.grad(loss_of(implicit(sense, y, transform, lam)), (y, lam))
    direction = torch.randn(kspace.shape, dtype=kspace.dtype, generator=torch.Generator().manual_seed(seed))
    h = 1e-5
    ends = [loss_of(solved(sense, kspace + sign * h * direction)) for sign in (1, -1)]
    # the gap of 1e-11 leaves some 1e-6 of the image, over h; kinks of the support are rarer
    torch.testing.assert_close(
        (slope_y.conj() * direction).real.sum(), (ends[0] - ends[1]) / (2 * h), rtol=1e-3, atol=0
    )
    ends = [loss_of(solved(sense, kspace, LAM + sign * h)) for sign in (1, -1)]
    torch.testing.assert_close(slope_lam, (ends[0] - ends[1]) / (2 * h), rtol=1e-3, atol=0)


def test_the_value_is_the_solution_and_zeros_stay(problem):
    sense, kspace, transform = problem
    lam = torch.tensor(LAM, dtype=torch.float64)
    x = solved(sense, kspace)
    found = l1(sense, kspace.clone().requires_grad_(), lam[..., None, None], x, transform)
    assert torch.equal(found, x) and found.requires_grad
    assert not l1(sense, kspace, lam[..., None, None], x, transform).requires_grad
    assert torch.equal(attached(x, x, lambda g: g), x)


def test_of_a_batch_each_is_alone(problem):
    sense, kspace, transform = problem
    batch = torch.stack([kspace, 2 * kspace]).requires_grad_()
    lam = torch.tensor([LAM, LAM], dtype=torch.float64)
    (together,) = torch.autograd.grad(loss_sum(implicit(sense, batch, transform, lam)), batch)
    for number in range(2):
        one = batch[number].detach().requires_grad_()
        (alone,) = torch.autograd.grad(loss_of(implicit(sense, one, transform, lam[number])), one)
        torch.testing.assert_close(together[number], alone, rtol=0, atol=1e-4 * float(alone.abs().max()))


def loss_sum(images):
    return sum(loss_of(image) for image in images)


def test_the_gradient_of_tv_is_that_of_problems_solved_anew():
    sense, kspace = made(16, 12)

    def minimum(y, lam=LAM):
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # after 600 steps flat parts are flat to 1e-7; no gap will ever be zero
            return methods_tv.solve(sense, y, lam, tol=0, cap=600).x

    y, lam = kspace.clone().requires_grad_(), torch.tensor(LAM, dtype=torch.float64).requires_grad_()
    x = tv(sense, y, lam[..., None, None], minimum(kspace), flat=1e-5, tolerance=1e-9)
    slope_y, slope_lam = torch.autograd.grad(loss_of(x), (y, lam))
    direction = torch.randn(kspace.shape, dtype=kspace.dtype, generator=torch.Generator().manual_seed(1))
    h = 1e-5
    ends = [loss_of(minimum(kspace + sign * h * direction)) for sign in (1, -1)]
    torch.testing.assert_close(
        (slope_y.conj() * direction).real.sum(), (ends[0] - ends[1]) / (2 * h), rtol=1e-3, atol=0
    )
    ends = [loss_of(minimum(kspace, LAM + sign * h)) for sign in (1, -1)]
    torch.testing.assert_close(slope_lam, (ends[0] - ends[1]) / (2 * h), rtol=1e-3, atol=0)


@pytest.mark.parametrize(("tolerance", "error"), [(1e-6, 1e-3), (TOLERANCE, 0.1)])
def test_the_whole_method_agrees_with_unrolling_and_keeps_less(monkeypatch, tolerance, error):
    """Both differentiate the same function; they differ by how exactly the linear equation is solved.

    Unrolled iterations use compressed coils, which leave out a thousandth of the energy; here they use all.
    """
    monkeypatch.setattr(methods_l1, "minimizer", partial(l1, tolerance=tolerance))
    monkeypatch.setattr(Sense, "compressed", lambda self, share=None: self)
    images = coil_images(3, 48, 40)
    noise = torch.randn(images.shape, dtype=images.dtype, generator=torch.Generator().manual_seed(0))
    mask = random_mask(40, 2, 0.2)
    kspace = (fft2c(images + 0.05 * noise) * mask).to(torch.complex128)
    gradients, kept = [], []
    for options in ({"tol": 1e-9, "cap": 5000, "implicit": True}, {"tol": None, "cap": 400}):
        method = load("wavelet", lam=0.5, **options)
        y = kspace.clone().requires_grad_()
        gradients.append(torch.autograd.grad(method(y, mask).square().sum(), y)[0] * mask)
        kept.append(kept_bytes(lambda method=method, y=y: method(y, mask)))
    assert (gradients[0] - gradients[1]).norm() < error * gradients[1].norm()
    assert kept[0] < kept[1] / 20
