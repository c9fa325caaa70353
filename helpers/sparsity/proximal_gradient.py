"""The frame of the sparsity methods: a data term, a stop by a certified optimality gap, and proximal gradients."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor

from helpers.mri.noise import noise_level
from helpers.mri.sense import Sense

GRID = (0.05, 0.079, 0.13, 0.2, 0.32, 0.5, 0.8)  # lambdas worth trying, as multiples of the noise level
EVERY = 10  # iterations between two looks at the gap, each of which costs about as much as two iterations


@dataclass(frozen=True)
class Solution:
    """What a solver found.

    x           (..., y, x) complex, the image
    gap         (...) real, a bound of (P(x) - P*) / P(x) for the objective P and its minimum P*; nan if not asked for
    iterations  how many were taken
    """

    x: Tensor
    gap: Tensor
    iterations: int


class DataTerm:
    """f(x) = 1/2 ||A x - y||^2, computed from the Gram matrix A^H A, b = A^H y and ||y||^2 alone.

    sense: A; kspace: y (..., coil, ky, kx) complex, of which only the sampled entries count.
    """

    def __init__(self, sense: Sense, kspace: Tensor):
        self.sense, self.kspace, self.b = sense, kspace, sense.adjoint(kspace)

    @cached_property
    def energy(self) -> Tensor:
        """||y||^2 of the sampled entries, (...) double."""
        return (self.sense.mask * self.kspace).abs().square().sum((-3, -2, -1), dtype=torch.double)

    @cached_property
    def gram_constant(self) -> Tensor:
        """A^H A of the image that is 1 everywhere, (..., y, x)."""
        return self.sense.gram(torch.ones_like(self.b))

    def products(self, x: Tensor, gram_x: Tensor) -> tuple[Tensor, Tensor]:
        """||r||^2 and Re <y, r> of the residual r = y - A x, given A^H A x; each (...) double."""
        along = inner(x, self.b)
        return (self.energy - 2 * along + inner(x, gram_x)).clamp(min=0), self.energy - along

    def value(self, x: Tensor, gram_x: Tensor) -> Tensor:
        """f(x) given A^H A x, (...) double."""
        return self.products(x, gram_x)[0] / 2

    def lower_bound(self, x: Tensor, gram_x: Tensor, limit: Tensor) -> Tensor:
        """The dual objective Re <y, u> - 1/2 ||u||^2 at the best u = s r with 0 <= s <= limit, (...) double.

        It bounds the minimum from below where u is feasible: the limit is the largest scaling for which it is. At the
        minimum s is 1; a large s would only magnify the rounding of a residual that is next to nothing.
        """
        square, along = self.products(x, gram_x)
        s = torch.minimum((along / square.clamp(min=1e-300)).clamp(0, 2), limit.double())
        return s * along - s.square() * square / 2


def weight(lam: float | Tensor, kspace: Tensor, mask: Tensor) -> Tensor:
    """The weight of a penalty for a measurement: lam times its noise level, on data in the unit of `noise.scale`.

    Theory asks for a weight in proportion to the noise (Donoho & Johnstone 1994), and tuning agrees: one lam serves
    an SNR of 20 and of 200. kspace in that unit; returns (...). A level below 1e-4 is taken for 1e-4.
    """
    return lam * noise_level(kspace, mask).clamp(min=1e-4)


def residual(sense: Sense, kspace: Tensor, x: Tensor) -> Tensor:
    """1/2 ||A x - y||^2 as it is written, (...) double: k-space (..., coil, ky, kx), images (..., y, x)."""
    return (sense.forward(x) - sense.mask * kspace).abs().square().sum((-3, -2, -1), dtype=torch.double) / 2


def inner(a: Tensor, b: Tensor) -> Tensor:
    """Re <a, b> over the last two axes, accumulated in double precision: (..., y, x) complex to (...)."""
    return (torch.view_as_real(a) * torch.view_as_real(b)).sum((-3, -2, -1), dtype=torch.double)


class Iteration(Protocol):
    """A solver on its way, which `certified` follows. image: (..., y, x) complex, the best that it has so far."""

    @property
    def image(self) -> Tensor: ...

    def look(self) -> tuple[Tensor, Tensor]:
        """The objective P of the image and a lower bound of its minimum, each (...) double."""

    def step(self) -> None: ...


def certified(iteration: Iteration, tol: float | None, cap: int, every: int = EVERY, first: int = 0) -> Solution:
    """Iterate until the image is certified to be within tol of the minimum of its objective P.

    Stops when (P(x) - best lower bound so far) / P(x) <= tol in every image of the batch, each of which is returned
    as it was when it got there, so that it is what it would be alone; looks after every so many steps from the `first`
    on, and warns where `cap` of them come first. With tol None it takes exactly `cap` steps. Ordinary torch
    operations throughout, so that autograd passes through the iterations.
    """
    image = iteration.image
    gap = torch.full(image.shape[:-2], torch.nan, dtype=torch.double, device=image.device)
    if tol is None:
        for _ in range(cap):
            iteration.step()
        return Solution(iteration.image, gap, cap)
    floor = torch.full_like(gap, -torch.inf)
    arrived, kept = torch.zeros_like(gap, dtype=torch.bool), image
    for taken in range(cap + 1):
        if (taken >= first and taken % every == 0) or taken == cap:
            with torch.no_grad():
                objective, bound = iteration.look()
                floor = torch.maximum(floor, bound)
                gap = torch.where(arrived, gap, ((objective - floor) / objective.clamp(min=1e-300)).clamp(min=0))
            kept = torch.where(arrived[..., None, None], kept, iteration.image)
            arrived = gap <= tol
            if bool(arrived.all()):
                break
        if taken == cap:
            text = f"stopped by its cap of {cap} iterations at a gap of {float(gap.max()):.1e}, not {tol:.1e}"
            warnings.warn(text, stacklevel=3)
            break
        iteration.step()
    return Solution(kept, gap, taken)


class ProximalGradient:
    """The iteration for P(x) = 1/2 ||A x - y||^2 + g(x), for any mask and any g with a proximal step.

    prox(z, step): the minimizer of 1/2 ||x - z||^2 + step g(x), step (..., 1, 1); objective(x, A^H A x): P(x) and
    bound(x, A^H A x): a lower bound of its minimum, each (...), from a feasible point of the dual problem; start: the
    first x, (..., y, x), by default A^H y.

    Source: POGM with adaptive restart (Taylor, Hendrickx & Glineur 2017; Kim & Fessler 2018), which needs 0.7 times
    the iterations of FISTA. The Gram operator of the iterations is that of the compressed coils; at every look at the
    gap, which is that of the whole problem, what it misses is measured, and added from then on.
    """

    def __init__(
        self,
        data: DataTerm,
        prox: Callable[[Tensor, Tensor], Tensor],
        objective: Callable[[Tensor, Tensor], Tensor],
        bound: Callable[[Tensor, Tensor], Tensor],
        start: Tensor | None = None,
    ):
        self.data, self.prox, self.objective, self.bound = data, prox, objective, bound
        self.size = 1 / data.sense.bound.clamp(min=torch.finfo(data.b.real.dtype).tiny)
        self.image = self.w = self.z = data.b if start is None else start
        self.theta = self.gamma = torch.ones_like(self.size)
        self.quick, self.offset, self.missing = data.sense.compressed(), -data.b, None

    def look(self) -> tuple[Tensor, Tensor]:
        gram_x = self.data.sense.gram(self.image)
        self.missing = gram_x - self.data.b - self.gradient()
        return self.objective(self.image, gram_x), self.bound(self.image, gram_x)

    def gradient(self) -> Tensor:
        return self.quick.gram(self.image) + self.offset

    def step(self) -> None:
        x, w, z, theta, gamma, step = self.image, self.w, self.z, self.theta, self.gamma, self.size
        gradient = self.gradient()
        if self.missing is not None:
            self.offset, gradient, self.missing = self.offset + self.missing, gradient + self.missing, None
        w_new = x - step * gradient
        theta_new = (1 + (1 + 4 * theta.square()).sqrt()) / 2
        gamma_new = (2 * theta + theta_new - 1) / theta_new
        ahead, behind = theta / theta_new, (theta - 1) / theta_new
        z_new = (1 + ahead + behind) * w_new - behind * w - (ahead + behind / gamma) * x + behind / gamma * z
        x_new = self.prox(z_new, gamma_new * step)
        with torch.no_grad():
            descent = x_new - z_new - gamma_new * step * gradient
            uphill = inner(descent, w_new - w)[..., None, None] < 0
        self.theta, self.gamma = torch.where(uphill, torch.ones_like(theta), theta_new), gamma_new
        self.image, self.w, self.z = x_new, w_new, z_new


def soft_threshold(values: Tensor, threshold: Tensor) -> Tensor:
    """The proximal step of threshold * sum |values|: every modulus shrinks by the threshold, to zero at least.

    values: (..., y, x) complex or real; threshold: broadcasts against them, nonnegative.
    """
    least = threshold.square().clamp(min=torch.finfo(threshold.dtype).tiny)
    if values.is_complex():
        power = values.real.square() + values.imag.square()
    else:
        power = values.square()
    return values * (1 - threshold / power.clamp(min=least).sqrt())
