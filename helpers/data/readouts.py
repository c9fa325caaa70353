"""Which readouts of an ISMRMRD scan belong to its image, and where in k-space each of them lies."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from ismrmrd import constants
from torch import Tensor

from helpers.data.mrd_header import Header
from helpers.data.stored import SMALLEST, sampling
from helpers.errors import BadInput, say_once


def _bits(*names: str) -> np.uint64:
    return np.uint64(sum(1 << (getattr(constants, f"ACQ_IS_{name}") - 1) for name in names))


NOT_IMAGING = _bits(
    "NOISE_MEASUREMENT",
    "NAVIGATION_DATA",
    "PHASECORR_DATA",
    "HPFEEDBACK_DATA",
    "RTFEEDBACK_DATA",
    "DUMMYSCAN_DATA",
    "PHASE_STABILIZATION",
    "PHASE_STABILIZATION_REFERENCE",
)
CALIBRATION, CALIBRATION_AND_IMAGING = _bits("PARALLEL_CALIBRATION"), _bits("PARALLEL_CALIBRATION_AND_IMAGING")
SURFACE_COIL = _bits("SURFACECOILCORRECTIONSCAN_DATA")
REVERSE = _bits("REVERSE")
COUNTERS = ("contrast", "phase", "repetition", "set")  # the image is the first of each
LARGEST = 2**31  # samples of a volume; more cannot be meant


@dataclass(frozen=True)
class Plan:
    """The readouts of an image and the matrix that they fill.

    header       that of the file, as its readouts show it to be meant
    number       place of each readout in the file, ascending; the next six are arrays of the same length
    row, column  step 1, and step 2 or the slice
    weight       one over the readouts of its line, of which there is one an average
    echo         sample of the zero frequency, counted after a reversed readout has been turned, as are
    first, last  the range of samples that are used
    readout      samples of the matrix along the readout
    kept         pixels of it within the images' field of view
    coils        how many
    lines        (step 1, step 2 or slice) bool, where there is a readout
    """

    header: Header
    number: np.ndarray
    row: np.ndarray
    column: np.ndarray
    weight: np.ndarray
    echo: np.ndarray
    first: np.ndarray
    last: np.ndarray
    readout: int
    kept: int
    coils: int
    lines: np.ndarray


def planned(heads: np.ndarray, header: Header, path: Path) -> Plan:
    """Choose the readouts of the image among all in a file.

    heads: the header of every readout, in the format's own layout. Noise, navigators, feedback, dummies and all
    encodings, contrasts, phases, repetitions, sets and slabs but the first are left out. A line is the mean of its
    averages; of one measured twice in an average the first readout is taken. Calibration lines and those flagged as a
    surface coil correction fill in where the image has no line, if they belong to it: see `_belong`. Where the header
    says less than the readouts, these count: see `_meant`. What was decided is said on standard error, once a file.
    Raises BadInput, naming the file, where nothing is left or the rest is no Cartesian k-space.
    """
    flags, counters = heads["flags"], heads["idx"]
    image = (heads["encoding_space_ref"] == 0) & (flags & NOT_IMAGING == 0)
    calibration = (flags & CALIBRATION != 0) & (flags & CALIBRATION_AND_IMAGING == 0)
    correction = (flags & SURFACE_COIL != 0) & ~calibration
    certain = ~calibration & ~correction
    for name in COUNTERS:
        first = _first(image, certain, counters, name)
        if (_judged(image, certain) & ~first).any():
            say_once(f"{path} holds more than one {name}; the first is read")
        image = first
    if not image.any():
        raise BadInput(f"{path} holds no readout of an image; it may be a noise or calibration scan")
    header = _meant(header, counters[_judged(image, certain)], path)
    _check(header, path)
    if header.volumetric:
        slab = _first(image, certain, counters, "slice")
        if (_judged(image, certain) & ~slab).any():
            say_once(f"{path} holds several slabs; the first is read")
        image = slab
    shape = (header.encoded[1], header.encoded[2] if header.volumetric else header.slices)
    steps = [counters[f"kspace_encode_step_{step}"].astype(int) for step in (1, 2)]
    row = steps[0] - header.center[0] + shape[0] // 2
    column = steps[1] - header.center[1] + shape[1] // 2 if header.volumetric else counters["slice"].astype(int)
    inside = (row >= 0) & (row < shape[0]) & (column >= 0) & (column < shape[1])
    # some converters append lines for a phase correction behind those of the image
    appended = [(step > last) & (last > 0) for step, last in zip(steps[: 1 + header.volumetric], header.last)]
    behind = image & ~inside & np.any(appended, axis=0)
    if behind.any():
        say_once(f"{path}: {behind.sum()} readouts behind the last line that its header names are left out")
        image &= ~behind

    def lines(chosen: np.ndarray) -> np.ndarray:
        marked = np.zeros(shape, bool)
        marked[row[chosen & inside], column[chosen & inside]] = True
        return marked

    taken = image & certain
    for doubtful, words in ((correction, "a surface coil correction"), (calibration, "parallel calibration alone")):
        group = image & doubtful
        found, more = lines(taken), lines(group)
        if not (more & ~found).any():
            continue
        told = header.embedded and doubtful is calibration
        belong = told or _belong(found, more, header)
        taken = taken | group if belong else taken
        if not told:
            use = "fill in where its image has no others" if belong else "are left out"
            say_once(f"{path}: readouts flagged as {words} {use}")
    if not taken.any():
        raise BadInput(f"{path} holds no readout of an image; it may be a noise or calibration scan")
    if not inside[taken].all():
        raise BadInput(f"{path}: a readout lies outside the matrix of the header; export the scan again")
    if heads["trajectory_dimensions"][taken].any():
        raise BadInput(f"{path}: its readouts follow a trajectory of their own; only Cartesian scans can be read")
    number = np.flatnonzero(taken)
    line = row * shape[1] + column
    number = number[certain[number] | ~np.isin(line[number], line[taken & certain])]
    _, first = np.unique([line[number], counters["average"][number]], axis=1, return_index=True)
    if certain[number].sum() > certain[number[first]].sum():
        say_once(f"{path}: some lines are measured more than once; the first readout of each is taken")
    number = np.sort(number[first])
    _, place, count = np.unique(line[number], return_inverse=True, return_counts=True)
    if count.max() > 1:
        say_once(f"{path} holds {count.max()} averages; their mean is read")
    echo, start, stop = _samples(heads[number], header, path)
    readout, kept = _matrix(echo, start, stop, header, path)
    coils = heads["active_channels"][number].astype(int)
    if (coils != (header.coils or coils[0])).any():
        raise BadInput(f"{path}: a readout does not fit the header's coils; export the scan again")
    return Plan(
        header=header,
        number=number,
        row=row[number],
        column=column[number],
        weight=1 / count[place],
        echo=echo,
        first=start,
        last=stop,
        readout=readout,
        kept=kept,
        coils=int(coils[0]),
        lines=lines(taken),
    )


def mask(lines: np.ndarray, number: int, header: Header) -> Tensor | None:
    """The mask of a slice, as `sampling` has it: of the lines (step 1, step 2), or those of (step 1, slice)."""
    measured = torch.from_numpy(lines if header.volumetric else lines[:, number])
    return sampling(measured if header.volumetric else measured.expand(header.encoded[0], -1))


def _judged(image: np.ndarray, certain: np.ndarray) -> np.ndarray:
    """The readouts by which an image is judged: those that are certain, if there are any."""
    return image & certain if (image & certain).any() else image


def _first(image: np.ndarray, certain: np.ndarray, counters: np.ndarray, name: str) -> np.ndarray:
    """Of the readouts `image` those that come first by this counter."""
    judged, values = _judged(image, certain), counters[name]
    return image & (values == values[judged].min()) if judged.any() else image


def _meant(header: Header, counters: np.ndarray, path: Path) -> Header:
    """The header, with what it leaves open or has wrong put right by the counters of its image's readouts.

    A matrix as deep as there are slices, of which each has one plane of k-space, is that of a 2D scan. Slices that the
    header does not count are counted. A center of 0 is none where the lines fill the matrix: it is in their middle.
    """
    slices = counters["slice"]
    second = counters["kspace_encode_step_2"][slices == slices.min()]
    if header.volumetric and (second == second[0]).all():
        if (slices == slices[0]).all():
            raise BadInput(
                f"{path}: its header describes {header.encoded[2]} planes of k-space, of which it holds one; export the"
                " scan again"
            )
        say_once(f"{path}: its header describes one volume, its readouts slices of their own; these are read")
        flat = {name: (*getattr(header, name)[:2], 1) for name in ("encoded", "recon", "kept")}
        header = replace(header, **flat)
    if not header.volumetric and header.slices == 1:
        header = replace(header, slices=int(slices.max()) + 1)
    center = list(header.center)
    for axis, (size, last) in enumerate(zip(header.encoded[1:], header.last, strict=True)):
        whole = {0, size - 1} <= set(counters[f"kspace_encode_step_{axis + 1}"].tolist()) and last in (0, size - 1)
        if whole and center[axis] == 0 < size // 2:
            say_once(f"{path}: its header names no center of its {size} lines; their middle is taken")
            center[axis] = size // 2
    return replace(header, center=tuple(center))


def _check(header: Header, path: Path) -> None:
    """BadInput where a header describes what cannot be reconstructed."""
    coils = 1 if header.coils is None else header.coils
    samples = coils * header.slices * int(np.prod(header.encoded, dtype=object))
    axes = slice(1, 3) if header.volumetric else slice(0, 2)
    sizes = (*header.encoded[axes], *header.kept[axes])
    if min(sizes) < SMALLEST or min(header.kept[0], coils, header.slices) < 1 or samples > LARGEST:
        matrix = f"a matrix of {header.encoded}, and {header.kept} of it in the images"
        raise BadInput(f"{path}: its header describes {matrix}, which cannot be reconstructed")


def _belong(found: np.ndarray, more: np.ndarray, header: Header) -> bool:
    """Whether doubtful lines, `more`, belong to an image of which the lines `found` are certain.

    They do where the image is complete with them but not without, where nothing is certain near its center, or where
    they are the greater part and none is measured twice: a scan for a correction repeats the center of the image.
    """
    slices = [0] if header.volumetric else np.flatnonzero(more.any(0))
    rows, columns = (slice(n // 2 - max(n // 16, 1), n // 2 + max(n // 16, 1) + 1) for n in found.shape)
    near = [found[rows, columns if header.volumetric else each].any() for each in slices]
    if not all(near):
        return True
    if all(mask(found, each, header) is None for each in slices):
        return False
    together = found | more
    return all(mask(together, each, header) is None for each in slices) or (
        not (found & more).any() and more.sum() > found.sum()
    )


def _samples(heads: np.ndarray, header: Header, path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The echo of every readout and the range of samples that are used, after reversed readouts have been turned."""
    count, echo, pre, post = (
        heads[name].astype(int) for name in ("number_of_samples", "center_sample", "discard_pre", "discard_post")
    )
    reverse = heads["flags"] & REVERSE != 0
    start, stop = np.where(reverse, post, pre), count - np.where(reverse, pre, post)
    whole = count == header.encoded[0]
    if ((echo == 0) & ~whole | (echo >= count)).any() or (start >= stop).any():
        raise BadInput(f"{path}: a readout does not say which of its samples is the center; export the scan again")
    turned = np.where(reverse, count - 1 - echo, echo)
    # a readout of the whole matrix has its echo at the center of it; some converters count that from 1
    beside = whole & (stop - start == count) & (abs(turned - count // 2) <= 1)
    return np.where((echo == 0) | beside, count // 2, turned), start, stop


def _matrix(echo: np.ndarray, start: np.ndarray, stop: np.ndarray, header: Header, path: Path) -> tuple[int, int]:
    """Size of the matrix along the readout, and how many of its pixels lie within the images' field of view.

    The header's, unless the readouts just fill the images' size: then their oversampling has been removed before.
    """
    size, kept = header.encoded[0], header.kept[0]
    spans = np.maximum(2 * (echo - start), 2 * (stop - echo) - 1)  # the smallest matrix that holds each of them
    if spans.max() > size:
        raise BadInput(f"{path}: a readout does not fit the header's matrix; export the scan again")
    images = kept if kept < size else min(header.recon[0], size)
    whole = np.isin(spans, (size - 1, size))
    if images == size or whole.all():
        return size, kept
    if np.isin(spans, (images - 1, images)).all():
        say_once(f"{path}: its readouts fill {images} samples, not {size}; their oversampling is taken as removed")
        return images, images
    if kept < size and spans.min() <= images:
        raise BadInput(
            f"{path}: its readouts fill {spans.min()} samples, which is neither the {size} of the header's matrix nor"
            f" the {images} of its images; export the scan again"
        )
    return size, kept
