"""The protocol of the notebooks, as a matrix needs it: how a slice is measured, reconstructed and scored."""

import torch
from torch import Tensor

from helpers import methods
from helpers.data.slice import Slice
from helpers.errors import BadInput, say_once
from helpers.mri import metrics
from helpers.mri.coils import espirit
from helpers.mri.masks import volume_seed
from helpers.published import attacks, coil_images, reconstruction

METHODS = (*attacks.RATES, "wavelet", "convdecoder")  # what the notebooks attack


def mask(item: Slice, seed: int = 0) -> Tensor:
    """The mask under which the notebooks measure a slice: the file's own where it has one, else theirs.

    Theirs leaves out what lies beyond 160 lines from the center, half the width of their images; of a smaller image
    it is half of its own, so that a matrix in small loses as many. Returns (kx,), or what the file has, of which is
    said what it means for them.
    """
    if item.mask is not None:
        say_once(
            f"{item.volume} holds no more than was measured, to which strengths as published are relative then, and the"
            " zero-filled image is what their attacks drive away from"
        )
        return item.mask
    drawn = volume_seed(item.seeded_by, seed)
    return reconstruction.mask(item.kspace.shape[-1], drawn, reach=reach(item)).to(item.kspace.device)


def reach(item: Slice) -> int:
    """How many lines from the center the notebooks' mask of a slice goes: half the width of their image, or of its."""
    return min(reconstruction.REACH, reconstruction.REACH if item.target is None else item.target.shape[-1] // 2)


@torch.no_grad()
def reconstruct(name: str, item: Slice, kspace: Tensor, mask: Tensor, clean: Tensor, seed: int = 0) -> Tensor:
    """What the notebooks reconstruct from a measurement, cropped to the target: (y, x) real, in the units of kspace.

    kspace: (coil, ky, kx), perturbed or not; clean: before it was perturbed, from which they keep the coil maps of l1
    and put samples back into the ConvDecoder's score. seed: of its fit; theirs has the weights of the attack.
    """
    if name in attacks.RATES:
        found = methods.load(name, item)(kspace, mask)
    elif name == "wavelet":
        found = reconstruction.l1(kspace, mask, lam=0.0, step=attacks.L1_STEP, maps=espirit(clean, mask))
    else:
        found = reconstruction.with_clean_samples(kspace, mask, clean, coil_images.SHORT, seed)
    return item.crop(found)


def scores_by_reference(image: Tensor, target: Tensor) -> dict[str, float]:
    """The scores of `metrics.scores`, but SSIM as the notebooks on anatomy and on findings have it.

    There the image is given mean and deviation of the reference, where the others do the opposite, see `scores`. They
    print no other score. image, target: (y, x) real.
    """
    found = metrics.scores(image, target)
    return found | {"ssim": found["ssim_matched"]}


def scores(name: str, image: Tensor, target: Tensor, kspace: Tensor) -> dict[str, float]:
    """The scores of `metrics.scores`, but SSIM and PSNR as most notebooks have them: of attacks, site, hard images.

    The reference, not the image, is given the other's mean and deviation, and its maximum is the data range, so that
    what an attack does to brightness and contrast is hidden, and a brighter image forgives more. The U-Net is scored
    in the units of its input, which change with the perturbation. image, target: (y, x) real; kspace: the measurement
    that the image was made of, zero where nothing was measured. BadInput for an image without contrast.
    """
    found = metrics.scores(image, target)
    seen = reconstruction.normalized(image, kspace) if name == "unet" else image
    seen, target = (each.detach().cpu().double().numpy() for each in (seen, target))
    if not seen.std() > 0:
        raise BadInput(f"the image of {name} is the same everywhere; a reference cannot be matched to it")
    reference = metrics.match_moments(target, seen)
    peak = float(reference.max())
    return found | {"ssim": metrics.ssim(seen, reference, peak), "psnr": metrics.psnr(seen, reference, peak)}
