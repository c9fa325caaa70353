"""What heat maps say: whether each method has its own blind regions, and whether these are the dark ones."""

from itertools import combinations

import numpy as np
import pandas as pd
import torch
from scipy.stats import spearmanr
from torch import Tensor

from helpers import stats
from helpers.data.slice import Slice
from helpers.experiments import heat_maps
from helpers.features.artificial import Feature
from helpers.findings import verdicts
from helpers.findings.verdicts import Measured
from helpers.mri.metrics import object_mask

DARK = ("wavelet", "varnet")  # of which the paper says that they do worse in dark regions


def of(table: pd.DataFrame, item: Slice, protocol: str = "corrected") -> dict[str, Tensor]:
    """The finest map of a slice by method, (rows, columns), NaN where it is not measured."""
    return {method: each for method, (_, each) in _finest(table, item, protocol).items()}


def coarse(table: pd.DataFrame, item: Slice, protocol: str = "corrected") -> dict[str, np.ndarray]:
    """The maps of a slice by method at places COARSE pixels apart, or as far as they are, NaN outside of the object."""
    return {
        method: np.where(_at(object_mask(item.target.numpy()), stride, each.shape), each, np.nan)
        for method, (stride, each) in _coarse(table, item, protocol).items()
    }


def _finest(table: pd.DataFrame, item: Slice, protocol: str) -> dict[str, tuple[int, Tensor]]:
    found: dict[str, tuple[int, Tensor]] = {}
    rows = table[(table["protocol"] == protocol) & (table["identity"] == item.identity)]
    for (method, stride), group in rows.groupby(["method", "stride"], sort=False):
        if method not in found or found[method][0] > stride:
            found[method] = (int(stride), heat_maps.heat_map(group))
    return found


def _coarse(table: pd.DataFrame, item: Slice, protocol: str) -> dict[str, tuple[int, np.ndarray]]:
    """The maps at places COARSE pixels apart, or as far as they are, with that distance; but for slow methods."""
    found = {}
    for method, (stride, each) in _finest(table, item, protocol).items():
        if method not in heat_maps.STRIDES:
            step = max(1, heat_maps.COARSE // stride)
            found[method] = (stride * step, each[::step, ::step].numpy())
    return found


def _at(image: np.ndarray, stride: int, shape: tuple[int, int]) -> np.ndarray:
    """What an image has in the middle of the windows of a map."""
    first = Feature().size // 2
    return image[first::stride, first::stride][: shape[0], : shape[1]]


def own_regions(table: pd.DataFrame, slices: list[Slice], protocol: str = "corrected") -> pd.DataFrame:
    """That every method has its own blind regions: the verdicts, a row a pair.

    Each map is cut into two halves, every other line. Two halves of one method's map agree by the rank correlation of
    neighboring places; the claim is that halves of two methods' maps agree less, the difference being a mean over
    slices. Without a region of its own a method would agree with another as well as with itself.
    """
    found: dict[tuple[str, str], dict[str, float]] = {}
    for item in slices:
        halves = {method: (each[0:-1:2], each[1::2]) for method, each in coarse(table, item, protocol).items()}
        for pair in combinations(halves, 2):
            one, other = (halves[name] for name in pair)
            itself = (_ranks(*one) + _ranks(*other)) / 2
            across = (_ranks(one[0], other[1]) + _ranks(other[0], one[1])) / 2
            if np.isfinite(itself - across):  # of a small object a map has next to no place
                found.setdefault(pair, {})[item.volume] = (itself, across)
    claims, numbers = {}, {}
    for (a, b), by_volume in found.items():
        both = np.array(list(by_volume.values()))
        less = stats.interval(both[:, 0] - both[:, 1], list(by_volume))
        said = "supported" if less.mean > 0 else "contradicted"
        claims[f"{a} and {b}",] = Measured(str(less), less.volumes, less.p_value(), said)
        numbers[f"{a} and {b}"] = both.mean(0).round(3)
    cells = verdicts.cells(claims)
    return pd.DataFrame(
        {
            "halves of one agree": {key: value[0] for key, value in numbers.items()},
            "halves of two agree": {key: value[1] for key, value in numbers.items()},
            "less": {key: cells[key,] for key in numbers},
        }
    ).rename_axis("have regions of their own")


def dark_regions(table: pd.DataFrame, slices: list[Slice], protocol: str = "corrected") -> pd.DataFrame:
    """That errors are larger where the image is darker: the rank correlation of both, turned round, a row a method.

    The brightness is the reference's mean in the window; only places within the object count.
    """
    found: dict[str, dict[str, float]] = {}
    for item in slices:
        size = Feature().size
        bright = torch.nn.functional.avg_pool2d(item.target[None], size, 1)[0].numpy()
        inside = coarse(table, item, protocol)
        for method, (stride, each) in _coarse(table, item, protocol).items():
            there = bright[::stride, ::stride][: each.shape[0], : each.shape[1]]
            if np.isfinite(ranks := _ranks(inside[method], there)):
                found.setdefault(method, {})[item.volume] = -ranks
    claims = {}
    for method, by_volume in found.items():
        mean = stats.interval(list(by_volume.values()), list(by_volume))
        said = "supported" if mean.mean > 0 else "contradicted"
        paper = "the paper's claim" if method in DARK else "not claimed by the paper"
        claims[method, paper] = Measured(str(mean), mean.volumes, mean.p_value(), said)
    cells = verdicts.cells(claims)
    return pd.DataFrame(
        {"who says so": {key[0]: key[1] for key in claims}, "measured": {key[0]: cell for key, cell in cells.items()}}
    ).rename_axis("does worse where it is dark")


def trusted(checks: pd.DataFrame) -> pd.DataFrame:
    """How far the errors of features among others in one image are from those of one alone, a row a method."""
    away = (checks["at_once"] / checks["alone"] - 1).abs()
    groups = checks.assign(away=away).groupby("method", sort=False)
    return pd.DataFrame(
        {
            "features in an image": groups["features"].median().round().astype(int),
            "places": groups.size(),
            "off by, median": groups["away"].median().map("{:.2%}".format),
            "off by, at most": groups["away"].max().map("{:.2%}".format),
        }
    )


def smallest(curves: pd.DataFrame, misses: float = 0.1) -> pd.DataFrame:
    """The side of the smallest square that is missed at most so often, from which on none is missed more; in pixels.

    A row a method, a column a contrast; empty where none of the sizes is large enough. Of places without a feature
    `detection.FALSE` are taken for one.
    """
    squares, found = curves[curves["shape"] == "square"], {}
    for (method, contrast), rows in squares.groupby(["method", "contrast_put"], sort=False):
        rate = rows.groupby("size")["misses"].mean().sort_index(ascending=False)
        enough = (rate <= misses).cummin()
        found.setdefault(f"contrast {contrast:g}", {})[method] = enough[enough].index.min() if enough.any() else np.nan
    return pd.DataFrame(found).astype("Int64")


def _ranks(one: np.ndarray, other: np.ndarray) -> float:
    """The rank correlation of what both have; NaN where that is next to nothing."""
    rows = min(len(one), len(other))
    both = np.isfinite(one[:rows]) & np.isfinite(other[:rows])
    return float(spearmanr(one[:rows][both], other[:rows][both]).statistic) if both.sum() > 2 else float("nan")
