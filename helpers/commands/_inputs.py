"""What several commands are given: a device, files of k-space, and the slices of them that are asked for."""

from collections.abc import Sequence

import torch

from helpers.data import DRAWN, Slice, open_data
from helpers.errors import BadInput


def usable(name: str) -> torch.device:
    """The device of that name; BadInput where this machine has none."""
    try:
        return torch.zeros(1, device=name).device
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise BadInput(f"there is no device {name!r} here; use --device cpu") from error


def scans(name: str) -> Sequence[Slice]:
    """The slices of a file or folder."""
    if name in DRAWN:
        raise BadInput(f"{name} is drawn, not read; write it with python -m helpers data, or name a folder as ./{name}")
    return open_data(name)


def wanted(data: Sequence[Slice], name: str, number: int | None) -> list[int]:
    """Where the slices of that number are in the data; all where none is asked for."""
    found = [index for index, (_, other) in enumerate(data.places) if number in (None, other)]
    if not found:
        last = max(other for _, other in data.places)
        raise BadInput(f"{name} has no slice {number}; its slices are counted from 0 to {last}")
    return found
