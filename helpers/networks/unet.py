"""The U-Net of fastMRI: one pass from the aliased image to a clean one, data consistency left aside."""

import torch
from fastmri.models import Unet
from torch import Tensor

from helpers.mri.fourier import center_crop, ifft2c
from helpers.mri.masks import fitting
from helpers.mri.rss import rss
from helpers.networks.layout import apply


class UNet(Unet):
    """U-Net on the zero-filled image: it learns what aliasing looks like, and never sees coils or measurements.

    channels: of the first level, doubled at each of the `pools` levels below; crop: work on the central crop x crop
    pixels alone (published: 320) and leave the zero-filled image around them, None for the whole grid.

    The parameters bear fastMRI's own names, so that a state dict which fastMRI published (channels=256, pools=4)
    loads as it is. Source: Zbontar et al., arXiv 1811.08839, section 6.2; Ronneberger et al., MICCAI 2015.
    """

    def __init__(self, channels: int = 32, pools: int = 4, crop: int | None = None):
        super().__init__(in_chans=1, out_chans=1, chans=channels, num_pool_layers=pools)
        self.crop = crop

    def forward(self, kspace: Tensor, mask: Tensor) -> Tensor:
        """Reconstructs: kspace (..., coil, ky, kx) complex, mask (kx,) or (ky, kx) bool, to (..., y, x) real.

        Mean and deviation of the zero-filled image normalize it, as fastMRI does, and go back onto the output, as the
        published evaluation leaves out. They carry the file's units, so that no other scale is needed.
        """
        image = rss(ifft2c(fitting(mask, kspace.shape[-2:]) * kspace))
        if self.crop is None:
            return self._restore(image)
        whole = image.clone()
        center_crop(whole, self._window(image)).copy_(self._restore(center_crop(image, self._window(image))))
        return whole

    def _window(self, image: Tensor) -> tuple[int, int]:
        return min(self.crop, image.shape[-2]), min(self.crop, image.shape[-1])

    def _restore(self, image: Tensor) -> Tensor:
        mean = image.mean((-2, -1), keepdim=True)
        deviation = image.std((-2, -1), keepdim=True) + torch.finfo(image.dtype).tiny
        normalized = ((image - mean) / deviation).clamp(-6, 6)
        output = apply(self, normalized.reshape(-1, 1, *image.shape[-2:])).to(image.dtype)
        return output.reshape(image.shape) * deviation + mean
