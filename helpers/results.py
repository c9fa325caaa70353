"""Results too long to compute for a page: the tables in results/, where they come from, and what they say."""

import json
from collections.abc import Sequence
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


def origin(name: str) -> str:
    """Where results/NAME.csv comes from, in words: n, seed, device and command."""
    made = json.loads((FOLDER / f"{name}.json").read_text("utf8"))
    return f"n = {made['n']} rows, seed {made['seed']}, {made['device']}, made by `{made['command']}`"


def claims(quality: pd.DataFrame, pairs: Sequence[tuple[str, str]], scores: Sequence[str] = ("ssim",)) -> pd.DataFrame:
    """Whether one method beats another: paired difference with its interval, and the verdict, a row a claim and source.

    quality: tidy, one row a slice, source and method; pairs: (better, worse) as claimed; scores: a column each.
    """
    rows = []
    for better, worse in pairs:
        for source, group in quality.groupby("source", sort=False):
            row = {"claim": f"{better} above {worse}", "source": source}
            for score in scores:
                gain = stats.difference(group, better, worse, score)
                row[figures.SCORES[score]] = f"{gain}: {stats.verdict(gain)}"
            rows.append(row | {"slices": gain.n, "volumes": gain.volumes})
    return pd.DataFrame(rows).set_index(["claim", "source"])


def findings(quality: pd.DataFrame) -> list[str]:
    """What the quality table says, one sentence a claim, with interval and verdict of every source."""
    table = claims(quality, [("wavelet", "zero-filled"), ("wavelet", "sense"), ("tv", "wavelet")])
    name = figures.SCORES["ssim"]
    return [
        f"**{claim}**, in {name}: " + "; ".join(f"{source} {row[name]}" for (_, source), row in rows.iterrows()) + "."
        for claim, rows in table.groupby(level="claim", sort=False)
    ]
