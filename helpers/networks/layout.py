"""fastMRI's U-Net, computed on a processor in the memory layout in which small convolutions are fast."""

import torch
import torch.nn.functional as F
from fastmri.models import Unet
from fastmri.models.unet import ConvBlock
from torch import Tensor, nn

from helpers.errors import BadInput

LANES = (
    8  # numbers that one instruction of a processor takes: with fewer channels, normalization is slow in this layout
)


def apply(unet: Unet, images: Tensor) -> Tensor:
    """What the module `unet` computes without dropout, in half of the time: (n, channel, y, x) to (n, channel, y, x).

    fastMRI's forward pass changes the layout before and after each of its normalizations, and takes so much memory for
    a batch of coils that no cache holds it. Here the channels of a pixel lie side by side (channels_last) from the
    first convolution to the last, and one image follows the other; the normalization of one image is then that of a
    batch. A GPU has no use for either, and gets fastMRI's own pass. BadInput for images too small for the pools.
    """
    ny, nx = images.shape[-2:]
    if (ny >> unet.num_pool_layers) * (nx >> unet.num_pool_layers) < 2:
        raise BadInput(f"an image of {ny} x {nx} is too small for a U-Net with {unet.num_pool_layers} pools")
    if images.device.type != "cpu":
        return Unet.forward(unet, images)
    return torch.cat([_one(unet, image) for image in images.split(1)])


def _one(unet: Unet, image: Tensor) -> Tensor:
    stack = []
    for block in unet.down_sample_layers:
        image = _block(block, image)
        stack.append(image)
        image = F.avg_pool2d(image, 2)
    image = _block(unet.conv, image)
    for widen, block in zip(unet.up_transpose_conv, unet.up_conv, strict=True):
        skipped = stack.pop()
        image = _activate(F.conv_transpose2d(image, _weight(widen.layers[0]), stride=2))
        if image.shape[-2:] != skipped.shape[-2:]:  # a pool dropped the last row or column of an odd size
            down, right = (skipped.shape[axis] - image.shape[axis] for axis in (-2, -1))
            image = F.pad(image, (0, right, 0, down), "reflect")
        image = torch.cat((image, skipped), dim=1)
        image = _block(block[0] if isinstance(block, nn.Sequential) else block, image)
    last = unet.up_conv[-1][1]
    return F.conv2d(image, last.weight, last.bias)


def _block(block: ConvBlock, image: Tensor) -> Tensor:
    for convolution in (block.layers[0], block.layers[4]):
        image = _activate(F.conv2d(image, _weight(convolution), padding=1))
    return image


def _weight(convolution: nn.Module) -> Tensor:
    return convolution.weight.contiguous(memory_format=torch.channels_last)


def _activate(image: Tensor) -> Tensor:
    """Instance normalization and leaky ReLU of one image."""
    if image.shape[1] < LANES:
        image = image.contiguous(memory_format=torch.contiguous_format)
    return F.leaky_relu_(F.batch_norm(image, None, None, training=True), 0.2)
