"""How a training is run, how far it has come, and the lock that keeps a second process from it."""

import fcntl
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from helpers.errors import BadInput
from helpers.networks import zoo
from helpers.places import KEPT
from helpers.training.recipes import Recipe

CHECKPOINTS = KEPT / "training"


@dataclass(frozen=True)
class Run:
    """How a training is run, which its weights do not depend on (up to rounding, where the device changes).

    folder, checkpoints  where card and weights, and where checkpoints, log and lock go
    hours                stop cleanly after so many, to be resumed; validate_every: steps; save_every: seconds
    also                 a file or folder that every validation scores as well, which nothing depends on
    fresh                forget a checkpoint once all else is seen to be in order
    start                a card and weights to start from; go_on: go on where their training stopped, and at_full_rate:
                         at the full learning rate, as if it began
    """

    folder: Path = zoo.ZOO
    checkpoints: Path = CHECKPOINTS
    device: str = "cpu"
    precision: str = "float32"
    workers: int = 0
    hours: float = math.inf
    validate_every: int = 500
    volumes: int = 20
    save_every: float = 120
    command: str = ""
    also: str | None = None
    fresh: bool = False
    start: str | None = None
    go_on: bool = False
    at_full_rate: bool = False


@dataclass
class Progress:
    """What grows while a network is trained; it is in the checkpoint and, but for `losses`, on the card.

    restarts: 0, and the steps at which training began anew from weights alone; full: the step at which it last began at
    the full learning rate; curve: [step, mean validation SSIM]; also: [step, SSIM, SSIM inside the object] of the data
    that are also scored
    """

    step: int = 0
    seconds: float = 0.0
    curve: list[list[float]] = field(default_factory=list)
    also: list[list[float]] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    restarts: list[int] = field(default_factory=lambda: [0])
    full: int = 0


def checkpoint_of(recipe: Recipe, folder: Path, restart: bool = False) -> Path:
    """Where a training keeps its checkpoint: a restart at the full rate, named by its end, has one of its own."""
    return folder / f"{recipe.name}{f'-{recipe.steps}' if restart else ''}.pt"


@contextmanager
def locked(path: Path, rank: int = 0) -> Iterator[None]:
    """Hold a network for one training; BadInput where another process trains it. A kill releases it."""
    if rank:
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BadInput(f"{path.stem} is being trained by another process; wait for it or stop it") from None
        yield
