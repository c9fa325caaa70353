"""Tune regularization weights, or the settings of an un-trained network, on the training slices of a source.

Tries a grid of weights on slices that no test uses and keeps the one with the best mean SSIM, where every command and
chapter looks it up: of a drawn source in helpers/methods/tuned.json, unless it has one of larger slices; of your file
or folder, for what is in it, in _build/kept/tuned.json. Of an un-trained network each setting is tried at other values,
one at a time; its settings stand in helpers/untrained/recipes.py and are not changed. With --table every score of the
sweep is written, too. Examples:
  python -m helpers tune wavelet tv --source knee brain stanford --volumes 24
  python -m helpers tune convdecoder --source knee brain --volumes 3 --table results/tuning_untrained.csv
"""

import argparse
import shlex
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from tqdm import tqdm

from helpers import __version__, methods, stats
from helpers.commands import _outputs, show
from helpers.commands._inputs import COUNT, EACH_ONCE, SEED, add_workers, usable
from helpers.data import DRAWN, Slice, open_data
from helpers.errors import BadInput
from helpers.experiments import tuning
from helpers.experiments.provenance import provenance
from helpers.experiments.tables import Table
from helpers.experiments.workers import Workers
from helpers.profiles import PROFILES, profile
from helpers.untrained.recipes import FITS

KEYS_OF_WEIGHTS = ["method", "source", "identity", "lam"]
KEYS = ["method", "source", "identity", "setting", "value"]
SETTINGS = [*KEYS, "volume", "slice", "snr", "ssim", "psnr", "nmse", "ssim_object", "seconds"]
COLUMNS = ["method", "source", "lam", "volume", "slice", "identity", "snr", "ssim", "psnr", "nmse", "ssim_object"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("methods", **EACH_ONCE, metavar="METHOD", help="wavelet, tv, ..., or convdecoder, dip, ...")
    words = "sources, files or folders (default: knee)"
    parser.add_argument("--source", "--data", **EACH_ONCE, default=["knee"], help=words)
    parser.add_argument("--volumes", type=COUNT, default=24, help="training volumes, one slice of each (default: 24)")
    parser.add_argument("--profile", default="laptop", choices=PROFILES, help="size of drawn slices (default: laptop)")
    parser.add_argument("--seed", type=SEED, default=0, help="seed of the masks (default: 0)")
    add_workers(parser, limited=False)
    parser.add_argument("--table", type=Path, help="CSV for every score of the sweep")
    parser.add_argument("--json", action="store_true", help="print one JSON object a method and source")


def run(args: argparse.Namespace) -> int:
    _outputs.check({"--table": args.table})
    usable(args.device)
    fitted = [method in FITS for method in args.methods]
    if any(fitted) and not all(fitted):
        raise BadInput("weights and un-trained networks are tuned by commands of their own, since their tables differ")
    for method in args.methods:
        entry = methods.REGISTRY.get(method)
        if entry and entry.weight not in (None, method):
            raise BadInput(f"{method} runs with the weight of {entry.weight}; tune that")
        methods.load(method, **({} if any(fitted) else {"lam": 1.0}))  # a sentence at once where nothing is to be tuned
    if not any(fitted):
        for data in args.source:
            _outputs.writable("the weights,", methods.TUNED if data in DRAWN else methods.READERS)
    words = ["python", "-m", "helpers", "tune", *args.methods, "--source", *args.source]
    words += ["--volumes", str(args.volumes), "--profile", args.profile, "--seed", str(args.seed)]
    words += ["--table", str(args.table)] if args.table else []
    show((settings if any(fitted) else weights)(args, shlex.join(words)), args.json)
    return 0


def training_slices(data: str, args: argparse.Namespace) -> list[Slice]:
    """The slices that are tuned on, one of each volume; BadInput where none has a reference."""
    found = open_data(data, profile=profile(args.profile), split="train", volumes=args.volumes, slices=1)
    slices = [item for item in found if item.target is not None]
    if not slices:
        raise BadInput(f"no slice of {data} has a reference, so that nothing can be tuned on it; give other data")
    return slices


def weights(args: argparse.Namespace, command: str) -> Iterator[dict]:
    """Tune the weight of every method on every source: one row each, and what was found is kept at once."""
    depends = {"profile": args.profile, "seed": args.seed, "code": __version__}
    parts = {method: methods.depends(method) for method in args.methods}
    for part in parts.values():
        del part["lam"]  # which is what is looked for
    table = Table(args.table, KEYS_OF_WEIGHTS, partial(made, args, command), depends, parts)
    for data in args.source:
        slices = training_slices(data, args)
        for method in args.methods:
            have = {key[2:] for key in table.have if key[0] == method}
            work = [(None, (method, item, {each for each in have if each[0] == item.identity})) for item in slices]
            for _, rows in tqdm(
                Workers.of(args).results(partial(swept, args.seed, args.device), work), method, len(work)
            ):
                table.add({name: row[name] for name in COLUMNS} for row in rows)
            table.finish()
            here = table.rows["identity"].isin([item.identity for item in slices])
            rows = table.rows[(table.rows["method"] == method) & here]
            found = tuning.best(rows)
            kept = data if data in DRAWN else str(Path(data).resolve())
            found_at = methods.TUNED if data in DRAWN else methods.READERS
            tuning.remember(method, kept, found | {"profile": args.profile} | made(args, command, found["n"]), found_at)
            yield {"method": method, "source": data} | found


def settings(args: argparse.Namespace, command: str) -> Iterator[dict]:
    """Try the settings of un-trained networks, slice by slice, and go on where a table ends: one row a value."""
    depends = {"profile": args.profile, "seed": args.seed, "code": __version__}
    tried: set[str] = set()
    fits = {method: methods.depends(method, device=args.device) for method in args.methods}
    table = Table(args.table, KEYS, partial(made, args, command), depends, fits)
    for data in args.source:
        slices = training_slices(data, args)
        tried |= {item.identity for item in slices}
        for method in args.methods:
            done = {key[2] for key in table.have if key[0] == method}
            left = [item for item in slices if item.identity not in done]
            work = [(None, (method, item)) for item in left]
            for _, rows in tqdm(
                Workers.of(args).results(partial(varied, args.seed, args.device), work), method, len(work)
            ):
                table.add({name: row[name] for name in SETTINGS} for row in rows)
    table.finish()
    rows = table.of(tried)
    yield from stats.summary(rows[rows["method"].isin(args.methods)], ["source", "method", "setting", "value"]).to_dict(
        "records"
    )


def made(args: argparse.Namespace, command: str, n: int) -> dict:
    """Where n rows come from."""
    return provenance(command, args.seed, n, args.device)


def swept(seed: int, device: str, arguments: tuple[str, Slice, set]) -> list[dict]:
    """The rows of one slice with every weight that it has not been tried with."""
    method, item, have = arguments
    return list(tuning.sweep(method, [item.to(device)], seed=seed, have=have))


def varied(seed: int, device: str, arguments: tuple[str, Slice]) -> list[dict]:
    """The rows of one slice with every setting."""
    method, item = arguments
    return [row for rows in tuning.around(method, [item.to(device)], seed=seed) for row in rows]
