"""Fitting an un-trained network G(theta) to one measurement: its structure is the prior, its weights the unknowns.

    min over theta of 1/2 ||A G(theta) - y||^2, A = M F S,

stopped before G explains the noise, and followed by data consistency: the image closest to G that agrees with y.
"""

import copy
import math
import pickle
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm import tqdm

from helpers.errors import BadInput
from helpers.files import save_aside
from helpers.mri.rss import rss
from helpers.untrained.generators import GENERATORS
from helpers.untrained.kept import place
from helpers.untrained.precision import used
from helpers.untrained.problem import Problem, Settings
from helpers.untrained.side_by_side import SideBySide

LOOK = 10  # steps between two looks at the held-out lines
MEMORY = 50  # steps over which images are averaged
PATIENCE = 0.3  # share of the steps after which a fit ends that has found nothing better
MARGIN = 1.005  # a training loss is better, as published, where it is lower by half a percent
SAVE_EVERY = 60  # seconds between two checkpoints


@dataclass(frozen=True)
class Fit:
    """What a fit found; (...) is the batch that was fitted, if there was one.

    image       (..., y, x) real, the reconstruction on the full grid, in the units of the measurement
    trajectory  a look each: step, seconds, loss and held_loss, both relative: ||A x - y||^2 / ||y||^2 of those lines,
                the mean over the batch
    coils       (..., coil, y, x) complex, what the generator alone makes of all coils, without data consistency
    best        (...) step of the image that was kept
    state       weights and optimizer at that step, from which a fit to a nearby measurement starts; empty for a batch
    problem     what was fitted; generated: the image that was kept, complex, before data consistency
    """

    image: Tensor
    coils: Tensor
    trajectory: list[dict]
    best: int | Tensor
    state: dict
    problem: Problem
    generated: Tensor


@dataclass
class Progress:
    """What grows during a fit, and is kept in its checkpoint beside weights and optimizer."""

    step: int = 0
    seconds: float = 0.0
    average: Tensor | None = None
    best: Tensor | None = None
    best_step: Tensor = field(default_factory=partial(torch.tensor, 0))
    best_loss: Tensor = field(default_factory=partial(torch.tensor, math.inf, dtype=torch.double))
    best_state: dict = field(default_factory=dict)
    trajectory: list[dict] = field(default_factory=list)


def fit(
    kspace: Tensor,
    mask: Tensor,
    settings: Settings,
    seed: int | Sequence[int] = 0,
    start: dict | None = None,
    seconds: float = math.inf,
    watch: Callable[[dict, Tensor], None] | None = None,
    checkpoint: Path | None = None,
    progress: bool = False,
    stop: int | None = None,
) -> Fit:
    """Reconstruct a measurement, or a batch of them, by fitting an un-trained network to each.

    kspace: (coil, ky, kx) or (n, coil, ky, kx) complex, zero where nothing was measured; mask: (kx,) or (ky, kx) bool.
    seed: of the initial weights, the input and the held-out lines, one for each of a batch; the same seed gives the
    same image, on a processor bit for bit, and in a batch to rounding what it gives alone. No batch for what follows.
    start: `state` of a fit to a nearby measurement, whose weights and optimizer are gone on with. seconds: a limit,
    after which the best image so far is returned, with a warning. watch(look, image): called at every look with its
    row of the trajectory, to which it may add, and the reconstruction (y, x) as it stands. checkpoint: a file from
    which a fit that was killed goes on, written every minute, by default one of `kept`. progress: a bar with the losses
    on standard error. stop: the step at which the fit ends and whose image is kept, whatever the held-out lines say.

    Works in units in which the zero-filled image is as large as what the untrained generator gives: the paper's rule,
    but for data that were measured. BadInput for an unknown generator or a file that is no checkpoint of this fit.
    Source: section 2.3 of the paper, facts 2.5; self-validation: Yaman et al. 2022.
    """
    problem = Problem(kspace, mask, settings, seed, start and slice(*start["rows"]))
    if not (problem.energy > 0).any():
        nothing = torch.zeros_like(problem.fitted.b)
        return Fit(rss(0 * kspace), torch.zeros_like(kspace), [], 0, {}, problem, nothing)
    fitting = Fitting(problem, seed, start, stop)
    if checkpoint is None and start is None and isinstance(seed, int):
        checkpoint = place(kspace, mask, settings, seed, stop, used(settings.precision, kspace.device))
    if checkpoint and checkpoint.is_file():
        fitting.read(checkpoint)
    done, began = fitting.progress, time.monotonic() - fitting.progress.seconds
    saved = time.monotonic()
    steps = range(done.step + 1, (stop or settings.steps) + 1)
    if done.step and not fitting.alive(done.step).any():  # it was kept at its end
        steps = range(0)
    with tqdm(steps, settings.generator, initial=done.step, total=settings.steps, disable=not progress) as bar:
        for step in bar:
            fitting.step()
            done.seconds = time.monotonic() - began
            last = step == steps[-1]
            if step % LOOK and not last:
                continue
            image = fitting.look()
            look = done.trajectory[-1]
            bar.set_postfix({name: f"{look[name]:.2e}" for name in ("loss", "held_loss")})
            if watch:
                watch(look, fitting.reconstruction(image))
            ended = last or not fitting.alive(step).any()
            if checkpoint and (ended or time.monotonic() - saved > SAVE_EVERY):
                fitting.write(checkpoint)
                saved = time.monotonic()
            if done.seconds > seconds and not last:
                warnings.warn(f"stopped after {seconds:g} s at step {step} of {settings.steps}", stacklevel=2)
                break
            if ended:
                break
    image = torch.where((problem.energy > 0)[..., None, None], fitting.reconstruction(done.best), 0)
    best = done.best_step if done.best_step.ndim else int(done.best_step)
    return Fit(image, problem.images(done.best), done.trajectory, best, done.best_state, problem, done.best)


class Fitting:
    """A fit on its way: the generator, its optimizer, and how far they have come."""

    def __init__(
        self, problem: Problem, seed: int | Sequence[int] = 0, start: dict | None = None, stop: int | None = None
    ):
        self.problem, self.settings, self.warm, self.stop = problem, problem.settings, start is not None, stop
        self.progress, device = Progress(), problem.kspace.device
        self.low = used(self.settings.precision, device) == "bfloat16"
        if isinstance(seed, int):
            generator = self.drawn(seed).to(device, memory_format=torch.channels_last)
        else:
            generator = SideBySide([self.drawn(each) for each in seed]).to(device)
        self.generator = generator
        self.optimizer = torch.optim.Adam(self.generator.parameters(), self.settings.rate)
        if start:
            self._take(start)
        else:
            with torch.no_grad():
                self.scale = torch.linalg.vector_norm(generator(), dim=(-3, -2, -1)) / problem.energy.sqrt()

    def drawn(self, seed: int) -> nn.Module:
        """The generator with the weights and the input that a seed gives it; BadInput for an unknown name."""
        name = self.settings.generator
        if name not in GENERATORS:
            raise BadInput(f"there is no generator {name!r}; choose one of {', '.join(GENERATORS)}")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return GENERATORS[name](self.problem.outputs, self.problem.size, **self.settings.options)

    def step(self) -> None:
        """One step of Adam down the gradient of the mean squared error of the fitted lines."""
        done, problem = self.progress, self.problem
        image = self.image()
        self.descend(image, problem.preconditioned(problem.slope(image.detach())))
        image = image.detach()
        if problem.judged:
            share = max(1 / MEMORY, 1 / done.step)
            done.average = image if done.average is None else torch.lerp(done.average, image, share)
        else:
            self.offer(image, problem.loss(problem.fitted, image), MARGIN)

    @torch.enable_grad()  # whoever only wants the result of a fit may have switched gradients off
    def image(self) -> Tensor:
        """The complex image that the generator gives as it stands, with its gradient, see `Problem.image`."""
        kind = self.problem.kspace.device.type
        with torch.autocast(kind, torch.bfloat16) if self.low else nullcontext():
            output = self.generator()
        return self.problem.image(output, self.scale)

    @torch.enable_grad()
    def descend(self, image: Tensor, slope: Tensor) -> None:
        """One step of Adam against the slope of half a sum of squares at that image."""
        self.progress.step += 1
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate(self.progress.step)
        self.optimizer.zero_grad()
        image.backward(slope * self.problem.wide(self.scale) ** 2 * 2 / self.problem.count)
        self.optimizer.step()

    def look(self) -> Tensor:
        """Judge the average image by the held-out lines, and note the losses; returns the image as it stands."""
        done, problem = self.progress, self.problem
        image = done.average if problem.judged else done.best
        losses = {"loss": problem.loss(problem.fitted, image), "held_loss": problem.loss(problem.held, image)}
        if problem.judged and self.stop in (None, done.step):
            self.offer(image, losses["held_loss"])
        means = {name: float(loss.mean()) for name, loss in losses.items()}
        done.trajectory.append({"step": done.step, "seconds": done.seconds} | means)
        return image

    def offer(self, image: Tensor, loss: Tensor, margin: float = 1.0) -> None:
        """Keep images whose loss is lower than the lowest so far by more than the margin, and the first."""
        done = self.progress
        better = (done.best_loss > margin * loss) & self.alive(done.step - LOOK)
        if done.best is None:
            done.best, better = image, torch.ones_like(better)
        done.best = torch.where(self.problem.wide(better), image, done.best)
        done.best_step = torch.where(better, done.step, done.best_step)
        done.best_loss = torch.where(better, loss, done.best_loss)
        if better.ndim == 0 and better:
            done.best_state = copy.deepcopy(self.state())

    def alive(self, step: int) -> Tensor:
        """Which fits still go on after a step: those that have not waited for something better in vain, (...) bool."""
        waited = step - self.progress.best_step
        patient = not self.problem.judged or self.stop is not None
        return waited <= (math.inf if patient else PATIENCE * self.settings.steps)

    def reconstruction(self, image: Tensor) -> Tensor:
        """What an image, or those of all coils, comes to after data consistency: (y, x) real on the full grid."""
        return self.problem.magnitude(self.problem.consistent(image))

    def rate(self, step: int) -> float:
        """The learning rate at a step: warmed up over 20 steps, unless the start was warm, then as the settings say."""
        settings = self.settings
        if not settings.cosine:
            return settings.rate
        rising = 1 if self.warm else min(1, step / 20)
        return settings.rate * rising * (0.02 + 0.98 * (1 + math.cos(math.pi * step / settings.steps)) / 2)

    def metric(self) -> Tensor:
        """Adam's own, sqrt(v^) + 1e-8, by which it divides the slope of every weight: (weight,), in their order."""
        (group,) = self.optimizer.param_groups
        kept = [self.optimizer.state[each] for each in group["params"]]
        roots = [(each["exp_avg_sq"] / (1 - group["betas"][1] ** each["step"])).sqrt().flatten() for each in kept]
        return torch.cat(roots) + group["eps"]

    def state(self) -> dict:
        """What a fit to a nearby measurement starts from."""
        rows = self.problem.rows
        parts = {"generator": self.generator.state_dict(), "optimizer": self.optimizer.state_dict()}
        return parts | {"scale": self.scale, "rows": [rows.start, rows.stop]}

    def write(self, path: Path) -> None:
        """Write a checkpoint."""
        save_aside(path, {"state": self.state(), "progress": vars(self.progress)})

    def read(self, path: Path) -> None:
        """Go on from a checkpoint; BadInput where it is none of this fit."""
        try:
            kept = torch.load(path, map_location=self.problem.kspace.device, weights_only=True)
            self._take(kept["state"])
            self.progress = Progress(**kept["progress"])
        except (RuntimeError, ValueError, EOFError, KeyError, TypeError, pickle.UnpicklingError) as error:
            raise BadInput(f"{path} is no checkpoint of this fit; remove it") from error

    def _take(self, state: dict) -> None:
        self.generator.load_state_dict(state["generator"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scale = state["scale"]
