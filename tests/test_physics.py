"""A and A^H are adjoint, the fast Gram operator is the plain one, its bound holds, and its gradients are right."""

import pytest
import torch
from sigpy.mri.linop import Sense as SigpySense

from helpers.mri.fourier import center_crop, crop_readout
from helpers.mri.noise import scale
from helpers.mri.rss import rss
from helpers.mri.sense import Sense

SHAPES = [(3, 8, 10), (1, 7, 9), (2, 5, 1), (4, 1, 6)]


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, dtype=torch.complex128, generator=torch.Generator().manual_seed(seed))


def masks(ny: int, nx: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(2)
    return [torch.rand(shape, generator=generator) < 0.5 for shape in ((nx,), (ny, nx))]


def vdot(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return torch.vdot(a.flatten(), b.flatten())


@pytest.mark.parametrize("shape", SHAPES)
def test_adjoint(shape):
    for mask in masks(*shape[1:]):
        sense = Sense(noise(2, *shape), mask)
        x, y = noise(2, *shape[1:], seed=3), noise(2, *shape, seed=4)
        torch.testing.assert_close(vdot(sense.forward(x), y), vdot(x, sense.adjoint(y)))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("cache", [1, 40, 2**16])  # one row at a time, a few with a shorter rest, all at once
def test_the_fast_gram_is_the_plain_one(shape, cache, monkeypatch):
    monkeypatch.setattr("helpers.mri.sense.CACHE", cache)
    for mask in masks(*shape[1:]):
        sense = Sense(noise(2, *shape), mask)
        x = noise(2, *shape[1:], seed=3)
        torch.testing.assert_close(sense.gram(x), sense.adjoint(sense.forward(x)))


def test_cropping_the_readout_is_exact_for_the_rows_that_stay():
    """Rows do not mix under a mask along kx; a penalty that reaches across rows then ends at the crop."""
    mask = masks(8, 10)[0]
    maps, kspace, x = noise(3, 8, 10), noise(3, 8, 10, seed=1), noise(8, 10, seed=2)
    whole, cropped = Sense(maps, mask), Sense(center_crop(maps, (5, 10)), mask)
    torch.testing.assert_close(cropped.gram(center_crop(x, (5, 10))), center_crop(whole.gram(x), (5, 10)))
    right = cropped.adjoint(crop_readout(mask * kspace, 5))
    torch.testing.assert_close(right, center_crop(whole.adjoint(kspace), (5, 10)))


@pytest.mark.parametrize("share", [0, 0.1, 0.4])
def test_compressed_coils_leave_out_no_more_than_allowed(share):
    """What is left out of A^H A is A^H A of maps with at most that share of the energy, so its norm is bounded."""
    maps = noise(2, 5, 6, 8) * torch.tensor([3, 2, 1, 0.5, 0.1])[:, None, None]
    sense = Sense(maps, masks(6, 8)[0])
    quick = sense.compressed(share)
    energy = [each.maps.abs().square().sum((-3, -2, -1)) for each in (sense, quick)]
    assert (energy[1] >= (1 - share) * energy[0] * (1 - 1e-12)).all()
    assert (quick.maps.shape[1] < 5) == (share > 0)
    x = noise(2, 6, 8, seed=1)
    left_out = Sense(maps, sense.mask).gram(x) - quick.gram(x)
    assert (vdot(x, left_out).real >= -1e-9) and vdot(x, left_out).abs() <= vdot(x, sense.gram(x)).abs()
    if share == 0:
        torch.testing.assert_close(quick.gram(x), sense.gram(x))


def test_coils_that_say_the_same_are_one_and_points_are_left_alone():
    maps = noise(1, 6, 8) * noise(4, 1, 1, seed=1)
    columns, points = masks(6, 8)
    quick = Sense(maps, columns).compressed(1e-12)
    assert quick.maps.shape[0] == 1
    x = noise(6, 8, seed=2)
    torch.testing.assert_close(quick.gram(x), Sense(maps, columns).gram(x))
    assert Sense(maps, points).compressed(0.5).maps is maps


def test_one_image_under_many_maps():
    sense, x = Sense(noise(3, 2, 6, 8), masks(6, 8)[0]), noise(6, 8, seed=1)
    torch.testing.assert_close(sense.gram(x), sense.adjoint(sense.forward(x)))


def test_the_bound_holds_and_is_met():
    mask = masks(6, 8)[0]
    sense = Sense(noise(3, 6, 8), mask)
    matrix = torch.stack([sense.gram(x).flatten() for x in torch.eye(48, dtype=torch.complex128).reshape(48, 6, 8)])
    assert torch.linalg.eigvalsh(matrix).max() <= sense.bound * (1 + 1e-12)
    # all of k-space and one coil: A^H A is |S|^2 itself
    full = Sense(noise(1, 6, 8), torch.ones(8, dtype=torch.bool))
    x = (full.bound == full.maps.abs().square()[0]).to(torch.complex128)
    torch.testing.assert_close(full.gram(x), full.bound * x)


def test_gradients_are_finite_differences():
    for mask in masks(4, 6):
        maps, x = noise(2, 4, 6).requires_grad_(), noise(4, 6, seed=1).requires_grad_()
        for function in (lambda s, u, m=mask: Sense(s, m).gram(u), lambda s, u, m=mask: Sense(s, m).forward(u)):
            assert torch.autograd.gradcheck(function, (maps, x))


def test_sigpy_agrees():
    for mask in masks(8, 10):
        maps, x = noise(3, 8, 10), noise(8, 10, seed=1)
        weights = mask.expand(8, 10).numpy().astype(float)
        theirs = SigpySense(maps.numpy(), weights=weights)(x.numpy())
        torch.testing.assert_close(Sense(maps, mask).forward(x), torch.from_numpy(theirs))


def test_the_scale_follows_the_units():
    kspace = noise(2, 3, 16, 12).to(torch.complex64)
    torch.testing.assert_close(scale(1e-7 * kspace), 1e-7 * scale(kspace))
    assert scale(kspace).shape == (2, 1, 1)
    assert scale(torch.zeros(3, 16, 12, dtype=torch.complex64)) == 1
    torch.testing.assert_close(scale(kspace)[0], scale(kspace[0]))


def test_rss():
    torch.testing.assert_close(rss(torch.tensor([3.0, 4.0j]).reshape(2, 1, 1)), torch.tensor([[5.0]]))
