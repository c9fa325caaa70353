"""Measure how near the noise level comes to the noise that was drawn.

Drawn slices of every source are measured at several SNRs, with all, .6 or .4 of their k-space, with 4 to 15 coils, with
and without an oversampled readout, and under every kind of mask: one row for each. Takes ten minutes.
Example: python -m helpers noise --table results/noise.csv
"""

import argparse
import shlex
from pathlib import Path

import torch
from tqdm import tqdm

from helpers import __version__
from helpers.commands import _outputs, show
from helpers.commands._inputs import SEED
from helpers.experiments import noise_levels
from helpers.experiments.provenance import provenance
from helpers.experiments.tables import Table
from helpers.findings import noise
from helpers.profiles import PROFILES, profile


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--profile", default="laptop", choices=PROFILES, help="size of the scans (default: laptop)")
    parser.add_argument("--seed", type=SEED, default=10, help="of the first of six subjects (default: 10)")
    parser.add_argument("--table", type=Path, help="CSV of all rows, resumable")
    parser.add_argument("--json", action="store_true", help="print one JSON object a row of the summary")


def run(args: argparse.Namespace) -> int:
    _outputs.check({"--table": args.table})
    words = ["--profile", args.profile, "--seed", str(args.seed), "--table", str(args.table)]
    command = shlex.join(["python", "-m", "helpers", "noise", *words])
    depends = {"profile": args.profile, "seed": args.seed, "code": __version__}
    made = lambda n: provenance(command, args.seed, n, threads=torch.get_num_threads())  # noqa: E731
    table = Table(args.table, noise_levels.KEYS, made, depends)
    have = table.have
    scans = [scan for scan in noise_levels.scans(args.seed) if scan.key not in have]
    for scan in tqdm(scans, "scans"):
        table.add(noise_levels.rows(scan, profile(args.profile)))
    table.finish(ordered=True)
    show(noise.by_factor(table.rows).reset_index().to_dict("records"), args.json)
    return 0
