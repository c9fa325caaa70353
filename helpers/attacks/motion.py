"""Perturbations that happen: the patient lies a little turned, or moves between the measured lines."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from helpers.attacks.found import Best, Found
from helpers.attacks.threat import Threat, length
from helpers.mri.fourier import fft2c, ifft2c

MOVES = 4  # sudden ones during a scan
SHIFT, ANGLE = 2.0, 2.0  # the relative size of shifts (pixels) and turns (degrees) that make up a pose
EXTENT, HALVINGS = 8.0, 12  # of the search for the motion of a given strength, as a multiple of the above


@dataclass(frozen=True)
class Subject:
    """A slice that can be put into another pose: y = F S T x + rest.

    image: x (y, x) complex, what the coils agree on; maps: S (coil, y, x); rest: (coil, ky, kx), what they do not, the
    noise above all, which stays where it is, as the coils do.
    """

    image: Tensor
    maps: Tensor
    rest: Tensor

    def posed(self, angle: float, down: float = 0.0, right: float = 0.0) -> Tensor:
        """The full k-space (coil, ky, kx) of the subject turned by degrees, clockwise, and shifted by pixels."""
        return fft2c(self.maps * turned(self.image, angle, down, right)) + self.rest


def subject(kspace: Tensor, maps: Tensor) -> Subject:
    """The subject of a full k-space (coil, ky, kx), seen by coil maps (coil, y, x)."""
    image = (maps.conj() * ifft2c(kspace)).sum(-3)
    return Subject(image, maps, kspace - fft2c(maps * image))


def turned(image: Tensor, angle: float, down: float = 0.0, right: float = 0.0) -> Tensor:
    """An image (y, x) complex, turned clockwise about its center, then shifted: bicubic, and zeros move in."""
    height, width = image.shape
    cosine, sine = torch.deg2rad(torch.tensor([angle])).cos(), torch.deg2rad(torch.tensor([angle])).sin()
    inverse = torch.tensor(
        [[cosine, sine * height / width, 0], [-sine * width / height, cosine, 0]], dtype=image.real.dtype
    )
    inverse[:, 2] = -(inverse[:, :2] @ torch.tensor([2 * right / width, 2 * down / height], dtype=image.real.dtype))
    grid = functional.affine_grid(inverse[None].to(image.device), (1, 2, height, width), align_corners=False)
    planes = torch.view_as_real(image).movedim(-1, 0)[None]
    moved = functional.grid_sample(planes, grid, mode="bicubic", align_corners=False)
    return torch.complex(*moved[0])


def moving(patient: Subject, starts: Tensor, poses: Tensor) -> Tensor:
    """What motion during the scan changes in the full k-space, (coil, ky, kx).

    starts: (moves), the columns kx at which the patient moves; poses: (moves, 3), where he is beyond each of them as
    seen from the center: angle in degrees, shift down and right in pixels. While the center is measured he is where he
    was: an image is where its center is, and elsewhere its place would be scored, and not what motion does to it.
    """
    still = patient.posed(0)
    columns, e = torch.arange(still.shape[-1], device=still.device), torch.zeros_like(still)
    center = still.shape[-1] // 2
    for start, pose in sorted(
        zip(starts.tolist(), poses.tolist(), strict=True), key=lambda each: abs(each[0] - center)
    ):
        beyond = columns >= start if start > center else columns < start
        e = torch.where(beyond, patient.posed(*pose) - still, e)
    return e


@torch.no_grad()
def motion(threat: Threat, patient: Subject, seed: int = 0, draws: int = 8) -> Found:
    """The worst of some random rigid motions during the scan, each of the extent that makes ||e|| = eps ||y||.

    The lines are measured from left to right; `MOVES` times in between the patient moves to another pose, at random.
    The truth is the pose of the center. For a mask along kx. Source: Zaitsev, Maclaren & Herbst, JMRI 2015.
    """
    best, generator = Best(threat), torch.Generator().manual_seed(seed)
    for _ in range(draws):
        starts = (torch.rand(MOVES, generator=generator) * threat.kspace.shape[-1]).sort().values
        poses = torch.randn(MOVES, 3, generator=generator) * torch.tensor([ANGLE, SHIFT, SHIFT])
        low, high = 0.0, EXTENT
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            weak = bool(length(threat.allowed(moving(patient, starts, middle * poses))) < threat.radius)
            low, high = (middle, high) if weak else (low, middle)
        e = threat.stretched(moving(patient, starts, high * poses))
        best.offer(e[None], threat.loss(e)[None])
    return best.found()
