"""Measure methods on held-out slices; MODULE:FUNCTION is your own method.

Scores every method on the same slices under the same masks and writes one row a slice to --table, which is
resumable: rows that it has already are kept and not measured again, but for those of networks whose weights have
changed since. Beside it a .json says where it comes from.
Example: python -m helpers evaluate wavelet tv my_package.my_module:reconstruct --data knee --volumes 20
"""

import argparse
import json
import shlex
from pathlib import Path

import pandas as pd

from helpers import methods, stats, study, zoo
from helpers.commands import show
from helpers.commands.reconstruct import usable
from helpers.data import open_data
from helpers.errors import BadInput
from helpers.profiles import PROFILES, profile


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("methods", nargs="+", metavar="METHOD", help="names, or MODULE:FUNCTION for your own")
    parser.add_argument(
        "--data", nargs="+", default=["knee", "brain"], help="sources, files or folders (default: knee brain)"
    )
    parser.add_argument("--volumes", type=int, default=20, help="volumes of each drawn source (default: 20)")
    parser.add_argument("--slices", type=int, default=2, help="slices of each drawn volume (default: 2)")
    parser.add_argument("--profile", default="laptop", choices=PROFILES, help="size of drawn slices (default: laptop)")
    parser.add_argument("--seed", type=int, nargs="+", default=[0], help="seeds of the masks (default: 0)")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, ... (default: cpu)")
    parser.add_argument("--table", type=Path, help="CSV of all rows, resumable")
    parser.add_argument("--json", action="store_true", help="print one JSON object a row of the summary")


def known(path: Path | None, names: list[str]) -> tuple[pd.DataFrame, dict[str, str]]:
    """The rows measured so far, and the checksums of the networks that they are of; BadInput for another table.

    Left out are rows of those methods in `names` that are networks with other weights now: they are measured anew.
    """
    keys = ["method", "volume", "slice", "seed"]
    if not path or not path.is_file():
        return pd.DataFrame(columns=keys), weights(names)
    rows, origin = pd.read_csv(path), path.with_suffix(".json")
    if missing := [key for key in keys if key not in rows]:
        raise BadInput(f"{path} has no column {missing[0]}, so that it cannot be gone on with; give another --table")
    try:
        measured = json.loads(origin.read_text("utf8")).get("weights", {}) if origin.is_file() else {}
    except (ValueError, AttributeError) as error:
        raise BadInput(f"{origin} does not say where {path} comes from; give another --table") from error
    current = weights(names)
    changed = [name for name, checksum in current.items() if measured.get(name) != checksum]
    return rows[~rows["method"].isin(changed)], measured | current


def weights(names: list[str]) -> dict[str, str]:
    """The checksum of the weights of every network of the zoo among the methods."""
    return {name: zoo.card(name)["sha256"] for name in names if name in zoo.names()}


def run(args: argparse.Namespace) -> int:
    if args.volumes < 1 or args.slices < 1 or min(args.seed) < 0:
        raise BadInput("--volumes and --slices must be at least 1, and --seed at least 0")
    usable(args.device)
    for name in args.methods:
        methods.load(name)  # what is wrong with a name is said before anything is measured
    rows, checksums = known(args.table, args.methods)
    have = set(zip(rows["method"], rows["volume"], rows["slice"], rows["seed"], strict=True))
    command = f"python -m helpers evaluate {shlex.join(args.methods)} --data {shlex.join(args.data)}"
    command += f" --volumes {args.volumes} --slices {args.slices} --profile {args.profile}"
    command += f" --seed {' '.join(map(str, args.seed))} --table {args.table}"
    size = profile(args.profile)
    for data in args.data:
        slices = open_data(data, profile=size, split="test", volumes=args.volumes, slices=args.slices)
        for name in args.methods:
            for seed in args.seed:
                skip = lambda name, item, seed=seed: (name, item.volume, item.number, seed) in have  # noqa: E731
                for row in study.evaluate([name], slices, skip=skip, device=args.device, progress=True, seed=seed):
                    new = pd.DataFrame([row | {"seed": seed}])
                    rows = pd.concat([rows, new]) if len(rows) else new
                    if args.table:
                        made = study.provenance(command, args.seed, len(rows), args.device) | {"weights": checksums}
                        study.keep(rows, args.table, made)
    if rows.empty:
        raise BadInput(f"nothing to score: no slice of {', '.join(args.data)} has a target")
    show(stats.summary(rows, ["source", "method"]).to_dict("records"), args.json)
    return 0
