"""Training: one plain loop, the same on a laptop's core and on several GPUs, that can be killed at any step."""

import csv
import math
import os
import pickle
import time
from collections.abc import Mapping
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

import torch
from torch import Tensor, distributed, nn
from torch.optim.swa_utils import AveragedModel
from tqdm import tqdm

from helpers import networks
from helpers.data import open_data
from helpers.errors import BadInput
from helpers.files import save_aside, written_aside
from helpers.networks import zoo
from helpers.profiles import profile
from helpers.training import validation
from helpers.training.card import describe, in_restart
from helpers.training.data import Stream, blocks_of, example
from helpers.training.recipes import Recipe, learning_rate, loss_function
from helpers.training.run import Progress, Run, checkpoint_of, locked
from helpers.training.widen import widened

LOG_EVERY = 50  # steps
LOG = ["step", "loss", "validation_ssim", "seconds"]


def train(recipe: Recipe, run: Run) -> dict:
    """Train a network, or go on where its checkpoint is, until its steps are done or the hours are over.

    At every validation the averaged weights are written to the zoo with their card, so that whatever is there can be
    used. The same recipe gives the same weights bit for bit on one CPU, however often it is killed and resumed.
    Under torchrun every process takes its own examples and gradients are averaged. Returns the card.
    """
    ranks = int(os.environ.get("WORLD_SIZE", 1))
    rank = int(os.environ.get("RANK", 0))
    device = torch.device(run.device)
    if ranks > 1:
        if device.type == "cuda":
            device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
            torch.cuda.set_device(device)
        # the others wait while the first validates
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=timedelta(hours=2))
    try:
        with locked(run.checkpoints / f"{recipe.name}.lock", rank):
            return Training(recipe, run, device, rank, ranks).finish()
    finally:
        if ranks > 1:
            distributed.destroy_process_group()


class Training:
    """One network on its way: weights, optimizer, and how far it has come."""

    def __init__(self, recipe: Recipe, run: Run, device: torch.device, rank: int = 0, ranks: int = 1):
        self.recipe, self.run, self.device, self.rank, self.ranks = recipe, run, device, rank, ranks
        self.loss = loss_function(recipe.loss)
        self.checkpoint = checkpoint_of(recipe, run.checkpoints, run.at_full_rate)
        self.log = run.checkpoints / f"{recipe.name}.csv"
        self.progress = Progress()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.seed)
            self.network = networks.build(dict(recipe.architecture)).to(device).train()
        if hasattr(self.network, "memory_free"):  # an i-RIM's states fit at small sizes; keeping them saves a third
            self.network.memory_free = recipe.profile == "paper"
        if self.checkpoint.is_file() and not run.fresh:
            kept = self._read_checkpoint()
        else:
            kept = None
            if run.start:
                self._start_from(zoo.card(run.start, run.folder))
        self.average = AveragedModel(self.network, avg_fn=_average)
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=recipe.learning_rate)
        if kept:
            self.network.load_state_dict(kept["network"])
            self.average.load_state_dict(kept["average"])
            self.optimizer.load_state_dict(kept["optimizer"])
            self.progress = Progress(**kept["progress"])
        source = blocks_of(recipe.data, profile(recipe.profile), recipe.seed, recipe.vary)
        self.stream = Stream(source, recipe.batch * ranks, recipe.blocks, workers=run.workers)
        self.slices = None
        if self.rank == 0:
            self._look_ahead()

    def finish(self) -> dict:
        """All steps that are left, or as many as the hours allow; returns the card."""
        if self.run.fresh and self.rank == 0:
            self.checkpoint.unlink(missing_ok=True)
        started = saved = time.monotonic()
        done, recipe = self.progress, self.recipe
        before = done.seconds
        description = None
        if done.step and done.step == done.full:
            self.validate()  # by the code of today, which is what the gain of a restart is held against
        bar = tqdm(total=recipe.steps, initial=done.step, desc=recipe.name, unit="step", disable=self.rank > 0)
        try:
            while done.step < recipe.steps:
                done.losses.append(self.step())
                done.seconds = before + time.monotonic() - started
                bar.update()
                bar.set_postfix(loss=f"{done.losses[-1]:.4f}", ssim=f"{done.curve[-1][1]:.4f}" if done.curve else "-")
                last = done.step >= recipe.steps
                if last or done.step % self.run.validate_every == 0:
                    description = self.validate(last)
                    done.seconds = before + time.monotonic() - started
                if last or done.step % LOG_EVERY == 0:
                    self.write_log()
                over = self.agreed(time.monotonic() - started > 3600 * self.run.hours)
                if last or over or self.agreed(time.monotonic() - saved > self.run.save_every):
                    self.save()
                    saved = time.monotonic()
                if over:
                    break
        finally:
            bar.close()
            self.stream.close()
        if description is None and self.rank == 0:
            written = recipe.name in zoo.names(self.run.folder)
            description = zoo.card(recipe.name, self.run.folder) if written else self.validate()
        return description or {}

    def step(self) -> float:
        """One step: an example of each process, its loss, and an update of the weights. Returns the loss."""
        done, recipe = self.progress, self.recipe
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(done.step, recipe.steps, recipe.learning_rate, done.restarts[-1], done.full)
        key = (recipe.seed, done.step, self.rank)
        data = example(self.stream.at(done.step), key, recipe.batch, cropped=done.step < recipe.cropped * recipe.steps)
        target = data.target.to(self.device)
        kind, low = self.device.type, self.run.precision == "bfloat16"
        with torch.autocast(kind, torch.bfloat16, enabled=low):
            image = self.network(data.kspace.to(self.device), data.mask.to(self.device))
        top, left = ((full - part) // 2 for full, part in zip(image.shape[-2:], target.shape[-2:], strict=True))
        image = image.float()[..., top : top + target.shape[-2], left : left + target.shape[-1]]
        loss = self.loss(image, target)
        self.optimizer.zero_grad()
        loss.backward()
        parameters = [each for each in self.network.parameters() if each.grad is not None]
        if self.ranks > 1:
            for parameter in parameters:
                distributed.all_reduce(parameter.grad)
                parameter.grad /= self.ranks
        norm = float(nn.utils.clip_grad_norm_(parameters, 1.0))  # the same in every process
        value = float(loss.detach())
        if not math.isfinite(norm):
            words = f"the loss is {value} and its gradient {norm} at step {done.step + 1}"
            raise BadInput(f"{recipe.name}: {words}; lower the learning rate")
        self.optimizer.step()
        self.average.update_parameters(self.network)
        done.step += 1
        return value

    def validate(self, last: bool = False) -> dict | None:
        """Score the averaged weights, rounded as they are shipped, and write them to the zoo with their card.

        Half precision, unless at the end it is seen to move the mean SSIM by 1e-4 or more.
        """
        if self.rank:
            return None
        state = self.average.module.state_dict()
        shipped = zoo.rounded(state)
        found = self._scores(shipped)
        if last:
            exact = zoo.rounded(state, torch.float32)
            unrounded = self._scores(exact)
            if abs(validation.mean_ssim(unrounded) - validation.mean_ssim(found)) >= 1e-4:
                shipped, found = exact, unrounded
        self.progress.curve.append([self.progress.step, round(validation.mean_ssim(found), 6)])
        if self.run.also:
            self.progress.also.append([self.progress.step, *self._also(shipped)])
        parameters = sum(each.numel() for each in self.network.parameters())
        made = describe(self.recipe, self.run, self.progress, self.device, self.slices, found, parameters, self.ranks)
        return zoo.save(made, shipped, self.run.folder)

    def _also(self, state: Mapping[str, Tensor]) -> list[float]:
        """Mean SSIM, over the whole image and inside the object, on the data that nothing depends on."""
        network = zoo.assembled(self.recipe.architecture, state, self.recipe.name).to(self.device)
        rows = validation.measured(network, validation.referenced(self.run.also, open_data(self.run.also)))
        return [round(float(rows[score].mean()), 6) for score in ("ssim", "ssim_object")]

    def _scores(self, state: Mapping[str, Tensor]) -> dict:
        network = zoo.assembled(self.recipe.architecture, state, self.recipe.name).to(self.device)
        return validation.scores(network, self.slices)

    def agreed(self, wish: bool) -> bool:
        """What the first process wishes, so that all of them stop at the same step."""
        if self.ranks == 1:
            return wish
        flag = torch.tensor([float(wish)], device=self.device)
        distributed.broadcast(flag, 0)
        return bool(flag.item())

    def save(self) -> None:
        """Write the checkpoint."""
        if self.rank == 0:
            kept = {
                "recipe": self.recipe.plain(),
                "progress": asdict(self.progress),
                "network": self.network.state_dict(),
                "average": self.average.state_dict(),
                "optimizer": self.optimizer.state_dict(),
            }
            save_aside(self.checkpoint, kept)

    def _look_ahead(self) -> None:
        """Read what the first validation needs before the first step, which would be lost where something is wrong."""
        if self.log.is_file() and next(iter(_lines(self.log)), LOG) != LOG:
            raise BadInput(f"{self.log} is there and no log of a training; choose another --checkpoints")
        self.slices = validation.held_out(self.recipe.data, self.recipe.profile, self.run.volumes)
        if self.run.also:
            for _ in validation.referenced(self.run.also, open_data(self.run.also)):
                pass  # one at a time: a folder may be larger than memory

    def _read_checkpoint(self) -> dict:
        try:
            kept = torch.load(self.checkpoint, map_location=self.device, weights_only=True)
            mine, theirs = self.recipe.plain(), Recipe(**kept["recipe"]).plain()
        except (RuntimeError, EOFError, KeyError, TypeError, pickle.UnpicklingError) as error:
            raise BadInput(f"{self.checkpoint} is no checkpoint; remove it, or give --fresh") from error
        other = [key for key in mine if key != "steps" and theirs[key] != mine[key]]
        if other:
            key = other[0]
            raise BadInput(
                f"{self.checkpoint} was made with {key} {theirs[key]!r}, not {mine[key]!r}; give --fresh to train anew"
            )
        return kept

    def _start_from(self, card: Mapping) -> None:
        """Take weights from the zoo, widened where this network is wider; with go_on also steps, hours and curve.

        The optimizer starts anew, warmed up.
        """
        start = zoo.load(card["name"], folder=self.run.folder)
        weights = start.state_dict()
        if networks.architecture(start) != networks.architecture(self.network):
            try:
                weights = widened(start, self.network, self.recipe.seed)
            except BadInput as error:
                architecture = f"{card['name']} has the architecture {card['architecture']}"
                raise BadInput(f"{architecture}, no narrower form of this network: {error}") from error
        self.network.load_state_dict(weights)
        if self.run.go_on:
            steps, seconds, restarts = card["steps"], 3600 * card["hours"], [0, *card["restarts"], card["steps"]]
            full = card.get("full_rate_from", 0)
            if self.run.at_full_rate and not in_restart(card):
                full = steps
            self.progress = Progress(steps, seconds, card["curve"], card.get("also", []), restarts=restarts, full=full)

    def write_log(self) -> None:
        """Add a line to the log; lines of steps that a kill has undone are dropped first."""
        if self.rank == 0:
            done = self.progress
            score = done.curve[-1][1] if done.curve and done.curve[-1][0] == done.step else ""
            row = [done.step, f"{sum(done.losses) / len(done.losses):.6g}", score, round(done.seconds, 1)]
            old = [each for each in _lines(self.log)[1:] if int(each[0]) < done.step]
            with written_aside(self.log) as part, part.open("w", newline="") as file:
                csv.writer(file).writerows([LOG, *old, row])
        self.progress.losses.clear()


def _average(average: Tensor, weights: Tensor, count: Tensor) -> Tensor:
    """Exponential moving average over about a ninth of the steps so far, at most the last thousand."""
    return torch.lerp(average, weights, max(1e-3, 9 / (10 + float(count))))


def _lines(path: Path) -> list[list[str]]:
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf8", errors="replace") as file:
        return list(csv.reader(file))
