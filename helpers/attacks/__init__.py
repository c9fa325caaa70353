"""Attacks, one file each: attack(threat, seed=..., ...) -> Found, under the rules of `threat.Threat`.

An attack takes a method and imports none. What it finds is scored elsewhere, by a fresh full reconstruction.
"""

from helpers.attacks.found import Found
from helpers.attacks.threat import Threat

__all__ = ["Found", "Threat"]
