"""Rows that a chapter measures itself, with a bar on standard error, and what solvers complained of beside each."""

import warnings
from collections.abc import Callable, Iterable, Sequence

import pandas as pd
from tqdm import tqdm


def measured_live(function: Callable[..., Iterable[dict]], work: Sequence[tuple], words: str) -> pd.DataFrame:
    """The rows that a function gives for each of its arguments, with a column `warned`, of its last warning or empty.

    A page hides standard error, so that a warning there is seen by nobody: `findings.shipped.whence` counts them.
    words: what the bar is called.
    """
    found = []
    for arguments in tqdm(work, words):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            told = 0
            for row in function(*arguments):
                found.append(row | {"warned": str(caught[-1].message) if len(caught) > told else ""})
                told = len(caught)
    return pd.DataFrame(found)
