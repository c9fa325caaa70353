"""The factors that a shift is made of, and at which levels each is looked at, all else equal."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import Tensor

from helpers.data.slice import Slice
from helpers.shifts import signal, subject
from helpers.shifts.lines import PUBLISHED, measured

Level = float | str


@dataclass(frozen=True)
class Factor:
    """One thing that differs between scans.

    words   what it is, as on an axis; levels: at which it is looked at; usual: that of all other factors' rows
    change  (slice, level, seed) to the changed slice and its mask
    """

    words: str
    levels: tuple[Level, ...]
    usual: Level
    change: Callable[[Slice, Level, int], tuple[Slice, Tensor]]


def in_words(level: Level) -> str:
    """A level as tables have it."""
    return level if isinstance(level, str) else f"{level:g}"


def _by_mask(option: str, item: Slice, level: Level, seed: int) -> tuple[Slice, Tensor]:
    return item, measured(item, **{option: level}, seed=seed)


def _by_slice(change: Callable[..., Slice], item: Slice, level: Level, seed: int) -> tuple[Slice, Tensor]:
    changed = change(item, level)
    return changed, measured(changed, seed=seed)


def _by_chance(change: Callable[..., Slice], item: Slice, level: Level, seed: int) -> tuple[Slice, Tensor]:
    return change(item, level, seed), measured(item, seed=seed)


def _by_spark(item: Slice, level: Level, seed: int) -> tuple[Slice, Tensor]:
    mask = measured(item, seed=seed)
    return subject.spiked(item, mask, level, seed), mask


def _factor(words: str, levels: tuple[Level, ...], usual: Level, kind: Callable, *what) -> Factor:
    return Factor(words, levels, usual, partial(kind, *what))


FACTORS = {
    "acceleration": _factor("acceleration", (2, 3, 4, 6, 8), 4, _by_mask, "acceleration"),
    "center": _factor(
        "measured center, share of the lines", (0.02, 0.04, 0.08, 0.16), 0.08, _by_mask, "center_fraction"
    ),
    "mask": _factor("kind of mask", ("random", PUBLISHED, "equispaced", "poisson"), "random", _by_mask, "kind"),
    "noise": _factor("noise, times that of the scan", (1, 2, 4, 8), 1, _by_chance, signal.noisier),
    "coils": _factor("share of the coils", (1, 0.75, 0.5, 0.25), 1, _by_slice, signal.with_coils),
    "matrix": _factor("share of the matrix", (1, 0.8, 0.6, 0.4), 1, _by_slice, signal.of_matrix),
    "oversampling": _factor("readout, times the image", (2, 1.5, 1.25, 1), 2, _by_slice, signal.oversampled),
    "contrast": _factor("brightness to the power", (0.5, 0.75, 1, 1.5, 2), 1, _by_slice, subject.contrasted),
    "field": _factor("phase of the field, turns", (0, 1, 2, 4), 0, _by_chance, subject.off_resonance),
    "motion": _factor("motion, times 2 pixels and 2 degrees", (0, 0.25, 0.5, 1), 0, _by_chance, subject.moved),
    "spark": _factor("spark, times the largest entry", (0, 0.03, 0.1, 0.3), 0, _by_spark),
}
