"""The zoo: trained networks, each a card that says what it is beside the weights that it describes."""

import hashlib
import json
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load as read_tensors
from safetensors.torch import save as tensor_bytes
from torch import Tensor, nn

from helpers import networks
from helpers.errors import BadInput
from helpers.files import written_aside
from helpers.places import ZOO


def names(folder: Path = ZOO) -> list[str]:
    """Every network that `load` knows."""
    return sorted(path.stem for path in folder.glob("*.json"))


def card(name: str, folder: Path = ZOO) -> dict:
    """What is known about a network: architecture, data, command, steps, scores; README of the zoo names all keys."""
    if name not in names(folder):
        raise BadInput(f"the zoo has no network {name!r}; it has {', '.join(names(folder)) or 'none yet'}")
    path = folder / f"{name}.json"
    try:
        found = json.loads(path.read_text("utf8"))
    except ValueError as error:
        raise BadInput(f"{path} is no card of a network; fetch it again") from error
    if not isinstance(found, dict) or not {"architecture", "sha256"} <= found.keys():
        raise BadInput(f"{path} is no card of a network; fetch it again")
    return found


def cards(folder: Path = ZOO) -> list[dict]:
    """The cards of all networks, smallest first within an architecture and its data."""
    found = [card(name, folder) for name in names(folder)]
    return sorted(found, key=lambda each: (each["method"], each["data"], each["parameters"]))


def load(name: str, device: str | torch.device = "cpu", folder: Path = ZOO) -> nn.Module:
    """The network of that name, frozen, ready to be called as a method: `network(kspace, mask) -> image`.

    Weights that were shipped in half precision are computed with in single precision. BadInput where the name is
    unknown, or where the weights are missing, changed since the card was written, or of another architecture.
    """
    found, path = card(name, folder), folder / f"{name}.safetensors"
    if not path.is_file():
        raise BadInput(f"{path} is missing: the card of {name} is there and its weights are not; fetch them again")
    stored = path.read_bytes()
    if hashlib.sha256(stored).hexdigest() != found["sha256"]:
        raise BadInput(
            f"{path} is not the file that the card of {name} describes (its checksum differs); fetch it again"
        )
    try:
        state = read_tensors(stored)
    except SafetensorError as error:
        raise BadInput(f"{path} is no file of weights; fetch it again") from error
    return assembled(found["architecture"], state, str(path)).to(device)


def assembled(architecture: Mapping, state: Mapping[str, Tensor], origin: str) -> nn.Module:
    """The frozen network of an architecture with these weights; origin: where they come from, for the sentence."""
    with torch.random.fork_rng(devices=[]):  # initial weights are drawn in vain, and must not move others' numbers
        network = networks.build(dict(architecture))
    own = network.state_dict()
    strange = sorted(own.keys() ^ state.keys()) or [key for key in own if own[key].shape != state[key].shape]
    if strange:
        raise BadInput(f"{origin} holds weights of another architecture than {dict(architecture)} (see {strange[0]!r})")
    network.load_state_dict({key: state[key].to(own[key].dtype) for key in own})
    return network.eval().requires_grad_(False)


def rounded(state: Mapping[str, Tensor], dtype: torch.dtype = torch.float16) -> dict[str, Tensor]:
    """The weights as they are shipped, on the CPU: real numbers in `dtype`, all else as it is."""
    moved = {key: value.detach().cpu().contiguous() for key, value in state.items()}
    return {key: value.to(dtype) if value.is_floating_point() else value for key, value in moved.items()}


def save(description: Mapping, state: Mapping[str, Tensor], folder: Path = ZOO) -> dict:
    """Write weights and card; returns the card, with the checksum of the weights.

    description: the card without sha256; state: the weights exactly as they are to be shipped.
    """
    stored = tensor_bytes(dict(state))
    found = {**description, "bytes": len(stored), "sha256": hashlib.sha256(stored).hexdigest()}
    lines = ",\n".join(f" {json.dumps(key)}: {json.dumps(value)}" for key, value in found.items())
    with ExitStack() as stack:  # both are there before either takes its place
        weights, text = (
            stack.enter_context(written_aside(folder / f"{found['name']}{kind}")) for kind in (".safetensors", ".json")
        )
        weights.write_bytes(stored)
        text.write_text(f"{{\n{lines}\n}}\n", "utf8")
    return found
