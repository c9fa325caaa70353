"""A wider network that starts where a trained, narrower one ended."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from helpers.errors import BadInput

JITTER = 0.02  # of the deviation of a weight: copies of a channel must differ a little to learn different things


def widened(
    state: Mapping[str, Tensor], network: nn.Module, seed: int = 0, jitter: float = JITTER
) -> dict[str, Tensor]:
    """Weights with which a wider network computes what a narrower one does, but for a small jitter.

    Every channel of a wide layer is a copy of the channel of the narrow one at its place, and what n copies send on
    is divided by n. Normalization by channel, ReLUs and concatenation leave that so.

    state: the weights of the narrow network; network: a wide one of the same layers, whose weights are not changed;
    jitter: of the weights that become more, relative to their deviation. BadInput where the layers are others.
    Source: Net2Net, Chen, Goodfellow & Shlens, ICLR 2016.
    """
    generator = torch.Generator().manual_seed(seed)
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
