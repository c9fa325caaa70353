"""Results too long to compute for a page: the tables in results/, and where they come from."""

import json

import pandas as pd

from helpers.errors import BadInput
from helpers.experiments import tables
from helpers.places import RESULTS

LEVELS = (
    "**Rows of l1-wavelet in this table are older than the method.** Its transform had one level less, with which it"
    " scores lower. They will be measured anew."
)


def table(name: str) -> pd.DataFrame:
    """The tidy table results/NAME.csv; BadInput where there is none."""
    path = RESULTS / f"{name}.csv"
    if not path.is_file():
        raise BadInput(f"there is no {path}; make it with python -m helpers, see README.md")
    return tables.read(path)


def origin(name: str) -> str:
    """Where results/NAME.csv comes from, in words: n, seed, device, version of this package, and command."""
    made = json.loads((RESULTS / f"{name}.json").read_text("utf8"))
    seeds = made["seed"] if isinstance(made["seed"], list) else [made["seed"]]
    commands = ", then ".join(f"`{each}`" for each in [*made.get("earlier", []), made["command"]])
    how = f"{made['device']}, version {made['versions']['helpers']}, made by {commands}"
    return f"n = {made['n']} rows, seed {', '.join(map(str, seeds))}, {how}"


def whence(table: pd.DataFrame, name: str) -> str:
    """A sentence on where the rows of a chapter come from: results/NAME.csv, or, of `live.measured_live`, this run."""
    if "warned" not in table:
        return f"{origin(name)}."
    words, warned = "Measured here and now.", table.loc[table["warned"] != "", "warned"]
    if "shipped" in table and table["shipped"].any():
        words = f"{(~table['shipped']).sum()} rows were measured here and now, the others are of {origin(name)}."
    counted = f" {len(warned)} of {len(table)} reconstructions came with a warning, such as: "
    return words + "".join(f"{counted}{each}." for each in warned[:1])


def older(name: str) -> str:
    """What is said where results/NAME.csv is by older rules than those of today; empty where it is not.

    Of attacks those of version 0.1.0; of l1-wavelet the levels of its transform, which `methods.depends` names.
    """
    made = (RESULTS / f"{name}.json").read_text("utf8")
    if json.loads(made)["versions"]["helpers"] != "0.1.0":
        return "" if '"coarsest"' in made else LEVELS
    return (
        "**This table is older than the rules on this page.** Its attacks climbed the squared error alone, those on"
        " un-trained networks had no gradient, and perturbations could move lines that the scanner had left at zero,"
        " which misled the methods that estimate the noise. It will be measured anew."
    )


def alike(*names: str) -> bool:
    """Whether the tables of these names were made by one version of this package, and may be held beside each other."""
    made = (json.loads((RESULTS / f"{name}.json").read_text("utf8")) for name in names)
    return len({each["versions"]["helpers"] for each in made}) == 1


def nearest(table: pd.DataFrame, eps: float) -> float:
    """The strength of a table, in its column eps, that lies closest to the one that is asked for."""
    return min(table["eps"].unique(), key=lambda each: abs(each - eps))
