"""W is orthonormal for every size and wavelet, pywt's where pywt has one, and its gradient is itself."""

import numpy as np
import pytest
import pywt
import torch

from helpers.errors import BadInput
from helpers.sparsity.wavelet import Wavelet

SHAPES = [(160, 160), (230, 180), (640, 372), (45, 38), (101, 64), (7, 9), (2, 3)]


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, dtype=torch.complex128, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", ["haar", "db2", "db4"])
@pytest.mark.parametrize("levels", [None, 1, 2])
def test_orthonormal(shape, name, levels):
    if levels == 2 and min(shape) < 3:
        pytest.skip("too small")
    wavelet = Wavelet(shape, name, levels)
    x, c = noise(*shape), noise(*shape, seed=1)
    # rounding of sums over few taps and levels
    torch.testing.assert_close(wavelet.adjoint(wavelet.forward(x)), x, rtol=0, atol=1e-12)
    torch.testing.assert_close(wavelet.forward(wavelet.adjoint(c)), c, rtol=0, atol=1e-12)
    products = [
        torch.vdot(c.flatten(), wavelet.forward(x).flatten()),
        torch.vdot(wavelet.adjoint(c).flatten(), x.flatten()),
    ]
    torch.testing.assert_close(*products, rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", ["haar", "db2", "db3", "db4", "sym8", "coif2"])
@pytest.mark.parametrize("shape", [(160, 96), (256, 320), (64, 32)])
def test_pywt_agrees_on_even_sizes(name, shape):
    x = noise(2, *shape)
    for levels in (1, 2):
        theirs = pywt.wavedec2(x.numpy(), name, "periodization", levels, axes=(-2, -1))
        theirs = pywt.coeffs_to_array(theirs, axes=(-2, -1))[0]
        np.testing.assert_allclose(Wavelet(shape, name, levels).forward(x).numpy(), theirs, atol=1e-12)


def test_an_odd_sample_passes_to_the_low_band():
    x = noise(1, 101)
    wavelet = Wavelet((2, 101), "db4", 1)
    rows = x.expand(2, 101)
    c = wavelet.forward(rows)
    torch.testing.assert_close(c[0, 50], 2**0.5 * x[0, 100])  # two equal rows: the low band of y holds sqrt 2 of them
    even = Wavelet((2, 100), "db4", 1).forward(rows[:, :100])
    torch.testing.assert_close(torch.cat([c[:, :50], c[:, 51:]], 1), even)


def test_any_type_and_batch():
    wavelet = Wavelet((45, 130))
    x = noise(2, 3, 45, 130)
    c = wavelet.forward(x)
    torch.testing.assert_close(wavelet.forward(x[1, 2]), c[1, 2])
    torch.testing.assert_close(wavelet.forward(x.real), c.real)
    assert wavelet.forward(x.to(torch.complex64)).dtype == torch.complex64
    # float32 rounds to 6e-8, over 4 x 8 taps and levels
    torch.testing.assert_close(wavelet.forward(x.to(torch.complex64)).to(c), c, rtol=0, atol=2e-5)
    assert x.mT.shape == Wavelet((130, 45)).forward(x.mT).shape  # strides do not matter


def test_levels():
    shapes = ((160, 160), (320, 320), (640, 372), (45, 38), (20, 20))
    assert [Wavelet(shape).levels for shape in shapes] == [4, 5, 5, 2, 1]
    assert Wavelet((160, 160), levels=0).forward(torch.ones(160, 160)).equal(torch.ones(160, 160))


def test_gradients_are_finite_differences():
    wavelet = Wavelet((7, 10), "db2", 2)
    x = noise(7, 10).requires_grad_()
    assert torch.autograd.gradcheck(wavelet.forward, x, check_forward_ad=True)
    assert torch.autograd.gradcheck(wavelet.adjoint, x, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(lambda u: wavelet.forward(u).abs().square(), x)


def test_padding_with_zeros_makes_no_orthonormal_transform():
    """The trap: mode "zero" has more coefficients than pixels, so that W^H soft(W x) is no proximal step."""
    c, slices = pywt.coeffs_to_array(pywt.wavedec2(np.zeros((64, 64)), "db4", "zero", 2))
    assert c.size > 64 * 64
    c = noise(*c.shape).numpy()
    x = pywt.waverec2(pywt.array_to_coeffs(c, slices, "wavedec2"), "db4", "zero")
    again = pywt.coeffs_to_array(pywt.wavedec2(x, "db4", "zero", 2))[0]
    assert np.linalg.norm(again - c) > 0.1 * np.linalg.norm(c)  # W W^H is not the identity


@pytest.mark.parametrize("name", ["bior2.2", "no such wavelet", "gaus1"])
def test_only_orthogonal_wavelets(name):
    with pytest.raises(BadInput, match="orthogonal"):
        Wavelet((64, 64), name)


def test_too_many_levels_and_another_size():
    with pytest.raises(BadInput, match="levels"):
        Wavelet((8, 8), "haar", 4)
    with pytest.raises(BadInput, match="given an image"):
        Wavelet((64, 64)).forward(torch.ones(32, 32))
