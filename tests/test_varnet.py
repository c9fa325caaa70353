"""VarNet from coil-combined images against fastMRI's own module, and what it shows of its inside."""

import pytest
import torch
from fastmri import models
from test_networks import make, measure

from helpers import networks
from helpers.mri.fourier import ifft2c
from helpers.mri.masks import center_lines
from helpers.mri.rss import rss

CASCADES, CHANNELS, POOLS, MAPS_CHANNELS, MAPS_POOLS = 3, 4, 2, 2, 2


def gradients(image, inputs):
    weights = torch.randn(image.shape, dtype=image.dtype, generator=torch.Generator().manual_seed(1))
    return torch.autograd.grad((weights * image).sum(), inputs)


def close(ours, theirs):
    # both are exact in exact arithmetic; double precision leaves 1e-13, a gradient of 0 is left as 1e-12
    return (ours - theirs).norm() <= 1e-10 * theirs.norm() + 1e-12


# an even number of center lines on an odd grid is the one case that fastMRI places elsewhere, see the next test
@pytest.mark.parametrize("rows, columns, batch", [(48, 40, 1), (47, 40, 2), (33, 35, 1), (32, 36, 2)])
def test_fast_form_is_fastmri_s_network_forward_and_backward(rows, columns, batch):
    ours = make("varnet")
    theirs = models.VarNet(CASCADES, MAPS_CHANNELS, MAPS_POOLS, CHANNELS, POOLS).double()
    theirs.load_state_dict(ours.state_dict())
    kspace, mask = measure(3, rows, columns, (batch,))
    lines = center_lines(mask)
    assert lines % 2 or not columns % 2
    leaf = kspace.clone().requires_grad_()
    other = torch.view_as_real(kspace).clone().requires_grad_()
    mine = ours(leaf, mask)
    expected = theirs(other, mask[None, None, None, :, None], lines)
    assert close(mine, expected)
    mine = gradients(mine, [leaf, *ours.parameters()])
    expected = gradients(expected, [other, *theirs.parameters()])
    assert close(torch.view_as_real(mine[0]), mask[:, None] * expected[0])
    assert all(close(*pair) for pair in zip(mine[1:], expected[1:], strict=True))


@pytest.mark.parametrize("kind", ["random", "equispaced", "poisson"])
@pytest.mark.parametrize("rows, columns", [(48, 40), (37, 41)])
@pytest.mark.parametrize("output", ["rss", "expected"])
@pytest.mark.parametrize("start, factor", [("network", 1), ("center", 1), ("network", 3), ("center", 2)])
def test_forms_agree_under_every_mask(kind, rows, columns, start, factor, output):
    network = make("varnet")
    network.sensitivity_start, network.sensitivity_factor, network.output = start, factor, output
    kspace, mask = measure(3, rows, columns, (2,), kind)
    found = []
    for network.form in ("fast", "fastmri"):
        leaf = kspace.clone().requires_grad_()
        image = network(leaf, mask)
        found.append((image, *gradients(image, [leaf, *network.parameters()])))
    assert all(close(*pair) for pair in zip(*found, strict=True))


@pytest.mark.parametrize("form", ["fast", "fastmri"])
def test_iterates_begin_with_zero_filled_and_end_with_the_image(form):
    network = make("varnet")
    network.form = form
    kspace, mask = measure(batch=(2,))
    images = network.iterates(kspace, mask)
    assert images.shape == (CASCADES + 1, 2, 48, 40)
    assert torch.allclose(images[0], rss(ifft2c(kspace)))
    assert torch.equal(images[-1], network(kspace, mask))


def test_iterates_agree_between_the_forms():
    network = make("varnet")
    kspace, mask = measure()
    fast = network.iterates(kspace, mask)
    network.form = "fastmri"
    assert torch.allclose(fast, network.iterates(kspace, mask), atol=1e-11)


@pytest.mark.parametrize("factor", [1, 3])
@pytest.mark.parametrize("start", ["network", "center"])
def test_maps_have_norm_one_and_see_the_center_alone(start, factor):
    network = make("varnet")
    network.sensitivity_start, network.sensitivity_factor = start, factor
    kspace, mask = measure()
    maps = network.maps(kspace, mask)
    assert torch.allclose(rss(maps), torch.ones(48, 40, dtype=torch.float64))
    inside = 20 - center_lines(mask) // 2
    outer = kspace.clone()
    outer[..., :inside] *= 2
    assert torch.equal(network.maps(outer, mask), maps)


def test_untrained_maps_that_start_from_the_center_are_close_to_those_of_the_scanner():
    torch.manual_seed(0)
    kspace, mask = measure(4)
    energy = {}
    for start, factor in (("network", 1), ("center", 1), ("center", 3)):
        options = {"sensitivity_start": start, "sensitivity_factor": factor, "sensitivity_pools": 2}
        network = networks.build({"network": "varnet", "cascades": 1, "channels": 2, **options})
        maps = network.double().maps(kspace, mask)
        images = ifft2c(measure(4)[0])
        energy[start, factor] = (maps.conj() * images).sum(0).abs().square().sum() / images.abs().square().sum()
    # of the energy of all coils, what the combination keeps: all of it with the scanner's maps
    assert min(energy["center", 1], energy["center", 3]) > 0.7 > energy["network", 1]


def test_a_coarse_grid_changes_nothing_of_smooth_maps():
    network = make("varnet")
    network.sensitivity_start = "center"
    kspace, mask = measure(3, 48, 40)
    kspace[..., :18, :] = kspace[..., 31:, :] = 0  # the center lines alone are narrow, so that both axes are smooth
    for parameter in network.sens_net.parameters():
        torch.nn.init.zeros_(parameter)
    fine = network.maps(kspace, mask)
    network.sensitivity_factor = 3
    assert torch.allclose(network.maps(kspace, mask), fine, atol=1e-12)


def test_published_names_and_shapes():
    with torch.device("meta"):
        theirs = models.VarNet(num_cascades=12, pools=4, chans=18, sens_pools=4, sens_chans=8)
        ours = networks.build({"network": "varnet"})
    assert {n: v.shape for n, v in theirs.state_dict().items()} == {n: v.shape for n, v in ours.state_dict().items()}
