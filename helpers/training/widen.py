"""A wider network that starts where a trained, narrower one ended."""

import torch
from torch import Tensor, nn

from helpers import networks
from helpers.errors import BadInput

WIDTHS = ("channels", "sensitivity_channels")
JITTER = 0.02  # of the deviation of a weight: copies of a channel must differ a little to learn different things


def widened(start: nn.Module, network: nn.Module, seed: int = 0, jitter: float = JITTER) -> dict[str, Tensor]:
    """Weights with which a wider network computes what a narrower one does, but for a small jitter.

    Every channel of a wide layer is a copy of the channel of the narrow one at its place, and what n copies send on
    is divided by n. Normalization by channel, ReLUs and concatenation leave that so.

    start: a narrow network; network: a wide one of the same architecture but for `WIDTHS`, whose weights are not
    changed; jitter: of the weights that become more, relative to their deviation. BadInput where more differs, and for
    an i-RIM, whose weights are normalized, so that to divide them changes nothing.
    Source: Net2Net, Chen, Goodfellow & Shlens, ICLR 2016.
    """
    narrow, other = networks.architecture(start), networks.architecture(network)
    strange = {key for key in narrow.keys() | other.keys() if narrow.get(key) != other.get(key)} - set(WIDTHS)
    if strange or narrow["network"] == "irim":
        differs = f" (it differs in {', '.join(sorted(strange))})" if strange else ""
        raise BadInput(f"a network is widened in {' and '.join(WIDTHS)} alone, and no i-RIM is{differs}")
    state, generator = start.state_dict(), torch.Generator().manual_seed(seed)
    transposed = {f"{name}.weight" for name, part in network.named_modules() if isinstance(part, nn.ConvTranspose2d)}
    wide = network.state_dict()
    if wide.keys() != state.keys():
        raise BadInput("one network can be widened into another only where both have the same layers")
    made = {}
    for name, like in wide.items():
        weights = state[name].to(like.dtype)
        if weights.ndim != like.ndim or any(new < old for new, old in zip(like.shape, weights.shape, strict=True)):
            raise BadInput(f"{name} is {tuple(weights.shape)}, which does not widen into {tuple(like.shape)}")
        inputs = 0 if name in transposed else 1
        for axis, size in enumerate(like.shape[:2]):
            source = torch.arange(size) * weights.shape[axis] // size
            copies = torch.bincount(source, minlength=weights.shape[axis])[source]
            weights = weights.index_select(axis, source)
            if axis == inputs:
                weights = weights / copies.view([-1 if each == axis else 1 for each in range(weights.ndim)])
        if like.shape != state[name].shape:
            weights = weights + jitter * weights.std(correction=0) * torch.randn(like.shape, generator=generator)
        made[name] = weights
    return made
