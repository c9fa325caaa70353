"""The worst that is known of a method: the best of all attacks on it, by a reconstruction that remembers nothing."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
from torch import Tensor

from helpers.attacks.found import Found
from helpers.attacks.threat import NoGradient, Threat
from helpers.errors import BadInput
from helpers.methods import Method

AGREE = 0.05  # relative: what rounding may change in the loss of a method that is none of chance


def worst(
    make: Callable[[], Method],
    threat: Threat,
    attacks: Mapping[str, Callable[[Threat], Found]],
    agree: float = AGREE,
) -> tuple[str, Found, Tensor]:
    """The attack that found the worst perturbation of one slice, what it found, and the image that the method makes.

    The image (y, x), cropped to the reference, and the loss come from the method made anew, with nothing kept from the
    attack or the clean scan. make: gives the method, anew at each call; threat: for one slice, with the method as
    attacks may differentiate it; attacks: by name; those that need a gradient are left out where there is none.
    BadInput where none is left, and where the loss differs from what the attack saw by more than `agree`, relative:
    then the method gives other images for the same measurement, as one does that remembers what it was given before.
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
    with torch.no_grad():
        image = replace(threat, method=make()).images(found.e)
    loss = threat.distance(image)
    if (loss - found.loss).abs() > agree * torch.maximum(loss, found.loss):
        raise BadInput(
            f"the same measurement gave a loss of {found.loss:.3g} and, by the method made anew, of {loss:.3g}: it does"
            " not repeat itself, and cannot be attacked so; give what it draws at random a seed"
        )
    return name, replace(found, loss=loss), image
