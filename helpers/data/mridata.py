"""Scans of mridata.org in the ISMRM raw data format (Inati et al. 2017), such as Stanford's 3D FSE knees."""

import xml.etree.ElementTree as etree
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import h5py
import numpy as np
import torch
from ismrmrd import constants
from ismrmrd.hdf5 import acquisition_header_dtype
from torch import Tensor
from tqdm import tqdm

from helpers.data.fastmri import SMALLEST, check, chosen, sampling
from helpers.data.hdf5 import opened
from helpers.data.slice import Slice, checksum
from helpers.errors import BadInput
from helpers.mri.fourier import center_crop, ifft2c
from helpers.mri.rss import rss

CHUNK = 1024  # readouts taken from the file at a time
LARGEST = 2**31  # samples of a volume; more cannot be meant
NOT_IMAGING = sum(
    1 << (flag - 1)
    for flag in (
        constants.ACQ_IS_NOISE_MEASUREMENT,
        constants.ACQ_IS_PARALLEL_CALIBRATION,
        constants.ACQ_IS_NAVIGATION_DATA,
        constants.ACQ_IS_PHASECORR_DATA,
        constants.ACQ_IS_HPFEEDBACK_DATA,
        constants.ACQ_IS_DUMMYSCAN_DATA,
    )
)
REVERSED = 1 << (constants.ACQ_IS_REVERSE - 1)


@dataclass(frozen=True)
class Header:
    """What the XML header says: sizes of the encoded and the reconstructed matrix, and where the center lies.

    encoded, recon: along the readout, phase-encode step 1 and step 2; center: index of the zero frequency along
    the two steps; slices: of a 2D scan, 1 for a 3D one; chopped: whether the sign alternates along the two steps.
    """

    encoded: tuple[int, int, int]
    recon: tuple[int, int, int]
    center: tuple[int, int]
    slices: int
    coils: int
    chopped: tuple[bool, bool]
    acquisition: str

    @property
    def volumetric(self) -> bool:
        """Whether the scan is encoded along three axes."""
        return self.encoded[2] > 1


class MRIData(Sequence):
    """The slices of one ISMRMRD file.

    A 3D scan is transformed along its fully sampled readout, whose oversampling is removed; its slices are
    perpendicular to the readout (axial for Stanford's knees), with k-space (coil, step 1, step 2). A 2D scan
    keeps its slices, with k-space (coil, readout, step 1), as fastMRI has them. Only the header is read at once.
    The readouts of all slices are mixed in the file, so the first slice reads all of it, in chunks, and one
    volume stays in memory (1.7 GB and 20 s for 320 x 320 x 256 with 8 coils). Raises BadInput, naming the file.
    """

    def __init__(self, path: str | Path, *, slices: int | None = None, source: str = "stanford", anatomy: str = "knee"):
        self.path, self.source, self.anatomy = Path(path), source, anatomy
        self.header = _header(self.path)
        count = self.header.recon[0] if self.header.volumetric else self.header.slices
        self._numbers = chosen(count, slices)

    def __len__(self) -> int:
        return len(self._numbers)

    @property
    def places(self) -> list[tuple[Path, int]]:
        """File and number of every slice, known without reading it."""
        return [(self.path, number) for number in self._numbers]

    def image_shape(self, index: int) -> tuple[int, int]:
        """Rows and columns of the image of a slice, known without reading it."""
        x, y, z = self.header.recon
        return (y, z) if self.header.volumetric else (x, y)

    def __getitem__(self, index: int) -> Slice:
        number = self._numbers[index]
        volume, mask = _volume(self.path, self.path.stat().st_mtime_ns)
        kspace = check(volume[number], f"{self.path}, slice {number}")
        target = center_crop(rss(ifft2c(kspace)), self.image_shape(index)).contiguous() if mask is None else None
        return Slice(
            kspace=kspace,
            target=target,
            volume=self.path.stem,
            number=number,
            acquisition=self.header.acquisition,
            anatomy=self.anatomy,
            source=self.source,
            mask=mask,
            origin=checksum(str(tuple(volume.shape)), volume[len(volume) // 2, 0]),
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
        header = _parsed(etree.fromstring(text))
    except (etree.ParseError, LookupError, TypeError, ValueError) as error:
        raise BadInput(f"{path}: its XML header is damaged or incomplete; export the scan again") from error
    samples = header.coils * header.slices * int(np.prod(header.encoded, dtype=object))
    plane = header.encoded[1:] if header.volumetric else header.encoded[:2]
    if min(*plane, *header.recon[:2]) < SMALLEST or min(header.coils, header.slices) < 1 or samples > LARGEST:
        raise BadInput(f"{path}: its header describes a matrix of {header.encoded}, which cannot be reconstructed")
    if any(recon > encoded for recon, encoded in zip(header.recon, header.encoded, strict=True)):
        raise BadInput(f"{path}: its header wants images larger than what was encoded; export the scan again")
    return header


def _is_readout(found: np.dtype) -> bool:
    """Whether a type is that of the format's readouts; libraries crash on what is almost that type."""
    fields, expected = found.fields or {}, acquisition_header_dtype.fields
    if not {"head", "data"} <= set(fields) or h5py.check_vlen_dtype(fields["data"][0]) != np.dtype("<f4"):
        return False
    head = fields["head"][0].fields or {}
    return {name: kind for name, (kind, _) in head.items()} == {name: kind for name, (kind, _) in expected.items()}


def _parsed(root: etree.Element) -> Header:
    """The part of an XML header that is needed; the ISMRMRD library's parser refuses headers that lack the rest."""

    def number(path: str, default: int | None = None) -> int:
        value = root.findtext("{*}" + path.replace("/", "/{*}"))
        if value is None and default is None:
            raise LookupError(path)
        return default if value is None else int(value)

    encoded = tuple(number(f"encoding/encodedSpace/matrixSize/{axis}") for axis in "xyz")
    recon = tuple(max(number(f"encoding/reconSpace/matrixSize/{axis}"), 1) for axis in "xyz")
    centers = [
        number(f"encoding/encodingLimits/kspace_encoding_step_{step}/center", size // 2)
        for step, size in ((1, encoded[1]), (2, encoded[2]))
    ]
    parameters = root.findall("{*}userParameters/{*}userParameterLong")
    values = {each.findtext("{*}name"): each.findtext("{*}value") for each in parameters}
    return Header(
        encoded=encoded,
        recon=recon,
        center=tuple(centers),
        slices=number("encoding/encodingLimits/slice/maximum", 0) + 1 if encoded[2] == 1 else 1,
        coils=number("acquisitionSystemInformation/receiverChannels"),
        chopped=tuple(values.get(name) == "0" for name in ("ChopY", "ChopZ")),
        acquisition=root.findtext("{*}measurementInformation/{*}protocolName") or "unknown",
    )


@lru_cache(maxsize=1)
def _volume(path: Path, modified: int) -> tuple[Tensor, Tensor | None]:
    """All slices of a file, (slice, coil, ky, kx) complex64, and their mask or None; `modified` keys the cache."""
    header = _header(path)
    readout, ny, nz = header.encoded
    rows = header.recon[0] if header.volumetric else readout
    lines = np.zeros((ny, nz if header.volumetric else header.slices), bool)
    volume = np.zeros((rows, header.coils, *lines.shape), np.complex64)
    with opened(path) as file:
        # only these fields: h5py then lays them out anew, so that no damaged layout is followed into memory
        data = file["dataset/data"].fields(["head", "data"])
        for start in tqdm(range(0, len(data), CHUNK), desc=f"reading {path.name}", delay=3, leave=False):
            chunk = data[start : start + CHUNK]
            _place([acquisition for acquisition in chunk if _wanted(acquisition["head"])], header, volume, lines, path)
    if not lines.any():
        raise BadInput(f"{path} holds no readout of an image; it may be a noise or calibration scan")
    if header.volumetric:
        return torch.from_numpy(volume), sampling(torch.from_numpy(lines))
    measured = torch.from_numpy(lines.all(1)).expand(readout, ny)
    return torch.from_numpy(volume).permute(3, 1, 0, 2), sampling(measured) if measured.any() else measured


def _wanted(head: np.void) -> bool:
    """Whether a readout belongs to the image: the first average, contrast, phase, repetition and set of it."""
    counters = head["idx"]
    first = all(counters[name] == 0 for name in ("average", "contrast", "phase", "repetition", "set"))
    return first and not int(head["flags"]) & NOT_IMAGING


def _place(acquisitions: list[np.void], header: Header, volume: np.ndarray, lines: np.ndarray, path: Path) -> None:
    """Put readouts where they belong in `volume` (readout, coil, step 1, step 2 or slice); mark them in `lines`."""
    if not acquisitions:
        return
    readout, ny, nz = header.encoded
    counters = np.array([acquisition["head"]["idx"] for acquisition in acquisitions])
    steps = [counters["kspace_encode_step_1"].astype(int) - header.center[0] + ny // 2]
    if header.volumetric:
        steps.append(counters["kspace_encode_step_2"].astype(int) - header.center[1] + nz // 2)
    else:
        steps.append(counters["slice"].astype(int))
    if any(step.min() < 0 or step.max() >= size for step, size in zip(steps, lines.shape, strict=True)):
        raise BadInput(f"{path}: a readout lies outside the matrix of the header; export the scan again")
    samples = np.stack([_samples(acquisition, header, path) for acquisition in acquisitions])
    for step, chopped in zip(steps, header.chopped, strict=True):
        if chopped:
            samples[step % 2 == 1] *= -1
    if header.volumetric:
        samples = _along_readout(torch.from_numpy(samples), header.recon[0]).numpy()
    volume[:, :, steps[0], steps[1]] = samples.transpose(2, 1, 0)
    lines[steps[0], steps[1]] = True


def _samples(acquisition: np.void, header: Header, path: Path) -> np.ndarray:
    """The samples of one readout, (coil, readout) complex64, its echo at the center."""
    head, size = acquisition["head"], header.encoded[0]
    count, coils = int(head["number_of_samples"]), int(head["active_channels"])
    data = np.asarray(acquisition["data"], np.float32)
    first, last, echo = int(head["discard_pre"]), count - int(head["discard_post"]), int(head["center_sample"])
    if coils != header.coils or data.size != 2 * coils * count or first >= last:
        raise BadInput(f"{path}: a readout does not fit the header's coils; export the scan again")
    data = data.view(np.complex64).reshape(coils, count)
    if int(head["flags"]) & REVERSED:
        data, first, last, echo = data[:, ::-1], count - last, count - first, count - 1 - echo
    start = size // 2 - echo
    if start + first < 0 or start + last > size:
        raise BadInput(f"{path}: a readout does not fit the header's matrix; export the scan again")
    placed = np.zeros((coils, size), np.complex64)
    placed[:, start + first : start + last] = data[:, first:last]
    return placed


def _along_readout(samples: Tensor, kept: int) -> Tensor:
    """Transform readouts, (..., kx), to positions, and keep the central ones: removes the oversampling."""
    positions = torch.fft.fftshift(torch.fft.ifft(torch.fft.ifftshift(samples, dim=-1), norm="ortho"), dim=-1)
    return center_crop(positions, (positions.shape[-2], kept))
