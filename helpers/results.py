"""Results too long to compute for a page: the tables in results/, where they come from, and what they say."""

import json
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


def findings(quality: pd.DataFrame) -> list[str]:
    """What the quality table says, one sentence a comparison, with its interval and verdict.

    quality: tidy, one row a slice, source and method, as `python -m helpers evaluate` writes it.
    """
    claims = [("wavelet", "zero-filled"), ("wavelet", "sense"), ("tv", "wavelet")]
    sentences = []
    for better, worse in claims:
        parts = []
        for source, group in quality.groupby("source", sort=False):
            gain = stats.difference(group, better, worse)
            parts.append(f"{gain} on {source} ({stats.verdict(gain)})")
        sentences.append(f"**{better} above {worse}** in {figures.SCORES['ssim']}: by {'; '.join(parts)}.")
    return sentences
