"""Measure the transfer matrix: perturbations found for each method, each tried on all of them (Figure 3).

Slices are the middle ones of held-out volumes, one a volume; rows go to --table, which is resumable: what it has is
kept, and a run that was killed goes on. Fits of a slice that is not done are kept in TABLE.fits, half a GB. Takes a day
on a core, most of it for un-trained networks; --jobs slices are worked on at a time, on one thread each.
Examples, all of it and the corrected protocol on your own volumes:
  python -m helpers transfer --jobs 2 --table results/transfer.csv
  python -m helpers transfer --data FOLDER --acquisition "" --volumes 3 --protocol corrected --table mine.csv
"""

import argparse
from functools import partial
from pathlib import Path

from helpers import published, stats
from helpers.attacks import known
from helpers.commands import _one_slice, show
from helpers.commands._inputs import COUNT, EACH_ONCE, NO_METHODS, positive
from helpers.data.slice import Slice
from helpers.errors import BadInput
from helpers.experiments import transfer
from helpers.experiments.tables import measured
from helpers.experiments.workers import Workers
from helpers.untrained.kept import kept


def add_arguments(parser: argparse.ArgumentParser) -> None:
    _one_slice.add_arguments(parser, transfer.COUNT, transfer.METHODS, fitted=transfer.FITTED)
    parser.add_argument("--eps", type=positive, **EACH_ONCE, default=transfer.EPS, help="strengths")
    parser.add_argument("--protocol", **EACH_ONCE, default=transfer.PROTOCOLS, choices=transfer.PROTOCOLS)
    steps = f"of attacks; without gradients half as many more (default: {known.STEPS})"
    parser.add_argument("--steps", type=COUNT, default=known.STEPS, help=steps)


def run(args: argparse.Namespace) -> int:
    slices = _one_slice.slices(args)
    if "corrected" not in args.protocol and not set(args.methods) & set(published.protocol.METHODS):
        raise BadInput(NO_METHODS)
    work = [
        ((protocol, item.identity), (protocol, item, names))
        for protocol in args.protocol
        for number, item in enumerate(slices)
        if (names := transfer.measured_on(number, args.methods))
    ]
    table = _one_slice.table(args, transfer.KEYS, slices, by_method=False)
    rows = measured(
        table,
        work,
        partial(one, tuple(args.eps), args.steps, args.seed, args.device, args.table and Path(f"{args.table}.fits")),
        Workers.of(args),
    )
    show(stats.summary(rows, ["protocol", "eps", "attacked", "climbed", "method"]).to_dict("records"), args.json)
    return int(bool(table.lost))


def one(
    strengths: tuple[float, ...],
    steps: int,
    seed: int,
    device: str,
    fits: Path | None,
    arguments: tuple[str, Slice, tuple[str, ...]],
) -> list[dict]:
    """All rows of one slice; its fits lie in a folder of `fits` until they are there."""
    protocol, item, names = arguments
    with kept(fits and fits / f"{protocol}-{item.identity}"):
        return list(transfer.rows(item.to(device), strengths, protocol, names, steps, seed))
