"""Annotated findings: the boxes of fastMRI+ and the older ones of Cheng et al., in the pixels of the target.

Both were drawn on images flipped up/down. fastMRI+ (Zhao et al. 2022) counts slices from 0 and gives the corner
with width and height; Cheng et al. (2020) count slices from 1 and give "[[xmin xmax ymin ymax]]", one row a box.
"""

import csv
import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from helpers.data.slice import Box
from helpers.errors import BadInput
from helpers.files import written_aside

Boxes = dict[tuple[str, int], tuple[Box, ...]]

FASTMRI_PLUS = ["file", "slice", "study_level", "x", "y", "width", "height", "label"]
CHENG = ["filename", "slice", "numBBs", "labels", "coords"]


def beside(path: Path) -> list[Path]:
    """The annotation files that belong to a volume: CSVs with a known header in its folder and the one above."""
    folders = dict.fromkeys((Path(path).absolute().parent, Path(path).absolute().parent.parent))
    return [table for folder in folders for table in sorted(folder.glob("*.csv")) if _header(table)]


def read_csv(path: Path, shapes: Mapping[str, tuple[int, int]]) -> Boxes:
    """Boxes by (file, slice), slices counted from 0, in the pixels of the target (origin at the top left).

    shapes: (rows, columns) of the target of each file of interest; rows of other files are left out, and so are
    findings of a whole study, which have no box. Boxes are clipped to the image. Raises BadInput.
    """
    header = _header(path)
    if not header:
        raise BadInput(f"{path} is no table of boxes; its header must read {','.join(FASTMRI_PLUS)}")
    parse = _fastmri_plus if header == FASTMRI_PLUS else _cheng
    found: dict[tuple[str, int], list[Box]] = {}
    for line, row in enumerate(_rows(path), start=2):
        if len(row) != len(header):
            raise BadInput(f"{path}, row {line}: {len(row)} fields instead of {len(header)}; mend or remove the row")
        name = row[0].removesuffix(".h5")
        if name not in shapes:
            continue
        try:
            number, drawn = parse(row)
        except (ValueError, OverflowError) as error:
            raise BadInput(f"{path}, row {line}: a number is missing or unreadable; mend or remove the row") from error
        placed = [_flipped_and_clipped(*corners, label, shapes[name]) for *corners, label in drawn]
        found.setdefault((name, number), []).extend(box for box in placed if box.width > 0 and box.height > 0)
    return {key: tuple(boxes) for key, boxes in found.items() if boxes}


def write_csv(path: Path, boxes: Boxes, shapes: Mapping[str, tuple[int, int]]) -> None:
    """Write boxes as fastMRI+ does, flipped up/down; rows of files that `shapes` does not name stay in the table.

    The inverse of `read_csv`. The table is replaced in one step.
    """
    path = Path(path)
    kept = [row for row in _rows(path) if row and row[0] not in shapes] if path.exists() else []
    new = [
        [name, number, "No", box.x, shapes[name][0] - box.y - box.height, box.width, box.height, box.label]
        for (name, number), found in sorted(boxes.items())
        for box in found
    ]
    with written_aside(path) as part, part.open("w", encoding="utf8", newline="") as file:
        csv.writer(file).writerows([FASTMRI_PLUS, *kept, *new])


def _header(path: Path) -> list[str]:
    """The header of a table of boxes, empty for any other file."""
    try:
        with Path(path).open(encoding="utf8", newline="") as file:
            header = file.readline(200).strip().split(",")
    except (OSError, UnicodeError):
        return []
    return header if header in (FASTMRI_PLUS, CHENG) else []


def _rows(path: Path) -> list[list[str]]:
    """The rows of a CSV below its header."""
    try:
        with Path(path).open(encoding="utf8", newline="") as file:
            return list(csv.reader(file))[1:]
    except (OSError, UnicodeError, csv.Error) as error:
        raise BadInput(f"{path} cannot be read as a table; check that it is CSV text and may be read") from error


def _fastmri_plus(row: list[str]) -> tuple[int, list[tuple]]:
    """Slice and (left, right, top, bottom, label) of one row; no box where the finding is of the whole study."""
    number = int(row[1])
    if row[2] == "Yes" and not row[3]:
        return number, []
    left, top, width, height = (int(float(value)) for value in row[3:7])
    return number, [(left, left + width, top, top + height, row[7].strip())]


def _cheng(row: list[str]) -> tuple[int, list[tuple]]:
    """Slice and (left, right, top, bottom, label) of every box of one row, rounded outward to whole pixels."""
    labels = re.findall(r"'([^']*)'", row[3])
    numbers: Iterable[float] = [float(value) for value in row[4].replace("[", " ").replace("]", " ").split()]
    if len(numbers) != 4 * len(labels):
        raise ValueError("as many boxes as labels")
    corners = zip(*[iter(numbers)] * 4, strict=True)
    drawn = [
        (math.floor(left), math.ceil(right), math.floor(top), math.ceil(bottom), label)
        for (left, right, top, bottom), label in zip(corners, labels, strict=True)
    ]
    return int(row[1]) - 1, drawn


def _flipped_and_clipped(left: int, right: int, top: int, bottom: int, label: str, shape: tuple[int, int]) -> Box:
    """A box of the flipped image, in the pixels of the image; width or height <= 0 where it lies outside."""
    height, width = shape
    left, right = max(left, 0), min(right, width)
    top, bottom = max(height - bottom, 0), min(height - top, height)
    return Box(left, top, right - left, bottom - top, label)
