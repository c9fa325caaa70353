"""What attacks cost: gradients through l1-wavelet and TV beside unrolling, and the whole transfer matrix."""

from collections.abc import Iterator, Sequence
from functools import partial

import torch
from torch import Tensor

from helpers import methods
from helpers.bench.contest import Contest, alternate, cpu_seconds, problem
from helpers.experiments import transfer
from helpers.methods import l1, tv
from helpers.networks.memory import kept_bytes
from helpers.sparsity.proximal_gradient import weight

MB = 1e6
LAST = (10, 40)
SOLVED = {"wavelet": l1.solve, "tv": tv.solve}


def measure(coils: int = 8, size: int = 160, runs: int = 3) -> Iterator[dict[str, object]]:
    """The gradient of a weighted sum of an image, with the reconstruction that it needs, a row a method and peer.

    Rows as those of `bench.measure`, the peer being the same solver differentiated through all of the iterations that
    its own certified stop takes, or through so many last ones from the minimum. Also reconstruct_s; reconstructions,
    how many of them the implicit gradient costs on top of it; kept_mb and peer_kept_mb, the memory that autograd keeps;
    cosine, of the angle between the two gradients.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for name in SOLVED:
            for last in (None, *LAST):
                yield {
                    "work": f"gradient {name}",
                    "size": f"{coils}x{size}x{size}",
                    **row(name, last, coils, size, runs),
                }
    finally:
        torch.set_num_threads(threads)


def matrix(
    size: str = "laptop", names: Sequence[str] = transfer.METHODS, cores: int = 2
) -> Iterator[dict[str, object]]:
    """What the whole transfer matrix takes, from one slice at two strengths under each protocol: a row a protocol.

    ours_s: of one strength; hours: of all slices and strengths, on so many cores with a slice each.
    """
    (item,) = transfer.slices(size=size, count=1)
    two = transfer.EPS[1:3]
    for protocol in transfer.PROTOCOLS:
        seconds = cpu_seconds(lambda protocol=protocol: list(transfer.rows(item, two, protocol, names))) / len(two)
        hours = seconds * transfer.COUNT * len(transfer.EPS) / cores / 3600
        yield {"work": "transfer matrix", "size": size, "peer": protocol, "ours_s": seconds, "runs": 1, "hours": hours}


def row(name: str, last: int | None, coils: int, size: int, runs: int) -> dict[str, object]:
    """One method both ways."""
    given = problem(coils, size)
    lam = weight(methods.tuned(name, "brain")["lam"], given.kspace, given.mask)
    iterations = SOLVED[name](given.sense, given.kspace, lam).iterations
    peer = {"tol": None, "cap": iterations} if last is None else {"last": last}
    sides = [methods.load(name, **options) for options in ({"implicit": True}, peer)]
    works = [partial(gradient, side, given.kspace, given.mask) for side in sides]
    ours, theirs = (work().to(torch.complex128) for work in works)
    kept = [kept_bytes(partial(side, given.kspace.clone().requires_grad_(), given.mask)) / MB for side in sides]
    reconstruct = min(cpu_seconds(partial(methods.load(name), given.kspace, given.mask)) for _ in range(runs))
    found = alternate(
        Contest("unrolled" if last is None else f"last {last}", *(partial(cpu_seconds, work) for work in works), {}),
        runs,
    )
    return found | {
        "reconstruct_s": reconstruct,
        "reconstructions": (found["ours_s"] - reconstruct) / reconstruct,
        "kept_mb": kept[0],
        "peer_kept_mb": kept[1],
        "peer_iterations": last or iterations,
        "cosine": float((ours.conj() * theirs).real.sum() / (ours.norm() * theirs.norm())),
    }


def gradient(method: methods.Method, kspace: Tensor, mask: Tensor) -> Tensor:
    """The gradient of <f(y), w> in y, on the measured entries; w is noise, so that every detail counts."""
    y = kspace.clone().requires_grad_()
    image = method(y, mask)
    w = torch.randn(image.shape, generator=torch.Generator().manual_seed(0))
    (slope,) = torch.autograd.grad((image * w).sum(), y)
    return mask * slope
