"""How fast the project's coil maps and solvers are beside sigpy and BART, on one thread."""

import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial

import sigpy
import torch
from sigpy.mri import app
from sigpy.mri import linop as mri
from torch import Tensor

from helpers.bench import bart
from helpers.bench.contest import Contest, Problem, alternate, cpu_seconds, problem
from helpers.methods import l1, tv
from helpers.mri.coils import espirit
from helpers.mri.masks import center_lines
from helpers.sparsity.proximal_gradient import Solution, soft_threshold

SIZES = ((8, 160), (15, 320))
LAM = 0.002
CLOSE = 1e-3  # how far above its minimum, relatively, the objective may be when the clock stops
CERTIFIED = 1e-3  # the gap of our own stop, which is timed beside it
REFERENCE = 2e-4  # the gap to which the minimum is known
CAP = 5000
LIMIT = 2000  # iterations that anyone gets to come close
BART_STEP = 0.95  # of its FISTA
BART_RHO = 0.01  # of its ADMM: four times fewer iterations than with its default
TV_NOTE = f"BART with -u {BART_RHO}, faster than its default"

L1_NOTE = "BART returns its image before the last shrinkage; iterations are counted with it, on the same objective"


def measure(sizes: Iterable[tuple[int, int]] = SIZES, runs: int = 3) -> Iterator[dict[str, object]]:
    """Time ESPIRiT, l1-wavelet and TV against sigpy and BART at each size (coils, pixels), row by row.

    Rows: work, size, peer, ours_s, peer_s (medians of CPU seconds of `runs` alternating runs, one thread), ratio
    (peer over ours), runs; for the solvers also how many iterations either side took, and iterations and seconds of
    our own certified stop. A solver is timed for the iterations that bring the objective within 1e-3 of its
    minimum, which is known from a certified run of ours. BART's seconds are those of its process, with its files.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for coils, size in sizes:
            given = problem(coils, size)
            for work, contests in (("espirit", _espirit), ("l1-wavelet", _l1_wavelet), ("tv", _tv)):
                with bart.Bart() as files:
                    files.write("kspace", given.kspace)
                    files.write("maps", given.sense.maps)
                    files.write("mask", given.mask.expand(1, size, size))  # or BART leaves out lines that are zero
                    for contest in contests(given, files):
                        if contest.peer == "BART" and not bart.installed():
                            continue
                        yield {"work": work, "size": f"{coils}x{size}x{size}", **alternate(contest, runs)}
    finally:
        torch.set_num_threads(threads)


def _espirit(given: Problem, files: bart.Bart) -> Iterator[Contest]:
    width = min(24, center_lines(given.mask))
    ours = partial(cpu_seconds, partial(espirit, given.kspace, given.mask))
    kspace = given.kspace.numpy()

    def theirs() -> object:
        return app.EspiritCalib(kspace, calib_width=width, show_pbar=False).run()

    yield Contest("sigpy", ours, partial(cpu_seconds, theirs), {})
    yield Contest("BART", ours, partial(files.call, "ecalib", "-m", 1, "-r", width, "kspace", "found"), {})


def _l1_wavelet(given: Problem, files: bart.Bart) -> Iterator[Contest]:
    shape, levels = given.wavelet.shape, given.wavelet.levels
    solve = partial(l1.solve, given.sense, given.kspace, LAM, "haar", levels=levels)
    objective = partial(l1.objective, given.sense, given.kspace, LAM, name="haar", levels=levels)

    def by_sigpy(iterations: int) -> sigpy.app.App:
        operator, data = _sigpy_sense(given)
        transform = sigpy.linop.Wavelet(shape, wave_name="haar", level=levels)
        prox = sigpy.prox.UnitaryTransform(sigpy.prox.L1Reg(transform.oshape, LAM), transform)
        # as sigpy's own L1WaveletRecon, which has no argument for the levels; it too estimates its step by itself
        return sigpy.app.LinearLeastSquares(operator, data, proxg=prox, max_iter=iterations, show_pbar=False)

    def by_bart(iterations: int) -> float:
        words = ("-p", "mask", "-S", "-w", 1, "-n", "--wavelet", "haar", "-R", f"W:3:0:{LAM}")
        return files.call("pics", *words, "-i", iterations, "kspace", "maps", "image")

    def shrunk(image: Tensor) -> Tensor:
        return given.wavelet.adjoint(soft_threshold(given.wavelet.forward(image), torch.tensor(BART_STEP * LAM)))

    yield _against_sigpy(solve, objective, by_sigpy)
    if bart.installed():
        yield _against_bart(solve, objective, by_bart, lambda: shrunk(files.read("image")[0]), L1_NOTE)


def _tv(given: Problem, files: bart.Bart) -> Iterator[Contest]:
    def ours(isotropic: bool) -> tuple[Callable, Callable]:
        return (
            partial(tv.solve, given.sense, given.kspace, LAM, isotropic),
            partial(tv.objective, given.sense, given.kspace, LAM, isotropic=isotropic),
        )

    def by_sigpy(iterations: int) -> sigpy.app.App:
        _, data = _sigpy_sense(given)
        maps, weights = given.sense.maps.numpy(), _weights(given)
        return app.TotalVariationRecon(data, maps, LAM, weights=weights, max_iter=iterations, show_pbar=False)

    def by_bart(iterations: int) -> float:
        words = ("-p", "mask", "-S", "-w", 1, "-u", BART_RHO, "-R", f"T:3:0:{LAM}")
        return files.call("pics", *words, "-i", iterations, "kspace", "maps", "image")

    yield _against_sigpy(*ours(isotropic=False), by_sigpy)
    if bart.installed():
        yield _against_bart(*ours(isotropic=True), by_bart, lambda: files.read("image")[0], TV_NOTE)


def _weights(given: Problem):
    return given.mask.expand(given.kspace.shape[-2:]).numpy().astype("float32")


def _sigpy_sense(given: Problem):
    return mri.Sense(given.sense.maps.numpy(), weights=_weights(given)), given.kspace.numpy()


def _against_sigpy(solve: Callable, objective: Callable, build: Callable[[int], sigpy.app.App]) -> Contest:
    goal, ours, facts = _our_side(solve, objective)
    running, theirs, reached = build(LIMIT), 0, False
    while not reached and theirs < LIMIT:
        running.alg.update()
        theirs += 1
        reached = objective(torch.from_numpy(running.x)) <= goal
    return Contest(
        "sigpy", ours, partial(cpu_seconds, lambda: build(theirs).run()), {**facts, **_their_side(theirs, reached)}
    )


def _against_bart(solve: Callable, objective: Callable, run: Callable[[int], float], image: Callable, note: str):
    def reached(iterations: int) -> bool:
        run(iterations)
        return bool(objective(image()) <= goal)

    goal, ours, facts = _our_side(solve, objective)
    theirs, found = _first(reached)
    return Contest("BART", ours, partial(run, theirs), {**facts, **_their_side(theirs, found), "note": note})


def _our_side(solve: Callable[..., Solution], objective: Callable[[Tensor], Tensor]) -> tuple:
    """The objective to reach, the timed call that reaches it, and what is to be told about it."""
    minimum = solve(tol=REFERENCE, cap=CAP)
    goal = objective(minimum.x) * (1 + CLOSE)
    iterations, _ = _first(lambda n: bool(objective(solve(tol=None, cap=n).x) <= goal))
    certified = solve(tol=CERTIFIED, cap=CAP)
    facts = {
        "iterations": iterations,
        "minimum_gap": float(minimum.gap),
        "certified_s": cpu_seconds(partial(solve, tol=CERTIFIED, cap=CAP)),
        "certified_iterations": certified.iterations,
    }
    return goal, lambda: cpu_seconds(partial(solve, tol=None, cap=iterations)), facts


def _their_side(iterations: int, reached: bool) -> dict:
    return {"peer_iterations": iterations, "note": "" if reached else f"the peer is not there after {iterations}"}


def _first(reached: Callable[[int], bool]) -> tuple[int, bool]:
    """The smallest count, to 3 %, that reaches the goal, and whether any up to the limit does."""
    low, high = 0, 8
    while not reached(high):
        if high == LIMIT:
            return LIMIT, False
        low, high = high, min(2 * high, LIMIT)
    while high - low > max(1, high // 32):
        middle = (low + high) // 2
        low, high = (low, middle) if reached(middle) else (middle, high)
    return high, True


def say_what_is_missing() -> None:
    """One sentence on standard error where a peer is not installed."""
    if not bart.installed():
        print("BART is not installed, its rows are left out; Debian has it as the package bart", file=sys.stderr)
