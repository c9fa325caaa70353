"""HDF5 as others leave it: data sets in parts, and what macOS puts into folders."""

import shutil

import h5py
import numpy as np
import pytest
from made import made_slices

from helpers.data import FastMRI, fastmri, open_data
from helpers.errors import BadInput

KSPACE = np.stack([item.kspace.numpy() for item in made_slices()])


def parts(folder, sizes=(1, 2)):
    """A file whose k-space is a virtual data set of two other files."""
    layout, start = h5py.VirtualLayout(KSPACE.shape, KSPACE.dtype), 0
    for number, size in enumerate(sizes):
        path = folder / f"part{number}.hdf5"
        with h5py.File(path, "w") as file:
            file["data"] = KSPACE[start : start + size]
        layout[start : start + size] = h5py.VirtualSource(path.name, "data", (size, *KSPACE.shape[1:]))
        start += size
    with h5py.File(folder / "whole.h5", "w") as file:
        file.create_virtual_dataset("kspace", layout)
    return folder / "whole.h5"


def test_a_virtual_data_set_is_read(tmp_path):
    """Its storage size is 0; its data are those of the parts, wherever they lie."""
    path = parts(tmp_path)
    for kspace, item in zip(KSPACE, FastMRI(path), strict=True):
        np.testing.assert_array_equal(item.kspace, kspace)
    with h5py.File(tmp_path / "same.h5", "w") as file:
        file["stored"] = KSPACE
        layout = h5py.VirtualLayout(KSPACE.shape, KSPACE.dtype)
        layout[:] = h5py.VirtualSource(file["stored"])
        file.create_virtual_dataset("kspace", layout)
    np.testing.assert_array_equal(FastMRI(tmp_path / "same.h5")[2].kspace, KSPACE[2])
    with h5py.File(tmp_path / "slices.h5", "w") as file:
        layout = h5py.VirtualLayout((1, *KSPACE.shape[1:]), KSPACE.dtype)
        layout[:] = h5py.VirtualSource("same.h5", "stored", KSPACE.shape)[1:2]
        file.create_virtual_dataset("kspace", layout)
    np.testing.assert_array_equal(FastMRI(tmp_path / "slices.h5")[0].kspace, KSPACE[1])
    assert len(open_data(tmp_path)) == 7


def test_a_virtual_data_set_without_its_data_is_refused(tmp_path):
    """HDF5 itself would read zeros: a part gone, cut, too small, of another name, or one that was never named."""
    path = parts(tmp_path)
    part = tmp_path / "part1.hdf5"
    whole = part.read_bytes()

    def refused(words):
        with pytest.raises(BadInput, match=words) as caught:
            FastMRI(path)
        assert str(caught.value).count(". ") == 0

    part.unlink()
    refused(r"whole\.h5.*kept in part1\.hdf5, which is not there")
    part.write_bytes(whole[: len(whole) // 2])
    refused(r"part1\.hdf5.*truncated")
    with h5py.File(part, "w") as file:
        file["data"] = KSPACE[:1]
    refused("does not hold it")
    with h5py.File(part, "w") as file:
        file["other"] = KSPACE[1:]
    refused("does not hold it")
    with h5py.File(part, "w") as file:
        file.create_dataset("data", KSPACE[1:].shape, KSPACE.dtype, chunks=(1, *KSPACE.shape[1:]))
    refused("not written to its end")
    parts(tmp_path, sizes=(1, 1))
    refused("not written to its end")


def test_hidden_files_are_no_scans(tmp_path):
    """macOS' companions, other hidden files and folders of that ending do not keep a folder from being read."""
    fastmri.write_volume(tmp_path / "scan.h5", made_slices())
    (tmp_path / "._scan.h5").write_bytes(b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X" + bytes(4000))
    (tmp_path / ".DS_Store").write_bytes(bytes(100))
    (tmp_path / ".half.h5").write_bytes(b"")
    (tmp_path / "folder.h5").mkdir()
    for data in (open_data(tmp_path), FastMRI(tmp_path)):
        assert [item.id for item in data] == [f"scan:{number}" for number in range(3)]
    inner = tmp_path / "study" / "multicoil_test"
    inner.mkdir(parents=True)
    for name in ("scan.h5", "._scan.h5"):
        shutil.copy(tmp_path / name, inner)
    (tmp_path / "study" / "._multicoil_test.h5").write_bytes(b"")
    assert len(open_data(tmp_path / "study")) == 3
    with pytest.raises(BadInput, match=r"\._scan\.h5 is what macOS keeps beside a file"):
        open_data(tmp_path / "._scan.h5")
