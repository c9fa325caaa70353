"""The card of a trained network: what it is, what made it, at what cost, and how good it is."""

import resource
from collections.abc import Mapping, Sequence

import torch

from helpers.data.slice import Slice
from helpers.experiments.provenance import versions
from helpers.training import validation
from helpers.training.recipes import Recipe
from helpers.training.run import Progress, Run

PLATEAU = 0.003  # a training that gains less validation SSIM by a restart at the full rate has reached it


def describe(
    recipe: Recipe,
    run: Run,
    done: Progress,
    device: torch.device,
    slices: Mapping[str, Sequence[Slice]],
    found: Mapping[str, Mapping],
    parameters: int,
    ranks: int,
) -> dict:
    """All that is said of a network beside its weights, as plain values.

    slices: the validation slices of every source; found: their scores, see `validation.scores`; parameters: how many
    numbers were learned; ranks: how many processes trained. Memory is the peak of this process, or of its GPU.
    """
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if device.type == "cuda":
        peak = torch.cuda.max_memory_allocated(device) / 2**20
    hours = done.seconds / 3600
    return {
        **recipe.plain(),
        "method": recipe.architecture["network"],
        "anatomy": " and ".join(sorted({item.anatomy for items in slices.values() for item in items})),
        "parameters": parameters,
        "planned_steps": recipe.steps,
        "steps": done.step,
        "slices_seen": done.step * recipe.batch * ranks,
        "restarts": done.restarts[1:],
        "full_rate_from": done.full,
        "at_full_rate": run.at_full_rate,
        "hours": round(hours, 4),
        "slices_per_second": round(done.step * recipe.batch * ranks / max(done.seconds, 1e-9), 3),
        "peak_memory_mb": round(peak),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "processes": ranks,
        "threads": torch.get_num_threads(),
        "precision": run.precision,
        "command": run.command,
        "versions": versions(),
        "validation_volumes": run.volumes,
        "ssim": validation.mean_ssim(found),
        "validation": found,
        "last_quarter_gain": last_quarter_gain(done.curve),
        "restart_gain": restart_gain(done.curve, done.full),
        "curve": done.curve,
        "also": done.also,
    }


def last_quarter_gain(curve: list[list[float]]) -> float | None:
    """What the last quarter of the training gained in validation SSIM, at a learning rate that falls to nearly zero.

    Little gain says no more than that: only `restart_gain` tells a plateau from a rate that has become small.
    curve: [step, ssim] in order. The gain from the last validation at or before three quarters of the steps to the
    end; None before there is one.
    """
    early = [ssim for step, ssim in curve if step <= 0.75 * curve[-1][0]]
    return round(curve[-1][1] - early[-1], 6) if early else None


def restart_gain(curve: list[list[float]], full: int) -> float | None:
    """What a training gained in validation SSIM after its end, when it began again at the full learning rate.

    Below PLATEAU more steps would not help. curve: [step, ssim] in order; full: the step of the restart. None where
    there was no restart; of two validations at its step the last counts, which is by the code of the restart.
    """
    before = [ssim for step, ssim in curve if step == full]
    return round(curve[-1][1] - before[-1], 6) if full and before and curve[-1][0] > full else None


def in_restart(card: Mapping) -> bool:
    """Whether a card was written on the way of a restart at the full rate, which is still to be ended."""
    return card.get("at_full_rate", False) and card["steps"] < card["planned_steps"]
