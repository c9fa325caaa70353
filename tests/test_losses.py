"""What attacks climb is what is scored: equal to the scores, with the gradient of finite differences."""

from dataclasses import replace

import pytest
import torch
from made import coil_images

from helpers import methods
from helpers.attacks import Threat
from helpers.attacks.apgd import apgd
from helpers.attacks.losses import LOSSES, loss_of
from helpers.data.scanner import draw_volume
from helpers.errors import BadInput
from helpers.experiments import evaluate
from helpers.mri import metrics
from helpers.mri.rss import rss
from helpers.profiles import profile


def pair(dtype=torch.float64):
    """A target and an image that is not far from it."""
    target = rss(coil_images(3, 40, 44, 0)).to(dtype)
    generator = torch.Generator().manual_seed(0)
    return target, (target + 0.1 * target.max() * torch.rand(target.shape, dtype=dtype, generator=generator)).clone()


@pytest.mark.parametrize("unit", [1e-6, 1, 1e6])
@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_is_the_score(name, unit):
    target, image = (unit * each for each in pair())
    score = metrics.scores(image, target)[name]
    loss = float(loss_of(name, target, target)(image))
    assert loss == pytest.approx(1 - score if name.startswith("ssim") else score, rel=1e-9)
    single = loss_of(name, target.float(), target.float())(image.float())
    assert float(single) == pytest.approx(loss, abs=1e-5)  # of float32


@pytest.mark.parametrize("name", LOSSES)
def test_a_batch_is_its_items_and_equal_images_have_no_loss(name):
    target, image = pair()
    targets = torch.stack([target, target.flip(0)])
    images = torch.stack([torch.stack([image, target.flip(0)]), torch.stack([target, image.flip(0)])])
    found = loss_of(name, targets, targets)(images)  # (start, slice)
    alone = loss_of(name, target, target)(image)
    assert found.shape == (2, 2)
    torch.testing.assert_close(found, torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=found.dtype) * alone)


@pytest.mark.parametrize("name", LOSSES)
def test_the_gradient_is_that_of_finite_differences(name):
    target, image = pair()
    loss = loss_of(name, target, target)
    assert torch.autograd.gradcheck(
        lambda x: loss(image + x * (torch.arange(44) % 5 == 0)), torch.zeros(44).double().requires_grad_()
    )


@pytest.mark.parametrize("name", ["nmse_object", "ssim_object"])
def test_what_lies_outside_the_object_does_not_count(name):
    target, image = pair()
    edge = (metrics.WINDOW - 1) // 2
    far = (
        torch.nn.functional.max_pool2d(
            torch.from_numpy(metrics.object_mask(target.numpy())).double()[None], 2 * edge + 1, 1, edge
        )[0]
        == 0
    )
    assert far.any()
    loss = loss_of(name, target, target)
    assert float(loss(torch.where(far, 9 * target.max(), image))) == float(loss(image))


def test_the_range_is_the_clean_targets_also_where_the_reference_is_another_image():
    target, image = pair()
    clean = 0.5 * target
    loss = loss_of("ssim", clean, target)
    expected = 1 - metrics.ssim(image.numpy(), clean.numpy(), float(target.max()))
    assert float(loss(image)) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("name", LOSSES)
def test_an_attack_that_climbs_a_score_does_most_to_it(name):
    """Of four attacks with the same steps on one U-Net, none does much more to a score than the one that climbs it.

    A score and the same inside the object are alike, and ten steps are not the end: they come within some percent.
    """
    (item,) = draw_volume("knee", 0, profile("smoke"), 1)
    mask = evaluate.mask_of(item)
    threat = Threat(methods.load("unet-knee"), item.kspace * mask, mask, 0.05, item.target)
    losses = {}
    for each in LOSSES:
        found = apgd(replace(threat, score=each), steps=10)
        assert float(replace(threat, score=each).loss(found.e)) == pytest.approx(float(found.loss), rel=1e-5)
        losses[each] = float(replace(threat, score=name).loss(found.e))
    assert losses[name] > 0.95 * max(losses.values()), losses
    other = {"nmse": "ssim", "ssim": "nmse"}[name.partition("_")[0]]
    assert losses[name] > 1.05 * losses[other], losses


def test_what_is_no_loss_is_a_sentence():
    target, image = pair()
    with pytest.raises(BadInput, match="there is no loss 'psnr'; choose one of nmse, ssim"):
        loss_of("psnr", target, target)
    with pytest.raises(BadInput, match="compares real images"):
        loss_of("ssim", target + 0j, target)
