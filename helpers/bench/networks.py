"""How fast networks are trained and attacked here, beside fastMRI's own modules, on one thread."""

import resource
from collections.abc import Callable, Iterator
from functools import partial
from multiprocessing import get_context

import torch
from torch import Tensor, nn

from helpers import networks
from helpers.bench.contest import Contest, alternate, cpu_seconds, problem
from helpers.profiles import profile
from helpers.training import recipes
from helpers.training.loop import Training
from helpers.training.recipes import Recipe
from helpers.training.run import Run

ATTACKED = {"network": "varnet", "cascades": 6, "channels": 8, "pools": 4}  # as of the feasibility study
EPS = 0.02
TRAINED = "varnet-knee"
STEPS = 4  # timed in either half of a training, after one that is not


def measure(coils: int = 15, size: int = 320, runs: int = 3) -> Iterator[dict[str, object]]:
    """One PGD step on VarNet, and one step of training, against fastMRI's modules, row by row.

    Rows as those of `bench.measure`: CPU seconds a step, medians of `runs` alternating runs, one thread. Both sides of
    the attack compute the same numbers with the same frozen weights. The training row has the shipped recipe against
    fastMRI's modules of as many cascades and channels, on the same examples, the mean of both halves of a training;
    peak_mb and peer_peak_mb are of a process that does nothing else.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield {"work": "pgd varnet", "size": f"{coils}x{size}x{size}", **alternate(attack(coils, size), runs)}
        yield {"work": "train varnet", **training(runs)}
    finally:
        torch.set_num_threads(threads)


def attack(coils: int, size: int) -> Contest:
    """The same step of the same network in both forms."""
    given = problem(coils, size)
    sides = []
    for form in ("fast", "fastmri"):
        step = attacked_step(form, given.kspace, given.mask)
        step()  # the library prepares its convolutions at the first call
        sides.append(partial(cpu_seconds, step))
    return Contest("fastmri", *sides, {})


def attacked_step(form: str, kspace: Tensor, mask: Tensor) -> Callable[[], Tensor]:
    """A PGD step on VarNet in one of its forms, from noise, ready to be called."""
    torch.manual_seed(0)
    network = networks.build({**ATTACKED, "form": form}).requires_grad_(False).to(kspace.device)
    generator = torch.Generator().manual_seed(0)
    noise = mask * torch.randn(kspace.shape, dtype=kspace.dtype, generator=generator).to(kspace.device)
    radius = EPS * kspace.norm()
    return partial(pgd_step, network, kspace, mask, network(kspace, mask), radius * noise / noise.norm(), radius)


def pgd_step(network: nn.Module, kspace: Tensor, mask: Tensor, clean: Tensor, e: Tensor, radius: Tensor) -> Tensor:
    """e <- P(e + alpha g / ||g||), g the gradient of ||network(y + e) - clean||^2, P the projection onto the ball."""
    e = e.requires_grad_()
    loss = (network(kspace + e, mask) - clean).square().sum()
    (g,) = torch.autograd.grad(loss, e)
    moved = e.detach() + radius / 10 * mask * g / g.norm()
    return moved * (radius / moved.norm()).clamp(max=1)


def training(runs: int) -> dict[str, object]:
    """A step of training in both forms, and the memory of each."""
    shipped = recipes.shipped()[TRAINED]
    same = {key: shipped.architecture[key] for key in ("network", "cascades", "channels", "pools")}
    same |= {f"sensitivity_{key}": shipped.architecture[f"sensitivity_{key}"] for key in ("channels", "pools")}
    published = Recipe(**{**shipped.plain(), "architecture": {**same, "form": "fastmri"}, "data": shipped.data})
    peaks: dict[str, list[float]] = {"peak_mb": [], "peer_peak_mb": []}

    def alone(recipe: Recipe, peak: str) -> float:
        with get_context("forkserver").Pool(1) as pool:  # a process that was spawned would inherit our own peak
            seconds, megabytes = pool.apply(trained, (recipe,))
        peaks[peak].append(megabytes)
        return seconds

    found = alternate(
        Contest("fastmri", partial(alone, shipped, "peak_mb"), partial(alone, published, "peer_peak_mb"), {}), runs
    )
    pixels = profile(shipped.profile)
    size = f"{pixels.coils}x{pixels.kspace[0]}x{pixels.kspace[1]}"
    return {
        **found,
        "size": size,
        "slices_per_second": 1 / found["ours_s"],
        **{key: max(each) for key, each in peaks.items()},
    }


def trained(recipe: Recipe) -> tuple[float, float]:
    """CPU seconds of a step, the mean over both halves of a training, and the peak memory of this process in MB."""
    torch.set_num_threads(1)
    run = Training(recipe, Run(), torch.device("cpu"))
    seconds = 0.0
    for half in (0, recipe.steps // 2):
        run.progress.step = half
        run.step()
        seconds += sum(cpu_seconds(run.step) for _ in range(STEPS))
    return seconds / (2 * STEPS), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
