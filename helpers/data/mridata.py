"""Scans in the ISMRM raw data format (Inati et al. 2017), such as mridata.org's: Stanford's 3D FSE knees."""

import xml.etree.ElementTree as etree
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import h5py
import numpy as np
import torch
from ismrmrd.hdf5 import acquisition_header_dtype
from torch import Tensor
from tqdm import tqdm

from helpers.data.hdf5 import opened
from helpers.data.mrd_header import Header, parsed
from helpers.data.readouts import REVERSE, Plan, mask, planned
from helpers.data.slice import Slice, checksum
from helpers.data.stored import check, chosen, say_of_center, say_of_mask
from helpers.errors import BadInput
from helpers.mri.fourier import center_crop, ifft2c
from helpers.mri.rss import rss

CHUNK = 1024  # readouts taken from the file at a time


class MRIData(Sequence):
    """The slices of one ISMRMRD file.

    A 3D scan is transformed along its fully sampled readout, whose oversampling is removed; its slices are
    perpendicular to the readout (axial for Stanford's knees), with k-space (coil, step 1, step 2). A 2D scan
    keeps its slices, with k-space (coil, readout, step 1), as fastMRI has them. The target is the RSS of that
    k-space where it is fully sampled, cropped to the images' field of view at the encoded resolution: images that
    the scanner interpolated, to a reconSpace larger than the encodedSpace (Stanford's 320 x 320 to 512 x 512), are
    not. Only Cartesian scans are read, and no EPI, whose lines need a correction of ghosts and of ramps. What else is
    decided about a scan, see `readouts.planned`.

    Only the headers of file and readouts are read at once. The readouts of all slices are mixed in the file, so the
    first slice reads all of it, in chunks, and one volume stays in memory (1.7 GB and 20 s for 320 x 320 x 256 with
    8 coils). source, anatomy: instead of what the header tells, which may be "unknown". Raises BadInput, naming the
    file.
    """

    def __init__(
        self, path: str | Path, *, slices: int | None = None, source: str | None = None, anatomy: str | None = None
    ) -> None:
        self.path = Path(path)
        # the readouts tell whether their oversampling is there still, and so the number of slices
        plan = _plan(self.path, self.path.stat().st_mtime_ns)
        self.header = plan.header
        self.source, self.anatomy = source or self.header.source, anatomy or self.header.anatomy
        self._kept = (plan.kept, *self.header.kept[1:])
        self._numbers = chosen(self._kept[0] if self.header.volumetric else self.header.slices, slices)

    def __len__(self) -> int:
        return len(self._numbers)

    @property
    def places(self) -> list[tuple[Path, int]]:
        """File and number of every slice, known without reading it."""
        return [(self.path, number) for number in self._numbers]

    def image_shape(self, index: int) -> tuple[int, int]:
        """Rows and columns of the image of a slice, known without reading it."""
        x, y, z = self._kept
        return (y, z) if self.header.volumetric else (x, y)

    def __getitem__(self, index: int) -> Slice:
        number, modified = self._numbers[index], self.path.stat().st_mtime_ns
        volume = _volume(self.path, modified)
        own = volume[number].clone(memory_format=torch.contiguous_format)  # a view would drag the volume along
        kspace = check(own, self.path, number)
        sampled = mask(_plan(self.path, modified).lines, number, self.header)
        target = center_crop(rss(ifft2c(kspace)), self.image_shape(index)).contiguous() if sampled is None else None
        if sampled is None:
            say_of_center(kspace, self.path)
        else:
            say_of_mask(sampled, self.path)
        middle = volume[len(volume) // 2]
        return Slice(
            kspace=kspace,
            target=target,
            volume=self.path.stem,
            number=number,
            acquisition=self.header.acquisition,
            anatomy=self.anatomy,
            source=self.source,
            mask=sampled,
            origin=checksum(str(tuple(volume.shape)), next(filter(Tensor.any, middle), middle[0])),
            path=str(self.path.resolve()),
        )


def is_ismrmrd(keys: set[str]) -> bool:
    """Whether a file with these names at its root is of the ISMRM raw data format."""
    return "dataset" in keys


def _header(path: Path) -> Header:
    """Read and check the XML header."""
    with opened(path) as file:
        group = file.get("dataset")
        if not isinstance(group, h5py.Group) or not {"xml", "data"} <= set(group):
            raise BadInput(f"{path} has no dataset/xml and dataset/data; it must be an ISMRMRD file")
        text = group["xml"][0]
        readouts = group["data"].dtype
    if not _is_readout(readouts):
        raise BadInput(f"{path}: dataset/data holds no readouts of the ISMRM raw data format; export the scan again")
    try:
        header = parsed(etree.fromstring(text))
    except (etree.ParseError, LookupError, TypeError, ValueError, ArithmeticError) as error:
        raise BadInput(f"{path}: its XML header is damaged or incomplete; export the scan again") from error
    if header.trajectory == "epi":
        raise BadInput(
            f"{path} is an EPI scan, whose lines need a correction of ghosts and ramps; only others are read"
        )
    if header.trajectory != "cartesian":
        raise BadInput(f"{path} is a scan of trajectory {header.trajectory!r}; only Cartesian scans can be read")
    return header


def _is_readout(found: np.dtype) -> bool:
    """Whether a type is that of the format's readouts; libraries crash on what is almost that type."""
    fields, expected = found.fields or {}, acquisition_header_dtype.fields
    if not {"head", "data"} <= set(fields) or h5py.check_vlen_dtype(fields["data"][0]) != np.dtype("<f4"):
        return False
    head = fields["head"][0].fields or {}
    return {name: kind for name, (kind, _) in head.items()} == {name: kind for name, (kind, _) in expected.items()}


@lru_cache(maxsize=1)
def _plan(path: Path, modified: int) -> Plan:
    """Which readouts of a file are its image; `modified` keys the cache."""
    header = _header(path)
    with opened(path) as file:
        # only this field: h5py then lays it out anew, so that no damaged layout is followed into memory
        heads = file["dataset/data"].fields(["head"])[:]["head"]
    return planned(heads, header, path)


@lru_cache(maxsize=1)
def _volume(path: Path, modified: int) -> Tensor:
    """All slices of a file, (slice, coil, ky, kx) complex64; `modified` keys the cache."""
    plan = _plan(path, modified)
    header = plan.header
    rows = plan.kept if header.volumetric else plan.readout
    volume = np.zeros((rows, plan.coils, *plan.lines.shape), np.complex64)
    with opened(path) as file:
        data = file["dataset/data"].fields(["head", "data"])
        for start in tqdm(range(0, len(data), CHUNK), desc=f"reading {path.name}", delay=3, leave=False):
            within = slice(*np.searchsorted(plan.number, (start, start + CHUNK)))
            if within.start < within.stop:
                _place(data[start : start + CHUNK], start, within, plan, header, volume, path)
    read = torch.from_numpy(volume)
    return read if header.volumetric else read.permute(3, 1, 0, 2)


def _place(
    chunk: np.ndarray, start: int, within: slice, plan: Plan, header: Header, volume: np.ndarray, path: Path
) -> None:
    """Put the planned readouts of a chunk, which begins at `start`, in `volume` (readout, coil, step 1, step 2)."""
    steps = plan.row[within], plan.column[within]
    entries = range(within.start, within.stop)
    samples = np.stack([_samples(chunk[plan.number[entry] - start], plan, entry, path) for entry in entries])
    samples *= plan.weight[within, None, None].astype(np.float32)
    for step, chopped in zip(steps, header.chopped, strict=True):
        if chopped:
            samples[step % 2 == 1] *= -1
    if header.volumetric:
        samples = _along_readout(torch.from_numpy(samples), plan.kept).numpy()
    np.add.at(volume, np.s_[:, :, *steps], samples.transpose(2, 1, 0))  # the readouts of a line add up


def _samples(acquisition: np.void, plan: Plan, entry: int, path: Path) -> np.ndarray:
    """The samples of one readout, (coil, readout) complex64, its echo at the center."""
    count = int(acquisition["head"]["number_of_samples"])
    data = np.asarray(acquisition["data"], np.float32)
    if data.size != 2 * plan.coils * count:
        raise BadInput(f"{path}: a readout does not fit the header's coils; export the scan again")
    data = data.view(np.complex64).reshape(plan.coils, count)
    if acquisition["head"]["flags"] & REVERSE:
        data = data[:, ::-1]
    first, last, shift = plan.first[entry], plan.last[entry], plan.readout // 2 - plan.echo[entry]
    placed = np.zeros((plan.coils, plan.readout), np.complex64)
    placed[:, shift + first : shift + last] = data[:, first:last]
    return placed


def _along_readout(samples: Tensor, kept: int) -> Tensor:
    """Transform readouts, (..., kx), to positions, and keep the central ones: removes the oversampling."""
    positions = torch.fft.fftshift(torch.fft.ifft(torch.fft.ifftshift(samples, dim=-1), norm="ortho"), dim=-1)
    return center_crop(positions, (positions.shape[-2], kept))
