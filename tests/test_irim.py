"""The invertible machine: it can be undone, and its backward pass needs no memory of the way."""

import pytest
import torch
from test_networks import make, measure

from helpers import networks
from helpers.mri.noise import expected_rss
from helpers.mri.sense import Sense
from helpers.networks.memory import kept_bytes

DEEP = {"network": "irim", "channels": 12, "hidden": [8, 12, 8], "dilations": [1, 3, 2], "reflections": 4}


def deep(steps: int) -> networks.IRIM:
    torch.manual_seed(0)
    return networks.build({**DEEP, "steps": steps})


def gradients(network, kspace, mask):
    leaf = kspace.clone().requires_grad_()
    image = network(leaf, mask)
    weights = torch.randn(image.shape, generator=torch.Generator().manual_seed(1)).to(image)
    return image, torch.autograd.grad((weights * image).sum(), [leaf, *network.parameters()])


def test_rotations_are_orthogonal():
    for layer in deep(1).double().layers:
        if isinstance(layer, networks.irim.Coupling):
            rotation = layer.rotation()
            assert torch.allclose(rotation @ rotation.T, torch.eye(12, dtype=rotation.dtype), atol=1e-12)
            assert not torch.allclose(rotation, torch.eye(12, dtype=rotation.dtype), atol=0.1)


@pytest.mark.parametrize("rows, columns", [(48, 40), (41, 37)])
def test_inverse_undoes_every_step(rows, columns):
    network = deep(4).double()
    kspace, mask = measure(3, rows, columns, (2,))
    first, start, model, _ = network._start(kspace, mask, None)
    last = first
    for layer in network.layers:
        last = last + layer(last, start, model)
    assert (last - first).norm() > 0.1 * first.norm()
    assert (network.inverse(last, start, model) - first).norm() < 1e-10 * first.norm()


def test_update_of_a_layer_ignores_what_it_changes():
    network = deep(1).double()
    kspace, mask = measure()
    state, start, model, _ = network._start(kspace, mask, None)
    state = torch.randn(state.shape, dtype=state.dtype, generator=torch.Generator().manual_seed(0))
    for layer in network.layers:
        update = layer(state, start, model)
        assert update.abs().max() > 1e-3
        assert torch.allclose(layer(state + update, start, model), update, atol=1e-12)


def test_gradient_step_is_the_gradient_of_the_data_term():
    network = deep(1).double()
    kspace, mask = measure(batch=(2,))
    state, start, model, _ = network._start(kspace, mask, None)
    state = torch.randn(state.shape, dtype=state.dtype, generator=torch.Generator().manual_seed(0)).requires_grad_()
    eta = torch.complex(state[:, 0], state[:, 1])
    # start = A^H y, so that y itself is not needed: 1/2 ||A eta||^2 - Re <eta, A^H y>
    term = Sense(model.maps, mask).forward(eta).abs().square().sum() / 2 - (eta.conj() * start).real.sum()
    (expected,) = torch.autograd.grad(term, state)
    update = network.layers[0](state, start, model)
    assert torch.allclose(update[:, 2:4], expected[:, :2], atol=1e-12)
    assert not update[:, :2].any() and not update[:, 4:].any()


@pytest.mark.parametrize("kind", ["random", "poisson"])
def test_memory_free_gradients_are_autograd_s(kind):
    network = deep(3).double()
    kspace, mask = measure(3, 41, 40, (2,), kind)
    image, free = gradients(network, kspace, mask)
    network.memory_free = False
    same, kept = gradients(network, kspace, mask)
    assert torch.equal(image, same)
    for mine, expected in zip(free, kept, strict=True):
        assert expected.norm() > 0
        # undoing 13 layers costs a few roundings
        assert (mine - expected).norm() < 1e-8 * expected.norm()


def test_single_precision_gradients_survive_the_way_back():
    network = deep(8)
    kspace, mask = measure()
    _, free = gradients(network, kspace.to(torch.complex64), mask)
    network.memory_free = False
    _, exact = gradients(network.double(), kspace, mask)
    # 33 layers in float32
    assert all((a - b).norm() < 1e-3 * b.norm() for a, b in zip(free, exact, strict=True))


def saved_bytes(network, kspace, mask) -> int:
    """What the forward pass keeps for the backward pass, in bytes, weights apart."""
    weights = {parameter.data_ptr() for parameter in network.parameters()}
    kept = {}

    def pack(tensor):
        if tensor.data_ptr() not in weights:
            kept[tensor.data_ptr()] = tensor.numel() * tensor.element_size()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        image = network(kspace.clone().requires_grad_(), mask)
    assert image.requires_grad
    return sum(kept.values())


def test_memory_does_not_grow_with_the_steps():
    kspace, mask = measure()
    assert saved_bytes(deep(8), kspace.to(torch.complex64), mask) == saved_bytes(
        deep(2), kspace.to(torch.complex64), mask
    )
    few, many = deep(2), deep(8)
    few.memory_free = many.memory_free = False
    grown = saved_bytes(many, kspace.to(torch.complex64), mask) / saved_bytes(few, kspace.to(torch.complex64), mask)
    assert grown > 2


def test_frozen_weights_get_no_gradient_and_the_input_the_same():
    network = make("irim")
    kspace, mask = measure()
    _, (expected, *_) = gradients(network, kspace, mask)
    network.requires_grad_(False)
    network.layers[1].down.bias.requires_grad_()
    leaf = kspace.clone().requires_grad_()
    weights = torch.randn(kspace.shape[-2:], generator=torch.Generator().manual_seed(1)).to(torch.float64)
    (weights * network(leaf, mask)).sum().backward()
    assert torch.allclose(leaf.grad, expected)
    assert [parameter.grad is not None for parameter in network.parameters()].count(True) == 1


def test_iterates_begin_with_sense_s_start_and_end_with_the_image():
    network = make("irim")
    kspace, mask = measure(batch=(2,))
    images = network.iterates(kspace, mask)
    assert images.shape == (3, 2, 48, 40)
    maps = networks.irim.espirit(kspace, mask)
    start = expected_rss(Sense(maps, mask).adjoint(kspace), kspace, mask)
    assert torch.allclose(images[0], start, rtol=1e-6)
    assert torch.allclose(images[-1], network(kspace, mask))


def test_half_precision_leaves_the_machine_alone():
    network = make("irim").float()
    kspace, mask = measure()
    kspace = kspace.to(torch.complex64)
    expected, exact = gradients(network, kspace, mask)
    with torch.autocast("cpu", torch.bfloat16):
        image, found = gradients(network, kspace, mask)
    assert torch.equal(image, expected)
    assert all(torch.equal(a, b) for a, b in zip(found, exact, strict=True))


@pytest.mark.parametrize("real, bound", [(torch.float64, 1e-13), (torch.float32, 1e-4)])
def test_what_goes_in_comes_out_again(real, bound):
    kspace, mask = measure()
    network = make("irim").to(real)
    error = network.round_trip(kspace.to(real.to_complex()), mask)
    assert 0 < error < bound  # rounding of some twenty layers


def test_undoing_keeps_the_same_memory_at_any_depth():
    kspace, mask = measure()
    kept = {}
    for free in (True, False):
        for steps in (1, 4):
            network = networks.build({**networks.architecture(make("irim")), "steps": steps}).double()
            network.memory_free = free
            kept[free, steps] = kept_bytes(lambda network=network: network(kspace, mask))
    # four times the steps: more weights alone when undone, four times the images by autograd
    assert kept[True, 4] < 1.1 * kept[True, 1] < 0.5 * kept[False, 1] < 0.15 * kept[False, 4]


def test_kept_bytes_counts_a_tensor_once():
    x = torch.ones(1000, dtype=torch.float64, requires_grad=True)
    assert kept_bytes(lambda: x * x) == 8000
    assert kept_bytes(lambda: x.exp() * x) == 16000
    assert kept_bytes(lambda: x + 1) == 0
