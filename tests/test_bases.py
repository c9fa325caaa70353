"""Every basis is orthonormal, the cosine transform is scipy's, and l1 in each is a method."""

import pytest
import torch
from scipy.fft import dctn
from torch.testing import assert_close

from helpers.data.scanner import draw_volume
from helpers.experiments import evaluate
from helpers.methods import l1
from helpers.mri.noise import scale
from helpers.mri.sense import Sense
from helpers.profiles import profile
from helpers.sparsity.bases import basis
from helpers.sparsity.proximal_gradient import weight


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, dtype=torch.complex128, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", ["dct", "fourier", "haar"])
@pytest.mark.parametrize("shape", [(12, 10), (15, 9)])
def test_every_basis_is_orthonormal(name, shape):
    found = basis(shape, name)
    image, coefficients = noise(3, *shape), noise(3, *shape, seed=1)
    assert_close(found.adjoint(found.forward(image)), image)
    products = (found.forward(image).conj() * coefficients).sum(), (image.conj() * found.adjoint(coefficients)).sum()
    assert_close(*products)


def test_the_cosine_transform_is_two_dimensional_and_that_of_scipy():
    """The published one acted on the columns and on real and imaginary part."""
    image = noise(12, 10)
    expected = dctn(image.real.numpy(), norm="ortho")
    assert_close(basis((12, 10), "dct").forward(image).real, torch.from_numpy(expected))


def test_each_minimum_is_the_lowest_in_its_own_basis():
    """Three bases are three problems: the image that minimizes one has a higher objective in each other."""
    item = draw_volume("knee", 0, profile("smoke"), slices=1)[0]
    mask = evaluate.mask_of(item)
    y = mask * item.kspace / scale(mask * item.kspace)[..., None]
    sense, lam = Sense.estimated(y, mask), weight(0.2, y, mask)
    images = {name: l1.solve(sense, y, lam, name, tol=1e-3).x for name in ("haar", "dct", "fourier")}
    for name in images:
        values = {other: float(l1.objective(sense, y, lam, x, name)) for other, x in images.items()}
        assert min(values, key=values.get) == name
        assert sorted(values.values())[1] > 1.01 * values[name], "far beyond the gap of 1e-3"
