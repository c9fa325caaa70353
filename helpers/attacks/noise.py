"""No attack at all: Gaussian noise of the same strength, the yardstick beside every curve."""

from helpers.attacks.found import Found, tried
from helpers.attacks.threat import Threat


def noise(threat: Threat, seed: int = 0, draws: int = 1) -> Found:
    """The worst of some draws of Gaussian noise with ||e|| = eps ||y||; one draw is what a scanner does by chance."""
    return tried(threat, threat.noise(seed, draws))
