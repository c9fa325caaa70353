"""The trained family: networks as modules, `forward(kspace, mask) -> image`, with the contract of a method.

kspace  (..., coil, ky, kx) complex, zeros where nothing was measured; any number of coils, any size
mask    (kx,) or (ky, kx) bool
image   (..., y, x) real magnitude on the full grid, in the units of kspace
"""

from inspect import signature

from torch import nn

from helpers.errors import BadInput
from helpers.networks.irim import IRIM
from helpers.networks.unet import UNet
from helpers.networks.varnet import VarNet

NETWORKS = {"unet": UNet, "varnet": VarNet, "irim": IRIM}


def build(architecture: dict) -> nn.Module:
    """The network that an architecture describes, untrained: {"network": "unet", "channels": 16, "pools": 4}.

    "network" is one of `NETWORKS`, the other keys are arguments of its class, whose defaults hold where one is left
    out. Initial weights come from torch's generator. BadInput for an unknown network, key or value.
    """
    name = architecture.get("network")
    if not isinstance(name, str) or name not in NETWORKS:
        raise BadInput(f"there is no network {name!r}; choose one of {', '.join(NETWORKS)}")
    options = {key: value for key, value in architecture.items() if key != "network"}
    known = signature(NETWORKS[name]).parameters
    for key, value in options.items():
        if key not in known:
            raise BadInput(f"{name} has no {key!r}; its architecture has {', '.join(known)}")
        if not _fits(value, known[key].default):
            raise BadInput(f"{name} cannot have {key}={value!r}; its default is {known[key].default!r}")
    network = NETWORKS[name](**options)
    complete = {"network": name, **{key: known[key].default for key in known}, **options}
    network.architecture = {key: list(value) if isinstance(value, tuple) else value for key, value in complete.items()}
    return network


def architecture(network: nn.Module) -> dict:
    """The description that `build` made a network from and makes its equal from, defaults written out; for JSON."""
    return dict(network.architecture)


def _fits(value: object, default: object) -> bool:
    """Whether a value is of its default's kind: a positive integer, a list of them, or a word."""
    if isinstance(default, tuple):
        return isinstance(value, list | tuple) and len(value) > 0 and all(_fits(item, 1) for item in value)
    if isinstance(default, str):
        return isinstance(value, str)
    return (value is None and default is None) or (type(value) is int and value > 0)
