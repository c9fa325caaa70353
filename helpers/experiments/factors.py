"""One thing at a time: what each factor that scans differ in costs each method, all else equal."""

from collections.abc import Iterator, Sequence
from contextlib import suppress

import pandas as pd
import torch

from helpers import methods
from helpers.data.slice import Slice
from helpers.errors import BadInput
from helpers.experiments import evaluate
from helpers.experiments.live import measured_live
from helpers.shifts.factors import FACTORS, in_words
from helpers.shifts.lines import undrawn

METHODS = ("zero-filled", "unet", "varnet", "wavelet", "tv")
COUNT = 10  # slices, one a volume
KEYS = ["factor", "method", "identity"]  # what is measured in one piece: all levels of a factor


@torch.no_grad()
def rows(item: Slice, factor: str, name: str, seed: int = 0) -> Iterator[dict]:
    """One method on one slice at every level of one factor: a row a level, columns of `evaluate.measure` beside it.

    Masks are drawn for the volume, and are the same for all levels that leave the mask and the number of lines as they
    are. A level that this slice cannot have, such as an acceleration that its center alone exceeds, has no row, and a
    factor of which it has one level alone, such as a share of one coil, none at all. level: in words; drop: what SSIM
    loses from the usual level to it. BadInput for an unknown factor, and for a slice with a mask of its own.
    """
    known(factor)
    undrawn(item)
    method, seen = methods.load(name, item), {}
    for level in FACTORS[factor].levels:
        with suppress(BadInput):
            seen[level] = FACTORS[factor].change(item, level, seed)
    if len(seen) < 2:  # nothing to compare
        return
    found = {
        level: evaluate.measure(name, method, changed, mask) | {"identity": item.identity}
        for level, (changed, mask) in seen.items()
    }
    usual = found.get(FACTORS[factor].usual, {}).get("ssim", float("nan"))
    for level, row in found.items():
        yield {"factor": factor, "level": in_words(level)} | row | {"drop": usual - row["ssim"]}


def live(slices: Sequence[Slice], names: Sequence[str], chosen: Sequence[str], seed: int = 0) -> pd.DataFrame:
    """The rows of methods on slices at all levels of the chosen factors, measured here and now."""
    work = [(item, factor, name, seed) for item in slices for factor in chosen for name in names]
    return measured_live(rows, work, "factors")


def known(factor: str) -> None:
    """BadInput for a factor that there is not."""
    if factor not in FACTORS:
        raise BadInput(f"there is no factor {factor!r}; choose one of {', '.join(FACTORS)}")
