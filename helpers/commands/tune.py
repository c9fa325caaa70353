"""Tune regularization weights on the training slices of a source.

Tries a grid of weights on slices that no test uses and keeps the one with the best mean SSIM in
helpers/methods/tuned.json, where every command and chapter looks it up. With --table every score of the sweep is
written, too. Example: python -m helpers tune wavelet tv --source knee brain stanford --volumes 24
"""

import argparse
import shlex
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from helpers import methods
from helpers.commands import show
from helpers.data import open_data
from helpers.errors import BadInput
from helpers.experiments import evaluate, tuning
from helpers.experiments.provenance import provenance
from helpers.experiments.tables import keep
from helpers.profiles import PROFILES, profile

COLUMNS = ["method", "source", "lam", "volume", "slice", "snr", "ssim", "psnr", "nmse", "ssim_object"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("methods", nargs="+", metavar="METHOD", help="methods with a weight: wavelet, tv")
    parser.add_argument("--source", nargs="+", default=["knee"], help="sources, files or folders (default: knee)")
    parser.add_argument("--volumes", type=int, default=24, help="training volumes, one slice of each (default: 24)")
    parser.add_argument("--profile", default="laptop", choices=PROFILES, help="size of drawn slices (default: laptop)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the masks (default: 0)")
    parser.add_argument("--table", type=Path, help="CSV for every score of the sweep")
    parser.add_argument("--json", action="store_true", help="print one JSON object a method and source")


def run(args: argparse.Namespace) -> int:
    if args.volumes < 1 or args.seed < 0:
        raise BadInput("--volumes must be at least 1, and --seed at least 0")
    for method in args.methods:
        methods.load(method, lam=1.0)  # a sentence at once where there is nothing to tune
    command = f"python -m helpers tune {shlex.join(args.methods)} --source {shlex.join(args.source)}"
    command += f" --volumes {args.volumes} --profile {args.profile}" + (f" --table {args.table}" if args.table else "")
    show(swept(args, command), args.json)
    return 0


def swept(args: argparse.Namespace, command: str) -> Iterator[dict]:
    """Tune every method on every source: one row each, and what was found is kept at once."""
    sweeps = []
    for data in args.source:
        slices = open_data(data, profile=profile(args.profile), split="train", volumes=args.volumes, slices=1)
        for method in args.methods:
            rows = evaluate.table(tuning.sweep(method, slices, seed=args.seed))
            found, source = tuning.best(rows), str(rows["source"].iloc[0])
            made = provenance(command, args.seed, found["n"])
            tuning.remember(method, source, found | {"profile": args.profile} | made)
            sweeps.append(rows[COLUMNS])
            if args.table:
                table = pd.concat(sweeps)
                keep(table, args.table, provenance(command, args.seed, len(table)))
            yield {"method": method, "source": source} | found
