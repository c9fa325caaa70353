"""The end-to-end variational network of fastMRI, computed from coil-combined images or as fastMRI does."""

from collections.abc import Callable, Iterator
from functools import partial

import torch
import torch.nn.functional as F
from fastmri import models
from torch import Tensor, fft

from helpers.errors import BadInput
from helpers.mri.fourier import fft2c, ifft2c
from helpers.mri.masks import center_block, center_lines, fitting
from helpers.mri.noise import expected_rss
from helpers.mri.rss import rss
from helpers.mri.sense import Sense
from helpers.networks.layout import apply

FORMS = ("fast", "fastmri")
STARTS = ("network", "center")
OUTPUTS = ("rss", "expected")


class VarNet(models.VarNet):
    """Unrolled gradient descent with a learned regularizer and learned coil maps S = S_w(center of y):

        k_{t+1} = k_t - eta_t M (k_t - y) - F S u_t,   u_t = U_t(S^H F^H k_t),   image = rss(F^H k_T).

    cascades, channels, pools: number of steps, and the U-Net U_t of each; sensitivity_channels, sensitivity_pools:
    the U-Net S_w; sensitivity_start: "network" takes its output for the maps, as fastMRI does, "center" adds it to
    the image of the center lines, which is a fair estimate before any training; sensitivity_factor: S_w works on a
    grid so many times coarser along either axis (1: as fastMRI does), which is all that smooth maps need, and its
    maps are interpolated; output: "rss" ends as above, "expected" with `noise.expected_rss` of S^H F^H k_T, since
    k_T has noise at the measured entries alone, too little for the air of a noisy reference; form: "fastmri" computes
    the lines above with fastMRI's modules, "fast" the same numbers from coil-combined images.

    The fast form. With x_0 = F^H y, P = F^H M F and S^H S = 1 every iterate can be written

        F^H k_t = x_0 + S a_t + P S b_t,   a_0 = b_0 = 0,

    since M k_t - y = M F S (a_t + b_t): a step is b <- b - eta (a + b), a <- a - u, and the U-Net's input
    S^H F^H k_t = S^H x_0 + a_t + S^H P S b_t. Nothing of the size of k-space is kept between the cascades, and P is a
    pair of transforms along x alone where the mask is made of columns.

    Both forms are homogeneous of degree one (each U-Net normalizes its input), so that the file's units cancel;
    where nothing was measured the fast one gives 0, fastMRI's 0 / 0.
    The parameters bear fastMRI's names: published state dicts (cascades=12, channels=18) load as they are.
    Source: Sriram et al., MICCAI 2020, arXiv 2004.06688, equations 7 to 11.
    """

    def __init__(
        self,
        cascades: int = 12,
        channels: int = 18,
        pools: int = 4,
        sensitivity_channels: int = 8,
        sensitivity_pools: int = 4,
        sensitivity_start: str = "network",
        sensitivity_factor: int = 1,
        output: str = "rss",
        form: str = "fast",
    ):
        super().__init__(cascades, sensitivity_channels, sensitivity_pools, channels, pools)
        if sensitivity_start not in STARTS:
            raise BadInput(f"there is no sensitivity_start {sensitivity_start!r}; choose one of {', '.join(STARTS)}")
        if output not in OUTPUTS:
            raise BadInput(f"there is no output {output!r}; choose one of {', '.join(OUTPUTS)}")
        if form not in FORMS:
            raise BadInput(f"there is no form {form!r}; choose one of {', '.join(FORMS)}")
        self.sensitivity_start, self.sensitivity_factor = sensitivity_start, sensitivity_factor
        self.output, self.form = output, form

    def forward(self, kspace: Tensor, mask: Tensor) -> Tensor:
        """Reconstructs: kspace (..., coil, ky, kx) complex, mask (kx,) or (ky, kx) bool, to (..., y, x) real.

        BadInput where the mask leaves out the center.
        """
        *_, last = self._iterates(kspace, mask)
        return last().reshape(*kspace.shape[:-3], *kspace.shape[-2:])

    def iterates(self, kspace: Tensor, mask: Tensor) -> Tensor:
        """The image before the first cascade and after each: (cascades + 1, ..., y, x); arguments as `forward`."""
        images = torch.stack([image() for image in self._iterates(kspace, mask)])
        return images.reshape(-1, *kspace.shape[:-3], *kspace.shape[-2:])

    def maps(self, kspace: Tensor, mask: Tensor) -> Tensor:
        """What the sensitivity network sees in the center of k-space: S of norm one, (..., coil, y, x) complex."""
        center = kspace * _center(mask, kspace.shape[-2:])
        return self._maps(center.reshape(-1, *kspace.shape[-3:])).reshape(kspace.shape)

    def _maps(self, center: Tensor) -> Tensor:
        """S of norm one, from the center of k-space alone; both (batch, coil, y, x)."""
        shape = center.shape[-2:]
        images = ifft2c(_resized(center, tuple(-(-n // self.sensitivity_factor) for n in shape)))
        maps = _normalized(self.sens_net.norm_unet, images.flatten(0, 1)).reshape(images.shape)
        if self.sensitivity_start == "center":
            maps = maps + images
        if self.sensitivity_factor > 1:
            maps = ifft2c(_resized(fft2c(maps), shape))
        energy = torch.view_as_real(maps).square().sum((-1, -4))
        return maps * (energy + torch.finfo(energy.dtype).tiny).rsqrt()[:, None]

    def _iterates(self, kspace: Tensor, mask: Tensor) -> Iterator[Callable[[], Tensor]]:
        """One function an iterate, that computes its image: (batch, y, x) real."""
        center = _center(mask, kspace.shape[-2:])
        measured = (mask * kspace).reshape(-1, *kspace.shape[-3:])
        return (self._fast if self.form == "fast" else self._published)(measured, mask, center)

    def _fast(self, kspace: Tensor, mask: Tensor, center: Tensor) -> Iterator[Callable[[], Tensor]]:
        measured = ifft2c(kspace)
        maps = self._maps(kspace * center)
        model = Sense(maps, mask)
        image = start = (maps.conj() * measured).sum(1)
        a = b = torch.zeros_like(start)

        def output(a: Tensor, b: Tensor) -> Tensor:
            if self.output == "expected":
                return expected_rss(start + a + model.gram(b), kspace, mask)
            return rss(measured + maps * a[:, None] + _project(maps * b[:, None], mask))

        yield partial(output, a, b)
        for number, cascade in enumerate(self.cascades):
            if number:
                image = start + a
            if number > 1:  # b_0 = b_1 = 0
                image = image + model.gram(b)
            update = _normalized(cascade.model, image)
            a, b = a - update, b - cascade.dc_weight * (a + b)
            yield partial(output, a, b)

    def _published(self, kspace: Tensor, mask: Tensor, center: Tensor) -> Iterator[Callable[[], Tensor]]:
        measured = torch.view_as_real(kspace)
        if self.sensitivity_start == "network" and self.sensitivity_factor == 1:
            # all columns: the center is cut out here, in two dimensions
            central = torch.view_as_real(kspace * center)
            maps = self.sens_net(central, mask.expand(kspace.shape)[..., None], kspace.shape[-1])
        else:
            maps = torch.view_as_real(self._maps(kspace * center))

        def output(current: Tensor) -> Tensor:
            images = ifft2c(torch.view_as_complex(current))
            if self.output == "expected":
                return expected_rss((torch.view_as_complex(maps).conj() * images).sum(1), kspace, mask)
            return rss(images)

        current = measured
        yield partial(output, current)
        for cascade in self.cascades:
            current = cascade(current, measured, mask[..., None], maps)
            yield partial(output, current)


def _normalized(model: models.varnet.NormUnet, image: Tensor) -> Tensor:
    """fastMRI's NormUnet on complex images (batch, y, x): each part with mean 0 and deviation 1 through the U-Net."""
    parts = torch.view_as_real(image).movedim(-1, 1)
    variance, mean = torch.var_mean(parts, (-2, -1), keepdim=True)
    deviation = (variance + torch.finfo(variance.dtype).tiny).sqrt()
    ny, nx = image.shape[-2:]
    top, left = -ny % 16 // 2, -nx % 16 // 2
    padded = F.pad((parts - mean) / deviation, (left, -nx % 16 - left, top, -ny % 16 - top))
    output = apply(model.unet, padded)[..., top : top + ny, left : left + nx].to(parts.dtype)
    return torch.view_as_complex((output * deviation + mean).movedim(1, -1).contiguous())


def _resized(kspace: Tensor, shape: tuple[int, int]) -> Tensor:
    """k-space of another matrix for the same field of view: its outer entries cut off, or zeros put around it."""
    edges = []
    for new, old in zip(reversed(shape), reversed(kspace.shape[-2:]), strict=True):
        before = new // 2 - old // 2
        edges += [before, new - old - before]
    return F.pad(kspace, edges)


def _project(images: Tensor, mask: Tensor) -> Tensor:
    """P x = F^H M F x: what images (..., y, x) have at the measured frequencies; the shifts of F cancel in it."""
    if mask.ndim == 1:
        return fft.ifft(fft.fft(images).mul_(fft.ifftshift(mask)))
    return fft.ifft2(fft.fft2(images).mul_(fft.ifftshift(mask)))


def _center(mask: Tensor, shape: tuple[int, int]) -> Tensor:
    """The fully sampled center, as a mask of its own: (kx,) for masks of columns, else (ky, kx)."""
    fitting(mask, shape)
    block = center_block(mask.cpu()) if mask.ndim == 2 else (shape[0], center_lines(mask.cpu()))
    if 0 in block:
        raise BadInput("the mask leaves out the center of k-space, which the coil maps are learned from; measure it")
    inside = []
    for size, count in zip(shape, block, strict=True):
        offset = torch.arange(size, device=mask.device) - (size // 2 - count // 2)
        inside.append((offset >= 0) & (offset < count))
    return inside[1] if mask.ndim == 1 else inside[0][:, None] & inside[1]
