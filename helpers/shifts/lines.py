"""Which entries of k-space are measured: how many of them, where the center ends, and by which rule."""

import torch
from torch import Tensor

from helpers.data.slice import Slice
from helpers.errors import BadInput
from helpers.mri import masks
from helpers.published import protocol, reconstruction

COINS = "by coins"  # redrawn until the count fits, as the notebooks have it for another site and for hard images
PUBLISHED = "as published"  # the same with the outermost lines left out, as they have it for knees elsewhere
CUT = "equispaced, cut"  # and for brains


def measured(
    item: Slice, kind: str = "random", acceleration: float = 4, center_fraction: float = 0.08, seed: int = 0
) -> Tensor:
    """The mask of a slice, drawn for its volume: (kx,) or (ky, kx) bool.

    kind: one of `masks.KINDS`, or COINS, PUBLISHED or CUT, masks of the notebooks. BadInput for impossible numbers, and
    for a slice that was measured under a mask of its own, whose zeros would count as measured.
    """
    undrawn(item)
    (ny, nx), drawn = item.kspace.shape[-2:], masks.volume_seed(item.seeded_by, seed)
    if kind in (COINS, PUBLISHED):
        found = reconstruction.mask(nx, drawn, acceleration, center_fraction, reach=nx)
    else:
        found = masks.mask("equispaced" if kind == CUT else kind, (ny, nx), acceleration, center_fraction, drawn)
    if kind in (PUBLISHED, CUT):
        found = found & ((torch.arange(nx) - nx // 2).abs() <= protocol.reach(item))
    return found.to(item.kspace.device)


def undrawn(item: Slice) -> None:
    """BadInput for a slice of which its file has not all of k-space, so that no mask can be drawn."""
    if item.mask is not None:
        raise BadInput(f"{item.id} has a sampling mask of its own; what draws masks needs scans with all of k-space")
