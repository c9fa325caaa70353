"""How good a network is: its scores on held-out volumes, as its card states them and anyone can compute again."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import pandas as pd
import torch

from helpers import methods, stats
from helpers.data import all_filled, open_data
from helpers.data.slice import Slice
from helpers.errors import BadInput
from helpers.experiments import evaluate
from helpers.networks import zoo
from helpers.profiles import profile

SCORES = ("ssim", "psnr", "nmse", "ssim_object", "nmse_object")


def held_out(data: Sequence[str], size: str, volumes: int = 20) -> dict[str, list[Slice]]:
    """The validation slices of every source or folder: one of each volume, each kept in memory.

    BadInput where none of them has a reference.
    """
    options = {"profile": profile(size), "split": "validation", "volumes": volumes, "slices": 1}
    return {name: list(referenced(name, open_data(name, **options))) for name in data}


def referenced(name: str, slices: Sequence[Slice]) -> Iterator[Slice]:
    """Those that have a reference; BadInput at the end where none has, name: what they are of."""
    found = 0
    for item in all_filled(slices):
        if item.target is not None:
            found += 1
            yield item
    if not found:
        raise BadInput(f"no slice of {name} has a reference, so that nothing can be validated on it; give other data")


def measured(network: methods.Method, slices: Iterable[Slice]) -> pd.DataFrame:
    """One row a slice: the network's scores, each under its volume's mask (4x random lines, center 8 %, seed 0).

    Computed where the network is.
    """
    device = next(network.parameters()).device
    with torch.no_grad():
        return evaluate.table(evaluate.rows({"network": network}, (item.to(device) for item in slices)))


def summary(rows: pd.DataFrame) -> dict:
    """Mean and 95 % interval over volumes of every score, as [mean, low, high], and how many there were."""
    found = {name: stats.interval(rows[name], rows["volume"]) for name in SCORES}
    count = next(iter(found.values()))
    return {name: [float(value) for value in (each.mean, each.low, each.high)] for name, each in found.items()} | {
        "n": count.n,
        "volumes": count.volumes,
    }


def scores(network: methods.Method, slices: Mapping[str, Sequence[Slice]]) -> dict[str, dict]:
    """The summary of every source."""
    return {name: summary(measured(network, items)) for name, items in slices.items()}


def mean_ssim(found: Mapping[str, Mapping]) -> float:
    """One number for a curve: the mean over the sources of their mean SSIM."""
    return sum(each["ssim"][0] for each in found.values()) / len(found)


def rescore(name: str, folder: Path = zoo.ZOO) -> dict[str, dict]:
    """The validation scores of a network of the zoo, computed again from its weights as they are shipped.

    They are those of its card to 1e-6; a folder of real scans has to be where the card says it was.
    """
    found = zoo.card(name, folder)
    network = zoo.load(name, folder=folder)
    return scores(network, held_out(found["data"], found["profile"], found["validation_volumes"]))
