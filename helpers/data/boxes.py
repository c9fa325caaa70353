"""Annotated findings: the boxes of fastMRI+ and the older ones of Cheng et al., in the pixels of the target.

Both were drawn on images flipped up/down. fastMRI+ (Zhao et al. 2022) counts slices from 0 and gives the corner
with width and height; Cheng et al. (2020) count slices from 1 and give "[[xmin xmax ymin ymax]]", one row a box.
Either is known by the names of its columns, so that it may have gone through a spreadsheet, pandas or R.
"""

import codecs
import csv
import io
import json
import math
import os
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path

from helpers.data.slice import Box
from helpers.errors import BadInput, say_once
from helpers.files import by_one, written_aside

Boxes = dict[tuple[str, int], tuple[Box, ...]]

FASTMRI_PLUS = ["file", "slice", "study_level", "x", "y", "width", "height", "label"]
CHENG = ["filename", "slice", "numBBs", "labels", "coords"]

COMMON = {"file", "filename", "slice", "label", "labels"}  # names by which a table of boxes is not yet told
ENDINGS = {".csv", ".tsv"}
DELIMITERS = ",;\t| "
HEAD = 1 << 16  # bytes among which the header is looked for
TOP = 10  # rows among which it is: a title, a blank line or Excel's "sep=;" may come before
MISSING = {"", "na", "n/a", "#n/a", "<na>", "nan", "null", "none"}
YES, NO = {"yes", "true"}, {"no", "false"}
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)

codecs.register_error(  # text of an old program: what is not UTF-8 in it is of Windows' Western code page
    "cp1252", lambda error: (error.object[error.start : error.end].decode("cp1252", "replace"), error.end)
)


@dataclass(frozen=True)
class Table:
    """What the header of a table says.

    path       where it is
    columns    FASTMRI_PLUS or CHENG
    places     where each of them stands in a row of `width` fields
    delimiter  what stands between the fields
    top        the line on which the header ends, counted from 1
    """

    path: Path
    columns: list[str]
    places: list[int]
    width: int
    delimiter: str
    top: int


def beside(path: Path) -> list[Path]:
    """The annotation files that belong to a volume: tables of boxes in its folder and the one above.

    Other tables are left out; one that may be meant as a table of boxes is named on standard error. Raises BadInput
    for one that surely is meant so: where a single column is missing, or the header alone.
    """
    found = []
    for folder in dict.fromkeys((Path(path).absolute().parent, Path(path).absolute().parent.parent)):
        for each in sorted(each for each in folder.glob("*") if each.suffix.lower() in ENDINGS):
            if os.path.isfile(each) and not os.access(each, os.R_OK):
                say_once(f"{each} may not be read; boxes that it may hold are left out")
            elif os.path.isfile(each) and _header(each):
                found.append(each)
    return found


def of_volumes(
    volumes: Mapping[Path, tuple[int, int, int]], table: Path | None = None
) -> dict[tuple[Path, int], tuple[Box, ...]]:
    """Boxes by (path, slice) from the tables beside volumes, or from one table, as `read_csv` gives them.

    volumes: (slices, rows, columns) by path. A table beside them is for the volumes of its folder and of those in it; a
    box that a second table has, too, is one box. Boxes on slices that a volume does not have are left out, and it is
    said on standard error. Raises BadInput.
    """
    folders: dict[Path, dict[str, list[Path]]] = {}
    for path in volumes:
        folders.setdefault(path.absolute().parent, {}).setdefault(path.stem, []).append(path)
    found: dict[tuple[Path, int], tuple[Box, ...]] = {}
    for folder, paths in folders.items():
        shapes = {name: volumes[same[0]][1:] for name, same in paths.items()}
        for each in [table] if table else beside(folder / "volume"):
            beyond = []
            for (name, number), boxes in read_csv(each, shapes).items():
                for path in paths[name]:
                    have = found.get((path, number), ())
                    if number < volumes[path][0]:
                        found[path, number] = have + tuple(box for box in boxes if box not in have)
                    else:
                        beyond.append(f"slice {number}, counted from 0, of {path}, which has {volumes[path][0]} slices")
            if beyond:
                say_once(f"{each} has boxes on {beyond[0]}; such boxes are left out")
    return found


def read_csv(path: Path, shapes: Mapping[str, tuple[int, int]]) -> Boxes:
    """Boxes by (file, slice), slices counted from 0, in the pixels of the target (origin at the top left).

    path: CSV text with the columns of FASTMRI_PLUS or CHENG, in any order and among others, as spreadsheets, pandas
    and R write them: comma, semicolon (then with decimal commas), tab, bar or space between; UTF-8, UTF-16 or cp1252;
    any line ends, blank lines, row names. shapes: (rows, columns) of the target of each file of interest, by its name
    without .h5; rows of other files are left out, and so are findings of a whole study, which have no box. Boxes are
    clipped to the image; one of no size is none. Raises BadInput, with the line as an editor counts it.
    """
    table = _header(path)
    if table is None:
        raise BadInput(f"{path} is no table of boxes; its header must read {','.join(FASTMRI_PLUS)}")
    known = {_stem(name): name for name in shapes} | {name: name for name in shapes}
    found: dict[tuple[str, int], list[Box]] = {}
    for lines, row in _rows(table):
        try:
            cells = _cells(table, row)
            name = known.get(cells[0]) or known.get(_stem(cells[0]))
            if name is None and cells[0].casefold() in MISSING:
                raise ValueError("it names no file")
            if name is None:
                continue
            number, drawn = _parsed(table, cells)
        except ValueError as error:
            raise _damaged(table.path, lines.start, str(error)) from error
        found.setdefault((name, number), []).extend(clipped(_flipped(drawn, shapes[name][0]), shapes[name]))
    return {key: tuple(boxes) for key, boxes in found.items() if boxes}


def write_csv(path: Path, boxes: Boxes, shapes: Mapping[str, tuple[int, int]]) -> None:
    """Write boxes as fastMRI+ does, flipped up/down; rows of files that `shapes` does not name stay as they are.

    The inverse of `read_csv`. The table is replaced in one step, by one process at a time. Raises BadInput where what
    stands there is not of the columns of FASTMRI_PLUS alone, separated by commas in UTF-8: it would not be whole
    afterwards.
    """
    path = Path(path)
    new = [
        [name, number, "No", box.x, shapes[name][0] - box.y - box.height, box.width, box.height, box.label]
        for (name, number), found in sorted(boxes.items())
        for box in found
    ]
    with by_one(path):
        kept = _kept(path, shapes) if path.exists() else ",".join(FASTMRI_PLUS) + "\r\n"
        with written_aside(path) as part, part.open("w", encoding="utf8", newline="") as file:
            file.write(kept)
            csv.writer(file).writerows(new)


def _kept(path: Path, shapes: Mapping[str, tuple[int, int]]) -> str:
    """The text of a table that `write_csv` goes on with, without those of files that `shapes` names."""
    other = BadInput(f"{path} is not written as tables of boxes are here; move it away or choose another folder")
    try:
        lines = list(io.StringIO(_bytes(path).decode("utf8"), newline=""))
    except UnicodeDecodeError:
        raise other from None
    if not lines or lines[0].rstrip("\r\n") != ",".join(FASTMRI_PLUS):
        raise other
    table = Table(path, FASTMRI_PLUS, list(range(len(FASTMRI_PLUS))), len(FASTMRI_PLUS), ",", top=1)
    for where, row in _rows(table):
        if len(row) != table.width:
            raise _damaged(path, where.start, f"{len(row)} fields instead of {table.width}")
        if row[0] in shapes or _stem(row[0]) in shapes:
            for line in where:
                lines[line - 1] = ""
    kept = "".join(lines)
    return kept if kept.endswith(("\r", "\n")) else kept + "\r\n"


def _header(path: Path) -> Table | None:
    """What the header of a table of boxes says; None for any other file, in words where it comes near to one."""
    path = Path(path)
    text = _text(_bytes(path, HEAD))
    candidates = _candidates(path, text)
    lacking, table = min(candidates, key=lambda each: len(each[0]) / len(each[1].columns), default=([], None))
    if not lacking:
        return table
    for line in islice(io.StringIO(text, newline=""), TOP):  # quoted as a whole, in single quotes, another delimiter
        words = set(re.findall(r"\w+", line.casefold()))
        if any(words.issuperset(name.casefold() for name in columns) for columns in (FASTMRI_PLUS, CHENG)):
            raise BadInput(
                f"{path} names the columns of boxes, but not apart; write commas between, and no other quotes"
            )
    header = f"the header of a table of boxes reads {','.join(table.columns)}"
    if len(lacking) == 1:
        raise BadInput(f"{path} has no column {lacking[0]!r}; {header}; add the column, or move the table away")
    present = set(table.columns) - set(lacking)
    if 2 * len(present) >= len(table.columns) and present - COMMON:
        say_once(f"{path} is not read, since it lacks {', '.join(lacking)}; {header}")
    return None


def _candidates(path: Path, text: str) -> Iterator[tuple[list[str], Table]]:
    """Every row at the top of a file, taken as a header: the columns that it lacks, and what else it says."""
    for delimiter in DELIMITERS:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
        for number, row in enumerate(islice(reader, TOP)):
            bare = Table(path, FASTMRI_PLUS, list(range(len(row))), len(FASTMRI_PLUS), delimiter, top=0)
            if number == 0 and len(row) == bare.width and row[2] in ("Yes", "No") and _is_sound(bare, row):
                raise BadInput(f"{path} has boxes but no header; its first line must read {','.join(FASTMRI_PLUS)}")
            names = [_plain(name) for name in row]
            for columns in (FASTMRI_PLUS, CHENG):
                wanted = [_plain(name) for name in columns]
                lacking = [name for name, each in zip(columns, wanted, strict=True) if each not in names]
                twice = [name for name, each in zip(columns, wanted, strict=True) if names.count(each) > 1]
                if twice and not lacking:
                    raise _damaged(path, reader.line_num, f"two columns are called {twice[0]!r}")
                places = [names.index(each) for each in wanted if each in names]
                yield lacking, Table(path, columns, places, len(row), delimiter, reader.line_num)


def _plain(name: str) -> str:
    """The name of a column without what programs change in it: capitals, spaces, and what stands between words."""
    return re.sub(r"[\s_.\ufeff-]", "", name).casefold()


def _bytes(path: Path, size: int = -1) -> bytes:
    """The bytes of a file, or the first of them."""
    try:
        with path.open("rb") as file:
            return file.read(size)
    except OSError as error:
        raise BadInput(f"{path} cannot be read as a table; check that it is CSV text and may be read") from error


def _text(data: bytes) -> str:
    """The text of a table, whichever program encoded it."""
    encoding = json.detect_encoding(data)  # by a byte order mark, or by the zeros that UTF-16 and UTF-32 leave
    return data.decode(encoding, "cp1252" if encoding.startswith("utf-8") else "replace")


def _rows(table: Table) -> Iterator[tuple[range, list[str]]]:
    """The rows below the header that are not blank, and the lines of each, counted from 1."""
    text = io.StringIO(_text(_bytes(table.path)), newline="")
    reader = csv.reader(text, delimiter=table.delimiter, skipinitialspace=True, strict=True)
    start = 1
    try:
        for row in reader:
            lines = range(start, reader.line_num + 1)
            start = lines.stop
            if lines.start > table.top and any(map(str.strip, row)):
                yield lines, row
    except csv.Error as error:
        raise _damaged(table.path, start, f"it cannot be told where its fields end ({error})") from error


def _cells(table: Table, row: list[str]) -> list[str]:
    """The cells of a row in the order of the table's columns.

    A row may be longer than the header by empty cells or, as R writes it, by its name in front, and it may end
    before columns that are of no use; then it must make sense, or ValueError says how long it is.
    """
    fits = [row]
    if len(row) != table.width:
        whole = row[: table.width] if not any(map(str.strip, row[table.width :])) else []
        named = row[1:] if len(row) == table.width + 1 else []
        fits = [each for each in (whole, named) if len(each) > max(table.places) and _is_sound(table, each)]
    if len(fits) != 1:
        raise ValueError(f"{len(row)} fields instead of {table.width}")
    return [fits[0][place].strip() for place in table.places]


def _is_sound(table: Table, row: list[str]) -> bool:
    """Whether every number of a row can be read."""
    try:
        _parsed(table, [row[place].strip() for place in table.places])
    except ValueError:
        return False
    return True


def _parsed(table: Table, cells: list[str]) -> tuple[int, list[tuple]]:
    """Slice, counted from 0, and (left, right, top, bottom, label) of every box of a row. Raises ValueError."""
    comma = table.delimiter != ","
    return _fastmri_plus(cells, comma) if table.columns is FASTMRI_PLUS else _cheng(cells, comma)


def _fastmri_plus(cells: list[str], comma: bool) -> tuple[int, list[tuple]]:
    """As `_parsed`; no box where the finding is of the whole study."""
    _, number, level, *corner, label = cells
    if level.casefold() not in YES | NO | MISSING:
        raise ValueError("its study_level is neither Yes nor No")
    if level.casefold() in YES and all(cell.casefold() in MISSING for cell in corner):
        return 0, []
    left, top, width, height = (int(_number(cell, comma, name)) for cell, name in zip(corner, FASTMRI_PLUS[3:7]))
    return _slice(number, comma, first=0), [(left, left + width, top, top + height, label)]


def _cheng(cells: list[str], comma: bool) -> tuple[int, list[tuple]]:
    """As `_parsed`; rounded outward to whole pixels."""
    _, number, count, labels, coords = cells
    names = re.findall(r"'([^']*)'", labels)
    corners = [] if coords.casefold() in MISSING else coords.replace("[", " ").replace("]", " ").split()
    numbers: Iterable[float] = [_number(cell, comma, "coords") for cell in corners]
    if len(numbers) != 4 * len(names):
        raise ValueError(f"{len(numbers)} coords for {len(names)} labels")
    if not names and count.casefold() not in MISSING and _number(count, comma, "numBBs") != 0:
        raise ValueError(f"its numBBs is {count}, but it has no box")
    drawn = [
        (math.floor(left), math.ceil(right), math.floor(top), math.ceil(bottom), label)
        for (left, right, top, bottom), label in zip(zip(*[iter(numbers)] * 4, strict=True), names, strict=True)
    ]
    return _slice(number, comma, first=1), drawn


def _slice(cell: str, comma: bool, first: int) -> int:
    """The number of a slice, counted from 0; `first` is what the first one is called."""
    number = _number(cell, comma, "slice")
    if not number.is_integer() or number < first:
        raise ValueError(f"its slice is no whole number from {first} on")
    return int(number) - first


def _number(cell: str, comma: bool, name: str) -> float:
    """A finite number, with a decimal comma where that is the use. ValueError with the name of its column."""
    cell = cell.replace(",", ".") if comma else cell
    if not NUMBER.fullmatch(cell) or not math.isfinite(float(cell)):
        raise ValueError(f"its {name} is missing or no number")
    return float(cell)


@lru_cache(1 << 12)
def _stem(name: str) -> str:
    """The name of a file without its folders and .h5, letters with their accents in one."""
    return unicodedata.normalize("NFC", re.sub(r"\.(h5|hdf5)$", "", re.split(r"[/\\]", name)[-1], flags=re.IGNORECASE))


def _damaged(path: Path, line: int, what: str) -> BadInput:
    """The refusal of a table for one of its rows."""
    return BadInput(f"{path}, row {line}: {what}; mend or remove line {line}")


def _flipped(drawn: Iterable[tuple], height: int) -> Iterator[Box]:
    """Boxes (left, right, top, bottom, label) of the flipped image, in the pixels of the image."""
    for left, right, top, bottom, label in drawn:
        yield Box(left, height - bottom, right - left, bottom - top, label)


def clipped(boxes: Iterable[Box], shape: Sequence[int]) -> tuple[Box, ...]:
    """Boxes clipped to an image of that shape; what is left without width or height is none."""
    found = []
    for box in boxes:
        left, top = max(box.x, 0), max(box.y, 0)
        right, bottom = min(box.x + box.width, shape[1]), min(box.y + box.height, shape[0])
        if left < right and top < bottom:
            found.append(Box(left, top, right - left, bottom - top, box.label))
    return tuple(found)
