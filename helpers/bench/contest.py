"""One work done by us and by a peer in turn, on one measurement: CPU seconds, medians, and their ratio."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from torch import Tensor

from helpers.data.scanner import draw_volume
from helpers.mri.masks import random_mask
from helpers.mri.noise import scale
from helpers.mri.sense import Sense
from helpers.profiles import Profile
from helpers.sparsity.wavelet import Wavelet


@dataclass(frozen=True)
class Problem:
    """One measurement in the unit of `noise.scale`: 4x random lines of a drawn brain, 8 % of them in the center."""

    kspace: Tensor
    mask: Tensor
    sense: Sense
    wavelet: Wavelet  # Haar: the one wavelet that all three compute alike, as deep as BART goes


@dataclass(frozen=True)
class Contest:
    """One work against one peer: a call on either side that returns its seconds of CPU time, and what is known."""

    peer: str
    ours: Callable[[], float]
    theirs: Callable[[], float]
    facts: dict


def problem(coils: int, size: int, seed: int = 0) -> Problem:
    """A problem of coils x size x size; the same seed gives the same."""
    drawn = draw_volume("brain", seed, Profile("bench", (size, size), (size, size), coils, 1, 1), 1, coils=coils)[0]
    mask = random_mask(size, 4, 0.08, seed)
    kspace = drawn.kspace * mask
    kspace = kspace / scale(kspace)[..., None]
    levels = 0
    while size >> levels > 16:
        levels += 1
    return Problem(kspace, mask, Sense.estimated(kspace, mask, crop=0), Wavelet((size, size), "haar", levels))


def alternate(contest: Contest, runs: int) -> dict[str, object]:
    """The medians of so many runs of either side in turn, their ratio, and the facts."""
    pairs = [(contest.ours(), contest.theirs()) for _ in range(runs)]
    ours, theirs = (median(side) for side in zip(*pairs, strict=True))
    timed = {"peer": contest.peer, "ours_s": ours, "peer_s": theirs, "ratio": theirs / ours, "runs": runs}
    return {**timed, **contest.facts}


def cpu_seconds(call: Callable[[], object]) -> float:
    """What a call takes of CPU time."""
    start = time.process_time()
    call()
    return time.process_time() - start
