"""From a drawn slice to noisy multi-coil k-space: phase, coils, sampling, decay, noise."""

import numpy as np
import torch
from torch import Tensor, fft

from helpers.data.drawing.chance import Chance
from helpers.data.drawing.coils import coil_maps
from helpers.mri.fourier import center_crop, ifft2c
from helpers.profiles import Profile

SUPERSAMPLING = 2  # pixels of the canvas along one pixel of the image
COIL_RING = {"knee": (92, 108), "stanford": (101, 119), "brain": (138, 156)}  # mm


class Scan:
    """The settings of one scan and how it measures a slice.

    k-space has the profile's size; the second site ("stanford") does not oversample. In training, and there alone, the
    phase-encode direction is turned now and then, the field of view may be too small, and the subject may move.
    """

    def __init__(
        self,
        chance: Chance,
        profile: Profile,
        source: str,
        coils: int,
        plane: str,
        field_of_view: float,
        training: bool,
    ):
        self.chance, self.source, self.coils, self.plane = chance, source, coils, plane
        self.image_shape = profile.image
        self.kspace_shape = profile.image if source == "stanford" else profile.kspace
        self.turned = training and chance.happens("turned", 0.3)
        self.moved = training and chance.happens("moved", 0.06)
        wrapped = training and chance.happens("wrapped", 0.06)
        if wrapped:
            field_of_view *= chance.uniform("wrapped by", 0.72, 0.85)
        self.pixel = field_of_view / max(profile.image) / SUPERSAMPLING
        rows, columns = self.kspace_shape
        # what lies farther out along the oversampled readout is never seen
        drawn = SUPERSAMPLING * min(rows, int(1.2 * profile.image[0]))
        overhang = columns // 5 if wrapped else 0
        self.shape = (drawn, SUPERSAMPLING * (columns + 2 * overhang))

    @property
    def canvas_shape(self) -> tuple[int, int]:
        """Shape of the canvas to draw on, the phase-encode direction turned back."""
        return self.shape[::-1] if self.turned else self.shape

    def upright(self, drawn: np.ndarray) -> np.ndarray:
        """A drawing as the scanner sees it: (..., readout, phase encode)."""
        return np.swapaxes(drawn, -1, -2) if self.turned else drawn

    def measure(
        self, healthy: np.ndarray, changed: np.ndarray | None, snr: float, position: float, number: int
    ) -> tuple[Tensor, Tensor]:
        """k-space (coil, ky, kx) complex64 of a drawing, and its target (y, x) float32.

        healthy, changed: canvases without and with findings (None: there are none). Noise and units follow from the
        healthy subject, so that findings change nothing else.
        """
        maps, decay = self._maps(position), self._decay()
        kspace = self._sample(healthy, maps, decay)
        clean = self._image(kspace)
        deviation = float(torch.quantile(clean, 0.9)) / snr
        unit = self.chance.log_uniform("unit", 1e-4, 1e-3) / float(clean.max())
        if changed is not None:
            kspace = kspace + self._sample(changed - healthy, maps, decay)
        noise = self._noise(number, decay.abs() > 0)
        kspace = kspace.add_(noise, alpha=deviation).mul_(unit)
        return kspace, self._image(kspace).contiguous()

    def _image(self, kspace: Tensor) -> Tensor:
        """The target of a k-space: RSS of its images, cropped to the center.

        The root is numpy's, which is rounded correctly: torch's comes from a library that rounds it one way or the
        other, depending on where the pieces of two threads begin.
        """
        power = ifft2c(kspace).abs().square().sum(-3)
        return center_crop(torch.from_numpy(np.sqrt(power.numpy())), self.image_shape)

    def _maps(self, position: float) -> Tensor:
        """Coil maps at this slice, with all that varies slowly: transmit field and phase of the subject."""
        radius = self.chance.uniform("ring", *COIL_RING[self.source])
        maps = coil_maps(self.chance, self.coils, self.canvas_shape, self.pixel, self.plane, position, radius)
        return torch.from_numpy(np.ascontiguousarray(self.upright(maps)))

    def _sample(self, drawing: np.ndarray, maps: Tensor, decay: Tensor) -> Tensor:
        """Noise-free k-space: F S x at the canvas' resolution, the center of it, and the decay along the lines."""
        rows, columns = self.kspace_shape
        # the receiver's range ends before the canvas does
        edge = np.clip(np.linspace(0, 2 / 0.14, self.shape[0], dtype=np.float32), 0, 1)[:, None]
        fade = edge * edge[::-1]
        images = torch.from_numpy(self.upright(drawing) * (fade * fade * (3 - 2 * fade))) * maps
        overhang = (images.shape[-1] - SUPERSAMPLING * columns) // 2
        if overhang:
            left, images, right = images.split([overhang, SUPERSAMPLING * columns, overhang], dim=-1)
            images = images.clone()
            images[..., -overhang:] += left
            images[..., :overhang] += right
        lines = _transform(images, columns, SUPERSAMPLING * columns, dim=-1)
        return _transform(lines, rows, SUPERSAMPLING * rows, dim=-2) * (decay / SUPERSAMPLING)

    def _decay(self) -> Tensor:
        """What happens between the lines of k-space: relaxation, lines never measured, motion."""
        chance, (rows, columns) = self.chance, self.kspace_shape
        kx = (np.arange(columns) - columns // 2) / (columns / 2)
        ky = ((np.arange(rows) - rows // 2) / (rows / 2))[:, None]
        second_site = self.source == "stanford"
        decay = np.exp(-np.abs(kx) / chance.uniform("decay", *((0.9, 1.6) if second_site else (2, 5))))[None]
        if second_site:
            decay = decay * np.exp(-((ky / chance.uniform("blur", 1.2, 1.8)) ** 2))
        elif chance.happens("outer lines zero", 0.6):
            decay = decay * (np.abs(kx) <= chance.uniform("outermost line", 0.86, 1))
        if self.moved:
            start, end = sorted(chance.uniform(f"motion {k}", -1, 1) for k in range(2))
            shift = chance.normal("motion x", 1.5), chance.normal("motion y", 1.5)  # pixels of the image
            phase = np.pi * (kx * shift[0] + ky * shift[1]) * ((kx > start) & (kx < end))
            decay = decay * np.exp(-1j * phase)
        return torch.from_numpy(decay.astype(np.complex64))

    def _noise(self, number: int, measured: Tensor) -> Tensor:
        """Noise on the measured lines, slightly correlated between the coils, of unit deviation in the empty target.

        In the background the RSS is the root of a sum of squares of Gaussians with covariance C: its deviation is
        sqrt(tr C^2 / 2 tr C) to first order, times the root of the share of lines that were measured.
        """
        seed = int(self.chance.generator(f"noise {number}").integers(2**62))
        shape = (self.coils, *self.kspace_shape, 2)
        noise = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
        spread = torch.from_numpy(self.chance.array("noise mixing", (self.coils, self.coils)))
        mixing = torch.eye(self.coils) + 0.12 * spread
        covariance = mixing @ mixing.T
        share = measured.float().mean()
        mixing /= (covariance.square().sum() / (2 * covariance.trace()) * share).sqrt()
        return torch.view_as_complex((mixing @ noise.flatten(1)).reshape(shape)) * measured


def _transform(images: Tensor, kept: int, length: int, dim: int) -> Tensor:
    """The centered transform of one axis, padded with zeros to `length`: its `kept` lowest frequencies."""
    center = images.shape[dim] // 2
    spectrum = fft.fft(images, n=length, dim=dim, norm="ortho")
    low, high = kept // 2, kept - kept // 2
    spectrum = torch.cat([spectrum.narrow(dim, length - low, low), spectrum.narrow(dim, 0, high)], dim=dim)
    # the origin is in the middle: a linear phase, cheaper than moving the image
    phase = torch.exp(2j * torch.pi * center / length * torch.arange(-low, high)).to(spectrum.dtype)
    return spectrum * (phase if dim == -1 else phase[:, None])
