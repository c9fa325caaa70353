"""Named random numbers: what is drawn under one name never depends on what else is drawn, or in which order."""

import zlib
from collections.abc import Sequence

import numpy as np


class Chance:
    """Random numbers of one subject, looked up by name.

    All slices of a volume ask the same object and get the same femur; leaving a finding out moves nothing else.
    The numbers come from `numpy.random.default_rng` seeded by the entropy and a checksum of the name.
    """

    def __init__(self, *entropy: int):
        self.entropy = entropy
        self.kept: dict[tuple, object] = {}

    def generator(self, name: str) -> np.random.Generator:
        """A fresh generator that belongs to this name."""
        return np.random.default_rng([*self.entropy, zlib.crc32(name.encode())])

    def keep(self, key: tuple, make):
        """`make()` at the first call with this key, the same object ever after."""
        if key not in self.kept:
            self.kept[key] = make()
        return self.kept[key]

    def uniform(self, name: str, low: float, high: float) -> float:
        """Uniform in [low, high)."""
        return low + (high - low) * self.keep(("uniform", name), lambda: self.generator(name).random())

    def log_uniform(self, name: str, low: float, high: float) -> float:
        """Log-uniform in [low, high)."""
        return float(np.exp(self.uniform(name, np.log(low), np.log(high))))

    def normal(self, name: str, deviation: float = 1.0) -> float:
        """Normal with mean 0."""
        return deviation * self.keep(("normal", name), lambda: self.generator(name).standard_normal())

    def happens(self, name: str, probability: float) -> bool:
        """True with this probability."""
        return self.uniform(name, 0, 1) < probability

    def choose(self, name: str, options: Sequence[str], weights: Sequence[float] | None = None) -> str:
        """One of the options."""
        shares = np.cumsum(weights if weights is not None else np.ones(len(options)))
        return options[int(np.searchsorted(shares, self.uniform(name, 0, shares[-1]), side="right"))]

    def array(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        """Standard normal float32 numbers, kept for the whole volume."""
        return self.keep(("array", name, shape), lambda: self.generator(name).standard_normal(shape, dtype=np.float32))
