"""Laws of widening: the wide network computes what the narrow one does, and its copies can part."""

import pytest
import torch
from made import coil_images

from helpers import networks
from helpers.errors import BadInput
from helpers.mri.fourier import fft2c
from helpers.mri.masks import random_mask
from helpers.training.widen import widened

UNET = {"network": "unet", "channels": 4, "pools": 2}
VARNET = {
    "network": "varnet",
    "cascades": 2,
    "channels": 4,
    "pools": 2,
    "sensitivity_channels": 4,
    "sensitivity_pools": 2,
}


def made(architecture: dict, seed: int = 0):
    torch.manual_seed(seed)
    return networks.build(architecture).eval().double()


@pytest.mark.parametrize("narrow", [UNET, VARNET])
@pytest.mark.parametrize("channels", [6, 8, 12])
def test_a_widened_network_computes_the_same(narrow, channels):
    mask = random_mask(40, 3, 0.2)
    kspace = fft2c(coil_images(3, 48, 40).to(torch.complex128)) * mask
    small, large = made(narrow), made(narrow | {"channels": channels}, seed=1)
    expected = small(kspace, mask)
    large.load_state_dict(widened(small, large, jitter=0))
    # in double precision, nothing but rounding
    torch.testing.assert_close(large(kspace, mask), expected, rtol=0, atol=1e-9 * expected.max().item())


def test_copies_differ_a_little():
    small, large = made(UNET), made(UNET | {"channels": 8})
    weights = widened(small, large)["down_sample_layers.1.layers.0.weight"]
    difference = (weights[0::2] - weights[1::2]).std() / weights.std()
    assert 0.01 < difference < 0.06  # twice the jitter's variance, of weights that were halved
    again = widened(small, large)["down_sample_layers.1.layers.0.weight"]
    assert torch.equal(weights, again)


IRIM = {"network": "irim", "steps": 2, "channels": 8, "hidden": [8], "dilations": [1]}


@pytest.mark.parametrize(
    ("start", "other"),
    [
        (UNET, UNET | {"pools": 3}),
        (UNET, UNET | {"channels": 2}),
        (UNET, UNET | {"channels": 8, "crop": 32}),
        (VARNET, VARNET | {"channels": 8, "sensitivity_start": "center"}),  # the same layers, other images
        (IRIM, IRIM | {"hidden": [16]}),
        (IRIM, IRIM | {"channels": 16}),  # weights that are normalized
    ],
)
def test_another_network_is_no_wider_one(start, other):
    with pytest.raises(BadInput, match="widen"):
        widened(made(start), made(other))
