"""Coil sensitivities S, estimated by ESPIRiT from the fully sampled center of k-space."""

import math

import torch
from torch import Tensor

from helpers.errors import BadInput
from helpers.mri.fourier import ifft2c
from helpers.mri.masks import center_block, center_lines, fitting
from helpers.mri.noise import noise_level

CALIBRATION = 24  # lines of the center used at most, as in BART and sigpy
DENSITY = 8  # grid points for each period of the finest wave in the eigenproblem
SQUARINGS = 8  # the power iteration's 2^8 = 256 steps
OFF = 4  # rows from the middle up to which the echo may lie, and the calibration stays there
UNEXPLAINED = 0.1  # share of a row's energy, without the noise's, from which on its maps are wrong
AIR = 0.01  # of the energy of the strongest row
CLEAR = 4  # times the energy of the noise: rows with less hold no object that would be missed


@torch.no_grad()
def espirit(
    kspace: Tensor, mask: Tensor | None = None, *, kernel: int = 6, threshold: float = 0.02, crop: float = 0.9
) -> Tensor:
    """The coil maps S of y = M F S x, from the measured k-space alone.

    Patches of k-space as small as a kernel span a space of few dimensions; the maps are, pixel by pixel, the
    eigenvector to the eigenvalue 1 of the projection onto that space. kspace: (..., coil, ky, kx) complex; mask:
    (kx,) or (ky, kx) bool, None where all is measured. Returns (..., coil, y, x), without gradients.

    The calibration takes the fully sampled center, up to 24 x 24; the kernel shrinks to half of it where that is
    narrow, down to constant maps for a single line. Where all rows are measured it takes those around the echo, should
    that be asymmetric. threshold: smallest singular value kept, over the largest.

    Over the coils the maps have norm 1, so that |x| is the root of the sum of squares of S x, and the phase is relative
    to the one combination of coils with the most energy. Outside the object they would be noise: they are zero where
    the eigenvalue is smaller than crop (sigpy .95, BART .8; 0 leaves the noise). This tells the solver where the
    object is. On a few drawn training slices of each source .9 raised the SSIM of wavelets and TV over the whole
    image and inside the object, given that `noise.expected_rss` puts the floor of the reference back into the air.

    Maps are periodic, as waves are, and true ones are not: where the object goes on beyond the readout, whose
    oversampling was taken away, the outermost rows have maps that leave more than `UNEXPLAINED` of the center of
    k-space. They are zero there, too: a solver that trusts them loses far more than those few rows.

    BadInput where the center is not measured. Source: Uecker et al., MRM 2014, section "ESPIRiT".
    """
    shape = ny, nx = kspace.shape[-2:]
    height, width = (min(size, CALIBRATION) for size in _calibration(mask, shape))
    left, sizes = nx // 2 - width // 2, tuple(min(kernel, (size + 1) // 2) for size in (height, width))
    by_rows, maps = mask is None or mask.ndim == 1, []
    for item in kspace.reshape(-1, *kspace.shape[-3:]):
        columns = torch.zeros_like(item)
        columns[..., left : left + width] = item[..., left : left + width]
        top = min(max((_echo(columns) if by_rows else ny // 2) - height // 2, 0), ny - height)
        found = _maps(columns[:, top : top + height, left : left + width], shape, sizes, threshold, crop)
        if by_rows:
            found[:, _unexplained(found, item, columns, mask, kernel)] = 0
        maps.append(found)
    return torch.stack(maps).reshape(kspace.shape)


def _echo(columns: Tensor) -> int:
    """The row that the calibration is centered on, of columns (coil, ky, kx) that are measured in all rows."""
    middle, strongest = columns.shape[-2] // 2, int(columns.abs().square().sum((0, 2)).argmax())
    return strongest if abs(strongest - middle) > OFF else middle


def _unexplained(maps: Tensor, kspace: Tensor, columns: Tensor, mask: Tensor | None, ends: int) -> Tensor:
    """Which rows, of so many at either end, have maps (coil, y, x) that leave much of the center: (y,) bool.

    kspace: the measurement (coil, ky, kx); columns: the same with zeros beyond its center.
    """
    low = ifft2c(columns)
    rest = low - maps * (maps.conj() * low).sum(0)
    energy, left = (each.abs().square().sum((0, 2)) for each in (low, rest))
    bad = (left > UNEXPLAINED * energy) & maps.any(0).any(-1) & (energy > AIR * energy.amax())
    bad[ends:-ends] = False
    if bad.any():  # the maps of so many coils leave the noise of all but one
        whole = torch.ones(kspace.shape[-1], dtype=torch.bool, device=kspace.device)
        width, coils = int(columns.any(0).any(0).sum()), len(maps)
        noise = 2 * width * noise_level(kspace, whole if mask is None else mask).square()
        bad &= left - (coils - 1) * noise > UNEXPLAINED * (energy - coils * noise)
        bad &= energy > CLEAR * coils * noise
    return bad


def _calibration(mask: Tensor | None, shape: tuple[int, int]) -> tuple[int, int]:
    """Size of the fully sampled center, or BadInput where there is none."""
    if mask is None:
        return shape
    fitting(mask, shape)
    block = center_block(mask.cpu()) if mask.ndim == 2 else (shape[0], center_lines(mask.cpu()))
    if 0 in block:
        raise BadInput("the mask leaves out the center of k-space, which coil maps are estimated from; measure it")
    return block


def _maps(center: Tensor, shape: tuple[int, int], sizes: tuple[int, int], threshold: float, crop: float) -> Tensor:
    """Maps (coil, y, x) from one calibration region (coil, ky, kx).

    The eigenproblem is band-limited and its solution smooth: it is solved on a coarse grid and interpolated, which
    leaves 1 - cosine below 1e-5 inside objects.
    """
    coils = center.shape[0]
    if not center.any():
        return center.new_full((coils, *shape), coils**-0.5)
    field = _field(_kernels(center, sizes, threshold))
    pixels = [(torch.arange(n, dtype=torch.float64) - n // 2) / n for n in shape]
    coarse = [DENSITY * m for m in field.shape[:2]]
    grids = [
        torch.arange(g, dtype=torch.float64) / g if g < n else place
        for g, n, place in zip(coarse, shape, pixels, strict=True)
    ]
    field = _resample(field, *(_dirichlet(grid, m) for grid, m in zip(grids, field.shape[:2], strict=True)))
    maps = _dominant(field)
    values = (maps.conj() * (field @ maps[..., None]).squeeze(-1)).sum(-1).real

    strongest = torch.linalg.eigh(center.flatten(1) @ center.flatten(1).mH).eigenvectors[:, -1]
    maps = _aligned(maps, strongest)
    weights = [
        _cubic(place, len(grid)) if len(grid) < len(place) else torch.eye(len(place))
        for place, grid in zip(pixels, grids, strict=True)
    ]
    maps = _aligned(_resample(maps, *weights), strongest)
    if crop > 0:
        maps = maps * (_resample(values[..., None] + 0j, *weights).real > crop)
    return maps.permute(2, 0, 1).contiguous()


def _kernels(center: Tensor, sizes: tuple[int, int], threshold: float) -> Tensor:
    """Orthonormal basis of the space that the patches of k-space span: (kernel, coil, ky, kx)."""
    patches = center.unfold(1, sizes[0], 1).unfold(2, sizes[1], 1).permute(1, 2, 0, 3, 4).flatten(0, 1).flatten(1)
    _, singular, rows = torch.linalg.svd(patches, full_matrices=False)
    return rows[singular > threshold * singular[0]].reshape(-1, center.shape[0], *sizes)


def _field(kernels: Tensor) -> Tensor:
    """The pixelwise matrices of the eigenproblem, (y, x, coil, coil), eigenvalues within [0, 1].

    Products of kernels of k samples hold 2 k - 1 waves: as many positions determine the matrices everywhere.
    """
    waves = [2 * size - 1 for size in kernels.shape[-2:]]
    images = torch.fft.ifft2(kernels, s=waves, norm="forward").permute(2, 3, 1, 0)
    return images @ images.mH / math.prod(kernels.shape[-2:])


def _dominant(field: Tensor) -> Tensor:
    """Eigenvector to the largest eigenvalue of each matrix (..., coil, coil): (..., coil), norm 1.

    Squared again and again a matrix tends to v v^H, every column of which is a multiple of v: the longest is taken.
    """
    # the tiny multiple of I stands in where a matrix is zero, as between the waves of a point
    power = field + 1e-20 * torch.eye(field.shape[-1], device=field.device)
    for _ in range(SQUARINGS):
        power = power / power.diagonal(dim1=-2, dim2=-1).real.sum(-1)[..., None, None]
        power = power @ power
    longest = power.diagonal(dim1=-2, dim2=-1).real.argmax(-1)
    vector = torch.take_along_dim(power, longest[..., None, None], -1).squeeze(-1)
    return vector / vector.norm(dim=-1, keepdim=True)


def _aligned(maps: Tensor, reference: Tensor) -> Tensor:
    """Maps (..., coil) with norm 1 and a phase that makes their product with the reference positive."""
    length = maps.norm(dim=-1, keepdim=True)
    phase = (maps.conj() @ reference).angle()[..., None]
    return maps / length * torch.polar(torch.ones_like(length), phase)


def _resample(values: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Real weights (y, v) and (x, u) applied to the first two axes of complex values (v, u, ...): (y, x, ...)."""
    flat = torch.view_as_real(values.contiguous())
    rows, columns = rows.to(flat), columns.to(flat)
    half = (rows @ flat.flatten(1)).reshape(len(rows), len(columns[0]), -1)
    return torch.view_as_complex((columns @ half).reshape(len(rows), len(columns), *flat.shape[2:]))


def _dirichlet(places: Tensor, waves: int) -> Tensor:
    """Weights of trigonometric interpolation from `waves` (odd) equal steps to places, the period being 1."""
    samples = torch.arange(waves, dtype=torch.float64) / waves
    lags = torch.arange(-(waves // 2), waves // 2 + 1)
    return (2 * math.pi * lags * (places[:, None] - samples)[..., None]).cos().mean(-1)


def _cubic(places: Tensor, steps: int) -> Tensor:
    """Weights of periodic cubic interpolation (Keys 1981, a = -1/2) from equal steps to places, the period being 1."""
    distance = (places[:, None] * steps - torch.arange(steps) + steps / 2) % steps - steps / 2
    d = distance.abs()
    near, far = 1.5 * d**3 - 2.5 * d**2 + 1, -0.5 * d**3 + 2.5 * d**2 - 4 * d + 2
    return torch.where(d < 1, near, torch.where(d < 2, far, torch.zeros_like(d)))
