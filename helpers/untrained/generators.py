"""Un-trained generators of images: ConvDecoder, Deep Decoder and Deep Image Prior, each with its fixed random input."""

import math

import torch
from torch import Tensor, nn


class ConvDecoder(nn.Module):
    """G(z) of the ConvDecoder: `layers` - 1 times nearest upsampling, 3x3 convolution, ReLU and batch norm.

    The sizes of the layers grow geometrically from `start` to `size`, both (y, x); one more convolution follows at
    full size, and a 1x1 convolution to the outputs. input_scale, bias: the studies differ in both. Called without
    arguments; returns (outputs, y, x) real. Source: Darestani & Heckel 2021; the paper's code, facts 2.5.
    """

    def __init__(
        self,
        outputs: int,
        size: tuple[int, int],
        channels: int = 64,
        layers: int = 6,
        start: tuple[int, int] = (8, 4),
        bias: bool = False,
        input_scale: float = 1.0,
    ):
        super().__init__()
        self.register_buffer("z", input_scale * torch.rand(1, channels, *start))
        sizes = [_between(start, size, n / (layers - 1)) for n in range(1, layers)]
        blocks = []
        for each in sizes:
            blocks += [nn.Upsample(each), *_block(channels, channels, 3, bias)]
        blocks += [*_block(channels, channels, 3, bias), nn.Conv2d(channels, outputs, 1, bias=bias)]
        self.layers = nn.Sequential(*blocks)

    def forward(self) -> Tensor:
        return self.layers(self.z)[0]


class DeepDecoder(nn.Module):
    """G(z) of the Deep Decoder: `layers` - 1 times 1x1 convolution, bilinear upsampling, ReLU and batch norm.

    No filter is learned: neighboring pixels meet in the upsampling alone. Sizes, call and result as in ConvDecoder.
    Source: Heckel & Hand, ICLR 2019; facts 2.6.
    """

    def __init__(
        self,
        outputs: int,
        size: tuple[int, int],
        channels: int = 96,
        layers: int = 6,
        start: tuple[int, int] = (16, 16),
    ):
        super().__init__()
        self.register_buffer("z", torch.rand(1, channels, *start))
        sizes = [_between(start, size, n / (layers - 1)) for n in range(1, layers)]
        blocks = []
        for each in sizes:
            convolution, *rest = _block(channels, channels, 1, False)
            blocks += [convolution, nn.Upsample(each, mode="bilinear", align_corners=True), *rest]
        blocks += [*_block(channels, channels, 1, False), nn.Conv2d(channels, outputs, 1, bias=False)]
        self.layers = nn.Sequential(*blocks)

    def forward(self) -> Tensor:
        return self.layers(self.z)[0]


class DeepImagePrior(nn.Module):
    """G(z) of the Deep Image Prior: an encoder and a decoder over a random image of full size.

    scales: how often the image is halved, as long as there are two pixels; skips: channels of the skip connection of
    each scale, 0 for none, finest first; down, up: widths of the filters. Call and result as in ConvDecoder. Source:
    Ulyanov et al., CVPR 2018; facts 2.6.
    """

    def __init__(
        self,
        outputs: int,
        size: tuple[int, int],
        channels: int = 48,
        scales: int = 5,
        skips: tuple[int, ...] = (0, 0, 0, 4, 4),
        down: int = 3,
        up: int = 3,
    ):
        super().__init__()
        self.register_buffer("z", torch.rand(1, channels, *size))
        self.encode, self.skip, self.decode = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        halvings = math.ceil(math.log2(max(size))) - 1  # batch norm needs two pixels
        self.skips = skips[: min(scales, halvings)]
        for skip in self.skips:
            self.skip.append(nn.Sequential(*_normalized(channels, skip, 1)) if skip else nn.Identity())
            halve, refine = _normalized(channels, channels, down, 2), _normalized(channels, channels, down)
            self.encode.append(nn.Sequential(*halve, *refine))
            merge, mix = _normalized(channels + skip, channels, up), _normalized(channels, channels, 1)
            self.decode.append(nn.Sequential(nn.BatchNorm2d(channels + skip), *merge, *mix))
        self.last = nn.Conv2d(channels, outputs, 1)

    def forward(self) -> Tensor:
        image, kept = self.z, []
        for encode, skip, width in zip(self.encode, self.skip, self.skips, strict=True):
            kept.append((image.shape[-2:], skip(image) if width else image[:, :0]))
            image = encode(image)
        for decode, (size, skipped) in zip(reversed(self.decode), reversed(kept), strict=True):
            image = decode(torch.cat([nn.functional.interpolate(image, size=size), skipped], dim=1))
        return self.last(image)[0]


def _block(inputs: int, outputs: int, width: int, bias: bool) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, width, padding=width // 2, bias=bias), nn.ReLU(), nn.BatchNorm2d(outputs)]


def _normalized(inputs: int, outputs: int, width: int, stride: int = 1) -> list[nn.Module]:
    """The block of the Deep Image Prior, whose normalization comes before the ReLU."""
    return [nn.Conv2d(inputs, outputs, width, stride, padding=width // 2), nn.BatchNorm2d(outputs), nn.ReLU()]


def _between(start: tuple[int, int], size: tuple[int, int], share: float) -> tuple[int, int]:
    # rounded first: 10 * 64**1.0 must be 640, not the next whole number above it
    return tuple(math.ceil(round(a * (b / a) ** share, 9)) for a, b in zip(start, size, strict=True))


GENERATORS = {"convdecoder": ConvDecoder, "deep-decoder": DeepDecoder, "dip": DeepImagePrior}
