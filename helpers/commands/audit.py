"""Audit the attacks: what each finds on each method, against its steps, its starts, noise and the exact worst case.

Slices are those of `transfer`. Rows go to --table, which is resumable. Takes half an hour.
Example: python -m helpers audit --jobs 2 --table results/audit.csv
"""

import argparse
import shlex
from functools import partial
from pathlib import Path

from helpers import audit, methods, stats, study, transfer
from helpers.commands import show
from helpers.data.slice import Slice
from helpers.errors import BadInput
from helpers.profiles import PROFILES
from helpers.resumable import measured


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", default="knee", help="a source, a file or a folder (default: knee)")
    parser.add_argument("--acquisition", default="CORPD_FBK", help='of the slices, "" for any (default: CORPD_FBK)')
    parser.add_argument("--volumes", type=int, default=3, help="one slice of each (default: 3)")
    parser.add_argument("--profile", default="laptop", choices=PROFILES, help="size of drawn slices (default: laptop)")
    parser.add_argument("--methods", nargs="+", default=audit.METHODS, help="(default: those of Figure 3, and SENSE)")
    parser.add_argument("--eps", type=float, default=audit.EPS, help=f"strength (default: {audit.EPS:g})")
    parser.add_argument("--seed", type=int, default=0, help="of masks, noise and starts (default: 0)")
    parser.add_argument("--jobs", type=int, default=1, help="slices at a time (default: 1)")
    parser.add_argument("--table", type=Path, help="CSV of all rows, resumable")
    parser.add_argument("--json", action="store_true", help="print one JSON object a row of the summary")


def run(args: argparse.Namespace) -> int:
    if min(args.volumes, args.jobs) < 1 or args.seed < 0 or not args.eps > 0:
        raise BadInput("--volumes and --jobs must be at least 1, --seed 0, and --eps above 0")
    for name in set(args.methods) - {audit.LINEAR}:
        methods.load(name, source="knee")  # what is wrong with a name is said before anything is measured
    slices = transfer.slices(args.data, args.profile, args.volumes, args.acquisition)
    work = [((name, item.volume, item.number), (name, item)) for item in slices for name in args.methods]
    command = f"python -m helpers audit --data {shlex.quote(args.data)} --acquisition {shlex.quote(args.acquisition)}"
    command += f" --volumes {args.volumes} --profile {args.profile} --methods {shlex.join(args.methods)}"
    command += f" --eps {args.eps} --seed {args.seed} --table {args.table}"
    rows = measured(
        ["method", "volume", "slice"],
        work,
        partial(one, args.eps, args.seed),
        args.table,
        lambda n: study.provenance(command, args.seed, n),
        args.jobs,
    )
    show(stats.summary(rows, ["method", "attack", "start", "steps"], "loss").to_dict("records"), args.json)
    return 0


def one(eps: float, seed: int, arguments: tuple[str, Slice]) -> list[dict]:
    """All rows of one method on one slice."""
    name, item = arguments
    return list(audit.rows(item, name, eps, seed))
