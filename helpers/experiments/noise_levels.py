"""How near the noise level comes to the noise that was drawn, over all that a scan can differ in."""

from collections.abc import Iterator
from dataclasses import astuple, dataclass
from functools import lru_cache
from itertools import product

import torch
from torch import Tensor

from helpers.data import DRAWN
from helpers.data.scanner import draw_volume
from helpers.mri import masks
from helpers.mri.fourier import center_crop, crop_readout
from helpers.mri.noise import noise_level
from helpers.profiles import Profile

SNRS = (10, 25, 60, 150, 250)
KEPT = (1, 0.6, 0.4)
COILS = (4, 8, 15, 4, 8, 15)  # of six subjects
KEYS = ["source", "subject", "coils", "oversampled", "kept"]  # what is measured in one piece


@dataclass(frozen=True)
class Scan:
    """One drawn slice and how it is sampled.

    subject: its seed; oversampled: whether the readout is twice as long as the image; kept: the share of k-space along
    both axes, less for a scan of a lower resolution, whose image reaches the edge of k-space.
    """

    source: str
    subject: int
    coils: int
    oversampled: bool
    kept: float

    @property
    def key(self) -> tuple:
        return astuple(self)


def scans(first: int) -> list[Scan]:
    """All scans of the study, of subjects from a seed on; the second site never oversamples."""
    found = product(DRAWN, enumerate(COILS, first), (True, False), KEPT)
    return [
        Scan(source, subject, coils, oversampled, kept)
        for source, (subject, coils), oversampled, kept in found
        if not oversampled or source != "stanford"
    ]


def parts(scan: Scan, size: Profile) -> tuple[Tensor, Tensor]:
    """Noise-free k-space of a scan, and the noise in it at an SNR of 1; (coil, ky, kx) each.

    Two draws that differ in their SNR alone differ by noise alone.
    """
    clean, noisy = (_drawn(scan.source, scan.subject, scan.coils, size, snr) for snr in (1e9, 1.0))
    both = torch.stack([clean, noisy - clean])
    if not scan.oversampled:
        both = crop_readout(both, size.image[0])
    clean, noise = center_crop(both, tuple(2 * round(scan.kept * side / 2) for side in both.shape[-2:]))
    return clean, noise


@lru_cache(maxsize=2)
def _drawn(source: str, subject: int, coils: int, size: Profile, snr: float) -> Tensor:
    """The k-space of a subject, which several scans share."""
    return draw_volume(source, subject, size, slices=1, snr=snr, coils=coils)[0].kspace


def truth(noise: Tensor) -> float:
    """The standard deviation that was drawn, root mean square over the coils: lines without noise do not count."""
    lines = noise.abs().amax((0, 1)) > 1e-6 * noise.abs().max()
    return float((noise[..., lines].abs().square().mean() / 2).sqrt())


def rows(scan: Scan, size: Profile) -> Iterator[dict]:
    """One row a mask and SNR: the level that is found, over that which was drawn, as `ratio`."""
    clean, noise = parts(scan, size)
    drawn = truth(noise)
    for kind in masks.KINDS:
        mask = masks.mask(kind, tuple(clean.shape[-2:]), 4, 0.08, scan.subject)
        for snr in SNRS:
            found = float(noise_level((clean + noise / snr) * mask, mask))
            yield {**vars(scan), "mask": kind, "snr": snr, "ratio": found * snr / drawn}
