"""The un-trained generators: as many parameters and the sizes that their papers print, and their inputs fixed."""

import pytest
import torch

from helpers.untrained.generators import GENERATORS, ConvDecoder, DeepDecoder, DeepImagePrior

SIZE = (48, 40)


def count(generator: torch.nn.Module) -> int:
    return sum(each.numel() for each in generator.parameters())


def test_as_many_parameters_as_published():
    """Facts 2.5 and 2.6: numbers that the published notebooks print, for 15 coils and 640 x 372."""
    repository = {"channels": 160, "start": (8, 4)}
    assert count(ConvDecoder(30, (640, 372), layers=8, **repository)) == 1_850_560
    assert count(ConvDecoder(30, (640, 372), layers=7, **repository)) == 1_619_840
    assert round(count(ConvDecoder(30, (640, 368), 256, 8, (10, 5), bias=True)) / 1e6, 2) == 4.73
    assert round(count(DeepDecoder(30, (640, 372), 368, 10)) / 1e6, 2) == 1.37
    prior = DeepImagePrior(30, (640, 372), 256, 8, (0,) * 6 + (4,) * 2, down=5)
    assert round(count(prior) / 1e6, 1) == 31.5


def test_layers_grow_as_published():
    sizes = [each.size for each in ConvDecoder(2, (640, 372), 4, 8, (10, 5)).layers if hasattr(each, "size")]
    assert sizes == [(19, 10), (33, 18), (60, 32), (108, 59), (196, 109), (354, 201), (640, 372)]


@pytest.mark.parametrize("name", GENERATORS)
@pytest.mark.parametrize("size", [SIZE, (45, 38), (5, 7)])
def test_outputs_of_the_size_asked_for_with_a_gradient_for_every_parameter(name, size):
    torch.manual_seed(0)
    generator = GENERATORS[name](6, size, channels=8)
    output = generator()
    assert output.shape == (6, *size) and output.dtype == torch.float32
    output.square().sum().backward()
    assert all(torch.isfinite(each.grad).all() for each in generator.parameters())
    assert any(each.grad.abs().max() > 0 for each in generator.parameters())


@pytest.mark.parametrize("name", GENERATORS)
def test_the_input_is_fixed_and_belongs_to_the_state(name):
    torch.manual_seed(0)
    one, other = GENERATORS[name](2, SIZE, channels=8), GENERATORS[name](2, SIZE, channels=8)
    assert torch.equal(one(), one()) and not torch.equal(one(), other())
    other.load_state_dict(one.state_dict())
    assert torch.equal(one(), other())
    assert not one.z.requires_grad and 0 <= one.z.min() and one.z.max() < 1


def test_a_deep_decoder_learns_no_filter():
    assert {part.kernel_size for part in DeepDecoder(2, SIZE).layers if hasattr(part, "kernel_size")} == {(1, 1)}
