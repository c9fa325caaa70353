"""Volumes in fastMRI's layout: what is written is read back, by this project and by fastMRI's own loader."""

import dataclasses
import os
from pathlib import Path

import h5py
import ismrmrd.xsd
import numpy as np
import pytest
import torch
from made import coil_images, made_slices

from helpers import methods
from helpers.data import Box, FastMRI, MRIData, boxes, fastmri, open_data, stored
from helpers.data.scanner import draw_volume
from helpers.errors import BadInput, say_once
from helpers.mri.fourier import center_crop, fft2c, ifft2c
from helpers.mri.rss import rss
from helpers.profiles import PROFILES

REAL = Path(__file__).parents[2] / "shared" / "real"
real = pytest.mark.skipif(not REAL.is_dir(), reason="the real scans are not beside the project")


@pytest.fixture
def volume(tmp_path):
    path = tmp_path / "made.h5"
    fastmri.write_volume(path, made_slices())
    return path


def test_what_is_written_is_read_back(tmp_path):
    """Every field of every slice, boxes included: exactly, since nothing is rescaled or rounded."""
    slices = made_slices()
    path = tmp_path / "made.h5"
    fastmri.write_volume(path, slices)
    found = {(item.volume, item.number): item.boxes for item in slices}
    boxes.write_csv(tmp_path / "knee.csv", found, {"made": (32, 32)})
    read = FastMRI(path)
    assert len(read) == 3
    assert read.image_shape(1) == (32, 32)
    for written, item in zip(slices, read, strict=True):
        assert torch.equal(written.kspace, item.kspace)
        assert torch.equal(written.target, item.target)
        for field in ("volume", "number", "acquisition", "anatomy", "source", "mask", "snr", "boxes", "id"):
            assert getattr(written, field) == getattr(item, field), field


def test_fastmri_reads_what_is_written(tmp_path, volume):
    """fastMRI's own loader and transform find the same k-space, target, padding and crop."""
    mri_data = pytest.importorskip("fastmri.data.mri_data")
    from fastmri.data.subsample import RandomMaskFunc
    from fastmri.data.transforms import VarNetDataTransform

    transform = VarNetDataTransform(RandomMaskFunc([0.08], [4]))
    sample = mri_data.SliceDataset(tmp_path, "multicoil", transform=transform)[2]
    item = FastMRI(volume)[2]
    assert torch.equal(torch.view_as_complex(sample.masked_kspace), sample.mask[..., 0] * item.kspace)
    assert 4 < int(sample.mask.sum()) < 20
    assert torch.equal(sample.target, item.target)
    assert sample.crop_size == (32, 32)
    assert sample.max_value == pytest.approx(max(float(each.target.max()) for each in made_slices()))
    metadata = mri_data.SliceDataset(tmp_path, "multicoil").raw_samples[0].metadata
    assert (metadata["padding_left"], metadata["padding_right"]) == (0, 40)
    assert metadata["encoding_size"] == (64, 40, 1)


def test_the_header_is_valid(volume):
    """The ISMRMRD library parses it against its schema."""
    with h5py.File(volume) as file:
        header = ismrmrd.xsd.CreateFromDocument(file["ismrmrd_header"][()])
    encoding = header.encoding[0]
    assert (encoding.encodedSpace.matrixSize.x, encoding.encodedSpace.matrixSize.y) == (64, 40)
    assert encoding.reconSpace.fieldOfView_mm.x == 32.0
    assert header.acquisitionSystemInformation.receiverChannels == 4


def test_the_target_is_computed_where_it_is_absent(volume):
    """RSS of the inverse transform, cropped as the header's reconSpace says; same to float32 rounding."""
    with h5py.File(volume, "a") as file:
        del file["reconstruction_rss"]
    for written, item in zip(made_slices(), FastMRI(volume), strict=True):
        torch.testing.assert_close(item.target, written.target, rtol=1e-5, atol=1e-8)
    with h5py.File(volume, "a") as file:
        del file["ismrmrd_header"]
    assert FastMRI(volume)[0].target.shape == (40, 40)  # no header: the largest square


def test_a_reference_in_other_units_is_told(volume, capsys):
    FastMRI(volume)[0]
    assert capsys.readouterr().err == ""
    with h5py.File(volume, "a") as file:
        file["reconstruction_rss"][...] *= 1e6
    FastMRI(volume)[0]
    assert "times its k-space" in capsys.readouterr().err


@pytest.mark.parametrize(
    "changed",
    [
        lambda image: image[:, ::-1],
        lambda image: image.transpose(0, 2, 1),
        lambda image: np.roll(image, 1, 1),
        lambda image: 2 * image,
        lambda image: image / 5,
        lambda image: image**2 / image.max(),
    ],
    ids=["flipped", "transposed", "moved", "doubled", "other unit", "other kind"],
)
def test_a_reference_that_is_not_of_its_kspace_is_told(volume, capsys, changed):
    assert FastMRI(volume)[0].target is not None and capsys.readouterr().err == ""
    with h5py.File(volume, "a") as file:
        file["reconstruction_rss"][...] = changed(file["reconstruction_rss"][()])
    FastMRI(volume)[0]
    assert "reference is not the RSS of its k-space" in capsys.readouterr().err


def test_a_reference_that_is_larger_than_its_kspace_is_told(volume, capsys):
    with h5py.File(volume, "a") as file:
        fine = file["reconstruction_rss"][()].repeat(4, 1).repeat(4, 2)
        del file["reconstruction_rss"]
        file["reconstruction_rss"] = fine
    assert FastMRI(volume)[0].target.shape == (64, 40)
    assert "of 128 x 128, are larger than its k-space" in capsys.readouterr().err


@pytest.mark.parametrize("shift, told", [((32, 20), True), ((0, 8), True), ((32, 0), True), ((8, 1), False)])
def test_a_zero_frequency_that_is_not_in_the_middle_is_told(volume, capsys, shift, told):
    """A plain transform has it in the corner, and so has what was shifted; an asymmetric echo is none of these."""
    with h5py.File(volume, "a") as file:
        file["kspace"][...] = np.roll(file["kspace"][()], shift, (-2, -1))
        del file["reconstruction_rss"]
    FastMRI(volume)[0]
    assert ("its zero frequency is moved there" in capsys.readouterr().err) == told


@pytest.mark.parametrize("source", ["knee", "brain", "stanford"])
def test_of_drawn_volumes_nothing_is_told(tmp_path, capsys, source):
    fastmri.write_volume(tmp_path / "drawn.h5", draw_volume(source, 0, PROFILES["smoke"], 2))
    assert all(item.mask is None for item in FastMRI(tmp_path / "drawn.h5")) and capsys.readouterr().err == ""


@pytest.mark.parametrize("kind", ["c16", ">c8", ">c16"])
def test_a_volume_is_the_same_however_its_bytes_are_stored(volume, kind):
    before = FastMRI(volume)[0]
    with h5py.File(volume, "a") as file:
        kspace = file["kspace"][()]
        del file["kspace"]
        file["kspace"] = kspace.astype(kind)
    after = FastMRI(volume)[0]
    assert (after.identity, after.seeded_by) == (before.identity, before.seeded_by)


def test_volumes_with_a_dead_coil_are_told_apart(tmp_path):
    for name, unit in (("a", 1e-3), ("b", 2e-3)):
        slices = made_slices(name, unit=unit)
        for item in slices:
            item.kspace[0] = 0
        fastmri.write_volume(tmp_path / f"{name}.h5", slices)
    assert len({item.origin for item in FastMRI(tmp_path)}) == 2


@pytest.mark.parametrize("name", ["mask", "sampling_mask_2d", None])
def test_an_undersampled_file_has_no_target(tmp_path, name):
    """Whether the mask is stored or shows as zeros in the k-space only."""
    mask = torch.arange(40) % 4 == 0
    mask[18:22] = True
    stored = mask if name == "mask" else mask.expand(64, 40)
    path = tmp_path / "test.h5"
    with h5py.File(path, "w") as file:
        file["kspace"] = (fft2c(coil_images()) * mask)[None].numpy()
        if name:
            file[name] = stored.numpy()
    item = FastMRI(path)[0]
    assert item.target is None
    assert torch.equal(item.mask.expand(64, 40), mask.expand(64, 40))
    assert item.mask.ndim == (2 if name == "sampling_mask_2d" else 1)


def test_padding_and_cut_corners_count_as_fully_sampled():
    """fastMRI pads its k-space with zero columns, and 3D scans leave out the corners."""
    y, x = torch.linspace(-1, 1, 60)[:, None], torch.linspace(-1, 1, 80)
    padded = torch.ones(60, 80, dtype=torch.bool)
    padded[:, :11] = False
    ellipse = y**2 + x**2 <= 1
    assert stored.sampling(padded) is None
    assert stored.sampling(ellipse) is None
    missing = padded.clone()
    missing[:, 50] = False
    assert torch.equal(stored.sampling(missing), missing[0])
    aside = torch.zeros(60, 80, dtype=torch.bool)
    aside[:, :30] = True  # no zero frequency: nothing that could be padding
    assert torch.equal(stored.sampling(aside), aside[0])
    scattered = torch.rand(60, 80, generator=torch.Generator().manual_seed(0)) < 0.5
    assert torch.equal(stored.sampling(scattered), scattered)


def test_annotations_follow_a_crop(tmp_path):
    """A target wider than the k-space (some of fastMRI's FLAIR) is cropped, and its boxes move along."""
    item = made_slices(count=1)[0]
    wide = torch.nn.functional.pad(center_crop(rss(ifft2c(item.kspace)), (32, 40)), (4, 4))
    path = tmp_path / "flair.h5"
    fastmri.write_volume(path, [dataclasses.replace(item, volume="flair", target=wide)])
    boxes.write_csv(tmp_path / "brain.csv", {("flair", 0): item.boxes}, {"flair": (32, 48)})
    read = FastMRI(path)[0]
    torch.testing.assert_close(read.target, center_crop(rss(ifft2c(read.kspace)), (32, 40)))
    assert (read.boxes[0].x, read.boxes[0].y) == (item.boxes[0].x - 4, item.boxes[0].y)


def test_boxes_end_with_the_image_that_is_left(tmp_path):
    """Clipped where the crop cuts them, none where it leaves nothing of them."""
    (item,) = made_slices(count=1)
    drawn = (Box(1, 20, 5, 6, "gone"), Box(6, 30, 6, 9, "cut"), Box(20, 50, 30, 6, "cut"), Box(10, 10, 3, 3, "whole"))
    fastmri.write_volume(tmp_path / "wide.h5", [dataclasses.replace(item, target=torch.ones(56, 56))])
    boxes.write_csv(tmp_path / "knee.csv", {("wide", 0): drawn}, {"wide": (56, 56)})
    (read,) = FastMRI(tmp_path / "wide.h5")
    assert read.target.shape == (56, 40)
    assert read.boxes == (Box(0, 30, 4, 9, "cut"), Box(12, 50, 28, 6, "cut"), Box(2, 10, 3, 3, "whole"))


KNEES, BRAINS = ("CORPD_FBK", "CORPDFS_FBK", "SAGPD_FBK", "AXPDFS_FBK", "CUBE"), ("AXT1", "AXT1POST", "AXT2", "AXFLAIR")


@pytest.mark.parametrize(
    "acquisition, attributes, anatomy, source",
    [
        (None, {}, "unknown", "unknown"),
        ("AX KNEE T2 FS", {}, "knee", "knee"),
        ("t2_tse_tra_knee", {}, "knee", "knee"),
        ("COR T2 HEAD", {}, "brain", "brain"),
        ("SAG_T1_MPRAGE_BRAIN", {}, "brain", "brain"),
        ("AXPD BRAIN", {}, "brain", "brain"),
        ("COR T1", {}, "unknown", "unknown"),
        ("knee, head coil", {}, "unknown", "unknown"),
        *[(name, {}, "knee", "knee") for name in KNEES],
        *[(name, {}, "brain", "brain") for name in BRAINS],
        ("AXT2", {"source": "Siemens Skyra", "anatomy": "Brain"}, "brain", "brain"),
        ("AXT2", {"source": "Siemens Skyra"}, "brain", "brain"),
        ("AXT2", {"anatomy": "prostate"}, "unknown", "unknown"),
        ("CUBE", {"source": "Stanford", "anatomy": "KNEE"}, "knee", "stanford"),
    ],
)
def test_anatomy_and_source_are_words_that_are_known_or_unknown(volume, acquisition, attributes, anatomy, source):
    with h5py.File(volume, "r+") as file:
        for name, value in ({"source": None, "anatomy": None, "acquisition": acquisition} | attributes).items():
            del file.attrs[name]
            if value is not None:
                file.attrs[name] = value
    item = FastMRI(volume)[0]
    assert (item.anatomy, item.source) == (anatomy, source)
    assert methods.load("wavelet", item) and methods.load("unet", item)


@pytest.mark.parametrize(
    "images, encoded_mm, shown_mm, kept",
    [
        ((64, 40), (400, 80), (200, 80), (32, 40)),  # half of the rows, twice as fine
        ((32, 32), (128, 80), (64, 64), (32, 32)),  # as fastMRI's own
        ((64, 64), (128, 80), (128, 80), (64, 40)),  # and its interpolated ones
        ((64, 32), (400, 80), (0, 64), (64, 32)),  # not told
    ],
)
def test_without_a_reference_the_target_is_as_wide_as_the_images(volume, images, encoded_mm, shown_mm, kept):
    (y, x), (mm_ky, mm_kx), (mm_y, mm_x) = images, encoded_mm, shown_mm
    header = fastmri.HEADER.format(acquisition="", coils=4, ky=64, kx=40, y=y, x=x, last=39, center=20, mm_ky=mm_ky,
                                   mm_kx=mm_kx, mm_y=mm_y, mm_x=mm_x, mm_z=3)  # fmt: skip
    with h5py.File(volume, "r+") as file:
        del file["reconstruction_rss"], file["ismrmrd_header"]
        file["ismrmrd_header"] = header
    data = FastMRI(volume)
    assert data.image_shape(0) == data[0].target.shape == kept


def test_slices_are_read_when_asked_for_and_files_closed(tmp_path, monkeypatch):
    """Building the index reads no data; no handle stays open after an item."""
    for name in ("b", "a"):
        fastmri.write_volume(tmp_path / f"{name}.h5", made_slices(name))
    read = []
    original = h5py.Dataset.__getitem__
    monkeypatch.setattr(h5py.Dataset, "__getitem__", lambda self, *a: (read.append(self.name), original(self, *a))[1])
    data = FastMRI(tmp_path)
    assert read == []
    assert [item.id for item in data] == [f"{name}:{number}" for name in "ab" for number in range(3)]
    before = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0
    assert data[-1].volume == "b"
    assert before == (len(os.listdir("/proc/self/fd")) if before else 0)
    with pytest.raises(IndexError):
        data[6]


def test_a_selection_of_slices(tmp_path):
    for name in "abc":
        fastmri.write_volume(tmp_path / f"{name}.h5", made_slices(name, count=5))
    assert [item.id for item in open_data(tmp_path, volumes=2, slices=1)] == ["a:2", "b:2"]
    assert stored.chosen(36, 1) == (18,) or stored.chosen(36, 1) == (17,)
    assert stored.chosen(40, 4) == (12, 17, 22, 27)


def test_folders_mixed_split_and_empty(tmp_path):
    """Other files are left out; fastMRI's own folder names are understood; an empty folder is a sentence."""
    with pytest.raises(BadInput, match=r"holds no volume.*multicoil_test"):
        open_data(tmp_path)
    fastmri.write_volume(tmp_path / "multicoil_val" / "v.h5", made_slices("v"))
    with pytest.raises(BadInput, match=r"has no multicoil_train to tune or train on"):
        open_data(tmp_path, split="train")
    assert open_data(tmp_path, split="val")[0].id == open_data(tmp_path)[0].id == "v:0"
    fastmri.write_volume(tmp_path / "a.h5", made_slices("a"))
    np.savez(tmp_path / "other.npz", np.zeros(3))
    with h5py.File(tmp_path / "reconstructions.h5", "w") as file:
        file["reconstruction"] = np.zeros((1, 4, 4))
    assert len(open_data(tmp_path)) == 3
    (tmp_path / "broken.h5").write_bytes((tmp_path / "a.h5").read_bytes()[:5000])
    with pytest.raises(BadInput, match=r"broken\.h5"):
        open_data(tmp_path)


def test_nothing_half_written(tmp_path):
    """A failure in the middle of writing leaves neither the file nor a part of it."""
    slices = made_slices()
    slices[1] = dataclasses.replace(slices[1], acquisition="x")
    with pytest.raises(TypeError):
        fastmri.write_volume(tmp_path / "made.h5", slices, attributes={"bad": object()})
    assert list(tmp_path.iterdir()) == []


@real
def test_real_files_have_the_targets_they_carry():
    """RSS of the stored k-space, cropped, is the stored reconstruction: transform and crop are fastMRI's (float32)."""
    for name, shape in (("brain_pvdamp_8ch", (256, 256)), ("phantom_gre_2ch", (160, 160))):
        item = FastMRI(REAL / f"{name}.h5")[0]
        computed = center_crop(rss(ifft2c(item.kspace)), item.target.shape)
        assert item.target.shape == shape
        assert (computed - item.target).abs().max() < 1e-6 * item.target.max()


@real
def test_the_real_folder(capsys):
    """Three volumes, the .npz left out; the undersampled one has its own mask and nothing to score against."""
    found = {item.volume: item for item in open_data(REAL)}
    assert len(found) == 3
    undersampled = found["brain_sigpy_us_8ch"]
    assert undersampled.target is None
    assert undersampled.mask.shape == (230, 180)
    assert float(undersampled.mask.float().mean()) == pytest.approx(0.124, abs=1e-3)
    assert torch.equal(undersampled.mask, stored.sampling((undersampled.kspace != 0).any(0)))
    assert isinstance(open_data(REAL), FastMRI)
    assert not isinstance(open_data(REAL), MRIData)
    assert capsys.readouterr().err == ""  # all are as they should be


def test_the_maximum_of_the_volume_is_known_where_the_file_says_it(volume, capsys):
    expected = max(float(item.target.max()) for item in made_slices())
    assert [item.peak for item in FastMRI(volume)] == pytest.approx([expected] * 3)
    for strange in ("much", np.nan):
        with h5py.File(volume, "r+") as file:
            file.attrs["max"] = strange
        assert FastMRI(volume)[0].peak is None
    assert capsys.readouterr().err == ""
    for wrong in (-1.0, 0.99 * expected, 1000 * expected):  # of another unit, or of one slice
        with h5py.File(volume, "r+") as file:
            file.attrs["max"] = wrong
        assert FastMRI(volume)[0].peak == pytest.approx(expected)
        assert "attribute max" in capsys.readouterr().err
    with h5py.File(volume, "r+") as file:
        del file.attrs["max"]
    assert FastMRI(volume)[0].peak is None


@pytest.mark.parametrize("count", range(1, 12))
def test_as_many_slices_are_chosen_as_are_asked_for(count):
    for slices in range(1, count + 1):
        found = stored.chosen(count, slices)
        assert len(found) == slices and list(found) == sorted(set(found)) and 0 <= found[0] and found[-1] < count
        if 2 * slices <= count:
            assert found[0] >= count // 4 - 1 and found[-1] <= count - count // 4


def test_what_has_references_is_evaluated_of_a_folder_of_fastmri(tmp_path, capsys):
    for part, name in (("multicoil_test", "file0"), ("multicoil_val", "file1")):
        fastmri.write_volume(tmp_path / part / f"{name}.h5", made_slices())
    assert {item.volume for item in open_data(tmp_path)} == {"file0"}  # which has references
    with h5py.File(tmp_path / "multicoil_test" / "file0.h5", "r+") as file:
        mask = np.arange(file["kspace"].shape[-1]) % 4 == 0
        file["kspace"][...] *= mask
        file["mask"] = mask
        del file["reconstruction_rss"]
    assert {item.volume for item in open_data(tmp_path)} == {"file1"}
    assert "multicoil_val beside it is taken" in capsys.readouterr().err
    assert {item.volume for item in open_data(tmp_path / "multicoil_test")} == {"file0"}


def test_a_folder_of_the_name_of_a_drawn_source_is_told_from_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    say_once.cache_clear()
    open_data("stanford", profile=PROFILES["smoke"])
    assert capsys.readouterr().err == ""
    (tmp_path / "stanford").mkdir()
    open_data("stanford", profile=PROFILES["smoke"])
    assert capsys.readouterr().err == "stanford is drawn; ./stanford is the folder\n"
