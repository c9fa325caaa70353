"""The worst that is known of one method on one slice, by each score, from strength to strength."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from torch import Tensor

from helpers import methods
from helpers.attacks import Found, Threat
from helpers.attacks.known import agreement, attacks_on, differentiable
from helpers.attacks.worst import worst
from helpers.data.slice import Slice

SCORES = (
    "nmse",
    "ssim",
)  # what is climbed, in this order: the second begins where the first came to, with half the steps
LEFT_OUT = ("noise", "joint")  # noise has rows of its own; joint descent never found most where there is a gradient


@dataclass(frozen=True)
class Worst:
    """What the attack of that name found, and the image (y, x) that the method, made anew, makes of y + e."""

    attack: str
    found: Found
    image: Tensor

    @property
    def e(self) -> Tensor:
        return self.found.e


def by_strength(
    name: str,
    item: Slice,
    y: Tensor,
    mask: Tensor,
    strengths: Sequence[float],
    steps: int,
    seed: int,
    known: Mapping[float, Sequence[Tensor]] | None = None,
) -> Iterator[tuple[float, dict[str, Worst], dict[str, Worst]]]:
    """The worst perturbation that is allowed at each strength, by each of `SCORES`, ascending.

    Gives eps, score to the worst, and score to what was found at this very strength.

    At each strength each score is climbed, from the worst of what is known to hurt: the worst for SENSE, what was found
    at the strength before, what was found there for the other score, and `known`, perturbations by strength. Whatever
    is found counts for every score and at every larger strength, where it is allowed as well: no loss falls as eps
    grows. Images are those of the method made anew, once for each find, see `attacks.worst`.

    y, mask: the measurement of the slice; steps: of gradient attacks on the first score; seed: of their starts.
    """
    method, make = differentiable(name, item.source), partial(methods.load, name, source=item.source)
    best: dict[str, Worst] = {}
    for eps in sorted(strengths):
        threats = {score: Threat(method, y, mask, eps, item.target, score=score) for score in SCORES}
        found = list({id(each): each for each in best.values()}.values())
        finds: dict[str, Worst] = {}
        for score, threat in threats.items():
            starts = [*(each.e for each in found), *(known or {}).get(eps, ())]
            attacks = attacks_on(name, item, seed, max(1, steps // (1 if score == SCORES[0] else 2)), known=starts)
            own = {words: attack for words, attack in attacks.items() if words not in LEFT_OUT}
            attack, new, image = worst(make, threat, own or attacks, agreement(name, y.device))
            finds[score] = Worst(attack, new, image)
            found.append(finds[score])
        best = {
            score: max(found, key=lambda each, threat=threat: float(threat.distance(each.image)))
            for score, threat in threats.items()
        }
        yield eps, best, finds
