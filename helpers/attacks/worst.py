"""The worst that is known of a method: the best of all attacks on it, by a reconstruction that remembers nothing."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
from torch import Tensor

from helpers.attacks.found import Found
from helpers.attacks.threat import Method, NoGradient, Threat
from helpers.errors import BadInput

AGREE = 0.05  # relative: what rounding may change in the loss of a method that is none of chance


@torch.no_grad()
def rescored(make: Callable[[], Method], threat: Threat, found: Found, agree: float = AGREE) -> Tensor:
    """The loss of a perturbation, (...), by a method made anew, with nothing kept from the attack or the clean scan.

    BadInput where it differs from what the attack saw by more than `agree`, relative: then the method gives other
    images for the same measurement, as one does that remembers what it was given before.
    """
    loss = replace(threat, method=make()).loss(found.e)
    if bool(((loss - found.loss).abs() > agree * torch.maximum(loss, found.loss)).any()):
        seen, fresh = float(found.loss.max()), float(loss.max())
        raise BadInput(f"the same measurement gave a loss of {seen:.3g} and, by the method made anew, of {fresh:.3g}")
    return loss


def worst(
    make: Callable[[], Method],
    threat: Threat,
    attacks: Mapping[str, Callable[[Threat], Found]],
    agree: float = AGREE,
) -> tuple[str, Found]:
    """The attack that found the worst perturbation of one slice, and what it found, its loss scored anew.

    make: gives the method, anew at each call; threat: for one slice, with the method as attacks may differentiate it;
    attacks: by name; those that need a gradient are left out where there is none; agree: see `rescored`.
    BadInput where none is left.
    """
    best: tuple[str, Found] | None = None
    for name, attack in attacks.items():
        try:
            found = attack(threat)
        except NoGradient:
            continue
        if best is None or found.loss > best[1].loss:
            best = name, found
    if best is None:
        raise BadInput("there is no attack without a gradient among those that were given")
    name, found = best
    return name, replace(found, loss=rescored(make, threat, found, agree))
