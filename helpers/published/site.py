"""What the notebooks do with scans of the second site: k-space turned by splines, lines doubled, units as they are."""

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from helpers.published import reconstruction

UNIT = 1e-4  # of fastMRI's files, in which they tuned lambda
STANFORD = 1e10  # how much larger the numbers of the second site's files are, from the printed losses of l1


def doubled(kspace: Tensor) -> Tensor:
    """Their "resolution fix" for the VarNet: every line and row twice, (..., coil, ky, kx) to (..., 2 ky, 2 kx).

    A quarter of the doubled columns, drawn at random, shows some 2.5 times fewer columns of the scan than are there and
    not 4 times: see `shown`. In the image it is the field of view repeated, under a window.
    """
    return kspace.repeat_interleave(2, -2).repeat_interleave(2, -1)


def shown(mask: Tensor) -> float:
    """All columns of a scan over those of which a mask (2 kx,) of its doubled columns shows one copy or two."""
    return len(mask) / 2 / int(mask.unflatten(0, (-1, 2)).any(1).sum())


def turned(kspace: Tensor) -> Tensor:
    """A quarter turn of each coil's complex k-space by a cubic spline, as they turn a scan: (coil, ky, kx).

    It resamples what it could have transposed: k-space varies from entry to entry, and the spline is off by half of one
    where a size is even.
    """
    planes = [ndimage.rotate(part.cpu().numpy(), 90, (-2, -1), mode="wrap") for part in (kspace.real, kspace.imag)]
    return torch.complex(*(torch.from_numpy(np.ascontiguousarray(plane)) for plane in planes)).to(kspace)


def l1_in_file_units(kspace: Tensor, mask: Tensor, lam: float, step: float, steps: int = 1000) -> Tensor:
    """Their l1, whose lambda is a number and not one in the unit of the data: (coil, ky, kx) to (y, x).

    In a file of numbers a million times larger the penalty is next to nothing beside the data. lam: what it is where
    the image is `UNIT` bright.
    """
    unit = reconstruction.scale(kspace)[0, 0] / UNIT
    return reconstruction.l1(kspace, mask, lam=lam / float(unit), step=step, steps=steps)
