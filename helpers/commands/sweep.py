"""Run one notebook over a grid of parameters with papermill: -p name=value,value,...

Every run has a row in OUT/sweep.csv, with the numbers that the notebook tells, and its executed copy in OUT/runs; one
that fails keeps its traceback in OUT/failed, is listed, and is tried again at the next start; finished ones are
skipped, unless a file, a folder of scans or a method that their parameters name has changed. OUT/index.html shows all
runs side by side. --jobs runs go at a time, or those of a dask cluster.
Example: python -m helpers sweep book/sparsity.ipynb -p acceleration=4,8 -p seed=0,1 -p profile=smoke --out sweep
"""

import argparse
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from helpers import __version__
from helpers.commands import _outputs, show
from helpers.commands._inputs import add_workers
from helpers.errors import BadInput
from helpers.experiments import sweeps
from helpers.experiments.provenance import provenance
from helpers.experiments.tables import Table, measured
from helpers.experiments.workers import Workers
from helpers.files import written_aside


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("notebook", type=Path, help="with a cell tagged parameters")
    words = "values of a parameter, with commas between; the grid is of all combinations"
    parser.add_argument("-p", dest="given", action="append", default=[], metavar="NAME=VALUES", help=words)
    parser.add_argument("--out", type=Path, required=True, help="folder of the table, the executed copies and the page")
    add_workers(parser, limited=False)
    parser.add_argument("--json", action="store_true", help="print one JSON object a run")


def run(args: argparse.Namespace) -> int:
    if not args.notebook.is_file():
        raise BadInput(f"there is no notebook {args.notebook}; name a chapter as book/CHAPTER.ipynb")
    notebook, folder, table_at = args.notebook.resolve(), args.out.resolve(), args.out / "sweep.csv"
    given: dict[str, list] = {}
    for text in args.given:
        name, between, after = text.partition("=")
        if not between:
            raise BadInput(f"-p takes NAME=VALUES, not {text!r}")
        if name in given:
            raise BadInput(f"-p {name} is given twice; give all of its values at once, as {name}=1,2")
        given[name] = sweeps.values(name, after)
        if not given[name]:
            raise BadInput(f"-p {name} has no value; give some, as {name}=1,2")
    grid = sweeps.grid(notebook, given)
    _outputs.check({"--table": table_at})
    if (args.out / "index.html").exists() and not table_at.exists():
        raise BadInput(f"{args.out / 'index.html'} is there and not of a sweep; give another --out")
    words = [str(args.notebook), *_each("-p", args.given), "--out", str(args.out)]
    command = shlex.join(["python", "-m", "helpers", "sweep", *words])
    depends = {"notebook": sweeps.digest(notebook), "code": __version__}
    made = lambda n: provenance(command, [], n, args.device)  # noqa: E731
    table = Table(table_at, sweeps.KEYS, made, depends, numbers=())  # a parameter is what its notebook makes of it
    named = {sweeps.key(parameters): sweeps.named(notebook, parameters) for parameters in grid}
    if len(table.rows):
        table.drop((table.rows["state"] == sweeps.FAILED) & table.rows["run"].isin(named))
    forget(table, named)
    work = [((run,), (notebook, folder, parameters, named[run])) for run, parameters in zip(named, grid, strict=True)]
    rows = measured(table, work, one, Workers.of(args))
    with written_aside(args.out / "index.html") as part:
        part.write_text(sweeps.page(notebook, folder, rows), "utf8")
    failed = rows[(rows["state"] == sweeps.FAILED) & rows["run"].isin(named)]
    for row in failed.to_dict("records"):
        print(f"{args.out}/failed/{row['run']}.ipynb: {row['message']}", file=sys.stderr)
    show(rows.drop(columns=sweeps.NAMED, errors="ignore").to_dict("records"), args.json)
    return 1 if len(failed) else 0


def forget(table: Table, named: Mapping[str, str]) -> None:
    """Forget runs whose parameters name what has changed since; named: what it is now, by run."""
    before = table.rows.reindex(columns=[sweeps.NAMED])[sweeps.NAMED].astype(object).fillna("")
    stale = before != table.rows["run"].map(named).fillna(before)  # other runs are not asked for
    if stale.any():
        words = f"{stale.sum()} runs of {table.path} are made anew: what their parameters name may have changed"
        print(words, file=sys.stderr)
        table.drop(stale)


def one(arguments: tuple[Path, Path, dict]) -> list[dict]:
    """The row of one run."""
    return sweeps.run(*arguments)


def _each(option: str, values: list[str]) -> list[str]:
    return [word for value in values for word in (option, value)]
