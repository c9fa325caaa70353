"""Volumes in fastMRI's multicoil HDF5 layout: read lazily, slice by slice, and written in one step."""

import json
import os
import re
import xml.etree.ElementTree as etree
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from xml.sax.saxutils import escape

import h5py
import numpy as np
import torch
from torch import Tensor

from helpers.data import boxes as annotations
from helpers.data.hdf5 import dataset, listed, opened, text
from helpers.data.mrd_header import ANATOMIES, named, spaces, within
from helpers.data.references import say_of_reference, stated_peak
from helpers.data.slice import Box, Slice, checksum
from helpers.data.stored import (
    LARGEST,
    SMALLEST,
    check,
    chosen,
    measured,
    reaches_beyond,
    sampling,
    say_of_center,
    say_of_mask,
)
from helpers.errors import BadInput, say_once
from helpers.files import written_aside
from helpers.mri.fourier import center_crop, ifft2c
from helpers.mri.rss import rss

SOURCES = {*ANATOMIES, "stanford", "unknown"}
SEQUENCES = {"knee": r"(COR|SAG|AX)PD(FS)?(_FBK\w*)?|CUBE", "brain": "AX(T1|T2|FLAIR)(PRE|POST)?"}  # of fastMRI's names

HEADER = """<?xml version="1.0" encoding="utf-8"?>
<ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD">
<measurementInformation><patientPosition>HFS</patientPosition><protocolName>{acquisition}</protocolName>
</measurementInformation>
<acquisitionSystemInformation><receiverChannels>{coils}</receiverChannels></acquisitionSystemInformation>
<experimentalConditions><H1resonanceFrequency_Hz>127728000</H1resonanceFrequency_Hz></experimentalConditions>
<encoding>
<encodedSpace><matrixSize><x>{ky}</x><y>{kx}</y><z>1</z></matrixSize>
<fieldOfView_mm><x>{mm_ky:.3f}</x><y>{mm_kx:.3f}</y><z>{mm_z:.3f}</z></fieldOfView_mm></encodedSpace>
<reconSpace><matrixSize><x>{y}</x><y>{x}</y><z>1</z></matrixSize>
<fieldOfView_mm><x>{mm_y:.3f}</x><y>{mm_x:.3f}</y><z>{mm_z:.3f}</z></fieldOfView_mm></reconSpace>
<encodingLimits><kspace_encoding_step_1><minimum>0</minimum><maximum>{last}</maximum><center>{center}</center>
</kspace_encoding_step_1></encodingLimits>
<trajectory>cartesian</trajectory>
</encoding></ismrmrdHeader>"""


@dataclass(frozen=True)
class Volume:
    """What the headers of one file say.

    path    where it is
    count   how many slices it has
    slices  which of them to yield
    stored  rows and columns of the images in the file, which annotations refer to
    shape   rows and columns of the images yielded, no more than the k-space has
    """

    path: Path
    count: int
    slices: tuple[int, ...]
    stored: tuple[int, int]
    shape: tuple[int, int]


class FastMRI(Sequence):
    """The slices of fastMRI files, in the order of file names.

    path: a file, a folder (its *.h5), or a list of files; volumes, slices: at most so many volumes, and of each
    so many slices, spread over its middle half (default: all). Only headers are read at once; a slice is read
    when it is asked for and its file closed again. Boxes come from annotation tables beside the files, or from one
    that is named.

    The mask of a slice is the one that its file stores; where it stores none, or one that is True throughout, the
    entries that are not zero in all coils, but for rounding, unless that is fully sampled: see `sampling`. The target
    is `reconstruction_rss`; where it is absent and the k-space is full, the RSS, of it what the header's reconSpace
    shows; else None. fastMRI stores a mask beside k-space that is zero outside of it. Where it is not, and the k-space
    is full, the mask is taken for the measurement that is meant: the target comes from all of the k-space, `kspace` is
    what the mask leaves of it. Where it is not, and the k-space is not full either, they contradict each other. Anatomy
    and source are the file's attributes of these names, or else what its acquisition tells.

    Said on standard error is by what scores would mean little: a mask that leaves out next to nothing, a zero frequency
    beside the middle, a reference that is not of its k-space, a maximum that is not of the references. Raises BadInput,
    naming the file.
    """

    def __init__(
        self,
        path: str | Path | Iterable[Path],
        *,
        volumes: int | None = None,
        slices: int | None = None,
        boxes: Path | None = None,
    ) -> None:
        paths = [Path(path)] if isinstance(path, str | Path) else [Path(each) for each in path]
        if len(paths) == 1 and paths[0].is_dir():
            paths = listed(paths[0])
        self.volumes = [_headers(each, slices) for each in paths[:volumes]]
        if not self.volumes:
            raise BadInput(f"{path} holds no volume; name a folder of .h5 files in fastMRI's layout")
        self._index = [(volume, number) for volume in self.volumes for number in volume.slices]
        self._boxes = annotations.of_volumes({each.path: (each.count, *each.stored) for each in self.volumes}, boxes)

    def __len__(self) -> int:
        return len(self._index)

    def __getitem__(self, index: int) -> Slice:
        volume, number = self._index[index]
        return _read(volume, number, self._boxes.get((volume.path, number), ()))

    @property
    def places(self) -> list[tuple[Path, int]]:
        """File and number of every slice, known without reading it."""
        return [(volume.path, number) for volume, number in self._index]

    def image_shape(self, index: int) -> tuple[int, int]:
        """Rows and columns of the image of a slice, known without reading it."""
        return self._index[index][0].shape


def write_volume(
    path: Path,
    slices: Sequence[Slice],
    *,
    pixel: float = 1.0,
    thickness: float = 3.0,
    attributes: Mapping[str, object] | None = None,
) -> None:
    """Write the slices of one volume as fastMRI does; the file appears complete or not at all.

    slices: with targets, all of one shape; pixel, thickness: in mm; attributes: more attributes of the file, kept
    as JSON text where they are no scalars. Beside fastMRI's own, `snr` is a data set (slice,) and `anatomy` and
    `source` are attributes. Boxes are not part of the file: see `boxes.write_csv`.
    """
    kspace = torch.stack([item.kspace for item in slices]).cpu().numpy().astype(np.complex64)
    target = torch.stack([item.target for item in slices]).cpu().numpy().astype(np.float32)
    snr = np.array([np.nan if item.snr is None else item.snr for item in slices], np.float32)
    first = slices[0]
    (_, coils, ky, kx), (y, x) = kspace.shape, target.shape[-2:]
    header = HEADER.format(
        acquisition=escape(first.acquisition), coils=coils, ky=ky, kx=kx, y=y, x=x, last=kx - 1, center=kx // 2,
        mm_ky=ky * pixel, mm_kx=kx * pixel, mm_y=y * pixel, mm_x=x * pixel, mm_z=thickness,
    )  # fmt: skip
    described = {
        "max": float(target.max()),
        "norm": float(np.linalg.norm(target)),
        "acquisition": first.acquisition,
        "patient_id": first.volume,
        "anatomy": first.anatomy,
        "source": first.source,
    }
    for name, value in (attributes or {}).items():
        described[name] = value if isinstance(value, str | int | float) else json.dumps(value)
    with written_aside(path) as part:
        with h5py.File(part, "w") as file:
            file["kspace"], file["reconstruction_rss"], file["snr"] = kspace, target, snr
            file["ismrmrd_header"] = header
            file.attrs.update(described)
        with part.open("rb") as written:
            os.fsync(written.fileno())


def _headers(path: Path, slices: int | None) -> Volume:
    """Read the shapes in a file, and check what can be checked without its data."""
    with opened(path) as file:
        kspace = dataset(file, "kspace", ("slice", "coil", "ky", "kx"), "c")
        count, _, ky, kx = kspace.shape
        if min(ky, kx) < SMALLEST:
            raise BadInput(f"{path}: its slices are {ky} x {kx}; at least {SMALLEST} rows and columns are needed")
        if "reconstruction_rss" in file:
            reference = dataset(file, "reconstruction_rss", ("slice", "y", "x"), "fiu")
            if reference.shape[0] != count:
                raise BadInput(f"{path}: {reference.shape[0]} slices of reconstruction_rss, but {count} of kspace")
            stored = reference.shape[1:]
        else:
            header = file.get("ismrmrd_header")
            told = isinstance(header, h5py.Dataset)
            stored = _recon_space(header[()], (ky, kx), path) if told else (min(ky, kx),) * 2
        shape = (min(stored[0], ky), min(stored[1], kx))
        if min(shape) < SMALLEST:
            raise BadInput(f"{path}: its images are {shape[0]} x {shape[1]}; at least {SMALLEST} rows are needed")
    return Volume(path, count, chosen(count, slices), stored, shape)


def _recon_space(header: bytes | str, shape: tuple[int, int], path: Path) -> tuple[int, int]:
    """Rows and columns of the image that an ISMRMRD header (XML) asks for, of a k-space of that shape.

    An axis whose field of view is known, since the k-space has as many entries as encoded, is as wide as the images.
    """
    try:
        told = zip(shape, *spaces(etree.fromstring(header).find(".//{*}encoding")))
        rows, columns = (
            within(size, round(recon), *views) if size == encoded else round(recon)
            for size, encoded, recon, *views in told
        )
        return rows, columns
    except (etree.ParseError, AttributeError, TypeError, ValueError) as error:
        raise BadInput(f"{path}: its ismrmrd_header gives no reconSpace; write one or remove the header") from error


def _read(volume: Volume, number: int, boxes: tuple[Box, ...]) -> Slice:
    """One slice from its file."""
    path = volume.path
    with opened(path) as file:
        with np.errstate(over="ignore"):  # double precision may overflow; `check` says so
            kspace = torch.from_numpy(file["kspace"][number].astype(np.complex64))
            origin = _origin(file["kspace"])
        reference = file["reconstruction_rss"][number] if "reconstruction_rss" in file else None
        mask = _mask(file, kspace.shape[-2:])
        acquisition = text(file.attrs.get("acquisition"), "unknown")
        anatomy = _anatomy(text(file.attrs.get("anatomy"), acquisition))
        source = text(file.attrs.get("source"), anatomy).lower()
        peak = _number(file.attrs.get("max"))
        snr = np.ravel(file["snr"][()] if "snr" in file else file.attrs.get("snr", np.nan))
    item = f"{path}, slice {number}"
    kspace = check(kspace, path, number)
    missing = sampling(entries := measured(kspace), rounded=True)
    full = kspace if missing is None and (mask is None or reaches_beyond(kspace, mask)) else None
    if mask is None:
        mask = missing
    elif full is None and reaches_beyond(kspace, mask):
        raise BadInput(f"{item}: its k-space is neither full nor zero where its mask is False; remove the mask")
    else:
        kspace = kspace * mask
        if not kspace.any():
            raise BadInput(f"{item}: its mask leaves nothing of the k-space; correct the mask or remove it")
    if mask is not None:
        say_of_mask(mask, path)
    if full is not None:
        say_of_center(full, path)
        if sampling(entries) is not None:
            say_once(
                f"{path}: single entries of its k-space are zero; it is read as fully sampled, and they as rounded"
            )
    computed = None if full is None else center_crop(rss(ifft2c(full)), volume.shape).contiguous()
    if reference is not None:
        target = torch.from_numpy(reference.astype(np.float32))
        if not torch.isfinite(target).all() or not 1 / LARGEST < target.max() < LARGEST:
            raise BadInput(f"{item}: reconstruction_rss is empty or not finite; remove it to have it computed")
        peak = stated_peak(peak, path)
        target = center_crop(target, volume.shape).contiguous()
        say_of_reference(target, computed, kspace, volume.stored, path)
    else:
        peak, target = None, computed
    if snr.dtype.kind not in "fiu" or snr.size not in (1, volume.count):
        raise BadInput(f"{path}: 'snr' is {snr.dtype} {snr.shape}; it must hold one number for each slice")
    known = float(snr[number if snr.size > 1 else 0])
    return Slice(
        kspace=kspace,
        target=target,
        volume=path.stem,
        number=number,
        acquisition=acquisition,
        anatomy=anatomy,
        source=source if source in SOURCES else anatomy,
        mask=mask,
        snr=known if np.isfinite(known) else None,
        peak=peak,
        boxes=_moved(boxes, volume.stored, volume.shape),
        origin=origin,
        path=str(path.resolve()),
    )


def _origin(kspace: h5py.Dataset) -> str:
    """What tells a volume from others, however its bytes are stored: the middle row of its first coil that is alive."""
    count, coils, rows, columns = kspace.shape
    found = (kspace[count // 2, coil, rows // 2].astype(np.complex64) for coil in range(coils))
    row = next(filter(np.any, found), np.zeros(columns, np.complex64))
    return checksum(str(kspace.shape), row.tobytes().hex())


def _number(value: object) -> float:
    """An attribute as a number; NaN where it is none."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return float("nan")


def _mask(file: h5py.File, shape: tuple[int, int]) -> Tensor | None:
    """The mask that a file carries: `mask` as in fastMRI's test files, or `sampling_mask_2d`."""
    name = next((name for name in ("mask", "sampling_mask_2d") if name in file), None)
    if name is None:
        return None
    mask = np.asarray(file[name][()])
    if mask.dtype.kind not in "biuf" or mask.shape not in ((shape[1],), tuple(shape)):
        wanted = f"({shape[1]},) or {tuple(shape)}"
        raise BadInput(f"{file.filename}: {name!r} is {mask.dtype} {mask.shape}; it must be bool, of shape {wanted}")
    if not np.isfinite(mask).all() or not mask.any():
        raise BadInput(f"{file.filename}: {name!r} samples nothing; mark the sampled entries with True")
    return None if mask.all() else torch.from_numpy(mask.astype(bool))


def _anatomy(told: str) -> str:
    """The one that is named, or that a sequence of fastMRI's name shows; "unknown" for any other text."""
    shown = [each for each, names in SEQUENCES.items() if re.fullmatch(names, told.strip(), re.IGNORECASE)]
    found = named(told) or shown
    return found[0] if len(found) == 1 else "unknown"


def _moved(boxes: Iterable[Box], full: Sequence[int], shape: Sequence[int]) -> tuple[Box, ...]:
    """What is left of boxes after their image has been cropped to the center."""
    top, left = ((size - kept) // 2 for size, kept in zip(full, shape, strict=True))
    return annotations.clipped((replace(box, x=box.x - left, y=box.y - top) for box in boxes), shape)
