"""Coil sensitivities S, estimated by ESPIRiT from the fully sampled center of k-space."""

import math

import torch
from torch import Tensor

from helpers.errors import BadInput
from helpers.masks import center_block

CALIBRATION = 24  # lines: the usual choice, of BART and sigpy too


@torch.no_grad()
def espirit(
    kspace: Tensor, mask: Tensor | None = None, *, kernel: int = 6, threshold: float = 0.02, crop: float = 0.0
) -> Tensor:
    """The coil maps S of y = M F S x, from the measured k-space alone.

    kspace: (..., coil, ky, kx) complex. Returns (..., coil, y, x).
    """
    ny, nx = kspace.shape[-2:]
    block = (ny, nx) if mask is None else center_block(mask.expand(ny, nx))
    if 0 in block:
        raise BadInput("the mask leaves out the center of k-space; coil maps need it fully sampled")
    block = tuple(min(size, CALIBRATION) for size in block)
    sizes = tuple(min(kernel, (size + 1) // 2) for size in block)
    top, left = ny // 2 - block[0] // 2, nx // 2 - block[1] // 2
    center = kspace[..., top : top + block[0], left : left + block[1]]
    maps = [_maps(item, (ny, nx), sizes, threshold, crop) for item in center.reshape(-1, *center.shape[-3:])]
    return torch.stack(maps).reshape(kspace.shape)


def _maps(center: Tensor, shape: tuple[int, int], sizes: tuple[int, int], threshold: float, crop: float) -> Tensor:
    field = _field(_kernels(center, sizes, threshold))
    ny, nx = shape
    coils = center.shape[0]
    dy, dx = (_dirichlet(n, field.shape[a], center) for a, n in enumerate(shape))
    f = torch.view_as_real(field).reshape(field.shape[0], -1)
    rows = (dy @ f).reshape(ny, field.shape[1], -1)
    out = center.new_empty(ny, nx, coils)
    ev = center.real.new_empty(ny, nx)
    for y in range(ny):
        H = torch.view_as_complex((dx @ rows[y]).reshape(nx, coils, coils, 2))
        P = H
        for _ in range(8):
            P = P @ P
            P = P / P.diagonal(dim1=-2, dim2=-1).real.sum(-1).clamp(min=1e-30)[:, None, None]
        best = P.diagonal(dim1=-2, dim2=-1).real.argmax(-1)
        v = P.gather(2, best[:, None, None].expand(nx, coils, 1)).squeeze(2)
        v = v / v.norm(dim=-1, keepdim=True)
        ev[y] = (v.conj() * (H @ v[..., None]).squeeze(-1)).sum(-1).real
        out[y] = v
    ref = torch.linalg.svd(center.flatten(1), full_matrices=False)[0][:, 0]
    phase = torch.sgn((out * ref.conj()).sum(-1))
    out = out * phase.conj()[..., None] * (ev >= crop)[..., None]
    return out.permute(2, 0, 1).contiguous()


def _kernels(center: Tensor, sizes: tuple[int, int], threshold: float) -> Tensor:
    """Orthonormal basis of the space of k-space patches: (kernel, coil, ky, kx)."""
    patches = center.unfold(1, sizes[0], 1).unfold(2, sizes[1], 1)
    patches = patches.permute(1, 2, 0, 3, 4).reshape(-1, center.shape[0] * math.prod(sizes))
    _, s, vh = torch.linalg.svd(patches, full_matrices=False)
    return vh[s > threshold * s[0]].reshape(-1, center.shape[0], *sizes)


def _field(kernels: Tensor) -> Tensor:
    """The eigenproblem's matrices at the (2 k - 1) x (2 k - 1) positions that determine them: (y, x, coil, coil)."""
    size = [2 * k - 1 for k in kernels.shape[-2:]]
    images = torch.fft.ifft2(kernels, s=size, norm="forward")
    f = images.permute(2, 3, 1, 0)
    return f @ f.mH / math.prod(kernels.shape[-2:])


def _dirichlet(n: int, m: int, like: Tensor) -> Tensor:
    """Trigonometric interpolation from m samples, m odd, to the n pixels of an image."""
    pixels = (torch.arange(n, dtype=torch.float64) - n // 2) / n
    samples = torch.arange(m, dtype=torch.float64) / m
    lags = torch.arange(-(m // 2), m // 2 + 1)
    angle = 2 * math.pi * lags * (pixels[:, None] - samples)[..., None]
    return (angle.cos().sum(-1) / m).to(like.device, like.real.dtype)
