"""The commands of `python -m helpers`, one file each: a docstring for its help, `add_arguments` and `run`."""

import json
import math
from collections.abc import Iterable, Mapping

import pandas as pd


def show(rows: Iterable[Mapping], as_json: bool) -> None:
    """Print rows on standard output: one JSON object a line as they come, or one aligned table at the end."""
    if as_json:
        for row in rows:
            print(json.dumps({name: _plain(value) for name, value in row.items()}), flush=True)
        return
    table = pd.DataFrame(list(rows))
    if len(table):
        print(table.to_string(index=False, na_rep="-", float_format=lambda value: f"{value:.4g}"))


def _plain(value: object) -> object:
    """A value as JSON has it: what is not finite becomes null."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
