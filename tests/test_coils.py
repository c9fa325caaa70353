"""Coil maps: the true ones where they are known, sigpy's where they are not, unit norm, any shape of data and mask."""

import pytest
import torch
from made import coil_images
from sigpy.mri.app import EspiritCalib

from helpers.errors import BadInput
from helpers.mri import coils
from helpers.mri.coils import espirit
from helpers.mri.fourier import fft2c, ifft2c
from helpers.mri.masks import mask, random_mask
from helpers.mri.rss import rss


def scan(count: int = 4, rows: int = 64, columns: int = 48, noise: float = 1e-3) -> torch.Tensor:
    images = coil_images(count, rows, columns)
    generator = torch.Generator().manual_seed(1)
    return fft2c(images + noise * torch.randn(images.shape, dtype=images.dtype, generator=generator))


def angle(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """1 - cosine between two sets of maps, pixel by pixel: the phase of a pixel does not count."""
    return 1 - (first.conj() * second).sum(-3).abs() / rss(first) / rss(second)


def inside(kspace: torch.Tensor) -> torch.Tensor:
    image = rss(ifft2c(kspace))
    return image > 0.1 * image.max()


def test_the_coils_that_were_there():
    kspace = scan(noise=1e-5)
    true = coil_images(4, 64, 48)
    # patches of 6 x 6 tell maps from each other up to their own smoothness: .0007 is a maximum of 2 degrees
    assert angle(espirit(kspace, random_mask(48, 2, 0.4)), true)[inside(kspace)].max() < 7e-4


@pytest.mark.parametrize("count", [1, 4, 9])
@pytest.mark.parametrize("size", [(64, 48), (45, 38), (100, 130)])
def test_unit_norm_and_the_phase_of_the_strongest_combination(count, size):
    kspace = scan(count, *size)
    maps = espirit(kspace, random_mask(size[1], 2, 0.3), crop=0)
    assert maps.shape == kspace.shape and maps.dtype == torch.complex64
    torch.testing.assert_close(rss(maps), torch.ones(size))
    combined = ifft2c(kspace).mul(maps.conj()).sum(0)
    # what the maps combine is the whole image: the rest is noise and what the maps miss
    assert (combined.abs() / rss(ifft2c(kspace)))[inside(kspace)].min() > 0.995


@pytest.mark.parametrize("size", [(64, 48), (61, 45), (128, 100)])
def test_as_sigpy(size):
    kspace = scan(6, *size)
    ours = espirit(kspace)
    theirs = EspiritCalib(kspace.numpy(), calib_width=24, crop=0, show_pbar=False, max_iter=300).run()
    # 1e-5 is the bar; rounding leaves 3e-7, interpolation of the coarse grid at 128 x 100 some 1e-6
    assert angle(ours, torch.from_numpy(theirs))[inside(kspace)].max() < 1e-5


@pytest.mark.slow
def test_as_sigpy_on_a_real_brain(real):
    import h5py

    with h5py.File(real / "brain_pvdamp_8ch.h5") as file:
        kspace = torch.from_numpy(file["kspace"][0])
    theirs, values = EspiritCalib(kspace.numpy(), crop=0, show_pbar=False, output_eigenvalue=True).run()
    assert angle(espirit(kspace), torch.from_numpy(theirs))[inside(kspace)].max() < 1e-5
    kept = rss(espirit(kspace, crop=0.95)) > 0
    # the two crops part only where the eigenvalue touches the threshold
    assert (kept != (torch.from_numpy(values[0]) > 0.95)).float().mean() < 0.01


def test_a_coarse_grid_is_enough(monkeypatch):
    kspace = scan(8, 128, 120)
    coarse = espirit(kspace, random_mask(120))
    monkeypatch.setattr(coils, "DENSITY", 1000)
    assert angle(coarse, espirit(kspace, random_mask(120)))[inside(kspace)].max() < 1e-5


@pytest.mark.parametrize("kind", ["random", "equispaced", "poisson"])
def test_only_the_sampled_center_counts(kind):
    kspace = scan()
    sampled = mask(kind, (64, 48), 4, 0.15, seed=1)
    assert torch.equal(espirit(kspace * sampled, sampled), espirit(kspace, sampled))
    assert angle(espirit(kspace, sampled), espirit(kspace))[inside(kspace)].mean() < 0.01


def test_units_batches_and_devices_are_left_alone():
    kspace = scan()
    sampled = random_mask(48, 4, 0.2)
    alone = espirit(kspace, sampled)
    batch = torch.stack((kspace, kspace.flip(0) * 1e7))[:, None]
    maps = espirit(batch, sampled)
    assert maps.shape == batch.shape
    torch.testing.assert_close(maps[0, 0], alone)
    assert angle(maps[1, 0], alone.flip(0))[inside(kspace)].max() < 1e-5
    assert maps.device == kspace.device
    assert espirit(kspace.to(torch.complex128), sampled).dtype == torch.complex128


def test_a_crop_is_zero_outside_the_object_and_changes_nothing_inside():
    kspace = scan()
    maps, cropped = espirit(kspace, crop=0), espirit(kspace)
    kept = rss(cropped) > 0
    assert torch.equal(cropped[:, kept], maps[:, kept])
    assert kept[inside(kspace)].float().mean() > 0.99 and kept[0, 0].logical_not() and 0.1 < kept.float().mean() < 0.9


@pytest.mark.parametrize("lines", [1, 2, 3, 5])
def test_few_center_lines_give_smoother_maps(lines):
    sampled = torch.zeros(48, dtype=torch.bool)
    sampled[24 - lines // 2 : 24 - lines // 2 + lines] = True
    maps = espirit(scan(), sampled, crop=0)
    torch.testing.assert_close(rss(maps), torch.ones(64, 48))
    if lines == 1:
        assert angle(maps, maps[..., :1].expand_as(maps)).max() < 1e-5


@pytest.mark.parametrize("point", [(32, 24), (3, 40)])
def test_one_bright_point_leaves_no_hole(point):
    images = torch.zeros(4, 64, 48, dtype=torch.complex64)
    images[:, point[0], point[1]] = torch.tensor([1, 2j, 0, -1])
    maps = espirit(fft2c(images), crop=0)
    assert torch.isfinite(torch.view_as_real(maps)).all()
    torch.testing.assert_close(rss(maps), torch.ones(64, 48))
    assert angle(maps, images[:, point[0], point[1], None, None].expand_as(maps))[point] < 1e-6


@pytest.mark.parametrize("rows", [-20, 12, 20])
def test_an_echo_that_is_off_the_middle_is_found(rows):
    kspace, true = scan(noise=1e-5), coil_images(4, 64, 48)
    late = kspace.roll(rows, 1)  # the image but for its phase
    for lines in (random_mask(48, 2, 0.4), None):
        assert angle(espirit(late, lines), true)[inside(kspace)].max() < 7e-4


def test_an_object_that_goes_on_beyond_the_readout_has_maps_but_in_the_rows_at_its_ends():
    images = ifft2c(scan(noise=1e-5, rows=192))[:, 64:-64]
    turns = torch.linspace(-1, 1, 64)[:, None] * torch.arange(4)[:, None, None]
    images = images * torch.exp(1.5j * turns)  # of another phase at one end than at the other
    energy = images.abs().square().sum((0, 2))
    assert energy.min() > 0.1 * energy.max(), "the object goes on"
    for crop in (0.9, 0):
        maps = espirit(fft2c(images), random_mask(48, 2, 0.4), crop=crop)
        gone = ~maps.any(0).any(-1)
        assert 0 < gone.sum() <= 10 and not gone[6:-6].any()
        missing = (images - maps * (maps.conj() * images).sum(0)).abs().square().sum((0, 2)) / energy
        assert missing[~gone].max() < 1.5 * coils.UNEXPLAINED  # of all columns; of the center it is less


def test_nothing_measured_is_no_reason_to_fail():
    torch.testing.assert_close(rss(espirit(torch.zeros(4, 20, 16, dtype=torch.complex64))), torch.ones(20, 16))


def test_no_maps_without_a_center():
    sampled = torch.ones(48, dtype=torch.bool)
    sampled[24] = False
    with pytest.raises(BadInput, match="center"):
        espirit(scan(), sampled)
    with pytest.raises(BadInput, match="mask"):
        espirit(scan(), sampled[1:])
