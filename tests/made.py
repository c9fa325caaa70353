"""A small volume to write, read and reconstruct: two ellipses seen by smooth coils."""

import torch

from helpers.data.slice import Box, Slice
from helpers.mri.fourier import center_crop, fft2c
from helpers.mri.rss import rss


def coil_images(coils: int = 4, rows: int = 64, columns: int = 40, number: int = 0) -> torch.Tensor:
    """(coil, rows, columns) complex64; nothing of it is symmetric, so that every flip and shift shows."""
    y = torch.linspace(-1, 1, rows)[:, None]
    x = torch.linspace(-1, 1, columns)
    head = ((y / 0.45) ** 2 + (x / 0.8) ** 2 < 1).float()
    spot = (((y - 0.12) / 0.1) ** 2 + ((x + 0.3 + 0.1 * number) / 0.2) ** 2 < 1).float()
    turns = torch.arange(coils) * (2 * torch.pi / coils) + 0.3
    distance = (y - 0.9 * torch.sin(turns)[:, None, None]) ** 2 + (x - 0.9 * torch.cos(turns)[:, None, None]) ** 2
    phase = torch.exp(1j * (turns[:, None, None] + 0.7 * x + 0.4 * y))
    return (torch.exp(-distance / 2) * phase * (head + spot)).to(torch.complex64)


def made_slices(volume: str = "made", count: int = 3, unit: float = 1e-3, **shape: int) -> list[Slice]:
    """The slices of a volume: k-space 64 x 40 of 4 coils, targets 32 x 32, a box around the spot, noise of 1e-3."""
    slices = []
    for number in range(count):
        images = coil_images(number=number, **shape)
        noise = torch.randn(images.shape, dtype=images.dtype, generator=torch.Generator().manual_seed(number))
        images = unit * (images + 1e-3 * noise)
        slices.append(
            Slice(
                kspace=fft2c(images),
                target=center_crop(rss(images), (32, 32)).contiguous(),
                volume=volume,
                number=number,
                acquisition="CORPD_FBK",
                anatomy="knee",
                source="stanford",
                snr=20.0 + number,
                boxes=(Box(x=4 + number, y=20, width=6, height=5, label="Meniscus Tear"),),
            )
        )
    return slices
