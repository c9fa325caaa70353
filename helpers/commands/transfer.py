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
from multiprocessing import get_context
from pathlib import Path

import pandas as pd
import torch
from tqdm import tqdm

from helpers import stats, study, transfer
from helpers.commands import show
from helpers.data.slice import Slice
from helpers.errors import BadInput
from helpers.profiles import PROFILES

ORDER = ["protocol", "eps", "volume", "slice"]


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
    if min(args.volumes, args.steps, args.jobs) < 1 or args.seed < 0 or min(args.eps) <= 0:
        raise BadInput("--volumes, --steps and --jobs must be at least 1, --seed 0, and every --eps above 0")
    slices = transfer.slices(args.data, args.profile, args.volumes, args.acquisition)
    work = [(protocol, eps, item) for protocol in args.protocol for eps in args.eps for item in slices]
    rows = pd.read_csv(args.table) if args.table and args.table.is_file() else pd.DataFrame(columns=ORDER)
    if missing := [key for key in ORDER if key not in rows]:
        raise BadInput(f"{args.table} has no column {missing[0]}, so that it cannot be gone on with")
    have = set(rows[ORDER].itertuples(index=False, name=None))
    work = [each for each in work if (each[0], each[1], each[2].volume, each[2].number) not in have]
    command = (
        f"python -m helpers transfer --data {shlex.quote(args.data)} --acquisition {shlex.quote(args.acquisition)}"
    )
    command += f" --volumes {args.volumes} --profile {args.profile} --methods {shlex.join(args.methods)}"
    command += f" --eps {' '.join(map(str, args.eps))} --protocol {' '.join(args.protocol)}"
    command += f" --steps {args.steps} --seed {args.seed} --table {args.table}"
    # one thread each, for results that do not depend on the machine; forked from a server that has none
    with get_context("forkserver").Pool(args.jobs, torch.set_num_threads, (1,)) as pool:
        found = pool.imap_unordered(partial(one, tuple(args.methods), args.steps, args.seed), work)
        for new in tqdm(found, "slices and strengths", len(work)):
            rows = pd.concat([rows, pd.DataFrame(new)]) if len(rows) else pd.DataFrame(new)
            rows = rows.sort_values(ORDER, kind="stable")
            if args.table:
                study.keep(rows, args.table, study.provenance(command, args.seed, len(rows)))
    show(stats.summary(rows, ["protocol", "eps", "attacked", "method"]).to_dict("records"), args.json)
    return 0


def one(names: tuple[str, ...], steps: int, seed: int, work: tuple[str, float, Slice]) -> list[dict]:
    """All rows of one slice at one strength."""
    protocol, eps, item = work
    return list(transfer.rows(item, eps, protocol, names, steps, seed))
