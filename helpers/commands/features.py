"""Measure small features: annotated findings in their boxes (Figure 8), and the least that hides or invents one.

Findings are drawn, with a twin of each slice that has none, or a reader's, whose boxes lie as CSV beside the volumes.
Rows go to --table and --hidden, which are resumable: what they have is kept, and a run that was killed goes on. Takes
some hours; --jobs pieces are worked on at a time, on one thread each. Examples, all of it and your method and data:
  python -m helpers features --jobs 2 --table results/features.csv --hidden results/hidden.csv
  python -m helpers features --families varnet my_module:reconstruct --data FOLDER --boxes knee.csv --table mine.csv
"""

import argparse
import shlex
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import pandas as pd

from helpers import __version__, methods, stats
from helpers.commands import _outputs, show
from helpers.commands._inputs import COUNT, SEED, usable
from helpers.errors import BadInput
from helpers.experiments import hidden, pathologies
from helpers.experiments.pathologies import Marked
from helpers.experiments.provenance import provenance
from helpers.experiments.tables import Table, measured
from helpers.features.goal import GOALS
from helpers.profiles import PROFILES, profile
from helpers.shifts.groups import FAMILIES

EXPERIMENTS = ("pathologies", "hidden")
SEVERAL = ("only", "protocol", "families", "methods")
ONE = ("data", "boxes", "findings", "sought", "variants", "profile", "seed", "table", "hidden")
DEPENDS = ("data", "profile", "seed")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    several = {"nargs": "+"}
    parser.add_argument("--only", **several, default=EXPERIMENTS, choices=EXPERIMENTS, help="(default: both)")
    protocols, families = pathologies.PROTOCOLS, " ".join(FAMILIES)
    parser.add_argument("--protocol", **several, default=protocols, choices=protocols, help="(default: all)")
    parser.add_argument("--families", **several, default=FAMILIES, help=f"or MODULE:FUNCTION (default: {families})")
    parser.add_argument("--variants", type=COUNT, help="at most so many of each family (default: all)")
    parser.add_argument("--data", default="knee", help="a source, a file or a folder (default: knee)")
    words = "table of findings of --data as fastMRI+ has them (default: those beside its files)"
    parser.add_argument("--boxes", type=Path, help=words)
    words = f"in boxes (default: {pathologies.COUNT}, of un-trained networks at most {pathologies.FITTED})"
    parser.add_argument("--findings", type=COUNT, default=pathologies.COUNT, help=words)
    words = f"to be hidden or invented, one a volume (default: {hidden.COUNT})"
    parser.add_argument("--sought", type=COUNT, default=hidden.COUNT, help=words)
    words = f"from which they are hidden, or MODULE:FUNCTION (default: {' '.join(hidden.METHODS)})"
    parser.add_argument("--methods", **several, default=hidden.METHODS, help=words)
    parser.add_argument("--profile", default="laptop", choices=PROFILES, help="size of drawn slices (default: laptop)")
    parser.add_argument("--seed", type=SEED, default=0, help="of masks, noise and starts (default: 0)")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, ... (default: cpu)")
    parser.add_argument("--jobs", type=COUNT, default=1, help="pieces at a time (default: 1)")
    parser.add_argument("--table", type=Path, help="CSV of all rows on findings in boxes, resumable")
    parser.add_argument("--hidden", type=Path, help="CSV of all rows on what hides or invents one, resumable")
    parser.add_argument("--json", action="store_true", help="print one JSON object a row of the summary")


def run(args: argparse.Namespace) -> int:
    _outputs.check({"--table": args.table, "--hidden": args.hidden})
    if args.boxes and pathologies.has_twins(args.data):
        raise BadInput(f"findings of {args.data} are drawn with it; name --boxes with a file or folder of --data")
    usable(args.device)
    for name in {*args.families, *args.methods} - set(FAMILIES):
        methods.load(name, source="knee")
    if "pathologies" in args.only:
        rows = in_boxes(args)
        show(stats.summary(rows, pathologies.KEYS[1:-1], "nmse_box").to_dict("records"), args.json)
    if "hidden" in args.only:
        rows = sought(args)
        show(stats.summary(rows, ["made_for", "method", "goal"], "after").to_dict("records"), args.json)
    return 0


def in_boxes(args: argparse.Namespace) -> pd.DataFrame:
    """The rows of all findings in their boxes."""
    found = _found(args)
    few = list(pathologies.first(found, pathologies.FITTED))
    work, known = [], set()
    for protocol in args.protocol:
        for family in args.families:
            for each in few if family == pathologies.UNTRAINED else found:
                for member in pathologies.members(protocol, family, each.source)[: args.variants]:
                    key = (pathologies.EXPERIMENT, protocol, family, member.variant, each.identity)
                    work.append((key, (*_place(args, each), protocol, family, member.variant)))
                    known.add(member.method)
    parts = {name: methods.depends(name) for name in sorted(known) if not name.startswith("published")}
    table = _table(args, args.table, pathologies.KEYS, found, parts)
    table.drop(pathologies.redrawn(table.rows, found))
    return measured(table, work, partial(box, args.seed, args.device), args.jobs)


def sought(args: argparse.Namespace) -> pd.DataFrame:
    """The rows of what hides or invents a finding: of each volume the first."""
    found = {}
    for each in _found(args):
        if len(found) < args.sought:
            found.setdefault(each.volume, each)
    goals = [goal for goal in GOALS if goal == "hide" or pathologies.has_twins(args.data)]
    work = [
        ((name, goal, each.identity, 0), (*_place(args, each), 0, goal, name, tuple(args.methods)))
        for each in found.values()
        for goal in goals
        for name in args.methods
    ]
    parts = {name: methods.depends(name) for name in args.methods}
    table = _table(args, args.hidden, hidden.KEYS, list(found.values()), None, {"methods": parts})
    table.drop(pathologies.redrawn(table.rows, found.values(), every=False))
    return measured(table, work, partial(search, args.seed, args.device), args.jobs)


def box(seed: int, device: str, arguments: tuple) -> list[dict]:
    """The rows of one variant on one slice."""
    return list(pathologies.rows(*_case(device, *arguments), seed))


def search(seed: int, device: str, arguments: tuple) -> list[dict]:
    """The rows of one search."""
    return list(hidden.rows(*_case(device, *arguments), seed))


def _found(args: argparse.Namespace) -> list[Marked]:
    return pathologies.places(args.data, profile(args.profile), args.findings, args.boxes)


def _place(args: argparse.Namespace, marked: Marked) -> tuple:
    """What `_case` opens in another process."""
    return args.data, args.profile, marked.place, args.boxes


def _case(device: str, data: str, size: str, place: pathologies.Place, boxes: Path | None, *others) -> tuple:
    return pathologies.case(data, profile(size), place, boxes).to(device), *others


def _table(
    args: argparse.Namespace,
    path: Path | None,
    keys: Sequence[str],
    slices: Sequence[Marked],
    parts: dict | None,
    more: dict | None = None,
) -> Table:
    """The table at a path for these slices; parts: what its rows depend on by method, more: all of them."""
    depends = {name: getattr(args, name) for name in DEPENDS} | {"code": __version__} | (more or {})
    table = Table(path, keys, lambda n: provenance(_command(args), args.seed, n, args.device), depends, parts)
    for item in slices:  # what cannot stand beside its rows is refused before anything is measured
        table.volume(item.volume, item.number, item.identity)
    return table


def _command(args: argparse.Namespace) -> str:
    """The command that makes the same tables."""

    def words() -> Iterator[str]:
        for name in (*SEVERAL, *ONE):
            value = getattr(args, name)
            if value is not None:
                yield from (f"--{name}", *map(str, value if name in SEVERAL else [value]))

    return shlex.join(["python", "-m", "helpers", "features", *words()])
