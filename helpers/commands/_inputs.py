"""What several commands are given: numbers, a device, files of k-space, and the slices of them that are asked for."""

import math
from argparse import Action, ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable, Sequence

import torch

from helpers.data import DRAWN, Slice, open_data
from helpers.errors import BadInput


def whole(least: int, most: int = 2**31 - 1) -> Callable[[str], int]:
    """The type of an option that takes a whole number in that range, both ends included."""

    def number(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if not least <= value <= most:
            raise ArgumentTypeError(f"must be a whole number, at least {least} and at most {most}, not {text[:40]!r}")
        return value

    return number


NO_METHODS = "the published protocol has none of these methods"  # so that there is nothing to measure
COUNT, INDEX, SEED = whole(1), whole(0), whole(0, 2**32 - 1)


def positive(text: str) -> float:
    """The type of an option that takes a number above 0, and no infinite one."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise ArgumentTypeError(f"must be a number above 0, not {text[:40]!r}")
    return value


class Once(Action):
    """Of an option that takes several values: what is given twice counts once, where it came first."""

    def __call__(self, parser: ArgumentParser, found: Namespace, values: list, option: str | None = None) -> None:
        setattr(found, self.dest, list(dict.fromkeys(values)))


EACH_ONCE = {"nargs": "+", "action": Once}


def usable(name: str) -> torch.device:
    """The device of that name; BadInput where this machine has none that holds numbers."""
    try:
        device = torch.zeros(1, device=name).device
    except (RuntimeError, AssertionError, NotImplementedError, ImportError) as error:
        raise BadInput(f"there is no device {name!r} here; use --device cpu") from error
    if device.type == "meta":
        raise BadInput("the device meta holds no numbers; use --device cpu")
    return device


def add_workers(parser: ArgumentParser, limited: bool = True, limit: float | None = None) -> None:
    """The options that say who works on the pieces of a long run.

    limited: whether a reader's method is among them; limit: the default of its seconds an image.
    """
    parser.add_argument("--device", default="cpu", help="cpu, cuda, ... (default: cpu)")
    parser.add_argument("--jobs", type=COUNT, default=1, help="pieces at a time, each on one thread (default: 1)")
    words = "of a running dask scheduler, whose workers do the pieces in the place of --jobs processes here"
    parser.add_argument("--scheduler", metavar="ADDRESS", help=words)
    if limited:
        usual = "no limit" if limit is None else f"{limit:g}"
        words = f"that an image of MODULE:FUNCTION may take, which then has a process of its own (default: {usual})"
        parser.add_argument("--limit", type=positive, default=limit, metavar="SECONDS", help=words)


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
