"""Measure the transfer matrix: perturbations found for each method, each tried on all of them (Figure 3).

Slices are the middle ones of held-out volumes, one a volume; rows go to --table, which is resumable: what it has is
kept, and a run that was killed goes on. Takes some hours; --jobs slices are worked on at a time, on one thread each.
Examples, all of it and the corrected protocol on your own volumes:
  python -m helpers transfer --jobs 2 --table results/transfer.csv
  python -m helpers transfer --data FOLDER --acquisition "" --volumes 3 --protocol corrected --table mine.csv
"""

import argparse
import shlex
from functools import partial
from pathlib import Path

from helpers import methods, stats, study, transfer
from helpers.commands import show
from helpers.data.slice import Slice
from helpers.errors import BadInput
from helpers.profiles import PROFILES
from helpers.resumable import measured


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", default="knee", help="a source, a file or a folder (default: knee)")
    parser.add_argument("--acquisition", default="CORPD_FBK", help='of the slices, "" for any (default: CORPD_FBK)')
    parser.add_argument("--volumes", type=int, default=10, help="one slice of each (default: 10)")
    parser.add_argument("--profile", default="laptop", choices=PROFILES, help="size of drawn slices (default: laptop)")
    parser.add_argument("--methods", nargs="+", default=transfer.METHODS, help="(default: all of Figure 3, and TV)")
    parser.add_argument("--eps", type=float, nargs="+", default=transfer.EPS, help="strengths")
    parser.add_argument("--protocol", nargs="+", default=transfer.PROTOCOLS, choices=transfer.PROTOCOLS)
    parser.add_argument("--steps", type=int, default=20, help="of gradient attacks (default: 20)")
    parser.add_argument("--seed", type=int, default=0, help="of masks, noise and starts (default: 0)")
    parser.add_argument("--jobs", type=int, default=1, help="slices at a time (default: 1)")
    parser.add_argument("--table", type=Path, help="CSV of all rows, resumable")
    parser.add_argument("--json", action="store_true", help="print one JSON object a row of the summary")


def run(args: argparse.Namespace) -> int:
    if min(args.volumes, args.steps, args.jobs) < 1 or args.seed < 0 or not min(args.eps) > 0:
        raise BadInput("--volumes, --steps and --jobs must be at least 1, --seed 0, and every --eps above 0")
    for name in args.methods:
        methods.load(name, source="knee")  # what is wrong with a name is said before anything is measured
    slices = transfer.slices(args.data, args.profile, args.volumes, args.acquisition)
    work = [
        ((protocol, eps, item.volume, item.number), (protocol, eps, item))
        for eps in args.eps
        for protocol in args.protocol
        for item in slices
    ]
    command = (
        f"python -m helpers transfer --data {shlex.quote(args.data)} --acquisition {shlex.quote(args.acquisition)}"
    )
    command += f" --volumes {args.volumes} --profile {args.profile} --methods {shlex.join(args.methods)}"
    command += f" --eps {' '.join(map(str, args.eps))} --protocol {' '.join(args.protocol)}"
    command += f" --steps {args.steps} --seed {args.seed} --table {args.table}"
    rows = measured(
        ["protocol", "eps", "volume", "slice"],
        work,
        partial(one, tuple(args.methods), args.steps, args.seed),
        args.table,
        lambda n: study.provenance(command, args.seed, n),
        args.jobs,
    )
    show(stats.summary(rows, ["protocol", "eps", "attacked", "method"]).to_dict("records"), args.json)
    return 0


def one(names: tuple[str, ...], steps: int, seed: int, arguments: tuple[str, float, Slice]) -> list[dict]:
    """All rows of one slice at one strength."""
    protocol, eps, item = arguments
    return list(transfer.rows(item, eps, protocol, names, steps, seed))
