"""The published protocol measures, attacks, reconstructs and scores as the notebooks do, facts 1.3, 1.5, 3 and 6."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.data.scanner import draw_volume
from helpers.errors import BadInput
from helpers.mri import masks, metrics
from helpers.mri.coils import espirit
from helpers.mri.fourier import ifft2c
from helpers.mri.rss import rss
from helpers.profiles import profile
from helpers.published import attacks, coil_images, protocol, reconstruction
from helpers.published.ball import TINY

EPS = 0.08


@pytest.fixture(scope="module")
def item():
    return draw_volume("knee", 0, profile("smoke"), slices=1)[0]


def noise(item, mask):
    drawn = torch.randn(item.kspace.shape, dtype=item.kspace.dtype, generator=torch.Generator().manual_seed(1))
    return mask * drawn * (EPS * item.kspace.norm() / drawn.norm())


def test_the_mask_has_their_center_and_ends_where_their_image_does(item):
    mask, half = protocol.mask(item), item.target.shape[-1] // 2
    middle, center = len(mask) // 2, round(0.07 * len(mask))
    assert mask[middle - center // 2 : middle + (center + 1) // 2].all()
    assert not mask[(torch.arange(len(mask)) - middle).abs() > half].any()
    full = reconstruction.mask(len(mask), masks.volume_seed(item.seeded_by))
    assert torch.equal(mask, full & ((torch.arange(len(mask)) - middle).abs() <= half)) and full.sum() == len(mask) / 4
    assert torch.equal(mask, protocol.mask(item)) and not torch.equal(mask, protocol.mask(item, seed=1))


def test_of_their_own_size_it_is_their_mask_and_a_mask_of_the_file_comes_first(item):
    theirs = replace(item, kspace=torch.zeros(1, 4, 368, dtype=torch.complex64), target=torch.zeros(320, 320))
    assert torch.equal(protocol.mask(theirs), reconstruction.mask(368, masks.volume_seed(item.seeded_by)))
    assert protocol.mask(replace(item, mask=torch.ones(72, dtype=torch.bool))).all()
    assert torch.equal(protocol.mask(replace(theirs, target=None)), protocol.mask(theirs))


@settings(derandomize=True, max_examples=150, deadline=None)
@given(
    width=st.integers(0, 400),
    seed=st.integers(0, 2**32 - 1),
    acceleration=st.floats(0.5, 30) | st.sampled_from([float("nan"), float("inf")]),
    center=st.floats(-0.1, 1.1),
    reach=st.integers(0, 250),
)
def test_a_mask_is_as_near_as_it_can_be_or_says_why_not(width, seed, acceleration, center, reach):
    """Of many widths no count is within .03 of the acceleration: it must not be drawn for ever."""
    try:
        whole = reconstruction.mask(width, seed, acceleration, center, reach=width)
    except BadInput as error:
        assert len(str(error).splitlines()) == 1
        return
    counts = range(max(1, round(center * width)), width + 1)
    nearest = min(abs(width / count - acceleration) for count in counts)
    assert abs(width / int(whole.sum()) - acceleration) <= max(0.03, nearest)
    cut = reconstruction.mask(width, seed, acceleration, center, reach=reach)
    assert torch.equal(cut, whole & ((torch.arange(width) - width // 2).abs() <= reach))


def test_what_matching_hides_is_not_scored(item):
    """Brightness and contrast cost nothing, and every other error is measured in the image's units."""
    target, y = item.target, protocol.mask(item) * item.kspace
    found = protocol.scores("varnet", 3 * target + 0.5 * target.max(), target, y)
    assert found["ssim"] == pytest.approx(1, abs=1e-6) and found["psnr"] > 100
    image = item.crop(rss(ifft2c(y)))
    found, plain = protocol.scores("varnet", image, target, y), metrics.scores(image, target)
    reference = (target.double() - target.double().mean()) / target.double().std(correction=0)
    reference = reference * image.double().std(correction=0) + image.double().mean()
    assert float(reference.mean()) == pytest.approx(float(image.double().mean()))
    assert float(reference.std()) == pytest.approx(float(image.double().std()))
    expected = 20 * reference.max().log10() - 10 * (image - reference).square().mean().log10()
    assert found["psnr"] == pytest.approx(float(expected), abs=1e-6)
    assert {key: found[key] for key in plain if key not in ("ssim", "psnr")} == {
        key: plain[key] for key in plain if key not in ("ssim", "psnr")
    }
    with pytest.raises(BadInput, match="the same everywhere"):
        protocol.scores("varnet", torch.ones_like(target), target, y)


def test_where_the_image_is_matched_the_reference_stays(item):
    """The other direction is another score, and a brighter image gains nothing by it."""
    y = protocol.mask(item) * item.kspace
    image = item.crop(rss(ifft2c(y)))
    found, plain = protocol.scores_by_reference(image, item.target), metrics.scores(image, item.target)
    target, seen = item.target.double().numpy(), image.double().numpy()
    by_hand = (seen - seen.mean()) / seen.std() * target.std() + target.mean()
    assert found["ssim"] == pytest.approx(metrics.ssim(by_hand, target, target.max()), abs=1e-9)
    assert abs(found["ssim"] - protocol.scores("varnet", image, item.target, y)["ssim"]) > 1e-3
    again = protocol.scores_by_reference(3 * image + image.max(), item.target)
    assert again["ssim"] == pytest.approx(found["ssim"], abs=1e-6)
    assert {key: found[key] for key in plain if key != "ssim"} == {key: plain[key] for key in plain if key != "ssim"}


def test_the_unet_is_scored_in_the_units_of_its_perturbed_input(item):
    mask = protocol.mask(item)
    y, e = mask * item.kspace, noise(item, mask)
    seen = rss(ifft2c(y))
    own = reconstruction.normalized(seen, y)
    assert float(own.mean()) == pytest.approx(0, abs=1e-5) and float(own.std()) == pytest.approx(1, abs=1e-5)
    assert torch.allclose(reconstruction.normalized(7 * seen, 7 * y), own, atol=1e-4)
    image = item.crop(seen)
    by_hand = protocol.scores("varnet", item.crop(own), item.target, y)
    clean, perturbed = (protocol.scores("unet", image, item.target, each) for each in (y, y + e))
    assert clean["psnr"] == pytest.approx(by_hand["psnr"], abs=1e-4)
    assert clean["ssim"] == pytest.approx(by_hand["ssim"], abs=1e-5)
    assert abs(clean["psnr"] - perturbed["psnr"]) > 1e-3  # of the same image


def test_the_attack_on_the_unet_sees_its_normalization(item):
    """An image that never changes has another one in the units of an input that does: there is a slope to climb."""
    mask = protocol.mask(item)
    still = item.crop(rss(ifft2c(item.kspace))).mean() * torch.ones(item.kspace.shape[-2:])
    e = attacks.network(lambda k, m: still + 0 * k.real.sum(), "unet", item.kspace, mask, EPS, steps=20)
    y = mask * item.kspace

    def change(d):
        return (reconstruction.normalized(still, y + d) - reconstruction.normalized(still, y)).abs().mean()

    by_chance = noise(item, mask)
    assert change(e) > 2 * change(by_chance * (e.norm() / by_chance.norm())) and not (e * ~mask).any()


def test_maps_are_kept_from_the_clean_measurement_where_they_are(item):
    mask = protocol.mask(item)
    y = mask * item.kspace
    e = noise(item, mask)
    options = {"lam": 0.0, "step": attacks.L1_STEP, "steps": 20}
    anew, same = (reconstruction.l1(y, mask, **options, **more) for more in ({}, {"maps": espirit(y, mask)}))
    assert torch.allclose(anew, same, rtol=1e-4, atol=1e-6 * float(anew.max()))  # of the clean one they are its own
    kept = reconstruction.l1(y + e, mask, **options, maps=espirit(y, mask))
    assert (kept - reconstruction.l1(y + e, mask, **options)).norm() > 0.005 * kept.norm()
    options["steps"] = 1000
    expected = item.crop(reconstruction.l1(y + e, mask, **options, maps=espirit(y, mask)))
    assert torch.equal(protocol.reconstruct("wavelet", item, y + e, mask, y), expected)


@pytest.mark.parametrize("points", [False, True])
def test_the_joint_attack_stays_in_the_ball_of_the_full_kspace(item, monkeypatch, points):
    mask = protocol.mask(item)
    mask = mask.expand(item.kspace.shape[-2:]).clone() if points else mask
    if points:
        mask[0, len(mask[0]) // 2] ^= True  # no mask of columns any more
    monkeypatch.setattr(coil_images, "WARM", 5)
    monkeypatch.setattr(coil_images, "STEPS", 12)
    monkeypatch.setattr(
        coil_images, "SHORT", replace(coil_images.SHORT, options={"channels": 8, "layers": 4}, precision="float32")
    )
    found = [attacks.as_published("convdecoder", item, mask, EPS, seed) for seed in (0, 0, 1)]
    ratio = float(found[0].norm() / item.kspace.norm())
    assert 0.25 * EPS < ratio <= EPS * 1.0001 and not (found[0] * ~mask).any()
    assert torch.equal(found[0], found[1]) and not torch.equal(found[0], found[2])
    often = attacks.as_published("convdecoder", replace(item, kspace=1024 * item.kspace), mask, EPS)
    assert (often / 1024 - found[0]).norm() < 0.05 * found[0].norm()  # whatever the units of the file
    with torch.no_grad():
        assert torch.equal(attacks.as_published("convdecoder", item, mask, EPS), found[0])
    monkeypatch.setattr(coil_images, "STEPS", 5)
    unused = attacks.as_published("convdecoder", item, mask, EPS)
    assert 0 < float(unused.norm()) <= TINY * 1.0001 * float(item.kspace.norm())


def test_its_score_puts_the_clean_samples_back_into_images_of_all_coils(item, monkeypatch):
    monkeypatch.setattr(
        coil_images,
        "SHORT",
        replace(coil_images.SHORT, options={"channels": 8, "layers": 4}, steps=20, precision="float32"),
    )
    mask = protocol.mask(item)
    y = mask * item.kspace
    e = noise(item, mask)
    back, own = (protocol.reconstruct("convdecoder", item, y + e, mask, each, 3) for each in (y, y + e))
    assert torch.equal(back, protocol.reconstruct("convdecoder", item, y + e, mask, y, 3))
    assert not torch.equal(back, protocol.reconstruct("convdecoder", item, y + e, mask, y, 4))
    assert (back - own).norm() > 0.005 * own.norm()
    everything = torch.ones_like(mask)  # nothing is left of the fit, and of e, where all is measured
    whole = protocol.reconstruct("convdecoder", item, item.kspace + e, everything, item.kspace)
    assert torch.allclose(whole, item.crop(rss(ifft2c(item.kspace))), rtol=1e-4, atol=1e-5 * float(whole.max()))


def test_a_mask_of_equal_rows_is_one_along_kx(item, monkeypatch):
    monkeypatch.setattr(coil_images, "STEPS", coil_images.WARM + 2)
    monkeypatch.setattr(
        coil_images, "SHORT", replace(coil_images.SHORT, options={"channels": 8, "layers": 4}, precision="float32")
    )
    mask = protocol.mask(item)
    flat, whole = (coil_images.attack(item.kspace, each, 0.1) for each in (mask, mask.expand(*item.kspace.shape[-2:])))
    assert flat.any() and torch.equal(flat, whole)
