"""Measure distribution shifts: what methods that were made on some slices lose on others (Figures 2, 4 and 6).

Three shifts: to another site, to another anatomy, to naturally hard images; as published and corrected. Every family
has variants, each trained or tuned on one side alone. Rows go to --table, which is resumable: what it has is kept, and
a run that was killed goes on. Hard images are ranked first, into --ranking. Takes some hours; --jobs pieces are worked
on at a time, on one thread each. Examples, all of it and your method between your folders:
  python -m helpers shifts --jobs 2 --table results/shifts.csv --ranking results/hard.csv
  python -m helpers shifts --from FOLDER --to FOLDER --families unet my_module:reconstruct --table mine.csv
"""

import argparse
import shlex
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pandas as pd

from helpers import __version__, methods, stats
from helpers.commands import _outputs, show
from helpers.commands._inputs import COUNT, EACH_ONCE, NO_METHODS, SEED, add_workers, usable, whole
from helpers.data.slice import Slice
from helpers.errors import BadInput
from helpers.experiments import hard, shifts
from helpers.experiments.provenance import provenance
from helpers.experiments.shifts import Side
from helpers.experiments.tables import Table, measured
from helpers.experiments.workers import Workers
from helpers.profiles import PROFILES, profile
from helpers.shifts.groups import FAMILIES

SEVERAL = ("shift", "protocol", "sides", "families")
ONE = ("from", "to", "volumes", "variants", "ranked", "profile", "seed", "table", "ranking")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    protocols, families = shifts.PROTOCOLS, " ".join(FAMILIES)
    parser.add_argument(
        "--shift", **EACH_ONCE, default=list(shifts.SHIFTS), choices=shifts.SHIFTS, help="(default: all)"
    )
    parser.add_argument("--protocol", **EACH_ONCE, default=protocols, choices=protocols, help="(default: both)")
    parser.add_argument("--sides", **EACH_ONCE, help=f"such as in, out, mask, {', '.join(shifts.PARTS)} (default: all)")
    parser.add_argument("--from", help="a source, file or folder: with --to a shift of your own, in place of --shift")
    parser.add_argument("--to", help="the other side of it")
    parser.add_argument("--families", **EACH_ONCE, default=FAMILIES, help=f"or MODULE:FUNCTION (default: {families})")
    words = f"one slice of each, a side (default: {shifts.COUNT}, of un-trained networks at most {shifts.FITTED})"
    parser.add_argument("--volumes", type=whole(2), default=shifts.COUNT, help=words)
    parser.add_argument("--variants", type=COUNT, help="at most so many of each family (default: all)")
    parser.add_argument("--ranked", type=COUNT, default=hard.VOLUMES, help=f"volumes (default: {hard.VOLUMES})")
    parser.add_argument("--profile", default="laptop", choices=PROFILES, help="size of drawn slices (default: laptop)")
    parser.add_argument("--seed", type=SEED, default=0, help="of masks (default: 0)")
    add_workers(parser)
    parser.add_argument("--table", type=Path, help="CSV of all rows, resumable")
    parser.add_argument("--ranking", type=Path, help="CSV of the ranked slices, resumable")
    parser.add_argument("--json", action="store_true", help="print one JSON object a row of the summary")


def run(args: argparse.Namespace) -> int:
    _outputs.check({"--table": args.table, "--ranking": args.ranking})
    usable(args.device)
    for name in set(args.families) - set(FAMILIES):
        methods.load(name)
    sides = asked_for(args)
    if not any(shifts.members(side, family) for side in sides for family in args.families):
        raise BadInput(NO_METHODS)
    ranking = ranked(args) if any(side.shift == "hard" for side in sides) else None
    names = dict.fromkeys(side.slices for side in sides)
    sets = {name: shifts.slices(name, profile(args.profile), args.volumes, ranking) for name in names}
    if args.to is not None:
        sides = [replace(side, domain=sets[getattr(args, "from")][0].source) for side in sides]
    sides = [*sides, *shifts.parts(sides, sets)]
    if args.sides and (unknown := set(args.sides) - {side.side for side in sides}):
        raise BadInput(f"there is no side {min(unknown)!r}; choose from {', '.join({each.side: 0 for each in sides})}")
    sides = [side for side in sides if not args.sides or side.side in args.sides]
    table = Table(args.table, shifts.KEYS, partial(made, args), depends(args), parts(args, sides))
    table.drop(shifts.at_other_levels(table.rows, sides))
    work = list(shifts.pieces(sides, args.families, sets, args.variants))
    rows = measured(table, work, partial(one, args.seed, args.device), Workers.of(args))
    show(stats.summary(rows, shifts.KEYS[:-1]).to_dict("records"), args.json)
    return int(bool(table.lost))


def asked_for(args: argparse.Namespace) -> list[Side]:
    """The sides that are to be measured; BadInput for half a shift."""
    start, end = getattr(args, "from"), args.to
    if (start is None) != (end is None):
        raise BadInput("a shift has two sides; give --from and --to, or neither")
    if end is not None:
        if "corrected" not in args.protocol:
            raise BadInput("a shift of your own is measured corrected alone; leave out --protocol")
        return list(shifts.between(start, end, "knee"))
    return [side for shift in args.shift for protocol in args.protocol for side in shifts.sides(shift, protocol)]


def ranked(args: argparse.Namespace) -> pd.DataFrame:
    """The slices that hard ones are chosen of, ranked."""
    slices = hard.ranked(profile(args.profile), args.ranked)
    same = {"profile": args.profile, "seed": args.seed, "volumes": args.ranked, "code": __version__}
    by = {hard.RANKED_BY: methods.depends(hard.RANKED_BY)}
    table = Table(args.ranking, hard.KEYS, partial(made, args), same, by)
    work = [((place,), (args.profile, args.ranked, place)) for place in range(len(slices))]
    return measured(table, work, partial(rank, args.seed, args.device), Workers.of(args))


def rank(seed: int, device: str, arguments: tuple[str, int, int]) -> list[dict]:
    """The row of one slice that is ranked, drawn where it is worked on."""
    size, volumes, place = arguments
    return [hard.row(hard.ranked(profile(size), volumes), place, seed, device)]


def one(seed: int, device: str, arguments: tuple[Slice, Side, str, str]) -> list[dict]:
    """The row of one piece."""
    item, *others = arguments
    return [shifts.row(item.to(device), *others, seed)]


def parts(args: argparse.Namespace, sides: Sequence[Side]) -> dict[str, dict]:
    """What the rows of each method depend on."""
    members = [member for side in sides for family in args.families for member in shifts.members(side, family)]
    known = {member.method for member in members if not member.method.startswith("published")}
    return {name: methods.depends(name, device=args.device) for name in sorted(known)}


def depends(args: argparse.Namespace) -> dict:
    """What the keys of a row do not name."""
    names = ("volumes", "ranked", "profile", "seed", "from", "to")
    return {name: getattr(args, name) for name in names} | {"code": __version__}


def made(args: argparse.Namespace, n: int) -> dict:
    """Where a table comes from."""
    words = ["python", "-m", "helpers", "shifts"]
    for name in (*SEVERAL, *ONE):
        value = getattr(args, name)
        if value is not None:
            words += [f"--{name}", *map(str, value if name in SEVERAL else [value])]
    return provenance(shlex.join(words), args.seed, n, args.device)
