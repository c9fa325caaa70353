"""Which entries of k-space are measured: how many of them, where the center ends, and by which rule."""

from torch import Tensor

from helpers.data.slice import Slice
from helpers.mri import masks
from helpers.published import protocol, reconstruction

PUBLISHED = "as published"  # by coins, redrawn until the count fits, with the outermost lines left out


def measured(
    item: Slice, kind: str = "random", acceleration: float = 4, center_fraction: float = 0.08, seed: int = 0
) -> Tensor:
    """The mask of a slice, drawn for its volume, whether or not its file has one: (kx,) or (ky, kx) bool.

    kind: one of `masks.KINDS`, or PUBLISHED, the mask of the notebooks. BadInput for impossible numbers.
    """
    shape, drawn = tuple(item.kspace.shape[-2:]), masks.volume_seed(item.seeded_by, seed)
    if kind == PUBLISHED:
        found = reconstruction.mask(shape[1], drawn, acceleration, center_fraction, protocol.reach(item))
    else:
        found = masks.mask(kind, shape, acceleration, center_fraction, drawn)
    return found.to(item.kspace.device)
