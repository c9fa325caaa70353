"""What the way in and out of a reader's function costs beside what goes on inside."""

from collections.abc import Iterator
from functools import partial

import torch

from helpers import methods
from helpers.bench.contest import Contest, alternate, cpu_seconds
from helpers.data.scanner import draw_volume
from helpers.experiments import evaluate
from helpers.methods import own
from helpers.methods.border import called
from helpers.profiles import profile


def measure(size: str = "laptop", runs: int = 3) -> Iterator[dict[str, object]]:
    """One row as those of `solvers.measure`: a call of a function that has its image ready, beside a call of TV.

    share: of the time of TV. Copies, checks and all else that `evaluate` and attacks put around a reader's function.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        (item,) = draw_volume("knee", 0, profile(size), slices=1)
        mask = evaluate.mask_of(item)
        kspace = mask * item.kspace
        image = kspace.abs().sum(-3).numpy()
        border = partial(called, own.method(lambda kspace, mask: image, "ready"), kspace, mask)
        tv = partial(methods.load("tv", source="knee"), kspace, mask)
        found = alternate(Contest("tv", partial(cpu_seconds, border), partial(cpu_seconds, tv), {}), runs)
        shape = "x".join(map(str, kspace.shape))
        yield {"work": "own function", "size": shape, **found, "share": found["ours_s"] / found["peer_s"]}
    finally:
        torch.set_num_threads(threads)
