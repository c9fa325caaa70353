"""Trained networks as methods: those of the zoo by their names, and those that fastMRI publishes."""

from functools import lru_cache

from torch import Tensor, nn

from helpers.networks import fastmri_weights, zoo


def reconstruct(kspace: Tensor, mask: Tensor, name: str) -> Tensor:
    """A trained network: what it learned from drawn or measured subjects decides, its weights are fixed.

    kspace (..., coil, ky, kx) complex, mask (kx,) or (ky, kx) bool, to image (..., y, x) real; name: of the zoo,
    such as varnet-brain, or fastmri:varnet-brain. Computed where the k-space is; differentiable in it. What a U-Net
    gives below zero is no magnitude, and becomes zero.
    """
    return network(name, str(kspace.device))(kspace, mask).clamp(min=0)


@lru_cache(maxsize=8)
def network(name: str, device: str = "cpu") -> nn.Module:
    """The frozen network of that name, read once. BadInput where there is none, or its weights cannot be had."""
    return (fastmri_weights if name.startswith(fastmri_weights.PREFIX) else zoo).load(name, device)
