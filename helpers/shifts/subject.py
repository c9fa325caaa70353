"""What the scanner cannot choose: contrast, a field that is not homogeneous, a patient who moves, a spark."""

from dataclasses import replace

import torch
from torch import Tensor

from helpers.attacks import motion
from helpers.data.slice import Slice
from helpers.mri.coils import espirit
from helpers.mri.fourier import center_crop, fft2c, ifft2c
from helpers.mri.noise import recorded
from helpers.mri.rss import rss

ORDER = 3  # of the polynomial that the field is
CLEAR = 0.1  # of the width, around the center, where no spark falls: it would be seen and measured again


def contrasted(item: Slice, gamma: float) -> Slice:
    """The same anatomy with brightness to the power gamma: 1 changes nothing, more darkens what was half bright.

    What the coils agree on is multiplied by (|x| / top)^(gamma - 1), top its 99th percentile; the rest, noise above
    all, stays. The reference is that of the new k-space.
    """
    if gamma == 1:
        return item
    patient = _patient(item)
    brightness = patient.image.abs()
    top = torch.quantile(brightness.flatten(), 0.99)
    gain = (brightness / top).clamp(1e-3, 2) ** (gamma - 1)
    kspace = as_recorded(item, motion.Subject(patient.image * gain, patient.maps, patient.rest).posed(0))
    target = center_crop(rss(ifft2c(kspace)), tuple(item.target.shape)).contiguous()
    return replace(item, kspace=kspace, target=target, peak=None)


def off_resonance(item: Slice, turns: float, seed: int = 0) -> Slice:
    """The slice with a phase that a field makes: a smooth polynomial of the place that spans so many turns.

    Magnitudes, and so the reference, are what they were; the field is drawn for the volume.
    """
    if turns == 0:
        return item
    ny, nx = item.kspace.shape[-2:]
    generator = torch.Generator().manual_seed(item.seed(seed))
    y, x = (torch.linspace(-1, 1, n)[:, None] for n in (ny, nx))
    weights = torch.randn(ORDER + 1, ORDER + 1, generator=generator)
    powers = torch.arange(ORDER + 1)
    field = (y**powers) @ (weights * (powers[:, None] + powers <= ORDER)) @ (x**powers).T
    field = (field - field.min()) / (field.max() - field.min())
    phase = torch.exp(2j * torch.pi * turns * field).to(item.kspace.device, item.kspace.dtype)
    return replace(item, kspace=as_recorded(item, fft2c(phase * ifft2c(item.kspace))))


def moved(item: Slice, extent: float, seed: int = 0) -> Slice:
    """The slice of a patient who moved some times between the lines; the reference is where he lay at the center.

    extent: of the motion, as a multiple of that of `attacks.motion`: 1 is about 2 pixels and 2 degrees a move.
    """
    if extent == 0:
        return item
    generator = torch.Generator().manual_seed(item.seed(seed))
    starts = (torch.rand(motion.MOVES, generator=generator) * item.kspace.shape[-1]).sort().values
    poses = torch.randn(motion.MOVES, 3, generator=generator)
    poses = extent * poses * torch.tensor([motion.ANGLE, motion.SHIFT, motion.SHIFT])
    return replace(item, kspace=as_recorded(item, item.kspace + motion.moving(_patient(item), starts, poses)))


def spiked(item: Slice, mask: Tensor, height: float, seed: int = 0) -> Slice:
    """The slice with a spark in one measured entry, in all coils: stripes over the whole image (herringbone).

    height: of the spark, as a multiple of the largest entry of the k-space; its place and phases are drawn.
    """
    if height == 0:
        return item
    ny, nx = item.kspace.shape[-2:]
    generator = torch.Generator().manual_seed(item.seed(seed))
    away = (torch.arange(nx) - nx // 2).abs() > CLEAR * nx
    places = (mask.cpu().expand(ny, nx) & away & (item.kspace.abs().amax(0) > 0).cpu()).nonzero()
    row, column = places[int(torch.randint(len(places), (), generator=generator))]
    phases = torch.exp(2j * torch.pi * torch.rand(len(item.kspace), generator=generator)).to(item.kspace)
    kspace = item.kspace.clone()
    kspace[:, row, column] += height * item.kspace.abs().max() * phases
    return replace(item, kspace=kspace)


def as_recorded(item: Slice, kspace: Tensor) -> Tensor:
    """Another k-space of the slice, zero in the rows and columns that the scanner left at zero."""
    there = recorded(item.kspace)
    return kspace * (there.any((-3, -2), keepdim=True) & there.any((-3, -1), keepdim=True))


def _patient(item: Slice) -> motion.Subject:
    whole = torch.ones(item.kspace.shape[-1], dtype=torch.bool, device=item.kspace.device)
    return motion.subject(item.kspace, espirit(item.kspace, whole))
