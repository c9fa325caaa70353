"""Image statistics: closed forms, invariances, and the real brain among the drawn ones."""

import numpy as np
import pytest
import torch

from helpers.data import scanner
from helpers.data.image_statistics import (
    background_deviation,
    center_energy,
    concentration,
    image_statistics,
    spectral_slope,
)
from helpers.errors import BadInput
from helpers.mri.fourier import fft2c
from helpers.profiles import profile


def noise(size: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((size, size))


@pytest.mark.parametrize("exponent", [0.0, 1.0, 1.5])
def test_the_slope_of_colored_noise_is_twice_its_exponent(exponent):
    frequency = np.hypot(np.fft.fftfreq(128)[:, None], np.fft.fftfreq(128)[None])
    frequency[0, 0] = 1
    image = np.fft.ifft2(np.fft.fft2(noise(128)) * frequency**-exponent).real
    # 41 rings, each the mean of 24 to 280 exponentials: a deviation of the slope of about .03
    assert spectral_slope(image) == pytest.approx(-2 * exponent, abs=0.12)


def test_concentration_of_noise_and_of_one_edge():
    # the largest 5 % of Gaussians (beyond 1.96) hold 28 % of the energy
    assert concentration(noise(128)) == pytest.approx(0.28, abs=0.02)
    edge = np.zeros((128, 128))
    edge[:, 61:] = 1
    assert concentration(edge) > 0.9


def test_a_ramp_has_a_known_gradient():
    ramp = torch.arange(128.0).expand(128, 128) + 1
    expected = 1 / np.arange(128).std()
    assert image_statistics(ramp)["gradient"] == pytest.approx(expected, rel=1e-6)


def test_the_snr_is_that_of_the_background():
    image = torch.from_numpy(0.5 * noise(128) + 20)
    image[32:96, 32:96] += 80
    # quantile .9 lies in the bright quarter; the lowest tenth of 64 block deviations is 5 % low at 256 pixels a block
    assert image_statistics(image)["snr"] == pytest.approx(100 / 0.5, rel=0.1)
    assert np.isnan(background_deviation(torch.ones(64, 64)))


def test_center_energy_counts_lines():
    kspace = torch.ones(2, 30, 100, dtype=torch.complex64)
    assert center_energy(kspace) == pytest.approx(0.08)
    kspace[..., 50] = 10
    assert center_energy(kspace) == pytest.approx((7 + 100) / (99 + 100))


def test_units_do_not_matter_and_size_hardly():
    item = scanner.draw_volume("brain", 0, profile("laptop"), 1)[0]
    first, scaled = image_statistics(item.target, item.kspace), image_statistics(item.target * 1e6, item.kspace * 1e6)
    assert first == pytest.approx(scaled, rel=1e-4)
    wide = torch.nn.functional.pad(fft2c(item.target.to(torch.complex128)), (80, 80, 80, 80))
    fine = torch.fft.fftshift(torch.fft.ifft2(torch.fft.ifftshift(wide), norm="ortho")).real
    other = image_statistics(fine)
    for name in ("slope", "sparsity", "gradient"):
        assert other[name] == pytest.approx(first[name], rel=0.02)


@pytest.mark.parametrize(
    "image",
    [torch.ones(64, 64), torch.rand(8, 64), torch.rand(3, 64, 64), torch.full((64, 64), float("nan"))],
)
def test_images_without_statistics_are_bad_input(image):
    with pytest.raises(BadInput):
        image_statistics(image)


@pytest.mark.slow
def test_the_real_brain_is_among_the_drawn_ones(request):
    path = request.config.rootpath.parent / "shared" / "real" / "brain_pvdamp_8ch.h5"
    if not path.exists():
        pytest.skip("no real scans beside the project")
    import h5py

    with h5py.File(path) as file:
        real = image_statistics(torch.from_numpy(file["reconstruction_rss"][0]), torch.from_numpy(file["kspace"][0]))
    # training covers the SNRs of research scans too
    items = (scanner.draw_volume("brain", seed, profile("laptop"), 1, split="train")[0] for seed in range(60))
    drawn = [image_statistics(item.target, item.kspace) for item in items]
    for name, value in real.items():
        low, high = np.quantile([d[name] for d in drawn], [0.02, 0.98])
        assert low < value < high, f"{name}: {value:.3f} is outside {low:.3f} .. {high:.3f}"
