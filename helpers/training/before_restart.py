"""The network of before a restart: kept until the restart has ended, and put back where it has lost."""

import shutil
from pathlib import Path

from safetensors.torch import load as read_tensors

from helpers.networks import zoo

KINDS = (".safetensors", ".json")


def keep(name: str, folder: Path, checkpoints: Path) -> None:
    """Copy weights and card of the zoo `folder` beside the checkpoints, before a restart writes over them."""
    checkpoints.mkdir(parents=True, exist_ok=True)
    for kind in KINDS:
        shutil.copyfile(folder / f"{name}{kind}", _copies(checkpoints) / f"{name}{kind}")


def better(card: dict, folder: Path, checkpoints: Path) -> dict:
    """The card of the better network, which then lies in the zoo: that of before, where `restart_gain` is below zero.

    Its card says by how much, and what was run. card: that of the restart, at its end.
    """
    name, copies = card["name"], _copies(checkpoints)
    if (card["restart_gain"] or 0) < 0 and (copies / f"{name}.json").is_file():
        told = {"restart_gain": card["restart_gain"], "restart_command": card["command"]}
        state = read_tensors((copies / f"{name}.safetensors").read_bytes())
        card = zoo.save(zoo.card(name, copies) | told, state, folder)
    for kind in reversed(KINDS):
        (copies / f"{name}{kind}").unlink(missing_ok=True)
    return card


def undecided(card: dict, checkpoints: Path) -> bool:
    """Whether a card of the zoo is that of a restart that has ended, and was killed before `better` was asked."""
    name, copies = card["name"], _copies(checkpoints)
    ended = card.get("at_full_rate", False) and card["steps"] >= card["planned_steps"]
    return ended and (copies / f"{name}.json").is_file() and zoo.card(name, copies)["steps"] < card["steps"]


def _copies(checkpoints: Path) -> Path:
    folder = checkpoints / "before"
    folder.mkdir(exist_ok=True)
    return folder
