"""Minimizers for one measurement after another, as an attack asks for: each solve goes on from the last image."""

from collections.abc import Callable
from functools import partial

from torch import Tensor

from helpers.sparsity.proximal_gradient import Solution

GAP = 3e-3  # certified, and so close that a loss is within 1 % of what it is at the minimum


class Ongoing:
    """Where the last solve ended, at which the next begins: the minimum is unique, and this is the way there.

    Images are so much alike that this takes half the time; but they depend, within the gap, on what came before. So it
    serves a search alone: what that finds is judged by a method that begins anew.

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
        found = solve(sense, kspace, *args, **options | self.options | {"start": start, "tol": GAP})
        self.image = found.x.detach()
        return found
