"""What an un-trained network is fitted to: one measurement, without the rows of noise, some lines of it held back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from helpers.mri import coils
from helpers.mri.conjugate_gradients import conjugate_gradients
from helpers.mri.fourier import fft2c, ifft2c
from helpers.mri.masks import fitting, held_out
from helpers.mri.noise import expected_rss, noise_level, recorded, scale
from helpers.mri.rss import rss
from helpers.mri.sense import Sense
from helpers.sparsity.proximal_gradient import DataTerm

OCCUPIED = 1.5  # times the power of the noise: rows with less hold nothing but noise


@dataclass(frozen=True)
class Settings:
    """How an un-trained network is fitted.

    generator     name in `generators.GENERATORS`; options: arguments of its class
    maps          one image under ESPIRiT maps (SENSE form), or an image of every coil (the paper's form)
    steps, rate   of Adam; cosine: the rate falls to 2 % of itself along a cosine, or stays
    mu            preconditions the residual by (A^H A + mu I)^-1, so that what is hard to see is learned as soon as
                  what is not; None: the plain residual
    held          share of the measured lines that are not fitted but judge the image (self-validation): the average
                  image that explains them best is kept. 0: the weights of the lowest training loss are, as published
    consistency   weight w of the last step, min ||A x - y||^2 + w ||x - G||^2, in units of the noise power (on data in
                  the unit of `noise.scale`): the noisier y, the more G counts. 0: measured entries replace those of G
    crop          leave out rows that hold nothing but noise: a column mask leaves the readout fully sampled
    precision     "float32" everywhere, or "bfloat16" for the convolutions where that is faster, see `precision.pays`
    """

    generator: str = "convdecoder"
    options: Mapping = field(default_factory=dict)
    maps: bool = True
    steps: int = 600
    rate: float = 0.02
    cosine: bool = True
    mu: float | None = 0.03
    held: float = 0.1
    consistency: float = 130
    crop: bool = True
    precision: str = "bfloat16"


class Problem:
    """A measurement y, or a batch, as a fit sees it: rows of nothing but noise left out, and some lines held back.

    kspace: (..., coil, ky, kx) complex, zero where nothing was measured, with one leading axis or none; mask: (kx,) or
    (ky, kx) bool; seed: of the held-out lines, one for all or one each; rows: those that are kept, found where None.
    Images are (..., y, x); in the coil-wise form (..., coil, y, x), and every coil is a SENSE problem of one coil whose
    map is 1.
    """

    def __init__(
        self,
        kspace: Tensor,
        mask: Tensor,
        settings: Settings,
        seed: int | Sequence[int] = 0,
        rows: slice | None = None,
    ):
        mask = fitting(mask, tuple(kspace.shape[-2:]))
        if mask.ndim == 2 and bool((mask == mask[0]).all()):
            mask = mask[0]
        self.kspace, self.mask, self.settings = kspace, mask, settings
        self.rows = rows or (occupied_rows(kspace, mask) if settings.crop else slice(0, kspace.shape[-2]))
        y = mask * fft2c(ifft2c(kspace)[..., self.rows, :]) if mask.ndim == 1 else kspace
        if settings.maps:
            maps = coils.espirit(kspace, mask)[..., self.rows, :]
        else:
            y = y.unsqueeze(-3)
            maps = torch.ones_like(y[(0,) * (y.ndim - 3)])
        self.w = self.wide(settings.consistency * (noise_level(kspace, mask) / scale(kspace)[..., 0, 0]).square())
        self.maps = maps
        self.seen = rss(maps)  # 1 where the coils see something, 0 elsewhere
        self.size = tuple(y.shape[-2:])
        # (...), of the zero-filled images, too
        self.energy = y.abs().square().sum(tuple(range(kspace.ndim - 3, y.ndim)))
        fitted, held = self.parts(y.ndim, seed)
        self.judged = bool(held.any())
        self.count = 2 * y[(0,) * (kspace.ndim - 3)].numel()  # real numbers that a mean squared error is the mean of
        self.all, self.fitted, self.held = (DataTerm(Sense(maps, part), y) for part in (mask, fitted, held))
        for term in (self.all, self.fitted, self.held):
            term.sense = term.sense.compressed()

    @property
    def outputs(self) -> int:
        return 2 if self.settings.maps else 2 * self.kspace.shape[-3]

    def parts(self, axes: int, seed: int | Sequence[int]) -> tuple[Tensor, Tensor]:
        """The masks of the lines that are fitted and of those that are held back, for data of so many axes."""
        if isinstance(seed, int):
            return self.split(seed)
        both = zip(*map(self.split, seed), strict=True)
        fill = (1,) * (axes - 1 - self.mask.ndim)
        return tuple(torch.stack(masks).unflatten(0, (-1, *fill)) for masks in both)

    def split(self, seed: int) -> tuple[Tensor, Tensor]:
        """The same for one seed; lines that the scanner left at zero are not all that judges."""
        fitted, held = held_out(self.mask, self.settings.held, seed)
        there = recorded(self.kspace).flatten(0, -1 - self.mask.ndim).any(0)
        if held.any() and not (held & there).any():
            held = held_out(self.mask & there, self.settings.held, seed)[1]
            fitted = self.mask & ~held
        return fitted, held

    def wide(self, values: Tensor) -> Tensor:
        """Numbers, one a measurement, as they multiply images: (...) to (..., 1, 1), coil-wise (..., 1, 1, 1)."""
        return values[(..., *(None,) * (2 if self.settings.maps else 3))]

    def image(self, output: Tensor, scale: Tensor) -> Tensor:
        """The complex image, or images of all coils, that the outputs of a generator stand for, in units of y."""
        images = torch.complex(*output.to(self.kspace.real.dtype).unflatten(-3, (2, -1)).unbind(-4))
        return (images[..., 0, :, :] if self.settings.maps else images) / self.wide(scale)

    @torch.no_grad()
    def slope(self, image: Tensor) -> Tensor:
        """A^H A x - A^H y of the fitted lines."""
        return self.fitted.sense.gram(image) - self.fitted.b

    @torch.no_grad()
    def preconditioned(self, slope: Tensor, term: DataTerm | None = None, tolerance: float = 0.03) -> Tensor:
        """(A^H A + mu I)^-1 of a slope, with the fitted lines or others; the slope itself where mu is None."""
        gram, mu = (term or self.fitted).sense.gram, self.settings.mu
        return slope if mu is None else conjugate_gradients(lambda x: gram(x) + mu * x, slope, tolerance)

    def consistent(self, image: Tensor) -> Tensor:
        """Data consistency with y: min over x of ||A x - y||^2 + w ||x - image||^2; w = 0: the measured replace G's."""
        gram, b, w = self.all.sense.gram, self.all.b, self.w
        if not (w > 0).any():
            return image + b - gram(image)
        return self.regularized(b + w * image)

    def regularized(self, right: Tensor, tolerance: float = 1e-4) -> Tensor:
        """(A^H A + w)^-1 of an image, all measured lines, by conjugate gradients."""
        gram, w = self.all.sense.gram, self.w
        return conjugate_gradients(lambda x: gram(x) + w * x, right, tolerance)

    def magnitude(self, image: Tensor) -> Tensor:
        """The reconstruction on the full grid, (y, x) real; rows that were left out hold nothing but noise."""
        whole = self.whole(self.seen * image)
        return expected_rss(whole, self.kspace, self.mask) if self.settings.maps else rss(whole)

    def images(self, image: Tensor) -> Tensor:
        """The images of all coils that an image stands for, (coil, y, x) complex on the full grid."""
        return self.whole(self.maps * image[..., None, :, :] if self.settings.maps else image)

    def whole(self, images: Tensor) -> Tensor:
        """Images on the full grid, zero in the rows that were left out: (..., y, x) complex."""
        whole = images.new_zeros((*images.shape[:-2], *self.kspace.shape[-2:]))
        whole[..., self.rows, :] = images
        return whole

    @torch.no_grad()
    def loss(self, term: DataTerm, image: Tensor) -> Tensor:
        """||A x - y||^2 / ||y||^2 of some lines, (...); not a number where there are none."""
        square, _ = term.products(image, term.sense.gram(image))
        return square / term.energy if self.settings.maps else square.sum(-1) / term.energy.sum(-1)


def occupied_rows(kspace: Tensor, mask: Tensor) -> slice:
    """The rows that hold more than noise, for a column mask, under which every image row is a problem of its own.

    kspace: (..., coil, ky, kx) complex, whose rows are those of any item; mask: (kx,) bool, or (ky, kx), for which all
    rows are taken.
    """
    if mask.ndim == 2:
        return slice(0, kspace.shape[-2])
    power = ifft2c(kspace).abs().square().mean((-3, -1))
    noise = 2 * noise_level(kspace, mask).square() * mask.float().mean()
    seen = (power > OCCUPIED * noise[..., None]).reshape(-1, kspace.shape[-2]).any(0).nonzero()[:, 0]
    return slice(int(seen[0]), int(seen[-1]) + 1) if len(seen) else slice(0, kspace.shape[-2])
