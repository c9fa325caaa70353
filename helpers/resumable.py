"""Long tables: rows that come from many pieces of work, several at a time, kept as they come, resumed after a kill."""

from collections.abc import Callable, Iterable, Sequence
from multiprocessing import get_context
from pathlib import Path

import pandas as pd
import torch
from tqdm import tqdm

from helpers import study
from helpers.errors import BadInput


def measured(
    keys: Sequence[str],
    work: Iterable[tuple[tuple, tuple]],
    function: Callable[[tuple], list[dict]],
    table: Path | None,
    made: Callable[[int], dict],
    jobs: int = 1,
) -> pd.DataFrame:
    """The rows of all pieces of work, sorted by their keys; those that `table` has already are not measured again.

    keys: columns that name a piece of work; work: (key, arguments), key the values of `keys`; function: arguments to
    rows, in a process of its own with one thread, so that results do not depend on how many run; made: number of rows
    to provenance; table: CSV, written after every piece. BadInput for a table of something else.
    """
    keys = list(keys)
    rows = pd.read_csv(table) if table and table.is_file() else pd.DataFrame(columns=keys)
    if missing := [key for key in keys if key not in rows]:
        raise BadInput(f"{table} has no column {missing[0]}, so that it cannot be gone on with; give another --table")
    have = set(rows[keys].itertuples(index=False, name=None))
    work = list(work)
    left = [arguments for key, arguments in work if key not in have]
    with get_context("forkserver").Pool(jobs, torch.set_num_threads, (1,)) as pool:
        for new in tqdm(pool.imap_unordered(function, left), "pieces of work", len(left)):
            rows = pd.concat([rows, pd.DataFrame(new)]) if len(rows) else pd.DataFrame(new)
            rows = rows.sort_values(keys, kind="stable")
            if table:
                study.keep(rows, table, made(len(rows)))
    if table and have == {key for key, _ in work}:  # this command makes it, whoever began it
        study.keep(rows, table, made(len(rows)))
    return rows.reset_index(drop=True)
