"""What an attack found, and how: the perturbation, and the loss at every step of the way."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from helpers.attacks.threat import Threat, length

ROUNDING = 1e-5  # of a length, relative


@dataclass(frozen=True)
class Found:
    """A perturbation and its history; (...) are the leading axes of the threat.

    e               (..., coil, ky, kx) complex, of strength eps, zero off the mask
    loss            (...) of `Threat.loss`
    curve           (steps, ...) best loss so far, of the start that won: does it flatten?
    gradient_norms  (steps, ...) of the slope, of that start; empty for attacks without gradients
    evaluations     how many reconstructions of a slice it took, all starts together
    image           (..., y, x) that a method made anew makes of y + e, where the attack ends with that
    """

    e: Tensor
    loss: Tensor
    curve: Tensor
    gradient_norms: Tensor
    evaluations: int
    image: Tensor | None = None


class Best:
    """The best iterate of every start and slice so far, and how the loss went."""

    def __init__(self, threat: Threat):
        self.threat, self.e, self.loss = threat, None, None
        self.curve: list[Tensor] = []
        self.norms: list[Tensor] = []
        self.evaluations = 0

    def offer(self, e: Tensor, loss: Tensor, norm: Tensor | None = None) -> Tensor:
        """Keep what is better than before; e (start, ..., coil, ky, kx), loss and norm (start, ...). Returns where."""
        better = torch.ones_like(loss, dtype=torch.bool) if self.loss is None else loss > self.loss
        self.e = e if self.e is None else torch.where(better[..., None, None, None], e, self.e)
        self.loss = loss if self.loss is None else torch.where(better, loss, self.loss)
        self.curve.append(self.loss)
        self.norms += [] if norm is None else [norm]
        self.evaluations += loss.numel()
        return better

    def found(self) -> Found:
        """The best start of every slice; those that are shorter than allowed are stretched before they are compared.

        What has its full length stays as it was tried, bit for bit: an un-trained fit magnifies the last bit.
        """
        with torch.no_grad():
            short = length(self.e) < (1 - ROUNDING) * self.threat.radius
            full, loss = torch.where(short, self.threat.stretched(self.e), self.e), self.loss
            if bool(short.any()):
                loss = torch.stack([self.threat.loss(each) for each in full])
                self.evaluations += loss.numel()
        winner = loss.argmax(0, keepdim=True)
        curve, norms = (
            torch.stack(each).gather(1, winner.expand(len(each), *winner.shape)[:, 0:1])[:, 0] if each else loss[:0]
            for each in (self.curve, self.norms)
        )
        e = full.gather(0, winner[..., None, None, None].expand(1, *full.shape[1:]))[0]
        return Found(e, loss.gather(0, winner)[0], curve, norms, self.evaluations)


@torch.no_grad()
def tried(threat: Threat, perturbations: Iterable[Tensor]) -> Found:
    """The worst of perturbations that are there already, each (..., coil, ky, kx), by one reconstruction each."""
    best = Best(threat)
    for e in perturbations:
        best.offer(e[None], threat.loss(e)[None])
    return best.found()
