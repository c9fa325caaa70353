"""SSIM with a gradient, as networks are trained on it and attacks climb it."""

from functools import lru_cache

import torch
from fastmri.losses import SSIMLoss
from torch import Tensor


def one_minus_ssim(image: Tensor, target: Tensor, data_range: Tensor) -> Tensor:
    """1 - SSIM around every pixel whose whole window lies in the image, by fastMRI's module; see `metrics.ssim_map`.

    image, target: (..., y, x) real, of shapes that broadcast; data_range: (...), of the clean target. Returns
    (..., y - 6, x - 6), whose mean is 1 - SSIM.
    """
    image, target = torch.broadcast_tensors(image, target)
    scale = data_range.expand(image.shape[:-2])[..., None, None]  # in units of the range nothing is lost in rounding
    planes = [(each / scale).reshape(-1, 1, *image.shape[-2:]) for each in (image, target)]
    ones = torch.ones_like(planes[0][:, 0, 0, 0])
    found = _module(image.device, image.dtype)(*planes, data_range=ones, reduced=False)
    return found.reshape(*image.shape[:-2], *found.shape[-2:])


@lru_cache
def _module(device: torch.device, dtype: torch.dtype) -> SSIMLoss:
    module = SSIMLoss().to(device, dtype)
    module.w.fill_(1 / module.win_size**2)  # which it rounds to single precision
    return module
