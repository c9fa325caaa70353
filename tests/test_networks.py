"""Laws that every network obeys, and what `build` accepts."""

import json

import pytest
import torch
from fastmri.data.transforms import normalize_instance
from fastmri.models import Unet
from made import coil_images
from safetensors.torch import load, save

from helpers import networks
from helpers.errors import BadInput
from helpers.mri.fourier import center_crop, fft2c, ifft2c
from helpers.mri.masks import mask as make_mask
from helpers.mri.masks import random_mask
from helpers.mri.noise import noise_level
from helpers.mri.rss import rss
from helpers.networks import layout

VARNET = {
    "network": "varnet",
    "cascades": 3,
    "channels": 4,
    "pools": 2,
    "sensitivity_channels": 2,
    "sensitivity_pools": 2,
}
SMALL = {
    "unet": {"network": "unet", "channels": 4, "pools": 2},
    "unet-crop": {"network": "unet", "channels": 4, "pools": 2, "crop": 30},
    "varnet": VARNET,
    "varnet-center": {**VARNET, "sensitivity_start": "center"},
    "varnet-coarse": {**VARNET, "sensitivity_start": "center", "sensitivity_factor": 3, "output": "expected"},
    "varnet-fastmri": {**VARNET, "form": "fastmri"},
    "irim": {"network": "irim", "steps": 2, "channels": 10, "hidden": [6, 8], "dilations": [1, 2]},
}


@pytest.fixture(params=SMALL)
def network(request):
    return make(request.param)


def make(name: str) -> torch.nn.Module:
    """A small network in double precision, its weights far from their start."""
    torch.manual_seed(0)
    network = networks.build(SMALL[name]).double()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return network


def measure(coils=3, rows=48, columns=40, batch=(), kind="random"):
    """Undersampled k-space of the two ellipses in noise, in double precision, and its mask."""
    mask = make_mask(kind, (rows, columns), 3, 0.2, seed=1)
    images = coil_images(coils, rows, columns).to(torch.complex128)
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(*batch, *images.shape, dtype=images.dtype, generator=generator)
    return mask * fft2c(images + 0.05 * noise), mask


def test_image_has_the_grid_and_the_leading_axes_of_kspace(network):
    for batch in ((), (2,), (2, 1)):
        kspace, mask = measure(batch=batch)
        image = network(kspace, mask)
        assert image.shape == (*batch, 48, 40)
        assert not image.is_complex()


@pytest.mark.parametrize("shape", [(1, 48, 40), (3, 47, 39), (2, 61, 50)])
@pytest.mark.parametrize("kind", ["random", "poisson"])
def test_any_number_of_coils_any_size_any_mask(network, shape, kind):
    kspace, mask = measure(*shape, kind=kind)
    image = network(kspace, mask)
    assert image.shape == shape[1:]
    assert image.isfinite().all()


@pytest.mark.parametrize("unit", [1e-7, 3e5])
def test_units_of_the_file_cancel(network, unit):
    kspace, mask = measure()
    image = network(kspace, mask)
    # i-RIM divides by the unit and its maps by a singular value: rounding, no more
    assert torch.allclose(network(unit * kspace, mask), unit * image, rtol=1e-8, atol=1e-8 * unit)


@pytest.mark.parametrize("name", sorted(SMALL.keys() - {"varnet-fastmri"}))  # fastMRI's own modules divide 0 by 0
def test_nothing_measured_gives_a_black_image(name):
    network = make(name)
    kspace, mask = measure()
    image = network(torch.zeros_like(kspace), mask)
    # VarNet's divisions are guarded by the smallest number, whose root is 1e-154
    assert torch.allclose(image, torch.zeros_like(image), atol=1e-100)


def test_batch_is_a_loop(network):
    kspace, mask = measure(batch=(3,))
    kspace = kspace * torch.tensor([1.0, 10.0, 0.1])[:, None, None, None]
    loop = torch.stack([network(item, mask) for item in kspace])
    assert torch.allclose(network(kspace, mask), loop, rtol=1e-9, atol=1e-9)


def test_deterministic(network):
    kspace, mask = measure()
    assert torch.equal(network(kspace, mask), network(kspace, mask))


def test_entries_that_were_not_measured_do_not_matter(network):
    kspace, mask = measure()
    assert torch.allclose(network(kspace + ~mask, mask), network(kspace, mask))


def test_gradient_is_the_finite_difference(network, monkeypatch):
    kspace, mask = measure()
    level = noise_level(kspace, mask)  # a constant to the gradient
    monkeypatch.setattr("helpers.mri.noise.noise_level", lambda *_: level)
    extra = {}
    if isinstance(network, networks.IRIM):  # its maps are constants to the gradient
        extra["maps"] = torch.ones_like(kspace) / kspace.shape[0] ** 0.5
    generator = torch.Generator().manual_seed(3)
    weights = torch.randn(kspace.shape[-2:], dtype=torch.float64, generator=generator)
    direction = mask * torch.randn(kspace.shape, dtype=kspace.dtype, generator=generator)

    def objective(kspace):
        return (weights * network(kspace, mask, **extra)).sum()

    leaf = kspace.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(objective(leaf), leaf)
    slope = (gradient.conj() * direction).real.sum()
    step = 1e-7  # short, for leaky ReLUs have kinks
    with torch.no_grad():
        difference = (objective(kspace + step * direction) - objective(kspace - step * direction)) / (2 * step)
    assert abs(slope - difference) < 1e-5 * abs(slope)


def test_weights_survive_a_file(network):
    kspace, mask = measure()
    other = networks.build(networks.architecture(network)).double()
    other.load_state_dict(load(save({name: value.contiguous() for name, value in network.state_dict().items()})))
    assert torch.equal(other(kspace, mask), network(kspace, mask))


def test_architecture_is_the_whole_description(network):
    described = networks.architecture(network)
    assert json.loads(json.dumps(described)) == described
    assert networks.architecture(networks.build(described)) == described
    assert {"unet": 4, "varnet": 10, "irim": 6}[described["network"]] == len(described)


@pytest.mark.parametrize(
    "architecture, named",
    [
        ({}, "None"),
        ({"network": "resnet"}, "resnet"),
        ({"network": "unet", "width": 3}, "width"),
        ({"network": "unet", "channels": 0}, "channels"),
        ({"network": "unet", "channels": "16"}, "channels"),
        ({"network": "varnet", "cascades": 2.5}, "cascades"),
        ({"network": "varnet", "sensitivity_start": "zero"}, "zero"),
        ({"network": "varnet", "output": "air"}, "air"),
        ({"network": "varnet", "form": "slow"}, "slow"),
        ({"network": "irim", "hidden": [4, 4], "dilations": [1]}, "dilations"),
        ({"network": "irim", "hidden": []}, "hidden"),
        ({"network": "irim", "channels": 3}, "channels"),
    ],
)
def test_bad_architectures_are_a_sentence(architecture, named):
    with pytest.raises(BadInput, match=named):
        networks.build(architecture)


@pytest.mark.parametrize("name", ["varnet", "irim"])
def test_mask_without_center_is_a_sentence(name):
    kspace, mask = measure()
    mask = mask.clone()
    mask[20] = False
    with pytest.raises(BadInput, match="center"):
        make(name)(mask * kspace, mask)


def test_image_too_small_for_the_pools_is_a_sentence():
    kspace, mask = torch.ones(2, 6, 6, dtype=torch.complex64), torch.ones(6, dtype=torch.bool)
    with pytest.raises(BadInput, match="too small"):
        networks.build({"network": "unet", "channels": 2, "pools": 3})(kspace, mask)


@pytest.mark.parametrize("shape", [(3, 2, 32, 48), (1, 2, 37, 26)])
@pytest.mark.parametrize("channels", [4, 8])
def test_layout_changes_neither_values_nor_gradients(shape, channels):
    torch.manual_seed(0)
    unet = Unet(2, 2, channels, 3).double()
    images = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    ours, theirs = layout.apply(unet, images), unet(images)
    assert torch.allclose(ours, theirs, atol=1e-12)
    weights = torch.randn_like(ours)
    inputs = [images, *unet.parameters()]
    for mine, other in zip(
        *(torch.autograd.grad((out * weights).sum(), inputs) for out in (ours, theirs)), strict=True
    ):
        assert torch.allclose(mine, other, rtol=1e-9, atol=1e-9)


def test_other_devices_get_fastmri_s_own_pass():
    unet = Unet(2, 2, 4, 2).to("meta")
    seen = []
    unet.conv.register_forward_hook(lambda *_: seen.append("module"))  # ours takes the weights alone
    assert layout.apply(unet, torch.ones(3, 2, 37, 26, device="meta")).shape == (3, 2, 37, 26)
    assert seen == ["module"]


def test_unet_is_fastmri_s_pipeline_brought_back_to_units():
    network = make("unet-crop")
    theirs = Unet(1, 1, 4, 2).double()
    theirs.load_state_dict(network.state_dict())
    kspace, mask = measure()
    image = center_crop(rss(ifft2c(kspace)), (30, 30))
    normalized, mean, deviation = normalize_instance(image, eps=1e-11)
    expected = theirs(normalized.clamp(-6, 6)[None, None])[0, 0] * deviation + mean
    ours = network(kspace, mask)
    # fastMRI adds 1e-11 to the deviation
    assert torch.allclose(center_crop(ours, (30, 30)), expected, rtol=1e-8)
    assert torch.equal(ours[:9], rss(ifft2c(kspace))[:9])


def test_weights_that_fastmri_published_fit_by_name_and_shape():
    with torch.device("meta"):
        published = Unet(1, 1, 256, 4)
        ours = networks.build({"network": "unet", "channels": 256, "pools": 4})
    assert {n: v.shape for n, v in published.state_dict().items()} == {n: v.shape for n, v in ours.state_dict().items()}


def test_random_weights_follow_the_generator():
    first, second, third = (seeded(seed) for seed in (0, 0, 1))
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(first.parameters(), third.parameters(), strict=True))


def seeded(seed: int) -> torch.nn.Module:
    torch.manual_seed(seed)
    return networks.build(SMALL["irim"])


def test_single_precision_is_enough():
    kspace, mask = measure()
    for name in SMALL:
        network = make(name)
        exact = network(kspace, mask).detach()
        single = network.float()(kspace.to(torch.complex64), mask)
        assert single.dtype == torch.float32
        # float32 through some ten normalized convolutions
        assert torch.allclose(single.double(), exact, atol=2e-3 * float(exact.max()))


def test_lines_beyond_a_random_mask_count(network):
    kspace, _ = measure()
    fewer, more = random_mask(40, 4, 0.2, 0), random_mask(40, 2, 0.2, 0)
    assert not torch.allclose(network(fewer * kspace, fewer), network(more * kspace, more), rtol=1e-2)
