"""Measure methods on held-out slices; MODULE:FUNCTION is your own method.

Scores every method on the same slices under the same masks and writes one row a slice to --table, which is
resumable: rows that it has already are kept and not measured again, but for those of methods that have changed since
(other weights, another lambda, another file). Beside it a .json says where it comes from and what it depends on; a
table of another profile or version is refused. The summary is of these slices and seeds alone, with a row for each of
--data. A slice on which a method fails is lost for it and said at the end, with exit code 1; with --limit also one on
which it hangs or ends its process.
Example: python -m helpers evaluate wavelet tv my_package.my_module:reconstruct --data knee --volumes 20
"""

import argparse
import math
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import groupby, islice
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from helpers import __version__, methods, stats
from helpers.commands import _outputs, show, told
from helpers.commands._inputs import COUNT, EACH_ONCE, SEED, add_workers, usable
from helpers.data import DRAWN, Slice, all_filled, open_data
from helpers.errors import BadInput, say_once
from helpers.experiments import evaluate
from helpers.experiments.provenance import provenance
from helpers.experiments.tables import Table
from helpers.experiments.workers import Workers
from helpers.profiles import PROFILES, profile

KEYS = ["method", "identity", "seed"]
DRAWN_LIMITS = {"volumes": 20, "slices": 2}  # there is no end of drawn slices


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("methods", **EACH_ONCE, metavar="METHOD", help="names, or MODULE:FUNCTION for your own")
    words = "sources, files or folders (default: knee brain)"
    parser.add_argument("--data", **EACH_ONCE, default=["knee", "brain"], help=words)
    parser.add_argument(
        "--volumes", type=COUNT, help="at most so many of each of --data (default: 20 if drawn, else all)"
    )
    parser.add_argument("--slices", type=COUNT, help="at most so many of each volume (default: 2 if drawn, else all)")
    parser.add_argument("--profile", default="laptop", choices=PROFILES, help="size of drawn slices (default: laptop)")
    parser.add_argument("--seed", type=SEED, **EACH_ONCE, default=[0], help="seeds of the masks (default: 0)")
    words = "slices of one volume that are reconstructed at once (default: 1 on a processor, 8 elsewhere)"
    parser.add_argument("--batch", type=COUNT, help=words)
    add_workers(parser)
    parser.add_argument("--table", type=Path, help="CSV of all rows, resumable")
    parser.add_argument("--json", action="store_true", help="print one JSON object a row of the summary")


def run(args: argparse.Namespace) -> int:
    _outputs.check({"--table": args.table})
    usable(args.device)
    args.batch = args.batch or (1 if args.device == "cpu" else 8)
    for name in args.methods:
        methods.load(name)  # what is wrong with a name is said before anything is measured
    table, opened = known(args), opened_data(args)
    met: dict[str, set[tuple[str, int]]] = {data: set() for data in args.data}
    lost: dict[str, list[str]] = {}
    with tqdm(desc="slices", total=sum(map(len, opened.values()))) as bar:
        work = pieces(args, opened, table, met, bar)
        for _, (rows, wrong) in Workers.of(args).results(partial(one, args.device), work):
            for row in rows:
                table.add([row])
            for name, sentence in wrong:
                lost.setdefault(name, []).append(sentence)
    table.finish(ordered=True)
    if without := [data for data in args.data if not met[data]]:
        raise BadInput(f"nothing to score: no slice of {', '.join(without)} has a target")
    here = table.of({identity for each in met.values() for identity, _ in each})
    pairs = pd.Series(list(zip(here["identity"], here["seed"], strict=True)), here.index, dtype=object)
    here = here[pairs.isin(set().union(*met.values()))]
    have = here["method"].value_counts().reindex(args.methods, fill_value=0)
    code = told(lost, {name: len(each) + have[name] for name, each in lost.items()}, have.sum())
    rows = pd.concat([here[pairs[here.index].isin(each)].assign(data=data) for data, each in met.items()])
    for sentence in evaluate.worse_than_nothing(rows):
        print(sentence, file=sys.stderr)
    place = {name: number for number, name in enumerate(args.methods)}  # others, which the table has too, come last
    rows = rows.sort_values("method", key=lambda name: name.map(place), kind="stable")
    show(stats.summary(rows, ["data", "source", "method"]).to_dict("records"), args.json)
    return code


def opened_data(args: argparse.Namespace) -> dict[str, Sequence[Slice]]:
    """The slices of each of --data, read or drawn one by one when they are asked for."""
    limits = {name: getattr(args, name) for name in DRAWN_LIMITS if getattr(args, name) is not None}
    size = profile(args.profile)
    return {
        data: open_data(data, profile=size, split="test", **(DRAWN_LIMITS if data in DRAWN else {}) | limits)
        for data in args.data
    }


def pieces(
    args: argparse.Namespace, opened: Mapping[str, Sequence[Slice]], table: Table, met: dict[str, set], bar: tqdm
) -> Iterator[tuple[None, tuple]]:
    """Slices of one volume and size that have a target, as many as --batch, and what is not measured of all of them.

    Each slice is read once. met: gets identity and seed of those that have a target, by the name of their data; bar:
    of the slices that were looked at.
    """
    for _, alike in groupby(wanted(args, opened, table, met, bar), key=_alike):
        while some := list(islice(alike, args.batch)):
            yield None, ([item for item, _ in some], some[0][1])


def _alike(piece: tuple[Slice, list]) -> tuple:
    item, left = piece
    return (
        item.seeded_by,
        item.source,
        item.path,
        tuple(item.kspace.shape),
        item.mask is None or item.identity,
        tuple(left),
    )


def wanted(
    args: argparse.Namespace, opened: Mapping[str, Sequence[Slice]], table: Table, met: dict[str, set], bar: tqdm
) -> Iterator[tuple[Slice, list[tuple[str, int]]]]:
    """Every slice that has a target, and what is not measured of it: method and seed.

    Under a mask of its own a slice is measured once, by the first seed, and anew what was made with another weight.
    """
    have = table.have
    first = {key[:2]: key[2] for key in sorted(have, reverse=True)}
    weights = table.rows.set_index(KEYS)["lam"].dropna().to_dict() if "lam" in table.rows else {}
    for data, slices in opened.items():
        for item in all_filled(slices):
            bar.update()
            if item.target is None:
                continue
            table.volume(item.volume, item.number, item.identity)  # refuses what cannot stand beside its rows
            keys = [(name, item.identity, seed) for name in args.methods for seed in args.seed]
            if item.mask is not None:
                names = [(name, item.identity) for name in args.methods]
                keys = [(*each, first.get(each, args.seed[0])) for each in names]
                if len(args.seed) > 1:
                    say_once(f"{data} has masks of its own, under which it is measured once, whatever the --seed")
            met[data] |= {key[1:] for key in keys}
            for key in [each for each in keys if each in have and each in weights]:
                if not math.isclose(weights[key], weight(key[0], item)["lam"], rel_tol=1e-5):
                    say_once(f"rows of {key[0]} in {table.path} that another weight made are measured again")
                    table.drop((table.rows[KEYS] == list(key)).all(axis=1))
                    have.remove(key)
            left = [(name, seed) for name, identity, seed in keys if (name, identity, seed) not in have]
            have |= set(keys)
            if left:
                yield item, left


def weight(name: str, item: Slice) -> dict[str, float]:
    """As a column of a table, the weight with which a method runs on a scan; none of others, and of drawn slices.

    The weights of a drawn slice are those of its source; a scan may have a copy, of which another one was found.
    """
    entry = methods.REGISTRY.get(name)
    return {"lam": methods.tuned(name, item)["lam"]} if item.path and entry and entry.weight else {}


def one(
    device: str, arguments: tuple[Sequence[Slice], Sequence[tuple[str, int]]]
) -> tuple[list[dict], list[tuple[str, str]]]:
    """The rows of a batch of slices under several methods, each with a seed of its mask; and by method, why not."""
    items, left = arguments
    items, rows, lost = [item.to(device) for item in items], [], []

    def measured(some: Sequence[Slice], name: str, seed: int) -> list[dict]:
        mask = evaluate.mask_of(some[0], seed=seed)
        try:
            return list(evaluate.measure_batch(name, methods.load(name, some[0]), some, mask))
        except BadInput as error:
            if len(some) > 1:  # only those are lost that fail by themselves
                return [row for item in some for row in measured([item], name, seed)]
            lost.append((name, f"{some[0].volume}, slice {some[0].number}: {error}"))
            return []

    for name, seed in left:
        rows += [row | {"seed": seed} | weight(name, items[0]) for row in measured(items, name, seed)]
    return rows, lost


def known(args: argparse.Namespace) -> Table:
    """The table with what was measured so far; rows of methods that have changed since are measured anew."""
    words = ["python", "-m", "helpers", "evaluate", *args.methods, "--data", *args.data]
    for name in DRAWN_LIMITS:
        words += [] if getattr(args, name) is None else [f"--{name}", str(getattr(args, name))]
    words += ["--profile", args.profile, "--seed", *map(str, args.seed), "--table", str(args.table)]
    return Table(
        args.table,
        KEYS,
        lambda n: provenance(shlex.join(words), args.seed, n, args.device),
        {"profile": args.profile, "code": __version__},
        {name: methods.depends(name, args.data, args.device) for name in args.methods},
    )
