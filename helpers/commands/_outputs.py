"""Where a command may write: over no input, no other output, and nothing of somebody else's."""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import h5py
from PIL import Image

from helpers.errors import BadInput

MARK = "made_by"  # what files carry that are not text, so that they may be overwritten
MAKER = "python -m helpers"
TABLES = ("--table", "--ranking")  # which stand for the .json beside them, too


def check(outputs: Mapping[str, Path | None], inputs: Iterable[Path] = ()) -> None:
    """Refuse to write where something would be lost, before anything is computed.

    outputs: paths by option, None where there is none; TABLES stand for the .json beside them, too. inputs: files that
    are read. BadInput for an output that is an input, another output, no plain file, a file that this package has not
    written, or in a place where nothing can be written.
    """
    paths = {option: Path(path) for option, path in outputs.items() if path is not None}
    tables = {f"the .json beside {option}": paths[option] for option in TABLES if option in paths}
    paths |= {option: table.with_suffix(".json") for option, table in tables.items() if not table.is_dir()}
    inputs = [Path(path) for path in inputs]
    options = list(paths)
    for position, option in enumerate(options):
        path = paths[option]
        if any(_same(path, other) for other in inputs):
            raise BadInput(f"{option} {path} is an input, which would be lost; write to another file")
        if taken := [other for other in options[:position] if _same(path, paths[other])]:
            raise BadInput(f"{taken[0]} and {option} are both {path}, and one would be lost; write to two files")
        if (path.exists() or path.is_symlink()) and not path.is_file():
            raise BadInput(f"{option} {path} is no plain file; write to another one")
        if path.is_file() and option not in TABLES and not _ours(path, tables.get(option)):
            raise BadInput(f"{option} {path} is there and not of this command; remove it or write to another file")
        writable(option, path)


def writable(option: str, path: Path) -> None:
    """Refuse a path in a place where nothing can be written, before anything is computed: raises BadInput."""
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise BadInput(f"{option} {path} cannot be written, since {folder} is no folder that may be written to")


def _same(one: Path, other: Path) -> bool:
    """Whether two paths are one file, through links, whether it exists or not."""
    return one.resolve() == other.resolve() or one.exists() and other.exists() and one.samefile(other)


def _ours(path: Path, table: Path | None) -> bool:
    """Whether a file was written by this package: where a table comes from, images, or a picture of them.

    Of a table that is not there, a .json may belong to another one, of the same name with another ending.
    """
    try:
        if path.suffix == ".json":
            found = json.loads(path.read_text("utf8"))
            made = found.get("made_by", found)  # of a card, or of a table, see `provenance`
            known = {"command", "n", "versions"} <= made.keys()
            return known and (table is None or table.is_file() or found.get("table") == table.name)
        if h5py.is_hdf5(path):
            with h5py.File(path, "r") as file:
                return file.attrs.get(MARK) == MAKER
        with Image.open(path) as picture:
            return picture.info.get(MARK) == MAKER
    except Exception:  # what a file of somebody else does to its reader, such as a picture of endless size
        return False
