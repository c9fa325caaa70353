"""Tune a regularization weight on the training slices of a source.

Tries a grid of weights on slices that no test uses and keeps the one with the best mean SSIM in
helpers/methods/tuned.json, where every command and chapter looks it up. With --table every score of the sweep is
written, too. Example: python -m helpers tune wavelet --source knee --volumes 24
"""

import argparse
import json
import shlex
from pathlib import Path

import pandas as pd

from helpers import methods, study, tuning
from helpers.data import open_data
from helpers.errors import BadInput
from helpers.files import written_aside
from helpers.profiles import PROFILES, profile


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("method", help="a method with a weight: wavelet or tv")
    parser.add_argument("--source", default="knee", help="knee, brain, stanford, or a file or folder (default: knee)")
    parser.add_argument("--volumes", type=int, default=24, help="training volumes, one slice of each (default: 24)")
    parser.add_argument("--profile", default="laptop", choices=PROFILES, help="size of drawn slices (default: laptop)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the masks (default: 0)")
    parser.add_argument("--table", type=Path, help="CSV for the whole sweep; rows of other sweeps in it are kept")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    if args.volumes < 1:
        raise BadInput(f"--volumes must be at least 1, not {args.volumes}")
    methods.load(args.method, lam=1.0)  # a sentence at once where there is nothing to tune
    slices = open_data(args.source, profile=profile(args.profile), split="train", volumes=args.volumes, slices=1)
    rows = study.table(tuning.sweep(args.method, slices, seed=args.seed))
    found = tuning.best(rows)
    command = f"python -m helpers tune {args.method} --source {shlex.quote(args.source)} --volumes {args.volumes}"
    source = str(rows["source"].iloc[0])
    kept = found | {"profile": args.profile} | study.provenance(command, args.seed, found["n"])
    tuning.remember(args.method, source, kept)
    if args.table:
        columns = ["method", "source", "lam", "volume", "slice", "snr", "ssim", "psnr", "nmse", "ssim_object"]
        old = pd.read_csv(args.table) if args.table.is_file() else pd.DataFrame(columns=columns)
        old = old[(old["method"] != args.method) | (old["source"] != source)]
        with written_aside(args.table) as part:
            joined = rows[columns] if old.empty else pd.concat([old, rows[columns]])
            joined.to_csv(part, index=False, float_format="%.6g")
    print(json.dumps(found) if args.json else f"{args.method} on {source}: lam {found['lam']:g}, SSIM {found['ssim']}")
    return 0
