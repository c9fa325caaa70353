"""What the harness costs beside the methods: a row more in a long table, a slice measured, memory, and two workers."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from itertools import count, islice
from pathlib import Path
from statistics import median

import torch

from helpers import methods
from helpers.bench.contest import Contest, alternate, cpu_seconds
from helpers.data.scanner import draw_volume
from helpers.experiments import evaluate
from helpers.experiments.tables import Table
from helpers.experiments.workers import Workers
from helpers.methods.border import called
from helpers.profiles import profile

SHORT, LONG = 1_000, 140_000  # rows: the longer, all of fastMRI's validation knees under 20 methods
FEW, MANY = 50, 500  # slices
ADDED = 20  # rows
PIECES = 40
KILOBYTES = 1024 if sys.platform == "darwin" else 1  # in which the system counts peak memory


def measure(runs: int = 3) -> Iterator[dict[str, object]]:
    """Rows as those of `solvers.measure`: ours against what it is held against, and their ratio.

    A row more at LONG beside SHORT rows (wall seconds); a slice measured and scored by TV beside the call of TV; peak
    memory of `evaluate` over MANY beside FEW slices (MB); two workers beside one (wall seconds).
    """
    contests = [
        ("one more row", f"{LONG} rows", Contest(f"{SHORT} rows", partial(adding, LONG), partial(adding, SHORT), {})),
        ("evaluate", "one slice", _measured()),
        ("memory of evaluate", f"{MANY} slices", Contest(f"{FEW} slices", *map(_memory, (MANY, FEW)), {"unit": "MB"})),
        ("two workers", f"{PIECES} pieces", Contest("one worker", *map(_workers, (2, 1)), {})),
    ]
    for work, size, contest in contests:
        yield {"work": work, "size": size, **alternate(contest, runs)}


def adding(rows: int) -> float:
    """Seconds that one row more takes in a table that has so many, the median of some."""
    with tempfile.TemporaryDirectory() as folder:
        table = Table(Path(folder, "table.csv"), ["method", "identity", "seed"], lambda n: {"n": n}, {})
        table.add([_row(number) for number in range(rows)])
        seconds = []
        for number in range(rows, rows + ADDED):
            start = time.perf_counter()
            table.add([_row(number)])
            seconds.append(time.perf_counter() - start)
        return median(seconds)


def _row(number: int) -> dict:
    where = {"method": "tv", "volume": f"volume-{number // 4}", "slice": number % 4, "seed": 0}
    return where | {"identity": f"{number // 4:012x}-{number:012x}", "ssim": 0.8 + 1e-6 * number, "seconds": 0.5}


def _measured() -> Contest:
    (item,) = draw_volume("knee", 0, profile("laptop"), slices=1)
    mask, method = evaluate.mask_of(item), methods.load("tv", source="knee")
    ours, theirs = partial(evaluate.measure, "tv", method, item, mask), partial(_call, method, item, mask)
    return Contest("the call of TV", partial(cpu_seconds, ours), partial(cpu_seconds, theirs), {})


def _call(method, item, mask) -> torch.Tensor:
    return called(method, mask * item.kspace, mask)


def _memory(slices: int) -> partial:
    return partial(_peak, slices)


def _peak(slices: int) -> float:
    """Peak memory, in MB, of a process that evaluates so many slices."""
    words = ["evaluate", "zero-filled", "--data", "knee", "--profile", "smoke", "--slices", "1"]
    words += ["--volumes", str(slices)]
    with tempfile.TemporaryDirectory() as folder:
        program = (
            "import resource, sys\nfrom helpers.__main__ import main\n"
            f"assert main({[*words, '--table', str(Path(folder, 'table.csv'))]!r}) == 0\n"
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)\n"
        )
        run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return float(run.stderr.split()[-1]) / 1024 / KILOBYTES


def _workers(jobs: int) -> partial:
    return partial(_busy, jobs)


def _busy(jobs: int) -> float:
    """Wall seconds in which PIECES pieces of work come, from processes that have all begun."""
    results = Workers(jobs).results(_piece, ((number, (number,)) for number in count()))
    with closing(results):
        begun = set()
        while len(begun) < jobs:
            begun.add(next(results)[1])
        start = time.perf_counter()
        for _ in islice(results, PIECES):
            pass
        return time.perf_counter() - start


def _piece(arguments: tuple[int]) -> int:
    """A quarter of a second of work; gives the process that did it."""
    torch.manual_seed(arguments[0])
    x = torch.randn(400, 400)
    start = time.process_time()
    while time.process_time() - start < 0.25:
        x = (x @ x) / 400
    return os.getpid()
