"""The hot column: nothing in an image is much brighter than the target, and no network is worse than zero-filled.

Two small VarNets once put a column up to 23 times as bright as the target at the right end of every image that fills
its grid. Their k-space in training was wider than the target, so that no loss saw it, and SSIM hardly did.
"""

from pathlib import Path

import pytest
import torch

from helpers.data import DRAWN, open_data
from helpers.experiments import evaluate
from helpers.methods import trained, zero_filled
from helpers.mri import metrics
from helpers.mri.fourier import center_crop, fft2c, ifft2c
from helpers.networks import zoo
from helpers.training.data import narrowed
from helpers.training.recipes import loss_function

REAL = Path(__file__).resolve().parents[2] / "shared" / "real" / "brain_pvdamp_8ch.h5"


@pytest.fixture(scope="module")
def measured():
    """Slices of every source, each with its mask and the PSNR of its zero-filled image."""
    items = [item for source in DRAWN for item in open_data(source, volumes=3)]
    if REAL.is_file():
        items += open_data(REAL)
    masks = [evaluate.mask_of(item) for item in items]
    starts = [evaluate.reconstruct(zero_filled.reconstruct, *pair) for pair in zip(items, masks, strict=True)]
    scores = [metrics.scores(start, item.target)["psnr"] for start, item in zip(starts, items, strict=True)]
    return list(zip(items, masks, scores, strict=True))


@pytest.mark.parametrize("name", zoo.names())
def test_no_pixel_is_far_above_the_target_and_no_image_below_the_zero_filled_one(name, measured):
    network = trained.network(name)
    for item, mask, start in measured:
        with torch.no_grad():
            image = evaluate.reconstruct(lambda *given: network(*given).clamp(min=0), item, mask)
        brightest = divmod(int(image.argmax()), image.shape[-1])
        assert image.max() < 1.3 * item.target.max(), f"{item.id}: hot at (y, x) = {brightest}"
        assert metrics.scores(image, item.target)["psnr"] > start, item.id
        error = (image - item.target).abs() / item.target.max()
        error[4:-4, 4:-4] = 0
        assert error.max() < 0.4, f"{item.id}: a gray border"  # networks without a fault have .33 at most, in the air


def test_narrowed_is_the_middle_of_the_image():
    image = torch.randn(3, 12, 18, dtype=torch.complex128, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(ifft2c(narrowed(fft2c(image), 16)), center_crop(image, (12, 16)))


def test_the_loss_is_steep_where_ssim_is_flat():
    """A column ten times as bright as the target: SSIM has no slope there, the loss of the recipes has."""
    target = torch.rand(1, 32, 32, generator=torch.Generator().manual_seed(0))
    image = target.clone()
    image[..., -1] = 10
    slopes = {}
    for name in ("ssim", "ssim+mse"):
        given = image.clone().requires_grad_()
        (slopes[name],) = torch.autograd.grad(loss_function(name)(given, target), given)
    assert (slopes["ssim+mse"][..., -1] > 0).all()
    assert slopes["ssim+mse"][..., -1].mean() > 100 * slopes["ssim"][..., -1].abs().mean()
