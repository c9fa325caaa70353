"""Time coil maps and solvers beside sigpy and BART, gradients beside unrolling, networks beside fastMRI's modules.

One thread, medians of alternating runs, CPU seconds. A solver is timed until its objective is within 1e-3 of the
minimum. BART is timed where it is installed (Debian: bart). At last, what the border to a reader's own function costs
beside TV, what the harness costs (a row more in a long table, a slice, memory, two workers beside one), and what the
whole transfer matrix would take. Takes three quarters of an hour, with --quick a few minutes.
Example: python -m helpers bench --quick --json
"""

import argparse
import os
import sys
from itertools import chain

from helpers.bench import attacks, border, harness, networks, solvers
from helpers.commands import show
from helpers.commands._inputs import COUNT

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quick", action="store_true", help="only coil maps and solvers at 8x160x160")
    parser.add_argument(
        "--runs", type=COUNT, default=3, help="alternating runs, of which the median counts (default: 3)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")


def run(args: argparse.Namespace) -> int:
    if any(os.environ.get(name) != "1" for name in THREADS):
        # the libraries read their number of threads once, when they are loaded
        command = [sys.executable, "-m", "helpers", "bench", "--runs", str(args.runs)]
        command += [f"--{name}" for name in ("quick", "json") if getattr(args, name)]
        os.execve(sys.executable, command, {**os.environ, **dict.fromkeys(THREADS, "1")})

    solvers.say_what_is_missing()
    rows = solvers.measure(solvers.SIZES[:1] if args.quick else solvers.SIZES, args.runs)
    slow = [measure(runs=args.runs) for measure in (attacks.measure, border.measure, networks.measure, harness.measure)]
    more = [] if args.quick else [*slow, attacks.matrix()]
    show(chain(rows, *more), args.json)
    return 0
