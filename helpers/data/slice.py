"""What every source of data yields: one slice of one volume."""

import hashlib
from dataclasses import dataclass, field, replace
from functools import cached_property

import torch
from torch import Tensor

from helpers.mri.fourier import center_crop
from helpers.mri.masks import volume_seed


@dataclass(frozen=True)
class Box:
    """An annotated finding: pixels [x, x + width) x [y, y + height) of the target, origin at its top left."""

    x: int
    y: int
    width: int
    height: int
    label: str


@dataclass(frozen=True)
class Slice:
    """One slice: what the scanner measured, and what to score a reconstruction against.

    kspace       (coil, ky, kx) complex64, zero frequency at (ky // 2, kx // 2), in the file's own units;
                 fully sampled unless `mask` is given
    target       (y, x) float32, the root of the sum of squares over the coils, cropped to the center as fastMRI
                 does; None where no reference exists
    volume       name of the volume (patient, file) that the slice belongs to: intervals count volumes
    number       0-based index of the slice in its volume
    acquisition  the sequence as fastMRI names it, such as CORPD_FBK or AXT2
    anatomy      "knee" or "brain", "unknown" where the file does not tell
    source       whose data it is, "knee", "brain", "stanford" or "unknown": tuned parameters are looked up by it
    mask         (kx,) or (ky, kx) bool where the file itself is undersampled, or stores a mask to measure it by; it is
                 False on padding, too, which an acceleration of all entries over measured ones then counts
    snr          foreground signal over noise, where known
    peak         maximum of the targets of its volume, where the file says one
    boxes        annotated findings
    origin       checksum of what tells the volume from another one of the same name
    drawn        of a drawn slice, what its arrays follow from, beside its origin: machines differ in their last digits
    path         of the file that it was read from, "" where it was drawn: what was tuned on it is looked up first
    """

    kspace: Tensor
    target: Tensor | None
    volume: str
    number: int
    acquisition: str
    anatomy: str
    source: str
    mask: Tensor | None = None
    snr: float | None = None
    peak: float | None = None
    boxes: tuple[Box, ...] = field(default=())
    origin: str = ""
    drawn: str = ""
    path: str = ""

    @property
    def id(self) -> str:
        """Name of the slice, unique within a source."""
        return f"{self.volume}:{self.number}"

    @cached_property
    def identity(self) -> str:
        """What the slice is, whatever its file is called and wherever it lies: its origin and a checksum of its own."""
        told = repr((self.source, self.anatomy, self.acquisition, self.peak))
        own = (self.drawn,) if self.drawn else (self.kspace, self.target, self.mask, told)
        return f"{self.origin}-{checksum(*own)}"

    @property
    def whole(self) -> bool:
        """Whether it has all of k-space and a reference, so that any mask can be drawn and scored."""
        return self.mask is None and self.target is not None

    @property
    def seeded_by(self) -> str:
        """What masks are drawn by: the name of a drawn volume; the origin of one in a file, which may be renamed."""
        return self.volume if self.drawn else self.origin or self.volume

    def seed(self, seed: int) -> int:
        """The seed of what is drawn for this slice alone, such as noise: another one for every slice and seed."""
        return volume_seed(f"{self.seeded_by}:{self.number}", seed)

    def crop(self, image: Tensor) -> Tensor:
        """The part of a full-grid image (..., y, x) at which the slice is looked at: that of its target, else all."""
        return image if self.target is None else center_crop(image, tuple(self.target.shape))

    def to(self, device: str | torch.device) -> "Slice":
        """The slice with its tensors on a device, where masks are drawn and methods compute."""
        moved = {name: getattr(self, name) for name in ("kspace", "target", "mask")}
        return replace(self, **{name: each if each is None else each.to(device) for name, each in moved.items()})


def checksum(*parts: Tensor | str | None) -> str:
    """Twelve digits that tell arrays and texts from others."""
    digest = hashlib.blake2b(digest_size=6)
    for part in parts:
        kind = f"{part.dtype} {tuple(part.shape)}" if isinstance(part, Tensor) else part
        digest.update(repr(kind).encode())
        if isinstance(part, Tensor):
            digest.update(part.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
