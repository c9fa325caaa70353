"""The commands of `python -m helpers`, one file each: a docstring for its help, `add_arguments` and `run`."""

import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from helpers.errors import BadInput


def show(rows: Iterable[Mapping], as_json: bool) -> int:
    """Print rows on standard output: one JSON object a line as they come, or one aligned table at the end.

    Returns how many there were. Those that there are before something goes wrong are printed, too.
    """
    shown = []
    try:
        for row in rows:
            shown.append(row)
            if as_json:
                print(json.dumps({name: _plain(value) for name, value in row.items()}), flush=True)
    finally:
        if shown and not as_json:
            table = pd.DataFrame(shown)
            print(table.to_string(index=False, na_rep="-", float_format=lambda value: f"{value:.4g}"))
    return len(shown)


def told(lost: Mapping[str, Sequence[str]], whole: Mapping[str, int], came: int) -> int:
    """Say which methods have lost slices, and why the first; the exit code, or BadInput where nothing came out.

    lost: why, slice by slice, by method; whole: of how many slices; came: the number of rows of all methods.
    """
    if lost and not came:
        raise BadInput(next(iter(lost.values()))[0])
    for name, sentences in lost.items():
        print(f"{name}: {len(sentences)} of {whole[name]} slices are lost; the first: {sentences[0]}", file=sys.stderr)
    return int(bool(lost))


def _plain(value: object) -> object:
    """A value as JSON has it: what is not finite becomes null."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
