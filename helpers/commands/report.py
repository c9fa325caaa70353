"""Put a method through every test of the book, and write a report on it; MODULE:FUNCTION is your own method.

Measures quality, noise and other factors, attacks and their audit, shifts, small features and what hides them, on drawn
data beside the shipped methods, or on --data. --out gets the tables as CSV, a page that opens without a network, its
figures as PNG and PDF, and a card in JSON. What was measured is kept: a run that was killed goes on. A slice on which
the method fails, or takes longer than --limit seconds, is lost, said, and the rest goes on.
Example: python -m helpers report my_module:reconstruct --quick --out report
"""

import argparse
import json
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from helpers import __version__, methods
from helpers.commands import _outputs
from helpers.commands._inputs import SEED, add_workers, usable
from helpers.errors import BadInput
from helpers.experiments import notebooks, report
from helpers.experiments.provenance import contents, provenance
from helpers.experiments.tables import plain
from helpers.files import claimed, written_aside
from helpers.findings import audit, cards, reported
from helpers.findings.cards import DRAWN
from helpers.places import BOOK
from helpers.profiles import PROFILES

LIMIT = 60.0  # seconds an image


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("method", help="MODULE:FUNCTION of your own, or the name of one of ours")
    parser.add_argument("--data", help="a file or folder of yours (default: drawn knees, brains and others)")
    parser.add_argument("--quick", action="store_true", help="few slices, of a slow method fewer, for some minutes")
    parser.add_argument("--about", default="", help="a sentence for the card, with where the code is to be had")
    parser.add_argument("--profile", default="laptop", choices=PROFILES, help="size of drawn slices (default: laptop)")
    parser.add_argument("--seed", type=SEED, default=0, help="of masks, noise and starts (default: 0)")
    add_workers(parser, limit=LIMIT)
    parser.add_argument("--out", type=Path, default=Path("report"), help="folder of all of it (default: report)")


def run(args: argparse.Namespace) -> int:
    usable(args.device)
    _outputs.check({"--out": args.out / reported.MARK})
    methods.load(args.method, source="knee")  # what is wrong with a name is said before anything is measured
    _check_folder(args)
    tried = report.tried(args.method, args.data, args.profile, args.limit, args.seed)
    sizes = report.sizes(args.data, args.quick, args.profile, tried, args.jobs)
    words = f"{tried.seconds:.2g} s an image, " + (f"{tried.memory:.0f} MB, " if tried.memory else "")
    words += "gradients pass" if tried.gradient else "no gradients, so that it is attacked without"
    minutes = report.seconds(sizes, tried, args.jobs) / 60
    print(f"{args.method}: {words}; this takes about {max(minutes, 2):.0f} minutes", file=sys.stderr)
    args.out.mkdir(parents=True, exist_ok=True)
    try:
        release = claimed(args.out / reported.MARK)
    except BlockingIOError:
        raise BadInput(f"another process goes on with {args.out}; wait for it, or give another --out") from None
    try:
        return _made(args, tried, sizes)
    finally:
        release()


def _made(args: argparse.Namespace, tried: report.Tried, sizes: dict[str, report.Size]) -> int:
    """Measure what is missing, and write card and page; the exit code."""
    with written_aside(args.out / reported.MARK) as part:
        made_by = provenance(_command(args), args.seed, 0, args.device)
        part.write_text(json.dumps(made_by | {"of": _identity(args)}, indent=2) + "\n", "utf8")
    plan = report.plan(args.method, args.data, sizes, args.profile, tried.anatomy)
    lost = {name: sentence for name, part in plan.items() if (sentence := _measured(args, name, part))}
    made = reported.Report(args.out)
    tables = made.own
    if not len(tables.get("quality", ())):
        raise BadInput(lost.get("quality", "nothing was measured"))
    audited = tables.get(reported.AUDIT, ())
    trusted = args.method in audit.trusted(audit.shares(audited), cards.EPS) if len(audited) else None
    card = {
        "card": cards.VERSION,
        "method": args.method,
        "about": args.about,
        "data": _data(args),
        "size": "quick" if args.quick else "whole",
        "profile": args.profile,
        "made_by": provenance(_command(args), args.seed, sum(map(len, tables.values())), args.device),
        "depends": methods.depends(args.method, device=args.device),
        "gradient": tried.gradient,
        "trusted": trusted,
        "seconds": tried.seconds,
        "memory": tried.memory,
        "measures": made.measures(args.method),
        "lost": lost,
    }
    (args.out / reported.PAGE).unlink(missing_ok=True)  # which would be older than the card
    reported.write_card(card, args.out)
    page(args.out)
    for name, sentence in lost.items():
        print(f"{name}: {sentence}", file=sys.stderr)
    print(args.out / reported.PAGE)
    return int(bool(lost))


def _data(args: argparse.Namespace) -> str:
    """On what it is measured, as the card says; a reader's folder may be called as drawn slices are."""
    return f"./{DRAWN}" if args.data == DRAWN else args.data or DRAWN


def _identity(args: argparse.Namespace) -> dict:
    """What a report is of: all of its tables are measured with it, or belong to another report."""
    found = {"method": args.method, "file": methods.depends(args.method, device=args.device), "data": _data(args)}
    found |= {"size": "quick" if args.quick else "whole", "profile": args.profile, "seed": args.seed}
    found |= {"scans": scans} if (scans := contents(args.data or "")) else {}
    return plain(found | {"version": __version__})


def _check_folder(args: argparse.Namespace) -> None:
    """BadInput for a folder that holds another report, or anything else."""
    mark, now = args.out / reported.MARK, _identity(args)
    if not mark.is_file():
        if args.out.is_dir() and any(args.out.iterdir()):
            raise BadInput(f"{args.out} is not empty, and no report was begun there; give another --out")
        return
    before = json.loads(mark.read_text("utf8")).get("of", {})
    for key, value in now.items():
        if before.get(key) != value:
            known = {"file": "another version of the method", "scans": f"{args.data} before scans changed there"}
            other = known.get(key, f"{key} {before.get(key)}")
            raise BadInput(f"{args.out} holds a report of {other}, and tables of two would mix; give another --out")


def _measured(args: argparse.Namespace, name: str, part: report.Part) -> str:
    """Measure a part of the report, in a process of its own; the sentence why some or all of it is missing, or ""."""
    for source in part.shipped:  # tables that are gone on with
        for path in (source, source.with_suffix(".json")):
            if not (args.out / path.name).exists():
                with written_aside(args.out / path.name) as part_of_it:
                    shutil.copyfile(path, part_of_it)
    words = [*part.words, "--profile", args.profile, "--seed", str(args.seed), "--limit", f"{args.limit:g}"]
    words += ["--jobs", str(args.jobs), "--device", args.device]
    words += ["--scheduler", args.scheduler] if args.scheduler else []
    words = [each.replace(report.OUT, str(args.out)) for each in words]
    print(f"{name}: python -m helpers {shlex.join(words)}", file=sys.stderr)
    command = [sys.executable, "-m", "helpers", *words]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as child:
        said = b""
        while new := child.stderr.read1():
            sys.stderr.write(new.decode(errors="replace"))
            sys.stderr.flush()
            said += new
    lines = [line.strip() for line in said.decode(errors="replace").replace("\r", "\n").splitlines() if line.strip()]
    if child.returncode == 0:
        return ""
    if child.returncode in (130, 143, -signal.SIGINT, -signal.SIGTERM):
        raise KeyboardInterrupt
    if child.returncode < 0:
        return f"its process was ended by signal {-child.returncode}, as for want of memory"
    return next((line for line in reversed(lines) if "lost" in line or child.returncode != 1), lines[-1])


def page(folder: Path) -> None:
    """Make the page of a report: the notebook, run on its folder, as HTML that needs nothing beside."""
    folder = folder.resolve()
    executed, part, log = (folder / f"report.{ending}" for ending in ("ipynb", "part.ipynb", "log"))
    try:
        notebooks.run(BOOK / "report.ipynb", part, log, {"folder": str(folder)})
    except Exception as error:  # whatever it was; the traceback stays in the notebook
        why = [line.strip() for line in str(error).splitlines() if line.strip()][-1:] or [type(error).__name__]
        raise BadInput(f"the page could not be made ({why[0]}), see {part}; tables and card are there") from error
    except BaseException:  # it was interrupted
        part.unlink(missing_ok=True)
        raise
    finally:
        log.unlink(missing_ok=True)
    part.replace(executed)
    with written_aside(folder / reported.PAGE) as part:
        part.write_text(notebooks.page(executed, "Report"), "utf8")


def _command(args: argparse.Namespace) -> str:
    """The command that makes the same report."""
    words = ["python", "-m", "helpers", "report", args.method, *(["--data", args.data] if args.data else [])]
    words += ["--quick"] if args.quick else []
    words += ["--about", args.about] if args.about else []
    return shlex.join([*words, "--profile", args.profile, "--seed", str(args.seed), "--limit", f"{args.limit:g}"])
