"""From a drawn slice to noisy multi-coil k-space: phase, coils, sampling, decay, noise."""

import numpy as np
import torch
from torch import Tensor, fft

from helpers.data.drawing.canvas import spline_matrix
from helpers.data.drawing.chance import Chance
from helpers.data.drawing.coils import coil_maps
from helpers.fourier import center_crop, ifft2c
from helpers.physics import rss
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
        maps, factor = self._maps(position), self._factor(position)
        kspace = self._sample(healthy * factor, maps)
        clean = center_crop(rss(ifft2c(kspace)), self.image_shape)
        deviation = float(torch.quantile(clean, 0.9)) / snr
        unit = self.chance.log_uniform("unit", 1e-4, 1e-3) / float(clean.max())
        if changed is not None:
            kspace = kspace + self._sample((changed - healthy) * factor, maps)
        noise = self._noise(number) * (kspace.abs().sum((0, 1)) > 0)
        kspace = (kspace + deviation * noise) * unit
        return kspace, center_crop(rss(ifft2c(kspace)), self.image_shape).contiguous()

    def _maps(self, position: float) -> np.ndarray:
        radius = self.chance.uniform("ring", *COIL_RING[self.source])
        maps = coil_maps(self.chance, self.coils, self.canvas_shape, self.pixel, self.plane, position, radius)
        return self.upright(maps)

    def _factor(self, position: float) -> np.ndarray:
        """The complex factor on the tissue's signal: transmit field, phase, and the end of the receiver's range."""
        chance, (rows, columns) = self.chance, self.shape
        y = np.linspace(-1, 1, rows, dtype=np.float32)[:, None]
        x = np.linspace(-1, 1, columns, dtype=np.float32)[None]
        terms = (x, y, x * y, x * x - np.float32(0.3), y * y - np.float32(0.3))
        bias, phase = (
            sum(np.float32(chance.normal(f"{name} {k}", spread)) * term for k, term in enumerate(terms))
            for name, spread in (("bias", 0.1), ("phase", 0.7))
        )
        ripple = chance.array("phase ripple", (2, 10, 10))
        grid = np.cos(position / 25) * ripple[0] + np.sin(position / 25) * ripple[1]
        ripple = spline_matrix(rows, 10) @ grid.astype(np.float32) @ spline_matrix(columns, 10).T
        phase = phase + np.float32(0.25) * ripple + np.float32(chance.uniform("phase offset", 0, 2 * np.pi))
        fade = np.clip((1 - np.abs(y)) / np.float32(0.14), 0, 1)
        return np.exp(bias + 1j * phase) * (fade * fade * (3 - 2 * fade))

    def _sample(self, drawing: np.ndarray, maps: np.ndarray) -> Tensor:
        """Noise-free k-space: F S x at the canvas' resolution, the center of it, and the decay along the lines."""
        rows, columns = self.kspace_shape
        images = torch.from_numpy(drawing.astype(np.complex64)) * torch.from_numpy(np.ascontiguousarray(maps))
        overhang = (images.shape[-1] - SUPERSAMPLING * columns) // 2
        if overhang:
            left, images, right = images.split([overhang, SUPERSAMPLING * columns, overhang], dim=-1)
            images = images.clone()
            images[..., -overhang:] += left
            images[..., :overhang] += right
        lines = _transform(images, columns, images.shape[-1])
        kspace = _transform(lines.transpose(-1, -2), rows, SUPERSAMPLING * rows).transpose(-1, -2)
        return kspace * torch.from_numpy(self._decay()) / SUPERSAMPLING

    def _decay(self) -> np.ndarray:
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
            turn = np.sort([chance.uniform(f"motion {k}", -1, 1) for k in range(2)])
            late = (kx > turn[0]) & (kx < turn[1])
            shift = chance.normal("motion x", 1.5), chance.normal("motion y", 1.5)  # pixels of the image
            decay = decay * np.exp(-1j * np.pi * (kx * shift[0] + ky * shift[1]) * late)
        return decay.astype(np.complex64)

    def _noise(self, number: int) -> Tensor:
        """Noise of unit deviation (per real and imaginary part), slightly correlated between the coils."""
        shape = (self.coils, *self.kspace_shape, 2)
        noise = self.chance.generator(f"noise {number}").standard_normal(shape, dtype=np.float32)
        mixing = np.eye(self.coils, dtype=np.float32) + 0.12 * self.chance.array(
            "noise mixing", (self.coils, self.coils)
        )
        mixing /= np.sqrt((mixing**2).sum(1, keepdims=True))
        mixed = (mixing @ noise.reshape(self.coils, -1)).reshape(shape)
        return torch.view_as_complex(torch.from_numpy(mixed.astype(np.float32)))


def _transform(images: Tensor, kept: int, length: int) -> Tensor:
    """The centered transform of the last axis, padded with zeros to `length`, its `kept` lowest frequencies only."""
    half, rest = images.shape[-1] // 2, images.shape[-1] - images.shape[-1] // 2
    padded = images.new_zeros((*images.shape[:-1], length))
    padded[..., :rest] = images[..., half:]
    padded[..., length - half :] = images[..., :half]
    spectrum = fft.fft(padded, norm="ortho")
    low, high = kept // 2, kept - kept // 2
    return torch.cat([spectrum[..., length - low :], spectrum[..., :high]], dim=-1)
