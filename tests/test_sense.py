"""SENSE solves its normal equations, as a dense solver and sigpy do, and gradients go through it."""

import pytest
import torch
from made import coil_images

from helpers.methods import sense, sigpy_reference
from helpers.mri.coils import espirit
from helpers.mri.conjugate_gradients import conjugate_gradients
from helpers.mri.fourier import fft2c, ifft2c
from helpers.mri.masks import random_mask
from helpers.mri.noise import expected_rss, scale
from helpers.mri.rss import rss
from helpers.mri.sense import Sense


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, dtype=torch.complex128, generator=torch.Generator().manual_seed(seed))


def positive(size: int) -> torch.Tensor:
    square = noise(size, size)
    return square @ square.mH / size + 0.1 * torch.eye(size)


def on_images(matrix: torch.Tensor):
    """A matrix as an operator on (..., y, x), rows of the image in one piece."""
    return lambda x: (matrix @ x.flatten(-2)[..., None]).reshape(x.shape)


def test_conjugate_gradients_solve():
    matrix, right = positive(20), noise(3, 4, 5, seed=1)
    expected = torch.linalg.solve(matrix, right.flatten(1).T).T.reshape(3, 4, 5)
    torch.testing.assert_close(conjugate_gradients(on_images(matrix), right, 1e-12), expected)


@pytest.mark.parametrize("tolerance", [1e-1, 1e-3])
def test_the_stated_residual_is_reached_and_not_more(tolerance):
    matrix, right = positive(60), noise(6, 10, seed=1)
    x = conjugate_gradients(on_images(matrix), right, tolerance)
    residual = (right - on_images(matrix)(x)).norm() / right.norm()
    # steps of this matrix shrink the residual by less than a factor of 10 each
    assert tolerance / 10 < residual <= 1.001 * tolerance


def test_what_is_done_rests():
    matrix = positive(20)
    right = torch.stack((noise(4, 5), 1e-8 * noise(4, 5, seed=2), torch.zeros(4, 5)))
    together = conjugate_gradients(on_images(matrix), right, 1e-3)
    for item, alone in zip(right, together, strict=True):
        # the sums of a batch are rounded otherwise
        torch.testing.assert_close(conjugate_gradients(on_images(matrix), item, 1e-3), alone, rtol=1e-8, atol=0)


def test_what_rests_does_not_grow_while_others_go_on():
    """Of a measurement in the units of its file, whose squares are large."""
    scales = torch.stack((torch.linspace(0.5, 1, 20), torch.linspace(0.03, 1.03, 20))).reshape(2, 4, 5)
    right = 1e6 * torch.stack((noise(4, 5), noise(4, 5, seed=2))).to(torch.complex64)
    found = conjugate_gradients(lambda x: scales * x, right, 1e-4)
    assert (scales * found - right).norm() <= 1e-3 * right.norm()  # single precision


def test_gradients_of_the_solver():
    root = noise(4, 4).requires_grad_()
    right = noise(2, 2, seed=1).requires_grad_()

    def solve(root, right):
        return conjugate_gradients(on_images(root @ root.mH + torch.eye(4)), right, 1e-10)

    # the derivative of converged iterations, exact as far as the steps have converged
    assert torch.autograd.gradcheck(solve, (root, right), atol=1e-6)


def scan(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    mask = random_mask(32, 2, 0.25, seed=3)
    return mask * (fft2c(coil_images(4, 24, 32).to(torch.complex128)) + 1e-3 * noise(4, 24, 32, seed=seed)), mask


def test_it_solves_its_problem():
    kspace, mask = scan()
    image = sense.reconstruct(kspace, mask, mu=0.05, tolerance=1e-10)
    unit = scale(kspace)
    model = Sense.estimated(kspace, mask)
    columns = torch.eye(24 * 32, dtype=torch.complex128).reshape(-1, 24, 32)
    normal = model.adjoint(model.forward(columns)).reshape(24 * 32, -1).T + 0.05 * torch.eye(24 * 32)
    x = torch.linalg.solve(normal, model.adjoint(kspace / unit[..., None]).flatten()).reshape(24, 32)
    torch.testing.assert_close(image, expected_rss(x, kspace / unit[..., None], mask) * unit)


def test_as_sigpy():
    kspace, mask = scan()
    ours = sense.reconstruct(kspace, mask, tolerance=1e-8)
    torch.testing.assert_close(ours, sigpy_reference.sense(kspace, mask, iterations=200), rtol=1e-5, atol=1e-6)


def test_magnitude_is_that_of_the_coil_images():
    kspace = fft2c(coil_images(4, 24, 32))
    everything = torch.ones(32, dtype=torch.bool)
    image, target = sense.reconstruct(kspace, everything, mu=0), rss(ifft2c(kspace))
    # combining by maps drops what is orthogonal to them: half a percent of the magnitude here
    torch.testing.assert_close(image[target > 0.1], target[target > 0.1], rtol=5e-3, atol=0)


def test_gradients_reach_the_measurement():
    kspace, mask = scan()
    direction = mask * noise(4, 24, 32, seed=5)
    maps = espirit(kspace, mask)
    weights = noise(24, 32, seed=6).real

    def score(y):
        model = Sense(maps, mask)
        right = model.adjoint(y)
        return (conjugate_gradients(lambda x: model.gram(x) + 0.01 * x, right, 1e-12).abs() * weights).sum()

    y = kspace.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(score(y), y)
    step = 1e-6
    measured = (score(kspace + step * direction) - score(kspace - step * direction)) / (2 * step)
    # central differences in double: their error is of the order of the step
    assert (gradient.conj() * direction).sum().real.item() == pytest.approx(measured.item(), rel=1e-5)


def test_the_method_has_a_gradient():
    kspace, mask = scan()
    y = kspace.clone().requires_grad_()
    image = sense.reconstruct(y, mask)
    (gradient,) = torch.autograd.grad(image.square().sum(), y)
    assert torch.isfinite(torch.view_as_real(gradient)).all() and gradient.norm() > 0
    # homogeneous of degree 1 in its data, its squares of degree 2 (Euler); maps do not change when y is scaled
    along = (gradient.conj() * kspace).sum().real.item()
    assert along == pytest.approx(2 * image.square().sum().item(), rel=1e-6)
