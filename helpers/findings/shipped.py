"""Results too long to compute for a page: the tables in results/, and where they come from."""

import json
from pathlib import Path

import pandas as pd

from helpers.errors import BadInput
from helpers.experiments import tables

FOLDER = Path(__file__).resolve().parents[2] / "results"


def table(name: str) -> pd.DataFrame:
    """The tidy table results/NAME.csv; BadInput where there is none."""
    path = FOLDER / f"{name}.csv"
    if not path.is_file():
        raise BadInput(f"there is no {path}; make it with python -m helpers evaluate, see README.md")
    return tables.read(path)


def origin(name: str) -> str:
    """Where results/NAME.csv comes from, in words: n, seed, device and command."""
    made = json.loads((FOLDER / f"{name}.json").read_text("utf8"))
    seeds = made["seed"] if isinstance(made["seed"], list) else [made["seed"]]
    return f"n = {made['n']} rows, seed {', '.join(map(str, seeds))}, {made['device']}, made by `{made['command']}`"


def nearest(table: pd.DataFrame, eps: float) -> float:
    """The strength of a table, in its column eps, that lies closest to the one that is asked for."""
    return min(table["eps"].unique(), key=lambda each: abs(each - eps))
