"""Fitting an un-trained network G(theta) to one measurement: its structure is the prior, its weights the unknowns.

    min over theta of 1/2 ||A G(theta) - y||^2, A = M F S,

stopped before G explains the noise, and followed by data consistency: the image closest to G that agrees with y.
"""

import copy
import math
import time
import warnings
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field

import torch
from torch import Tensor
from tqdm import tqdm

from helpers import coils
from helpers.conjugate_gradients import conjugate_gradients
from helpers.errors import BadInput
from helpers.fourier import fft2c, ifft2c
from helpers.masks import fitting, held_out
from helpers.networks.decoders import GENERATORS
from helpers.physics import Sense, expected_rss, noise_level, rss
from helpers.solvers import DataTerm

LOOK = 10  # steps between two looks at the held-out lines
MEMORY = 50  # steps over which images are averaged
PATIENCE = 0.3  # share of the steps after which a fit ends that has found nothing better
OCCUPIED = 1.5  # times the power of the noise: rows with less hold nothing but noise


@dataclass(frozen=True)
class Settings:
    """How an un-trained network is fitted.

    generator     name in `decoders.GENERATORS`; options: arguments of its class
    maps          one image under ESPIRiT maps (SENSE form), or an image of every coil (the paper's form)
    steps, rate   of Adam; cosine: the rate falls to 2 % of itself along a cosine, or stays
    mu            preconditions the residual by (A^H A + mu I)^-1, so that what is hard to see is learned as soon as
                  what is not; None: the plain residual
    held          share of the measured lines that are not fitted but judge the image (self-validation): the average
                  image that explains them best is kept. 0: the weights of the lowest training loss are, as published
    consistency   weight w of the last step, min ||A x - y||^2 + w ||x - G||^2; 0: measured entries replace those of G
    crop          leave out rows that hold nothing but noise: a column mask leaves the readout fully sampled
    precision     "float32" everywhere, or "bfloat16" for the convolutions
    """

    generator: str = "convdecoder"
    options: Mapping = field(default_factory=dict)
    maps: bool = True
    steps: int = 800
    rate: float = 0.02
    cosine: bool = True
    mu: float | None = 0.03
    held: float = 0.1
    consistency: float = 0.15
    crop: bool = True
    precision: str = "bfloat16"


@dataclass(frozen=True)
class Fit:
    """What a fit found.

    image       (y, x) real, the reconstruction on the full grid, in the units of the measurement
    trajectory  a look each: step, seconds, loss and held_loss, both relative: ||A x - y||^2 / ||y||^2 of those lines
    best        step of the image that was kept
    state       weights and optimizer, from which a fit to a nearby measurement starts
    """

    image: Tensor
    trajectory: list[dict]
    best: int
    state: dict


class Problem:
    """One measurement y as a fit sees it: rows that hold nothing but noise left out, and some lines held back.

    kspace: (coil, ky, kx) complex, zero where nothing was measured; mask: (kx,) or (ky, kx) bool; rows: those that are
    kept, found where None. Images are (y, x); in the coil-wise form (coil, y, x), and every coil is a SENSE problem of
    one coil whose map is 1.
    """

    def __init__(self, kspace: Tensor, mask: Tensor, settings: Settings, seed: int = 0, rows: slice | None = None):
        mask = fitting(mask, tuple(kspace.shape[-2:]))
        if mask.ndim == 2 and bool((mask == mask[0]).all()):
            mask = mask[0]
        self.kspace, self.mask, self.settings = kspace, mask, settings
        self.rows = rows or (occupied_rows(kspace, mask) if settings.crop else slice(0, kspace.shape[-2]))
        y = mask * fft2c(ifft2c(kspace)[..., self.rows, :]) if mask.ndim == 1 else kspace
        if settings.maps:
            maps = coils.espirit(kspace, mask)[..., self.rows, :]
        else:
            y, maps = y[:, None], torch.ones_like(y[:1])
        self.seen = rss(maps)  # 1 where the coils see something, 0 elsewhere
        self.size = tuple(y.shape[-2:])
        self.energy = y.abs().square().sum()  # of the zero-filled images, too
        fitted, held = held_out(mask, settings.held, seed)
        self.judged = bool(held.any())
        self.count = 2 * y.numel()  # real numbers that a mean squared error is the mean of
        self.all, self.fitted, self.held = (DataTerm(Sense(maps, part), y) for part in (mask, fitted, held))
        for term in (self.all, self.fitted, self.held):
            term.sense = term.sense.compressed()

    @property
    def outputs(self) -> int:
        return 2 if self.settings.maps else 2 * self.kspace.shape[0]

    def image(self, output: Tensor, scale: Tensor) -> Tensor:
        """The complex image, or images of all coils, that the outputs of a generator stand for, in units of y."""
        images = torch.complex(*output.float().unflatten(0, (2, -1))) / scale
        return images[0] if self.settings.maps else images

    def gradient(self, image: Tensor) -> Tensor:
        """(A^H A + mu I)^-1 (A^H A x - A^H y) of the fitted lines; without the inverse where mu is None."""
        gram, mu = self.fitted.sense.gram, self.settings.mu
        slope = gram(image) - self.fitted.b
        return slope if mu is None else conjugate_gradients(lambda x: gram(x) + mu * x, slope, tolerance=0.03)

    def consistent(self, image: Tensor) -> Tensor:
        """Data consistency with y: min over x of ||A x - y||^2 + w ||x - image||^2; w = 0: the measured replace G's."""
        gram, b, w = self.all.sense.gram, self.all.b, self.settings.consistency
        if w == 0:
            return image + b - gram(image)
        return conjugate_gradients(lambda x: gram(x) + w * x, b + w * image)

    def magnitude(self, image: Tensor) -> Tensor:
        """The reconstruction on the full grid, (y, x) real; rows that were left out hold nothing but noise."""
        whole = image.new_zeros((*image.shape[:-2], *self.kspace.shape[-2:]))
        whole[..., self.rows, :] = self.seen * image
        return expected_rss(whole, self.kspace, self.mask) if self.settings.maps else rss(whole)


def fit(
    kspace: Tensor,
    mask: Tensor,
    settings: Settings,
    seed: int = 0,
    start: dict | None = None,
    seconds: float = math.inf,
    watch: Callable[[int, Tensor], None] | None = None,
    progress: bool = False,
) -> Fit:
    """Reconstruct one measurement by fitting an un-trained network to it.

    kspace: (coil, ky, kx) complex, zero where nothing was measured; mask: (kx,) or (ky, kx) bool. seed: of the initial
    weights, the input and the held-out lines; the same seed gives the same image, on a processor bit for bit.
    start: `state` of a fit to a nearby measurement, whose weights and optimizer are gone on with. seconds: a limit,
    after which the best image so far is returned, with a warning. watch(step, image): called at every look with the
    reconstruction (y, x) as it stands. progress: a bar with the losses on standard error.

    Works in units in which the zero-filled image is as large as what the untrained generator gives: the paper's rule,
    but for data that were measured. Source: section 2.3 of the paper, facts 2.5; self-validation: Yaman et al. 2022.
    """
    problem = Problem(kspace, mask, settings, seed, start and start["rows"])
    if not problem.energy > 0:
        return Fit(torch.zeros(kspace.shape[-2:], device=kspace.device), [], 0, {})
    generator, optimizer, scale = _begin(problem, settings, seed, start, kspace.device)
    began, best = time.monotonic(), _Best(margin=1 if problem.judged else 1.005)
    average, trajectory = None, []
    bar = tqdm(range(1, settings.steps + 1), desc=settings.generator, unit="step", disable=not progress)
    for step in bar:
        for group in optimizer.param_groups:
            group["lr"] = _rate(step, settings, warm=start is not None)
        with _precision(settings, kspace.device):
            output = generator()
        image = problem.image(output, scale)
        with torch.no_grad():
            gradient = problem.gradient(image)
        optimizer.zero_grad()
        image.backward(gradient * scale**2 * 2 / problem.count)
        optimizer.step()
        image = image.detach()
        if not problem.judged:
            best.offer(step, image, _loss(problem.fitted, image))
        average = image if average is None else torch.lerp(average, image, max(1 / MEMORY, 1 / step))
        if step % LOOK == 0 or step == settings.steps:
            kept = average if problem.judged else best.image
            losses = {"loss": _loss(problem.fitted, kept), "held_loss": _loss(problem.held, kept)}
            trajectory.append({"step": step, "seconds": time.monotonic() - began} | losses)
            bar.set_postfix({name: f"{value:.2e}" for name, value in losses.items()})
            if problem.judged:
                best.offer(step, kept, losses["held_loss"])
            if watch:
                watch(step, problem.magnitude(problem.consistent(kept)))
            if time.monotonic() - began > seconds and step < settings.steps:
                warnings.warn(f"stopped after {seconds:g} s at step {step} of {settings.steps}", stacklevel=2)
                break
            if problem.judged and step - best.step > PATIENCE * settings.steps:
                break
    state = {
        "generator": generator.state_dict(),
        "optimizer": optimizer.state_dict(),
        "scale": scale,
        "rows": problem.rows,
    }
    image = problem.magnitude(problem.consistent(best.image))
    return Fit(image, trajectory, best.step, copy.deepcopy(state))


class _Best:
    """The image with the lowest loss so far; as published, one that is lower by half a percent."""

    def __init__(self, margin: float):
        self.image, self.step, self.loss, self.margin = None, 0, math.inf, margin

    def offer(self, step: int, image: Tensor, loss: float) -> None:
        if self.loss > self.margin * loss or self.image is None:
            self.image, self.step, self.loss = image, step, loss


def occupied_rows(kspace: Tensor, mask: Tensor) -> slice:
    """The rows that hold more than noise, for a column mask, under which every image row is a problem of its own.

    kspace: (coil, ky, kx) complex; mask: (kx,) bool, or (ky, kx), for which all rows are taken.
    """
    if mask.ndim == 2:
        return slice(0, kspace.shape[-2])
    power = ifft2c(kspace).abs().square().mean((-3, -1))
    noise = 2 * noise_level(kspace, mask).square() * mask.float().mean()
    seen = (power > OCCUPIED * noise).nonzero()[:, 0]
    return slice(int(seen[0]), int(seen[-1]) + 1) if len(seen) else slice(0, kspace.shape[-2])


def _begin(problem: Problem, settings: Settings, seed: int, start: dict | None, device: torch.device):
    """The generator with its optimizer, and the scale between its outputs and the measurement."""
    if settings.generator not in GENERATORS:
        raise BadInput(f"there is no generator {settings.generator!r}; choose one of {', '.join(GENERATORS)}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        generator = GENERATORS[settings.generator](problem.outputs, problem.size, **settings.options)
    generator = generator.to(device)
    if settings.precision == "bfloat16":
        generator = generator.to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(generator.parameters(), settings.rate)
    if start:
        generator.load_state_dict(start["generator"])
        optimizer.load_state_dict(start["optimizer"])
        return generator, optimizer, start["scale"]
    with torch.no_grad():
        return generator, optimizer, generator().norm() / problem.energy.sqrt()


def _rate(step: int, settings: Settings, warm: bool) -> float:
    if not settings.cosine:
        return settings.rate
    rising = 1 if warm else min(1, step / 20)
    return settings.rate * rising * (0.02 + 0.98 * (1 + math.cos(math.pi * step / settings.steps)) / 2)


def _precision(settings: Settings, device: torch.device):
    return torch.autocast(device.type, torch.bfloat16) if settings.precision == "bfloat16" else nullcontext()


@torch.no_grad()
def _loss(term: DataTerm, image: Tensor) -> float:
    """||A x - y||^2 / ||y||^2; not a number where there are no lines to judge by."""
    square, _ = term.products(image, term.sense.gram(image))
    return float(square.sum() / term.energy.sum())
