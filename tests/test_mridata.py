"""ISMRMRD scans: a known phantom, encoded as a scanner does and written by the ISMRMRD library, comes out as drawn."""

import dataclasses
import pickle
import shutil

import h5py
import ismrmrd
import numpy as np
import pytest
import torch
from made_scan import COILS, X, Y, Z, transform

from helpers.data import MRIData, mridata, open_data
from helpers.errors import BadInput

XML = """<?xml version="1.0"?>
<ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD">
<measurementInformation><protocolName>CUBE</protocolName></measurementInformation>
<acquisitionSystemInformation><receiverChannels>{coils}</receiverChannels></acquisitionSystemInformation>
<encoding><encodedSpace><matrixSize><x>{readout}</x><y>{y}</y><z>{z}</z></matrixSize></encodedSpace>
<reconSpace><matrixSize><x>{x}</x><y>{y}</y><z>{z}</z></matrixSize></reconSpace>
<encodingLimits><kspace_encoding_step_1><center>{center}</center></kspace_encoding_step_1>
<slice><maximum>{last_slice}</maximum></slice></encodingLimits></encoding>{parameters}</ismrmrdHeader>"""


def phantom(x=X) -> np.ndarray:
    """(coil, x, y, z) complex: a corner block and a rod, so that no flip, shift or swap of axes goes unseen."""
    image = np.zeros((COILS, x, Y, Z), complex)
    image[:, 2:7, 5:12, 8:15] = 1
    image[:, :, 20:22, 4:6] = 2j
    image[1] *= 0.5j
    return image


def write(path, kspace, order, *, x=X, z=Z, last_slice=0, center=Y // 2, parameters="", head=lambda index, head: None):
    """Write readouts kspace[:, :, i, j], in this order of (i, j), through the ISMRMRD library."""
    with ismrmrd.Dataset(str(path), mode="w") as dataset:
        dataset.write_xml_header(
            XML.format(
                coils=COILS, readout=kspace.shape[1], x=x, y=Y, z=z, last_slice=last_slice, center=center,
                parameters=parameters,
            ).encode()
        )  # fmt: skip
        for i, j in order:
            readout = ismrmrd.Acquisition.from_array(np.ascontiguousarray(kspace[:, :, i, j]).astype(np.complex64))
            readout.center_sample = kspace.shape[1] // 2
            readout.idx.kspace_encode_step_1 = i - Y // 2 + center
            readout.idx.kspace_encode_step_2 = j if z > 1 else 0
            readout.idx.slice = 0 if z > 1 else j
            head((i, j), readout)
            dataset.append_acquisition(readout)


def shuffled(rows: int, columns: int) -> list[tuple[int, int]]:
    order = [(i, j) for i in range(rows) for j in range(columns)]
    np.random.default_rng(0).shuffle(order)
    return [tuple(map(int, each)) for each in order]


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    """A 3D scan of the phantom with its readout oversampled twice, readouts in random order."""
    path = tmp_path_factory.mktemp("scan") / "scan.h5"
    wide = np.zeros((COILS, 2 * X, Y, Z), complex)
    wide[:, X // 2 : X // 2 + X] = phantom()
    write(path, transform(wide, (1, 2, 3)), shuffled(Y, Z))
    return path


def test_slices_of_a_3d_scan(scan):
    """Slices lie across the readout: their k-space is the phantom's, oversampling gone; to float32 rounding."""
    data = open_data(scan)
    assert isinstance(data, MRIData)
    assert len(data) == X
    assert data.image_shape(0) == (Y, Z)
    expected = phantom()
    for number in (0, 3, X - 1):
        item = data[number]
        np.testing.assert_allclose(item.kspace.numpy(), transform(expected[:, number], (1, 2)), atol=1e-5)
        np.testing.assert_allclose(item.target.numpy(), np.linalg.norm(expected[:, number], axis=0), atol=1e-5)
    assert (item.id, item.source, item.anatomy, item.acquisition) == (f"scan:{X - 1}", "unknown", "unknown", "CUBE")
    assert item.mask is None


def test_slices_of_a_2d_scan(tmp_path):
    """Slices keep their own number; the oversampled readout stays in the k-space as rows, the target is cropped."""
    path = tmp_path / "scan2d.h5"
    wide = np.zeros((COILS, 2 * X, Y, 3), complex)
    wide[:, X // 2 : X // 2 + X] = phantom()[..., [4, 9, 14]]
    kspace = transform(wide, (1, 2))
    write(path, kspace, shuffled(Y, 3), z=1, last_slice=2)
    data = MRIData(path)
    assert len(data) == 3
    np.testing.assert_allclose(data[2].kspace.numpy(), kspace[..., 2], atol=1e-5)
    np.testing.assert_allclose(data[1].target.numpy(), np.linalg.norm(phantom()[..., 9], axis=0), atol=1e-5)


@pytest.mark.parametrize("flat", [False, True], ids=["3D", "2D"])
def test_a_slice_drags_no_volume_along(scan, tmp_path, flat):
    path = tmp_path / "flat.h5" if flat else scan
    if flat:
        write(path, transform(phantom()[..., 9:12], (1, 2)), shuffled(Y, 3), z=1, last_slice=2)
    item = MRIData(path)[1]
    assert item.kspace.is_contiguous() and len(pickle.dumps(item)) < 2 * item.kspace.nbytes


CHOP = "<userParameters><userParameterLong><name>ChopY</name><value>0</value></userParameterLong></userParameters>"


def reverse(index, readout):
    """Every third line runs backwards; its echo is then sample n - 1 - n // 2."""
    if index[0] % 3 == 0:
        readout.setFlag(ismrmrd.ACQ_IS_REVERSE)
        readout.data[:] = readout.data[:, ::-1].copy()
        readout.center_sample = readout.number_of_samples - 1 - readout.center_sample


@pytest.mark.parametrize(
    "sign, repeated, options",
    [
        (1, False, {"center": Y // 2 + 5}),
        (-1, False, {"parameters": CHOP}),
        (1, False, {"head": reverse}),
        (1, True, {}),
    ],
    ids=["center elsewhere", "alternating sign", "reversed lines", "second repetition"],
)
def test_what_scanners_do_differently(tmp_path, sign, repeated, options):
    """The image stays what it is, to float32 rounding."""
    path = tmp_path / "scan.h5"
    kspace = transform(phantom(), (1, 2, 3)) * (sign ** np.arange(Y))[:, None]
    write(path, kspace, shuffled(Y, Z), **options)
    if repeated:
        with ismrmrd.Dataset(str(path), mode="r+") as dataset:
            again = dataset.read_acquisition(0)
            again.idx.kspace_encode_step_1, again.idx.kspace_encode_step_2, again.idx.repetition = 12, 9, 1
            again.data[:] = 1e6
            dataset.append_acquisition(again)
    np.testing.assert_allclose(MRIData(path)[3].target.numpy(), np.linalg.norm(phantom()[:, 3], axis=0), atol=1e-5)


def test_an_undersampled_scan_has_no_target(tmp_path):
    """Lines that were never measured become the mask; corners cut off by an ellipse do not."""
    kspace = transform(phantom(), (1, 2, 3))
    y, z = np.meshgrid(np.linspace(-1, 1, Y), np.linspace(-1, 1, Z), indexing="ij")
    ellipse, sparse = y**2 + z**2 <= 1, np.random.default_rng(0).random((Y, Z)) < 0.5
    for name, lines in (("ellipse", ellipse), ("sparse", sparse)):
        write(tmp_path / f"{name}.h5", kspace, [tuple(map(int, index)) for index in np.argwhere(lines)])
    assert MRIData(tmp_path / "ellipse.h5")[3].mask is None
    item = MRIData(tmp_path / "sparse.h5")[3]
    assert item.target is None
    assert torch.equal(item.mask, torch.from_numpy(sparse))
    assert not item.kspace[:, ~item.mask].any()


def test_readouts_are_read_once_for_all_slices(scan, monkeypatch):
    calls = []
    place = mridata._place
    monkeypatch.setattr(mridata, "_place", lambda *arguments: (calls.append(1), place(*arguments)))
    mridata._volume.cache_clear()
    data = MRIData(scan, slices=2)
    assert calls == []
    assert [item.number for item in data] == [7, 12]
    assert len(calls) == 1


def test_mixed_folder(scan, tmp_path):
    """fastMRI volumes and ISMRMRD scans in one folder follow each other."""
    from made import made_slices

    from helpers.data import fastmri

    fastmri.write_volume(tmp_path / "made.h5", made_slices())
    shutil.copy(scan, tmp_path)
    data = open_data(tmp_path)
    assert [data[0].volume, data[-1].volume, len(data)] == ["made", "scan", 3 + X]
    assert data.image_shape(5) == (Y, Z)
    fastmri.write_volume(tmp_path / "z.h5", made_slices())
    whole, few = open_data(tmp_path), open_data(tmp_path, volumes=2)
    assert [each.volume for each in few] == [whole[place].volume for place in range(len(few))], "in the same places"


def test_bad_scans(scan, tmp_path):
    def broken(change):
        path = tmp_path / "broken.h5"
        path.write_bytes(scan.read_bytes())
        with h5py.File(path, "a") as file:
            change(file["dataset"])
        return path

    def rename(group):
        del group["data"]

    def header(text):
        def change(group):
            group["xml"][0] = text

        return change

    text = h5py.File(scan)["dataset/xml"][0].decode()
    for change, words in (
        (rename, "dataset/data"),
        (header("<broken"), "XML header is damaged"),
        (header("<a/>"), "XML header is damaged"),
        (header(text.replace(f"<y>{Y}</y>", "<y>9999999</y>")), "cannot be reconstructed"),
        (header(text.replace(f"<x>{2 * X}</x>", f"<x>{X - 2}</x>")), "does not fit"),
        (header(text.replace("<receiverChannels>2", "<receiverChannels>3")), "does not fit"),
        (header(text.replace(f"<center>{Y // 2}</center>", "<center>2</center>")), "outside the matrix"),
    ):
        with pytest.raises(BadInput, match=words) as caught:
            MRIData(broken(change))[0]
        assert "broken.h5" in str(caught.value)


def test_noise_scans_are_no_images(tmp_path):
    kspace = transform(phantom(), (1, 2, 3))
    path = tmp_path / "noise.h5"
    write(path, kspace, [(0, 0)], head=lambda index, readout: readout.setFlag(ismrmrd.ACQ_IS_NOISE_MEASUREMENT))
    with pytest.raises(BadInput, match="no readout of an image"):
        MRIData(path)[0]


def test_header_is_a_plain_value(scan):
    assert dataclasses.asdict(mridata._header(scan))["encoded"] == (2 * X, Y, Z)
