"""How near the noise level comes to the noise that was drawn: one row for each way to measure a drawn slice."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from helpers.data.scanner import draw_volume
from helpers.mri import masks
from helpers.mri.fourier import center_crop, crop_readout
from helpers.mri.noise import noise_level
from helpers.profiles import Profile


def parts(source: str, seed: int, size: Profile, coils: int, oversampled: bool, kept: float) -> tuple[Tensor, Tensor]:
    """Noise-free k-space of one drawn slice, and the noise in it at an SNR of 1; (coil, ky, kx) each.

    Two draws that differ in their SNR alone differ by noise alone. oversampled: False crops the readout to the image;
    kept: the share of k-space along both axes, a scan of a lower resolution.
    """
    clean, noisy = (draw_volume(source, seed, size, slices=1, snr=snr, coils=coils)[0] for snr in (1e9, 1.0))
    both = torch.stack([clean.kspace, noisy.kspace - clean.kspace])
    if not oversampled:
        both = crop_readout(both, clean.target.shape[0])
    clean, noise = center_crop(both, tuple(2 * round(kept * side / 2) for side in both.shape[-2:]))
    return clean, noise


def truth(noise: Tensor) -> float:
    """The standard deviation that was drawn, root mean square over the coils: lines without noise do not count."""
    lines = noise.abs().amax((0, 1)) > 1e-6 * noise.abs().max()
    return float((noise[..., lines].abs().square().mean() / 2).sqrt())


def rows(
    size: Profile,
    sources: Sequence[str] = ("knee", "brain", "stanford"),
    snrs: Sequence[float] = (10, 25, 60, 150, 250),
    kept: Sequence[float] = (1, 0.6, 0.4),
    subjects: Sequence[tuple[int, int]] = ((4, 0), (8, 1), (15, 2), (4, 3), (8, 4), (15, 5)),
    kinds: Sequence[str] = masks.KINDS,
    estimates=None,
) -> Iterator[dict]:
    """A row for each cell of the grid; subjects: numbers of coils with the seed of the subject that they measure.

    estimates: functions of (kspace, mask) by their column, which holds estimate / truth.
    """
    estimates = estimates or {"ratio": noise_level}
    for source in sources:
        for coils, seed in subjects:
            for oversampled in (True, False) if source != "stanford" else (False,):
                for share in kept:
                    clean, noise = parts(source, seed, size, coils, oversampled, share)
                    level = truth(noise)
                    for kind in kinds:
                        mask = masks.mask(kind, tuple(clean.shape[-2:]), 4, 0.08, seed)
                        for snr in snrs:
                            y = (clean + noise / snr) * mask
                            yield {
                                "profile": size.name, "source": source, "seed": seed, "snr": snr, "kept": share,
                                "coils": coils, "oversampled": oversampled, "mask": kind, "truth": level / snr,
                            } | {name: float(estimate(y, mask)) for name, estimate in estimates.items()}  # fmt: skip
