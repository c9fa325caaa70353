"""Minimizers for one measurement after another, as an attack asks for: each solve goes on from the last image."""

import warnings
from collections.abc import Callable
from functools import partial

from torch import Tensor

from helpers.sparsity.proximal_gradient import Solution

GAP = 3e-3  # certified, and so close that a loss is within 1 % of what it is at the minimum
STEPS = 150  # at most: a strong attack asks for ten times as many, and finds as much without


class Ongoing:
    """Where the last solve ended, at which the next begins: the minimum is unique, and this is the way there.

    Images are so much alike that this takes half the time, and where a solve would take long, the next one goes on with
    it. But they depend on what came before, and lag behind a large step. So it serves a search alone: what that finds
    is judged by a method that begins anew.

    options: further ones of every solve.
    """

    def __init__(self, **options):
        self.image, self.options = None, options

    def __call__(self, solve: Callable[..., Solution]) -> Callable[..., Solution]:
        """The solver that goes on: solve(sense, kspace, ...), which takes `start` and `tol`."""
        return partial(self._solve, solve)

    def _solve(self, solve: Callable[..., Solution], sense, kspace: Tensor, *args, **options) -> Solution:
        shape = (*kspace.shape[:-3], *kspace.shape[-2:])
        start = self.image if self.image is not None and self.image.shape == shape else None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of the cap
            options |= self.options | {"start": start, "tol": GAP, "cap": STEPS}
            found = solve(sense, kspace, *args, **options)
        self.image = found.x.detach()
        return found
