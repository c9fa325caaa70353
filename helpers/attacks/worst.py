"""The worst that is known of a method: the best of all attacks on it, by a reconstruction that remembers nothing."""

from collections.abc import Callable, Mapping
from contextlib import suppress
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
    attack or the clean scan; where the loss is less than an attack saw, what the next one found is made anew, too.
    make: gives the method, anew at each call; threat: for one slice, with the method as attacks may differentiate it;
    attacks: by name; those that need a gradient are left out where there is none.
    BadInput where none is left, and where the loss differs from what the attack saw by more than `agree`, relative:
    then the method gives other images for the same measurement, as one does that remembers what it was given before.
    """
    finds: list[tuple[str, Found]] = []
    for name, attack in attacks.items():
        with suppress(NoGradient):
            finds.append((name, attack(threat)))
    if not finds:
        raise BadInput("there is no attack without a gradient among those that were given")
    best: tuple[str, Found, Tensor] | None = None
    for name, found in sorted(finds, key=lambda find: -float(find[1].loss)):
        if best and best[1].loss >= found.loss:
            break
        with torch.no_grad():
            image = replace(threat, method=make()).images(found.e)
        loss = threat.distance(image)
        if (loss - found.loss).abs() > agree * torch.maximum(loss, found.loss):
            raise BadInput(
                f"the same measurement gave a loss of {found.loss:.3g} and, by the method made anew, of {loss:.3g}: it"
                " does not repeat itself, and cannot be attacked so; give what it draws at random a seed"
            )
        if best is None or loss > best[1].loss:
            best = name, replace(found, loss=loss), image
    return best
