"""Which readouts of an ISMRMRD scan belong to its image, and where in k-space each of them lies."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from ismrmrd import constants
from torch import Tensor

from helpers.data.fastmri import sampling
from helpers.data.mrd_header import Header
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
COUNTERS = ("average", "contrast", "phase", "repetition", "set")  # the image is the first of each


@dataclass(frozen=True)
class Plan:
    """The readouts of an image and the matrix that they fill.

    number       place of each readout in the file, ascending; the next five are arrays of the same length
    row, column  step 1, and step 2 or the slice
    echo         sample of the zero frequency, counted after a reversed readout has been turned, as are
    first, last  the range of samples that are used
    readout      samples of the matrix along the readout
    kept         pixels of it within the images' field of view
    coils        how many
    lines        (step 1, step 2 or slice) bool, where there is a readout
    """

    number: np.ndarray
    row: np.ndarray
    column: np.ndarray
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
    encodings, averages, contrasts, phases, repetitions, sets and slabs but the first are left out; of a line
    measured twice the first readout is taken. Calibration lines and those flagged as a surface coil correction fill
    in where the image has no line, if they belong to it: see `_belong`. What was decided is said on standard error,
    once a file. Raises BadInput, naming the file, where nothing is left or the rest is no Cartesian k-space.
    """
    flags, counters = heads["flags"], heads["idx"]
    shape = (header.encoded[1], header.encoded[2] if header.volumetric else header.slices)
    image = (heads["encoding_space_ref"] == 0) & (flags & NOT_IMAGING == 0)
    calibration = (flags & CALIBRATION != 0) & (flags & CALIBRATION_AND_IMAGING == 0)
    correction = (flags & SURFACE_COIL != 0) & ~calibration
    certain = ~calibration & ~correction
    image = _first(image, certain, counters, header, path)
    if not image.any():
        raise BadInput(f"{path} holds no readout of an image; it may be a noise or calibration scan")
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
    number = number[np.argsort(~certain[number], kind="stable")]  # what is certain comes first
    _, first = np.unique(row[number] * shape[1] + column[number], return_index=True)
    if certain[number].sum() > certain[number[first]].sum():
        say_once(f"{path}: some lines are measured more than once; the first readout of each is taken")
    number = np.sort(number[first])
    echo, start, stop = _samples(heads[number], header, path)
    readout, kept = _matrix(echo, start, stop, header, path)
    coils = heads["active_channels"][number].astype(int)
    if (coils != (header.coils or coils[0])).any():
        raise BadInput(f"{path}: a readout does not fit the header's coils; export the scan again")
    return Plan(
        number=number,
        row=row[number],
        column=column[number],
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


def _first(image: np.ndarray, certain: np.ndarray, counters: np.ndarray, header: Header, path: Path) -> np.ndarray:
    """Of the readouts `image` those of the first average, contrast, phase, repetition, set and slab."""
    for name in (*COUNTERS, *(["slice"] if header.volumetric else [])):
        judged = image & certain if (image & certain).any() else image
        values = counters[name]
        if judged.any():
            lowest = values[judged].min()
            if name == "slice" and (values[judged] != lowest).any():
                say_once(f"{path} holds several slabs; the first is read")
            image = image & (values == lowest)
    return image


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
    unset = echo == 0  # a readout of the whole matrix has its echo at the center of it
    return np.where(unset, count // 2, np.where(reverse, count - 1 - echo, echo)), start, stop


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
