"""No attack at all: Gaussian noise of the same strength, the yardstick beside every curve."""

import torch

from helpers.attacks.found import Best, Found
from helpers.attacks.threat import Threat


@torch.no_grad()
def noise(threat: Threat, seed: int = 0, draws: int = 1) -> Found:
    """The worst of some draws of Gaussian noise with ||e|| = eps ||y||; one draw is what a scanner does by chance."""
    best = Best(threat)
    for drawn in threat.noise(seed, draws):
        best.offer(drawn[None], threat.loss(drawn)[None])
    return best.found()
