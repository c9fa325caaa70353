"""Measure small features: how each method shows them, hides them, or invents them (Figures 7 and 8).

Five experiments: findings in their boxes, what hides or invents one, the detectability curve, heat maps of a feature by
where it lies, and a check of the heat maps. Findings are drawn, with a twin of each slice that has none, or a
reader's, whose boxes lie as CSV beside the volumes. Each experiment has its table in --tables, which is resumable:
what it has is kept, and a run that was killed goes on. Takes hours; --jobs pieces are worked on at a time, on one
thread each. Examples, all of it and your method and data:
  python -m helpers features --jobs 2 --tables results
  python -m helpers features --families varnet my_module:reconstruct --data FOLDER --boxes knee.csv --tables mine
"""

import argparse
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import pandas as pd

from helpers import __version__, methods, stats
from helpers.commands import _outputs, show
from helpers.commands._inputs import COUNT, EACH_ONCE, NO_METHODS, SEED, add_workers, usable
from helpers.data.slice import Slice
from helpers.errors import BadInput
from helpers.experiments import detection, heat_maps, hidden, pathologies, shifts
from helpers.experiments.pathologies import Marked
from helpers.experiments.provenance import provenance
from helpers.experiments.tables import Table, measured
from helpers.experiments.workers import Workers
from helpers.features.goal import GOALS
from helpers.profiles import PROFILES, profile
from helpers.shifts import groups
from helpers.shifts.groups import FAMILIES

SEVERAL = ("only", "protocol", "families", "methods")
ONE = ("data", "boxes", "findings", "sought", "volumes", "stride", "variants", "profile", "seed", "tables")
DEPENDS = ("data", "profile", "seed")
Found = tuple[pd.DataFrame, list[str]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--only", **EACH_ONCE, default=list(EXPERIMENTS), choices=EXPERIMENTS, help="(default: all)")
    protocols, families = pathologies.PROTOCOLS, " ".join(FAMILIES)
    parser.add_argument("--protocol", **EACH_ONCE, default=protocols, choices=protocols, help="(default: all)")
    words = f"whose findings are looked at, or MODULE:FUNCTION (default: {families})"
    parser.add_argument("--families", **EACH_ONCE, default=FAMILIES, help=words)
    parser.add_argument("--variants", type=COUNT, help="at most so many of each family (default: all)")
    words = f"of all other tables, or MODULE:FUNCTION (default: {' '.join(hidden.METHODS)}, and more for heat maps)"
    parser.add_argument("--methods", **EACH_ONCE, help=words)
    parser.add_argument("--data", default="knee", help="a source, a file or a folder (default: knee)")
    words = "table of findings of --data as fastMRI+ has them (default: those beside its files)"
    parser.add_argument("--boxes", type=Path, help=words)
    words = f"in boxes (default: {pathologies.COUNT}, of un-trained networks at most {pathologies.FITTED})"
    parser.add_argument("--findings", type=COUNT, default=pathologies.COUNT, help=words)
    words = f"to be hidden or invented, one a volume (default: {hidden.COUNT})"
    parser.add_argument("--sought", type=COUNT, default=hidden.COUNT, help=words)
    words = f"of curves and heat maps (default: {detection.VOLUMES} and {heat_maps.VOLUMES})"
    parser.add_argument("--volumes", type=COUNT, help=words)
    words = "pixels from place to place of the heat maps of the first volume (default: 1)"
    parser.add_argument("--stride", type=COUNT, default=1, help=words)
    parser.add_argument("--profile", default="laptop", choices=PROFILES, help="size of drawn slices (default: laptop)")
    parser.add_argument("--seed", type=SEED, default=0, help="of masks, noise and starts (default: 0)")
    add_workers(parser)
    parser.add_argument("--tables", type=Path, help="folder of all tables, resumable")
    parser.add_argument("--json", action="store_true", help="print one JSON object a row of the summaries")


def run(args: argparse.Namespace) -> int:
    for name in args.only:
        _outputs.check({"--table": _path(args, name)})
    if args.boxes and pathologies.has_twins(args.data):
        raise BadInput(f"findings of {args.data} are drawn with it; name --boxes with a file or folder of --data")
    usable(args.device)
    for name in {*args.families, *(args.methods or ())} - set(FAMILIES):
        methods.load(name, source="knee")
    wanted = [name for name in args.only if not _empty(args, name)]
    if not wanted:
        raise BadInput(NO_METHODS)
    for name in [each for each in args.only if each not in wanted]:
        print(f"{name} are left out: {NO_METHODS}", file=sys.stderr)
    lost = 0
    for name in wanted:
        measure, by, score = EXPERIMENTS[name]
        rows, without = measure(args)
        lost += len(without)
        if score:
            show(stats.summary(rows, by, score).to_dict("records"), args.json)
    return int(lost > 0)


def _empty(args: argparse.Namespace, name: str) -> bool:
    """Whether an experiment has nothing to measure."""
    if "corrected" in args.protocol:
        return False
    if name not in ("pathologies", "maps"):  # which are of the corrected protocol alone
        return True
    if name == "pathologies":
        return not any(list(groups.as_published(family, "knee")) for family in args.families)
    known = heat_maps.METHODS["published"]
    return not set(args.methods or known) & set(known)


def in_boxes(args: argparse.Namespace) -> Found:
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
    known = sorted(name for name in known if not name.startswith("published"))
    parts = {name: methods.depends(name, [args.data], args.device) for name in known}
    table = _table(args, "pathologies", pathologies.KEYS, found, {}, parts)
    table.drop(pathologies.redrawn(table.rows, found))
    return _filled(args, table, work, box)


def sought(args: argparse.Namespace) -> Found:
    """The rows of what hides or invents a finding: of each volume the first."""
    found = hidden.one_a_volume(_found(args), args.sought)
    goals = [goal for goal in GOALS if goal == "hide" or pathologies.has_twins(args.data)]
    names = args.methods or hidden.METHODS
    work = []
    for each in found:
        number, _ = each.boxes[0]
        for goal in goals:
            for name in names:
                arguments = (*_place(args, each), number, goal, name, tuple(names))
                work.append(((name, goal, each.identity, number), arguments))
    parts = {"methods": {name: methods.depends(name, [args.data], args.device) for name in names}}
    table = _table(args, "hidden", hidden.KEYS, found, parts)
    table.drop(pathologies.redrawn(table.rows, found, every=False))
    return _filled(args, table, work, search)


def curves(args: argparse.Namespace) -> Found:
    """The rows of the detectability curve."""
    items = shifts.slices(args.data, profile(args.profile), args.volumes or detection.VOLUMES)
    names = args.methods or hidden.METHODS
    work = [((name, item.identity), (item, name)) for name in names for item in items]
    table = _table(args, "curves", detection.KEYS, items, {}, _members(args, names, items))
    return _filled(args, table, work, curve)


def maps(args: argparse.Namespace) -> Found:
    """The lines of all heat maps: of the first volume the whole, of further ones and as published coarse ones."""
    items = shifts.slices(args.data, profile(args.profile), args.volumes or heat_maps.VOLUMES)
    work, parts = [], {}
    for protocol, known in heat_maps.METHODS.items():
        if protocol not in args.protocol:
            continue
        names = [name for name in args.methods or known if protocol == "corrected" or name in known]
        parts |= _members(args, names, items)
        for name, number, stride in heat_maps.wanted(protocol, names, len(items), args.stride):
            item = items[number]
            for first in heat_maps.firsts(tuple(item.target.shape), name, stride):
                key = (protocol, name, item.identity, stride, first)
                work.append((key, (item, protocol, name, stride, first)))
    table = _table(args, "maps", heat_maps.KEYS, items, {}, _with_bands(parts))
    return _filled(args, table, work, lines)


def checks(args: argparse.Namespace) -> Found:
    """The rows that hold heat maps against one feature at a time."""
    items = shifts.slices(args.data, profile(args.profile), args.volumes or heat_maps.VOLUMES)
    names = args.methods or [name for name in heat_maps.METHODS["corrected"] if name not in heat_maps.STRIDES]
    work = [((name, item.identity), (item, name)) for name in names for item in items]
    parts = _with_bands(_members(args, names, items))
    table = _table(args, "checks", heat_maps.CHECK_KEYS, items, {}, parts)
    return _filled(args, table, work, check)


# measures, what a summary is by, and of which score; "" for no summary
EXPERIMENTS = {
    "pathologies": (in_boxes, ["protocol", "family", "variant"], "nmse_box"),
    "hidden": (sought, ["made_for", "method", "goal"], "after"),
    "curves": (curves, ["method", "shape", "contrast_put", "size"], "misses"),
    "maps": (maps, [], ""),
    "checks": (checks, ["method"], "at_once"),
}
FILES = {
    "pathologies": "features.csv",
    "hidden": "hidden.csv",
    "curves": "detection.csv",
    "maps": "heat_maps.csv",
    "checks": "heat_map_checks.csv",
}


def box(seed: int, device: str, arguments: tuple) -> list[dict]:
    """The rows of one variant on one slice."""
    return list(pathologies.rows(*_case(device, *arguments), seed))


def search(seed: int, device: str, arguments: tuple) -> list[dict]:
    """The rows of one search."""
    return list(hidden.rows(*_case(device, *arguments), seed))


def curve(seed: int, device: str, arguments: tuple[Slice, str]) -> list[dict]:
    """The rows of one method on one slice."""
    item, name = arguments
    return list(detection.rows(item.to(device), name, {"method": name, **_told(item)}, seed))


def lines(seed: int, device: str, arguments: tuple[Slice, str, str, int, int]) -> list[dict]:
    """The rows of a piece of a heat map."""
    item, protocol, name, stride, first = arguments
    told = {"protocol": protocol, "method": name, **_told(item)}
    return list(heat_maps.lines(heat_maps.seen(item.to(device), protocol, name, seed), name, stride, first, told))


def check(seed: int, device: str, arguments: tuple[Slice, str]) -> list[dict]:
    """The rows of one method at random places."""
    item, name = arguments
    told = {"method": name, **_told(item)}
    return list(heat_maps.checked(heat_maps.seen(item.to(device), "corrected", name, seed), name, seed, told))


def _told(item: Slice) -> dict:
    return {"volume": item.volume, "slice": item.number, "identity": item.identity}


def _members(args: argparse.Namespace, names: Sequence[str], items: Sequence[Slice]) -> dict[str, dict]:
    """What the rows of each method depend on, the same under every protocol, since one table has all of them."""
    found = {}
    for name in names:
        known = {next(iter(groups.variants(name, source))).method for source in {item.source for item in items}}
        found[name] = {each: methods.depends(each, [args.data], args.device) for each in sorted(known)}
    return found


def _with_bands(parts: Mapping[str, Mapping]) -> dict[str, dict]:
    """The same with how many features an image has, on which errors depend a little."""
    return {name: {**part, "band": heat_maps.band(name, 1)} for name, part in parts.items()}


def _found(args: argparse.Namespace) -> list[Marked]:
    return pathologies.places(args.data, profile(args.profile), args.findings, args.boxes)


def _place(args: argparse.Namespace, marked: Marked) -> tuple:
    """What `_case` opens in another process."""
    return args.data, args.profile, marked.place, args.boxes


def _case(device: str, data: str, size: str, place: pathologies.Place, boxes: Path | None, *others) -> tuple:
    return pathologies.case(data, profile(size), place, boxes).to(device), *others


def _filled(args: argparse.Namespace, table: Table, work: Sequence[tuple], function: Callable) -> Found:
    """The rows of all pieces of work, and why some are lost."""
    return measured(table, work, partial(function, args.seed, args.device), Workers.of(args)), table.lost


def _path(args: argparse.Namespace, experiment: str) -> Path | None:
    return args.tables and args.tables / FILES[experiment]


def _table(
    args: argparse.Namespace,
    experiment: str,
    keys: Sequence[str],
    slices: Sequence[Marked | Slice],
    more: Mapping,
    parts: Mapping | None = None,
) -> Table:
    """The table of an experiment on these slices; more: what all of its rows depend on, parts: the same by method."""
    depends = {name: getattr(args, name) for name in DEPENDS} | {"code": __version__} | more

    def made(n: int) -> dict:
        return provenance(_command(args), args.seed, n, args.device)

    table = Table(_path(args, experiment), keys, made, depends, parts)
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
