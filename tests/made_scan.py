"""ISMRMRD scans written in one go: any header, readouts with any flag, and an independent RSS to compare with."""

import h5py
import ismrmrd
import numpy as np
from ismrmrd.hdf5 import acquisition_dtype

COILS, X, Y, Z = 2, 20, 24, 18


def noise_image(*shape: int) -> np.ndarray:
    """(coil, *shape) complex64 noise: no symmetry, no entry of its k-space is zero."""
    chance = np.random.default_rng(sum(shape))
    return (chance.normal(size=(COILS, *shape)) + 1j * chance.normal(size=(COILS, *shape))).astype(np.complex64)


def transform(image: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """The centered orthonormal transform, by numpy."""
    return np.fft.fftshift(np.fft.fftn(np.fft.ifftshift(image, axes), axes=axes, norm="ortho"), axes)


def inverse(kspace: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    return np.fft.fftshift(np.fft.ifftn(np.fft.ifftshift(kspace, axes), axes=axes, norm="ortho"), axes)


def expected(kspace: np.ndarray, number: int, kept: tuple[int, int, int] | None = None, flat: bool = False):
    """RSS of slice `number` of a k-space (coil, x, y, z), or with `flat` of (coil, x, y, slice), kept of each axis."""
    axes = (1, 2) if flat else (1, 2, 3)
    image = np.sqrt((abs(inverse(kspace.astype(complex), axes)) ** 2).sum(0))
    for axis, size in enumerate((kept or image.shape)[: len(axes)]):
        start = (image.shape[axis] - size) // 2
        image = image.take(range(start, start + size), axis)
    return image[..., number] if flat else image[number]


def header(
    encoded, recon=None, *, encoded_mm=None, recon_mm=None, trajectory="cartesian", slices=1, coils=COILS, center=None,
    information="", encoding="",
) -> str:  # fmt: skip
    """An XML header; sizes and fields of view are triples, None leaves an element out."""

    def space(name, matrix, view):
        matrix = "".join(f"<{axis}>{size}</{axis}>" for axis, size in zip("xyz", matrix))
        view = view and "".join(f"<{axis}>{size}</{axis}>" for axis, size in zip("xyz", view))
        view = f"<fieldOfView_mm>{view}</fieldOfView_mm>" if view else ""
        return f"<{name}><matrixSize>{matrix}</matrixSize>{view}</{name}>"

    center = encoded[1] // 2 if center is None else center
    channels = "" if coils is None else f"<receiverChannels>{coils}</receiverChannels>"
    return f"""<?xml version="1.0"?>
<ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD">{information}
<acquisitionSystemInformation>{channels}</acquisitionSystemInformation>
<encoding>{space("encodedSpace", encoded, encoded_mm)}{space("reconSpace", recon or encoded, recon_mm)}
<encodingLimits><kspace_encoding_step_1><maximum>{encoded[1] - 1}</maximum><center>{center}</center>
</kspace_encoding_step_1><slice><maximum>{slices - 1}</maximum></slice></encodingLimits>
<trajectory>{trajectory}</trajectory>{encoding}</encoding></ismrmrdHeader>"""


def lines(kspace: np.ndarray, flat: bool = False, seed: int = 0) -> list[tuple[np.ndarray, dict]]:
    """Readouts of a k-space (coil, x, step 1, step 2 or slice), in random order: data (coil, x), and header fields."""
    places = [(i, j) for i in range(kspace.shape[2]) for j in range(kspace.shape[3])]
    np.random.default_rng(seed).shuffle(places)
    second = "slice" if flat else "kspace_encode_step_2"
    return [(kspace[:, :, i, j], {"kspace_encode_step_1": i, second: j}) for i, j in places]


def junk(readouts: list, share: int = 3, **fields) -> list:
    """Every third readout again, with values far too large and other header fields."""
    return [(np.full_like(data, 1e6), head | fields) for data, head in readouts[::share]]


def flag(*names: str) -> int:
    return sum(1 << (getattr(ismrmrd, f"ACQ_{name}") - 1) for name in names)


def write(path, text: str, readouts: list) -> None:
    """Write a scan; fields of `idx` and of the head itself are given side by side."""
    table = np.zeros(len(readouts), acquisition_dtype)
    for row, (data, fields) in zip(table, readouts, strict=True):
        head = row["head"]
        head["version"], head["number_of_samples"], head["center_sample"] = 1, data.shape[1], data.shape[1] // 2
        head["active_channels"] = head["available_channels"] = len(data)
        for name, value in fields.items():
            (head["idx"] if name in head["idx"].dtype.names else head)[name] = value
        row["data"] = np.ascontiguousarray(data, np.complex64).view(np.float32).ravel()
        row["traj"] = np.zeros(0, np.float32)
    with h5py.File(path, "w") as file:
        group = file.create_group("dataset")
        group.create_dataset("xml", data=[text.encode()], dtype=h5py.special_dtype(vlen=bytes))
        group.create_dataset("data", data=table)
