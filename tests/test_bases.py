"""Every basis is orthonormal, the cosine transform is scipy's, and l1 in each is a method."""

import pytest
import torch
from scipy.fft import dctn
from torch.testing import assert_close

from helpers import methods, study
from helpers.bases import basis
from helpers.data.scanner import draw_volume
from helpers.profiles import profile


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


def test_what_is_local_is_sparser_than_what_is_not():
    """Cosines and k-space spread every edge over all coefficients; a wavelet does not."""
    item = draw_volume("knee", 0, profile("smoke"), slices=1)[0]
    mask = study.mask_of(item)
    ssim = {
        name: study.measure(name, methods.load(name, source="knee"), item, mask)["ssim"]
        for name in ("l1-haar", "l1-dct", "l1-fourier")
    }
    assert ssim["l1-haar"] > max(ssim["l1-dct"], ssim["l1-fourier"]) + 0.02
