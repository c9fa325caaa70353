"""What commands on one slice a volume ask for: whose slices, by what seed, where, and which table is kept."""

import argparse
import shlex
from collections.abc import Sequence
from pathlib import Path

from helpers import __version__, methods
from helpers.commands import _outputs
from helpers.commands._inputs import COUNT, EACH_ONCE, SEED, add_workers, usable
from helpers.data import default_acquisition
from helpers.data.slice import Slice
from helpers.experiments import transfer
from helpers.experiments.provenance import provenance
from helpers.experiments.tables import Table
from helpers.profiles import PROFILES

WHAT = ("data", "acquisition", "volumes", "profile", "methods")
PLAIN = (*WHAT, "factors", "eps", "through", "protocol", "steps", "seed", "device", "table")

# what the keys of a row do not name; strengths, since each attack begins where that on a smaller one came to
DEPENDS = ("data", "acquisition", "profile", "eps", "through", "steps", "seed")


def add_arguments(
    parser: argparse.ArgumentParser, volumes: int, chosen: Sequence[str], fitted: int | None = None
) -> None:
    """The options that all of them have; volumes, chosen: their defaults of --volumes and --methods.

    fitted: how many volumes un-trained networks are measured on at most, if it is not on all.
    """
    parser.add_argument("--data", default="knee", help="a source, a file or a folder (default: knee)")
    parser.add_argument("--acquisition", help='of the slices, "" for any (default: CORPD_FBK of knees, else any)')
    words = f"one slice of each (default: {volumes}{f', of un-trained networks at most {fitted}' if fitted else ''})"
    parser.add_argument("--volumes", type=COUNT, default=volumes, help=words)
    parser.add_argument("--profile", default="laptop", choices=PROFILES, help="size of drawn slices (default: laptop)")
    words = f"names or MODULE:FUNCTION (default: {shlex.join(chosen)})"
    parser.add_argument("--methods", **EACH_ONCE, default=chosen, help=words)
    parser.add_argument("--seed", type=SEED, default=0, help="of masks, noise and starts (default: 0)")
    add_workers(parser)
    parser.add_argument("--table", type=Path, help="CSV of all rows, resumable")
    parser.add_argument("--json", action="store_true", help="print one JSON object a row of the summary")


def slices(args: argparse.Namespace, known: Sequence[str] = ()) -> list[Slice]:
    """The slices that are asked for; BadInput for what is wrong, before anything is measured.

    known: names that are no methods of their own.
    """
    _outputs.check({"--table": args.table})
    usable(args.device)
    for name in set(args.methods) - set(known):
        methods.load(name, source="knee")
    if args.acquisition is None:
        args.acquisition = default_acquisition(args.data)
    return transfer.slices(args.data, args.profile, args.volumes, args.acquisition)


def table(args: argparse.Namespace, keys: Sequence[str], slices: Sequence[Slice], by_method: bool) -> Table:
    """The table that is asked for, for these slices; by_method: a piece of work is one method's, else of all."""
    for name in ("eps", "through"):
        if hasattr(args, name):
            setattr(args, name, sorted(getattr(args, name)))
    depends = {key: getattr(args, key) for key in DEPENDS if hasattr(args, key)} | {"code": __version__}
    parts = {name: methods.depends(name, [args.data], args.device) for name in args.methods}
    if not by_method:
        depends |= {"methods": parts}
    made = lambda n: provenance(command(args), args.seed, n, args.device)  # noqa: E731
    found = Table(args.table, keys, made, depends, parts if by_method else None)
    for item in slices:  # what cannot stand beside its rows is refused before anything is measured
        found.volume(item.volume, item.number, item.identity)
    return found


def command(args: argparse.Namespace) -> str:
    """The command that makes the same table."""
    words = ["python", "-m", "helpers", args.command]
    for name in PLAIN:
        value = getattr(args, name, None)
        if value is not None and (name != "device" or value != "cpu"):
            words += [f"--{name}", *map(str, value if isinstance(value, list | tuple) else [value])]
    return shlex.join(words)
