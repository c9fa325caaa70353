"""Audit the attacks: what each finds on each method, against its steps, its starts, noise and the exact worst case.

Slices are those of `transfer`. Rows go to --table, which is resumable. Takes some hours.
Example: python -m helpers audit --jobs 2 --table results/audit.csv
"""

import argparse
from functools import partial

from helpers import stats
from helpers.commands import _one_slice, show
from helpers.commands._inputs import EACH_ONCE, Once, positive
from helpers.data.slice import Slice
from helpers.experiments import audit, transfer
from helpers.experiments.tables import measured
from helpers.experiments.workers import Workers


def add_arguments(parser: argparse.ArgumentParser) -> None:
    _one_slice.add_arguments(parser, 3, audit.METHODS)
    parser.add_argument(
        "--eps",
        type=positive,
        **EACH_ONCE,
        default=audit.EPS,
        help=f"strengths (default: {' '.join(map(str, audit.EPS))})",
    )
    parser.add_argument(
        "--through",
        type=positive,
        nargs="*",
        action=Once,
        default=transfer.EPS,
        help="strengths of the matrix, through the smaller of which its attack comes to those of --eps"
        f" (default: {' '.join(map(str, transfer.EPS))})",
    )


def run(args: argparse.Namespace) -> int:
    slices = _one_slice.slices(args, known=[audit.LINEAR])
    work = [((name, item.identity), (name, item)) for item in slices for name in args.methods]
    table = _one_slice.table(args, audit.KEYS, slices, by_method=True)
    do = partial(one, tuple(args.eps), tuple(args.through), args.seed, args.device)
    rows = measured(table, work, do, Workers.of(args))
    show(
        stats.summary(rows, ["eps", "method", "score", "attack", "start", "climbed", "steps"], "loss").to_dict(
            "records"
        ),
        args.json,
    )
    return int(bool(table.lost))


def one(
    strengths: tuple[float, ...], through: tuple[float, ...], seed: int, device: str, arguments: tuple[str, Slice]
) -> list[dict]:
    """All rows of one method on one slice."""
    name, item = arguments
    return list(audit.rows(item.to(device), name, strengths, seed=seed, through=through))
