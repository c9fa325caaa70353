"""Fit an un-trained network to one slice and write how its image evolves; resumable.

DATA is a drawn source, whose held-out slices are counted through its volumes, two of each, or a file. Every --look
steps a row: losses, scores of the image as it stands, seconds so far. A checkpoint in _build/kept/fits is written every
minute, from which a fit that was killed goes on. Example, the published recipe, hours on one core:
  python -m helpers fit convdecoder-first --data knee --table results/fit-convdecoder-first-knee.csv
"""

import argparse
import json
import shlex
from dataclasses import asdict, replace
from pathlib import Path

import torch
from torch import Tensor

from helpers import __version__
from helpers.commands import _outputs, show
from helpers.commands._inputs import COUNT, INDEX, SEED, usable
from helpers.data import DRAWN, open_data
from helpers.data.slice import checksum
from helpers.errors import BadInput
from helpers.experiments import evaluate
from helpers.experiments.provenance import provenance
from helpers.experiments.tables import Table
from helpers.mri import metrics
from helpers.places import KEPT
from helpers.profiles import PROFILES, profile
from helpers.untrained import precision
from helpers.untrained.fit import LOOK, fit
from helpers.untrained.recipes import FITS

SCORES = ("ssim", "psnr", "ssim_object")
PRECISIONS = ("float32", "bfloat16")
KEYS = ["method", "source", "volume", "slice", "step"]
COLUMNS = [*KEYS, "seconds", "loss", "held_loss", *SCORES]
CHECKPOINTS = KEPT / "fits"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("method", metavar="METHOD", help=f"one of {', '.join(FITS)}")
    parser.add_argument("--data", default="knee", help="a source, or a file with a reference (default: knee)")
    parser.add_argument("--slice", type=INDEX, default=0, help="which slice, counted from 0 (default: 0)")
    parser.add_argument("--profile", default="laptop", choices=PROFILES, help="size of drawn slices (default: laptop)")
    parser.add_argument("--seed", type=SEED, default=0, help="of weights, input, held-out lines and mask (default: 0)")
    parser.add_argument("--steps", type=COUNT, help="default: the method's own")
    words = "of the convolutions, bfloat16 where that is faster, or float32 all the same; default: the method's own"
    parser.add_argument("--precision", choices=PRECISIONS, help=words)
    parser.add_argument(
        "--look", type=COUNT, default=50, help="steps between two scores, a multiple of 10 (default: 50)"
    )
    parser.add_argument("--device", default="cpu", help="cpu, cuda, ... (default: cpu)")
    parser.add_argument("--table", type=Path, help="CSV of all looks")
    parser.add_argument("--checkpoints", type=Path, default=CHECKPOINTS, help="(default: _build/kept/fits)")
    parser.add_argument("--json", action="store_true", help="print the last look as one JSON object")


def run(args: argparse.Namespace) -> int:
    if args.method not in FITS:
        raise BadInput(f"{args.method!r} is no un-trained method; choose one of {', '.join(FITS)}")
    asked = {"steps": args.steps, "precision": args.precision}
    settings = replace(FITS[args.method], **{name: value for name, value in asked.items() if value is not None})
    settings = replace(settings, precision=precision.used(settings.precision, usable(args.device)))
    if args.look % LOOK:
        raise BadInput(f"--look must be a multiple of {LOOK}")
    _outputs.check({"--table": args.table})
    _outputs.writable("--checkpoints", args.checkpoints / "checkpoint.pt")
    drawn = (
        {"profile": profile(args.profile), "volumes": args.slice // 2 + 1, "slices": 2} if args.data in DRAWN else {}
    )
    data = open_data(args.data, split="test", **drawn)
    if args.slice >= len(data):
        raise BadInput(f"{args.data} has no slice {args.slice}; it has {len(data)}, counted from 0")
    item = data[args.slice].to(usable(args.device))
    if item.target is None:
        raise BadInput(f"{args.data} has no reference: there is nothing to score against")
    mask = evaluate.mask_of(item, seed=args.seed)
    where = {"method": args.method, "source": item.source, "volume": item.volume, "slice": item.number}
    identity = {"identity": item.identity}
    # whatever a fit and its looks depend on: one of another mask or of other settings is no beginning of this one
    made = checksum(json.dumps([asdict(settings), args.seed, item.identity, args.look, __version__]), mask)
    words = ["python", "-m", "helpers", "fit", args.method, "--data", args.data, "--slice", str(args.slice)]
    words += ["--profile", args.profile, "--seed", str(args.seed), "--steps", str(settings.steps)]
    command = shlex.join([*words, "--look", str(args.look), "--precision", settings.precision])

    table = Table(
        args.table,
        KEYS,
        lambda n: provenance(command, args.seed, n, args.device, torch.get_num_threads()),
        {"profile": args.profile, "seed": args.seed, "look": args.look, "code": __version__}
        | where
        | identity
        | asdict(settings),
    )

    def score(look: dict, image: Tensor) -> None:
        if look["step"] % args.look == 0 or look["step"] == settings.steps:
            found = metrics.scores(item.crop(image), item.target)
            look |= where | {name: found[name] for name in SCORES}
            table.drop(table.rows["step"] >= look["step"])  # what a kill has undone is looked at again
            table.add([{name: look[name] for name in COLUMNS}])

    found = fit(
        item.kspace * mask,
        mask,
        settings,
        args.seed,
        watch=score,
        checkpoint=args.checkpoints / f"{args.method}-{made}.pt",
        progress=True,
    )
    scored = [{name: look[name] for name in COLUMNS} for look in found.trajectory if "ssim" in look]
    there = set(table.rows["step"])  # a checkpoint may be further than the table
    table.add([look for look in scored if look["step"] not in there])
    table.finish(ordered=True)
    show(scored[-1:], args.json)
    return 0
