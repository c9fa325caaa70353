"""What a network learns from: measurements and references that follow from the step alone."""

import h5py
import pytest
import torch
from torch.testing import assert_close

from helpers.data import fastmri
from helpers.data.scanner import draw_volume
from helpers.errors import BadInput
from helpers.mri.fourier import center_crop, fft2c, ifft2c
from helpers.mri.noise import scale
from helpers.mri.rss import rss
from helpers.profiles import PROFILES
from helpers.training import validation
from helpers.training.data import BLOCK, Drawn, Files, Stream, band, blocks_of, compressed, example, flipped

SMOKE = PROFILES["smoke"]


def complex_noise(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.complex128, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def blocks():
    """Two blocks of the stream, drawn once."""
    return Stream(Drawn(("knee", "brain"), SMOKE, vary=False), blocks=2).at(0)


# the measurement under which a network learns


@pytest.mark.parametrize("shape", [(12, 10), (11, 10), (12, 9)])
def test_flipped_is_the_mirrored_image(shape):
    image = complex_noise(3, *shape)
    for axis in (-2, -1):
        mirrored = ifft2c(flipped(fft2c(image), axis))
        turned = image.flip(axis)
        assert_close(mirrored, turned if shape[axis] % 2 else turned.roll(1, axis))


def test_band_is_exact_for_column_masks():
    image, mask = complex_noise(3, 32, 10), torch.rand(10, generator=torch.Generator().manual_seed(0)) < 0.5
    part = ifft2c(band(fft2c(image) * mask, 12, -5))
    assert_close(part, ifft2c(fft2c(image[:, 16 - 5 - 6 : 16 - 5 + 6]) * mask))


def test_compression_keeps_the_energy_that_there_is():
    mixing = complex_noise(8, 3)
    kspace = torch.einsum("cv,bvyx->bcyx", mixing, complex_noise(2, 3, 6, 5, seed=1))
    virtual = compressed(kspace, 3)
    assert virtual.shape == (2, 3, 6, 5)
    assert_close(rss(virtual), rss(kspace))  # rank three: three virtual coils lose nothing


def test_an_example_is_a_measurement_and_its_reference(blocks):
    heights = set()
    for step in range(12):
        made = example(blocks, (0, step, 0), batch=2, cropped=step < 8)
        assert made.kspace.dtype == torch.complex64 and made.target.dtype == torch.float32
        assert not made.kspace[..., ~made.mask].any()
        assert_close(scale(made.kspace), torch.ones(2, 1, 1))
        full = made.kspace.shape[-2]
        assert made.target.shape == (2, min(64, full), 64)
        heights.add(full)
    assert 128 in heights and len(heights) > 2


def test_an_unmasked_example_reconstructs_to_its_target(blocks, monkeypatch):
    monkeypatch.setattr("helpers.mri.masks.mask", lambda kind, shape, *_: torch.ones(shape[1], dtype=torch.bool))
    made = example(blocks, (0, 0, 0))
    image = rss(ifft2c(made.kspace))
    assert_close(center_crop(image, tuple(made.target.shape[-2:])), made.target)


def test_examples_follow_from_the_step_alone(blocks):
    first, again, other = (example(blocks, (0, step, 0)) for step in (5, 5, 6))
    assert torch.equal(first.kspace, again.kspace) and torch.equal(first.mask, again.mask)
    assert first.kspace.shape != other.kspace.shape or not torch.equal(first.kspace, other.kspace)


def test_the_stream_is_the_same_from_wherever_it_starts():
    source = Drawn(("knee",), SMOKE)
    on = Stream(source, blocks=2, reuse=1)
    seen = [[item.id for block in on.at(step) for item in block] for step in (0, BLOCK - 1, BLOCK)]
    assert seen[0] == seen[1] != seen[2]
    assert seen[0][BLOCK:] == seen[2][:BLOCK]
    later = Stream(source, blocks=2, reuse=1).at(BLOCK)
    assert [item.id for block in later for item in block] == seen[2]
    assert all(torch.equal(a.kspace, b.kspace) for a, b in zip(on.at(BLOCK)[1], later[1]))


def test_blocks_vary_and_share_one_shape_within():
    source = Drawn(("knee", "brain"), SMOKE)
    sizes = set()
    for block in range(24):
        parts = source.parts(block)
        (size,) = {(part.args[2].kspace, part.keywords["coils"], part.args[0]) for part in parts}
        sizes.add(size)
        assert {part.keywords["split"] for part in parts} == {"train"}
    assert len({kspace for kspace, _, _ in sizes}) > 2 and len({coils for _, coils, _ in sizes}) > 2
    seeds = [part.args[1] for block in range(24) for part in source.parts(block)]
    assert len(set(seeds)) == len(seeds)


def test_a_folder_is_trained_on_in_a_new_order_every_time_round(tmp_path):
    for name in ("a", "b", "c"):
        made = draw_volume("knee", ord(name), SMOKE, slices=2)
        fastmri.write_volume(tmp_path / "multicoil_train" / f"{name}.h5", made)
    source = blocks_of([str(tmp_path)], SMOKE, 0, True)
    assert isinstance(source, Files)
    orders = [[part().pop().volume for k in range(3) for part in source.parts(3 * turn + k)[:1]] for turn in range(4)]
    assert all(sorted(order) == ["a", "b", "c"] for order in orders) and len(set(map(tuple, orders))) > 1
    with pytest.raises(BadInput, match="one folder"):
        blocks_of(["knee", str(tmp_path)], SMOKE, 0, True)


def test_slices_of_zeros_are_left_out_and_volumes_of_zeros_are_passed_over(tmp_path, capsys):
    for name, kept in (("a", 1), ("b", 0)):
        path = tmp_path / f"{name}.h5"
        fastmri.write_volume(path, draw_volume("knee", 0, SMOKE, slices=2))
        with h5py.File(path, "a") as file:
            file["kspace"][kept:] = 0
    blocks = Stream(Files(str(tmp_path)), blocks=2).at(0)
    assert sorted(map(len, blocks)) == [0, 1]
    assert f"{tmp_path / 'a.h5'}: all zero, and so left out, is slice 1" in capsys.readouterr().err
    for step in range(4):
        assert example(blocks, (0, step)).kspace.any()
    with pytest.raises(BadInput, match="nothing but zeros"):
        example([[]], (0, 0))
    assert len(list(validation.referenced("a", fastmri.FastMRI(tmp_path / "a.h5")))) == 1
