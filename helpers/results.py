"""Results too long to compute for a page: the tables in results/, where they come from, and what they say."""

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pandas as pd

from helpers import figures, stats
from helpers.errors import BadInput

FOLDER = Path(__file__).parents[1] / "results"


def table(name: str) -> pd.DataFrame:
    """The tidy table results/NAME.csv; BadInput where there is none."""
    path = FOLDER / f"{name}.csv"
    if not path.is_file():
        raise BadInput(f"there is no {path}; make it with python -m helpers evaluate, see README.md")
    return pd.read_csv(path)


def held_out() -> pd.DataFrame:
    """All methods on held-out slices: the un-trained ones, which take long, on fewer of them."""
    return pd.concat([table("quality"), table("untrained")], ignore_index=True)


def origin(name: str) -> str:
    """Where results/NAME.csv comes from, in words: n, seed, device and command."""
    made = json.loads((FOLDER / f"{name}.json").read_text("utf8"))
    seeds = made["seed"] if isinstance(made["seed"], list) else [made["seed"]]
    return f"n = {made['n']} rows, seed {', '.join(map(str, seeds))}, {made['device']}, made by `{made['command']}`"


def nearest(table: pd.DataFrame, eps: float) -> float:
    """The strength of a table, in its column eps, that lies closest to the one that is asked for."""
    return min(table["eps"].unique(), key=lambda each: abs(each - eps))


def matched(quality: pd.DataFrame) -> pd.DataFrame:
    """The table with networks on the anatomy that they were trained on alone, by their architecture: "unet", "varnet".

    Networks of other sizes, and all networks on other anatomies, are left out; other methods stay as they are.
    """
    networks = quality["family"] == "network"
    kind = quality["method"].str.split("-").str[0]
    own = quality["method"] == kind + "-" + quality["anatomy"]
    renamed = quality.assign(method=quality["method"].where(~networks, kind))
    return renamed[own | ~networks]


def snr_bands(quality: pd.DataFrame, edges: Sequence[float] = (35, 70)) -> pd.DataFrame:
    """The table with the SNR of every slice as the band it falls into, in words, lowest first."""
    words = [f"SNR below {edges[0]}", *(f"SNR {a} to {b}" for a, b in pairwise(edges)), f"SNR above {edges[-1]}"]
    return quality.assign(snr=pd.cut(quality["snr"], [0, *edges, float("inf")], labels=words))


def claims(
    quality: pd.DataFrame,
    pairs: Sequence[tuple[str, str]],
    scores: Sequence[str] = ("ssim",),
    by: str = "source",
    margin: float = 0.0,
) -> pd.DataFrame:
    """Whether one method beats another: paired difference with its interval, and the verdict, a row a claim and group.

    quality: tidy, one row a slice, source and method; pairs: (better, worse) as claimed; scores: a column each; by:
    the column whose values get a row each, bands in their order, where both methods were measured; margin: by how
    much it is claimed.
    """
    rows, most = [], f" by {margin:g}" if margin else ""
    for better, worse in pairs:
        for value, group in quality.groupby(by, sort=quality[by].dtype == "category", observed=True):
            if not {better, worse} <= set(group["method"]):
                continue
            row = {"claim": f"{better} above {worse}{most}", by: value}
            for score in scores:
                gain = stats.difference(group, better, worse, score)
                row[figures.SCORES[score]] = f"{gain}: {stats.verdict(gain, margin)}"
            rows.append(row | {"slices": gain.n, "volumes": gain.volumes})
    return pd.DataFrame(rows, columns=list(rows[0]) if rows else ["claim", by]).set_index(["claim", by])


def findings(quality: pd.DataFrame) -> pd.DataFrame:
    """What the quality table says: a row a claim, with difference, interval and verdict of every source."""
    pairs = [("wavelet", "zero-filled"), ("tv", "wavelet"), ("convdecoder", "wavelet"), ("unet", "convdecoder")]
    pairs += [("unet", "wavelet"), ("varnet", "tv"), ("varnet", "unet")]
    found = claims(matched(quality), pairs)[figures.SCORES["ssim"]]
    order = found.index.unique("claim")
    return found.unstack("source").loc[order].fillna("not measured").rename_axis(index="claim, in SSIM", columns=None)
