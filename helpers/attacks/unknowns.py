"""What the joint attack varies: the image itself, for methods that minimize over it, or the weights of a network."""

from collections.abc import Callable
from dataclasses import replace

from torch import Tensor

from helpers import methods
from helpers.data.slice import Slice
from helpers.methods.sense import MU
from helpers.mri.noise import scale
from helpers.sparsity.bases import basis
from helpers.sparsity.proximal_gradient import soft_threshold, weight
from helpers.sparsity.total_variation import Prox
from helpers.untrained.fit import Fitting
from helpers.untrained.problem import Problem, Settings


class Iterate:
    """What the joint attack varies for SENSE, l1-wavelet and TV: the image, by proximal gradient steps of 1 / `bound`.

    prox: (image, step) to image, of the penalty.
    """

    def __init__(self, start: Tensor, bound: Tensor, prox: Callable[[Tensor, Tensor], Tensor]):
        self.x, self.step, self.prox = start, 1 / bound, prox

    def image(self) -> Tensor:
        return self.x

    def descend(self, slope: Tensor) -> None:
        self.x = self.prox(self.x - self.step * slope, self.step)


class Decoder:
    """What it varies for an un-trained network: the weights, by the optimizer of its fit, with all lines fitted.

    kspace, mask: the clean measurement; settings: of the fit, in its SENSE form.
    """

    def __init__(self, kspace: Tensor, mask: Tensor, settings: Settings, seed: int = 0):
        self.problem = Problem(kspace, mask, replace(settings, held=0), seed)
        self.fitting = Fitting(self.problem, seed)

    def image(self) -> Tensor:
        self.output = self.fitting.image()
        return self.problem.whole(self.output.detach())

    def descend(self, slope: Tensor) -> None:
        self.fitting.descend(self.output, self.problem.preconditioned(slope[self.problem.rows]))


def penalty(name: str, source: str | Slice, y: Tensor, mask: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
    """The proximal step of a method's penalty, (image, step) to image, in the units of y."""
    if name == "sense":
        return ridge
    unit = scale(y)
    lam = (weight(methods.tuned(name, source)["lam"], y / unit[..., None], mask) * unit[..., 0, 0])[..., None, None]
    if name == "tv":
        return Prox(lam, y[0])
    sparse = basis(y.shape[-2:], methods.REGISTRY[name].options.get("name", "db4"))
    return lambda z, step: sparse.adjoint(soft_threshold(sparse.forward(z), lam * step))


def ridge(z: Tensor, step: Tensor) -> Tensor:
    """The proximal step of SENSE's penalty, MU/2 ||x||^2."""
    return z / (1 + MU * step)
