"""Whether methods give the same on another device as on the processor, and how long they take on either."""

import time
from collections.abc import Callable, Iterator
from functools import partial
from statistics import median

import torch
from torch import Tensor

from helpers import methods
from helpers.bench import networks
from helpers.bench.contest import problem
from helpers.data.scanner import draw_volume
from helpers.experiments import evaluate
from helpers.profiles import profile

METHODS = ("zero-filled", "sense", "wavelet", "tv", "unet", "varnet", "irim-knee")
FITTED = ("convdecoder", "deep-decoder", "dip")  # rounding decides where a fit goes, so that a few steps are compared
FEW = 3
ALLOWED = 1e-3  # relative distance of images; solvers stop at a gap, and rounding moves where they do
RUNS = 3


def measure(device: str, size: str = "laptop") -> Iterator[dict[str, object]]:
    """One row a method: its image of a drawn knee on the device against that on the processor.

    Columns: method, apart (||a - b|| / ||b||), allowed, seconds, cpu_seconds, ratio (processor over device). Seconds
    are medians of wall clock after one call that is not timed.
    """
    (item,) = draw_volume("knee", 0, profile(size), slices=1)
    mask = evaluate.mask_of(item)
    here, there = item.kspace * mask, (item.kspace * mask).to(device)
    for name in (*METHODS, *FITTED):
        options = {"steps": FEW, "precision": "float32"} if name in FITTED else {}
        method = methods.load(name, source="knee", **options)
        ours, theirs = method(there, mask.to(device)).cpu(), method(here, mask)
        seconds, cpu_seconds = timed(partial(method, there, mask.to(device))), timed(partial(method, here, mask))
        yield {
            "method": name,
            "apart": float((ours - theirs).norm() / theirs.norm()),
            "allowed": ALLOWED,
            "seconds": seconds,
            "cpu_seconds": cpu_seconds,
            "ratio": cpu_seconds / seconds,
        }


def beside_fastmri(device: str, coils: int = 15, size: int = 320) -> Iterator[dict[str, object]]:
    """A PGD step on VarNet in our form and in that of fastMRI's modules, on the device: a row of wall-clock seconds."""
    given = problem(coils, size)
    kspace, mask = given.kspace.to(device), given.mask.to(device)
    steps = [networks.attacked_step(form, kspace, mask) for form in ("fast", "fastmri")]
    ours, peer = (timed(step) for step in steps)
    words = {"work": "pgd varnet", "size": f"{coils}x{size}x{size}", "peer": "fastmri"}
    yield {**words, "ours_s": ours, "peer_s": peer, "ratio": peer / ours, "runs": RUNS}


def timed(call: Callable[[], Tensor], runs: int = RUNS) -> float:
    """The median of wall-clock seconds of a call whose result is waited for, after one that is not timed."""
    seconds = []
    for _ in range(runs + 1):
        start = time.perf_counter()
        result = call()
        if result.device.type == "cuda":
            torch.cuda.synchronize(result.device)
        seconds.append(time.perf_counter() - start)
    return median(seconds[1:])
