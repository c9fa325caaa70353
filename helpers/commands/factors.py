"""Measure what one thing at a time costs each method: acceleration, mask, noise, coils, contrast, motion and others.

Slices are the middle ones of held-out volumes, one a volume, measured anew at every level of each factor; rows go to
--table, which is resumable: what it has is kept, and a run that was killed goes on. Takes an hour; --jobs pieces are
worked on at a time, on one thread each. Examples, all of it and two factors on your own method and volumes:
  python -m helpers factors --jobs 2 --table results/factors.csv
  python -m helpers factors --factors noise coils --methods my_module:reconstruct --data FOLDER --table mine.csv
"""

import argparse
from functools import partial

from helpers import stats
from helpers.commands import _one_slice, show
from helpers.commands._inputs import EACH_ONCE
from helpers.data.slice import Slice
from helpers.experiments import factors
from helpers.experiments.tables import measured
from helpers.experiments.workers import Workers
from helpers.shifts.factors import FACTORS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    _one_slice.add_arguments(parser, factors.COUNT, factors.METHODS)
    words = "which (default: all)"
    parser.add_argument("--factors", **EACH_ONCE, default=list(FACTORS), choices=FACTORS, help=words)


def run(args: argparse.Namespace) -> int:
    slices = _one_slice.slices(args)
    table = _one_slice.table(args, factors.KEYS, slices, by_method=True)
    work = [
        ((factor, name, item.identity), (item, factor, name))
        for item in slices
        for factor in args.factors
        for name in args.methods
    ]
    rows = measured(table, work, partial(one, args.seed, args.device), Workers.of(args))
    show(stats.summary(rows, ["factor", "level", "method"]).to_dict("records"), args.json)
    return int(bool(table.lost))


def one(seed: int, device: str, arguments: tuple[Slice, str, str]) -> list[dict]:
    """All rows of one piece."""
    item, factor, name = arguments
    return list(factors.rows(item.to(device), factor, name, seed))
