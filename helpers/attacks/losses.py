"""What an attack climbs: the scores by which methods are ranked, as losses that have a gradient."""

from collections.abc import Callable

import torch
from torch import Tensor

from helpers.errors import BadInput
from helpers.mri.metrics import WINDOW, object_mask
from helpers.mri.similarity import one_minus_ssim

LOSSES = ("nmse", "ssim", "nmse_object", "ssim_object")  # named as the columns of the scores that they make worse


def loss_of(name: str, reference: Tensor, target: Tensor) -> Callable[[Tensor], Tensor]:
    """The loss of that name: images (..., y, x), cropped to the reference, to (...), 0 where they are the reference.

    nmse: ||x - reference||^2 / ||reference||^2; ssim: 1 - SSIM, whose data range is the maximum of the clean target;
    nmse_object, ssim_object: the same over the pixels of the clean target's object (see `metrics.object_mask`).
    reference: (..., y, x), the truth or a method's own clean image, complex for nmse alone; target: (..., y, x) real,
    the clean target. BadInput for an unknown name, and for the SSIM of complex images.
    """
    if name not in LOSSES:
        raise BadInput(f"there is no loss {name!r}; choose one of {', '.join(LOSSES)}")
    similar = name.startswith("ssim")
    if similar and reference.is_complex():
        raise BadInput(f"{name} compares real images, this reference is complex; choose nmse")
    weight = _object(target) if name.endswith("object") else torch.ones_like(target.real)

    def squared_error(images: Tensor) -> Tensor:
        error = (weight * (images - reference)).abs().square().sum((-2, -1))
        return error / (weight * reference).abs().square().sum((-2, -1))

    edge = WINDOW // 2
    inner = weight[..., edge:-edge, edge:-edge]

    def dissimilarity(images: Tensor) -> Tensor:
        found = one_minus_ssim(images, reference, target.amax((-2, -1)))
        return (inner * found).sum((-2, -1)) / inner.sum((-2, -1))

    return dissimilarity if similar else squared_error


def _object(target: Tensor) -> Tensor:
    """1 where each target (..., y, x) shows the subject, else 0."""
    planes = target.reshape(-1, *target.shape[-2:])
    masks = [torch.from_numpy(object_mask(each.cpu().numpy())) for each in planes]
    return torch.stack(masks).reshape(target.shape).to(target)
