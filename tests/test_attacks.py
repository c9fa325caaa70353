"""Laws of attacks: the strength, the support, better than noise, and the known worst case of a linear method."""

import math
from functools import partial

import pytest
import torch
from made import coil_images
from torch.testing import assert_close

from helpers import methods
from helpers.attacks import Threat
from helpers.attacks.apgd import apgd, checkpoints
from helpers.attacks.exact import LinearSense, worst_case
from helpers.attacks.noise import noise
from helpers.attacks.pgd import pgd
from helpers.attacks.threat import direction, length, noise_levels, realized
from helpers.data.scanner import draw_volume
from helpers.errors import BadInput
from helpers.experiments import evaluate
from helpers.mri.coils import espirit
from helpers.mri.fourier import fft2c
from helpers.mri.masks import random_mask
from helpers.mri.noise import noise_level, recorded
from helpers.mri.rss import rss
from helpers.mri.sense import Sense
from helpers.profiles import profile

ATTACKS = {"noise": noise, "pgd": pgd, "apgd": apgd}
EPS = 0.05


def scan(dtype=torch.complex64):
    images = coil_images(3, 48, 40, 0).to(dtype)
    generator = torch.Generator().manual_seed(0)
    mask = random_mask(40, 3, 0.2)
    return fft2c(images + 0.01 * torch.randn(images.shape, dtype=dtype, generator=generator)) * mask, mask, rss(images)


@pytest.fixture(scope="module")
def linear():
    """SENSE with maps that do not move, in double precision, and its clean image."""
    kspace, mask, _ = scan(torch.complex128)
    method = LinearSense(Sense.estimated(kspace, mask, crop=0), mu=0.01)
    return method, kspace, mask, method(kspace)


def smooth(kspace, mask):
    """A method with a gradient, quick and not linear."""
    return methods.load("zero-filled")(kspace, mask).square()


def test_what_the_scanner_left_at_zero_stays_so():
    """And a perturbation adds its power to that of the noise; where it filled empty lines the estimate fell to none."""
    noise = torch.randn((4, 64, 60), dtype=torch.complex64, generator=torch.Generator().manual_seed(0))
    mask = random_mask(60, 3, 0.2)
    empty = torch.zeros(4, 64, 60, dtype=torch.bool)
    empty[..., :4], empty[..., -4:], empty[2] = True, True, True
    mask[:4] = mask[-4:] = True
    y = mask * ~empty * noise
    threat = Threat(smooth, y, mask, EPS, rss(noise))
    assert torch.equal(threat.measured, mask & ~empty)
    for e in (threat.noise(0)[0], threat.stretched(noise), threat.project(100 * noise)):
        assert not (e * (empty | ~mask)).any()
        assert float(length(e)) == pytest.approx(EPS * float(length(y)), rel=1e-5)
    level, moved = noise_level(y, mask), noise_level(y + threat.noise(1)[0], mask)
    assert float(moved / level) == pytest.approx(math.sqrt(1 + EPS**2), rel=0.01)


@pytest.mark.parametrize("name", ATTACKS)
def test_strength_and_support(name):
    kspace, mask, truth = scan()
    found = ATTACKS[name](Threat(smooth, kspace, mask, EPS, truth), seed=3)
    assert found.e.shape == kspace.shape and not (found.e * ~mask).any()
    assert float(found.e.norm() / kspace.norm()) == pytest.approx(EPS, rel=1e-5)
    assert_close(found.loss, Threat(smooth, kspace, mask, EPS, truth).loss(found.e))
    again = ATTACKS[name](Threat(smooth, kspace, mask, EPS, truth), seed=3)
    assert torch.equal(found.e, again.e)


def test_a_strength_is_exact_where_the_center_outweighs_the_rest():
    """A sum in single precision, one entry after the other, loses 1e-4 of such a measurement."""
    center = torch.zeros(8, 256, 256)
    center[:, 128, 128] = 1e3
    y = center + torch.randn(center.shape, dtype=torch.cfloat, generator=torch.Generator().manual_seed(0))
    e = 0.02 * y.flip(-1)
    exact = (e.to(torch.cdouble).norm() / y.to(torch.cdouble).norm()).item()
    assert realized(e, y) == pytest.approx(exact, rel=1e-6)


@pytest.mark.parametrize("attack", [pgd, apgd])
def test_curves_climb_and_end_at_the_loss(attack):
    kspace, mask, truth = scan()
    found = attack(Threat(smooth, kspace, mask, EPS, truth), steps=10, starts=2)
    assert found.curve.shape == found.gradient_norms.shape == (11,)
    assert (found.curve.diff() >= 0).all() and found.loss >= 0.999 * found.curve[-1]
    assert (found.gradient_norms > 0).all() and found.evaluations in (2 * 11, 2 * 11 + 2)


@pytest.mark.parametrize("attack", [pgd, apgd])
def test_a_batch_of_slices_and_strengths_is_each_alone(attack):
    kspace, mask, truth = scan()
    batch = torch.stack([kspace, 100 * kspace.flip(-2)]) * mask
    truths, strengths = torch.stack([truth, 100 * truth]), torch.tensor([0.02, 0.1])
    found = attack(Threat(smooth, batch, mask, strengths, truths), steps=5, starts=2)
    assert found.e.shape == batch.shape and found.loss.shape == (2,)
    assert_close((length(found.e) / length(batch))[:, 0, 0, 0], strengths)
    noises = noise(Threat(smooth, batch, mask, strengths, truths))
    assert (found.loss > noises.loss).all()


@pytest.mark.parametrize("attack", [partial(pgd, stretch=30), apgd])
@pytest.mark.parametrize("clean", [True, False])
def test_a_gradient_attack_finds_the_worst_case_of_sense(linear, attack, clean):
    method, kspace, mask, image = linear
    reference = image if clean else image + 0.02 * image.norm() * direction(image[None, None] * 1j)[0, 0]
    exact, value = worst_case(method, EPS * kspace.norm(), None if clean else image - reference)
    found = attack(Threat(method, kspace, mask, EPS, reference), steps=60)
    reached = (method(kspace + found.e) - reference).norm()
    assert 0.99 * value <= reached <= (1 + 1e-4) * value
    by_chance = (method(kspace + noise(Threat(method, kspace, mask, EPS, reference)).e) - reference).norm()
    assert reached > 1.2 * by_chance


def test_the_worst_case_is_the_largest_singular_value(linear):
    """On a tiny problem, against the singular values of the matrix."""
    maps, mask = espirit(*scan(torch.complex128)[:2], crop=0)[:, :6, :8], random_mask(8, 2, 0.25)
    method = LinearSense(Sense(maps, mask), mu=0.05, tolerance=1e-12)
    basis = torch.eye(maps.numel(), dtype=maps.dtype).reshape(-1, *maps.shape)
    matrix = torch.stack([method(mask * each).flatten() for each in basis], 1)
    e, value = worst_case(method, torch.tensor(2.0), steps=2000)
    assert_close(value, 2 * torch.linalg.matrix_norm(matrix, 2), rtol=1e-3, atol=0)
    assert_close(method(e).norm(), value, rtol=1e-3, atol=0)
    image = torch.randn(6, 8, dtype=maps.dtype, generator=torch.Generator().manual_seed(0))
    kspace = torch.randn(maps.shape, dtype=maps.dtype, generator=torch.Generator().manual_seed(1)) * mask
    products = (method(kspace).conj() * image).sum(), (kspace.conj() * method.adjoint(image)).sum()
    assert_close(*products)


@pytest.mark.parametrize("name", ["sense", "unet-knee", "varnet-knee", "irim-knee"])
@pytest.mark.parametrize("attack", [pgd, apgd])
def test_attacks_beat_noise(name, attack):
    """On a drawn knee: 2 % of the measurement, found in ten steps, do more than noise of that strength, by far."""
    item = draw_volume("knee", 0, profile("smoke"), slices=1)[0]
    mask = evaluate.mask_of(item)
    threat = Threat(methods.load(name), item.kspace * mask, mask, 0.02, item.target)
    clean = threat.loss(torch.zeros_like(item.kspace))
    assert attack(threat, steps=10).loss - clean > 3 * (noise(threat).loss - clean).clamp(min=0)


def test_the_checkpoints_of_the_paper():
    """Croce & Hein, for 100 steps: 22, 41, 57, 70, 80, 87, 93, 99."""
    assert checkpoints(100) == [22, 41, 57, 70, 80, 87, 93, 99]


def test_what_cannot_be_attacked_is_a_sentence():
    kspace, mask, truth = scan()
    for eps in (0, float("nan"), -1, torch.tensor([0.1, 0.0])):
        with pytest.raises(BadInput, match="strength eps"):
            Threat(smooth, kspace, mask, eps, truth)
    with pytest.raises(BadInput, match="no gradient"):
        pgd(Threat(lambda kspace, mask: smooth(kspace, mask).detach(), kspace, mask, EPS, truth))


@pytest.mark.parametrize("empty", [0, 16])
def test_noise_as_strong_as_the_scan_s_is_one_noise_level(empty):
    """Lines that the scanner has left at zero hold no noise, and no perturbation."""
    item = draw_volume("knee", 0, profile("smoke"), slices=1)[0]
    mask, kspace = evaluate.mask_of(item), item.kspace.clone()
    kspace[..., :empty], kspace[..., kspace.shape[-1] - empty :] = 0, 0
    y = kspace * mask
    drawn = torch.randn(2, *y.shape, generator=torch.Generator().manual_seed(0))
    e = torch.complex(*drawn) * noise_level(y, mask) * recorded(y)
    assert noise_levels(e, y, mask) == pytest.approx(1, rel=0.02)  # of some 10,000 numbers
