"""Slices of multi-coil k-space, whatever they come from: drawn subjects, fastMRI volumes, mridata.org scans."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from helpers.data.fastmri import FastMRI
from helpers.data.hdf5 import keys, listed
from helpers.data.mridata import MRIData, is_ismrmrd
from helpers.data.slice import Box, Slice
from helpers.data.stored import Empty
from helpers.errors import BadInput, say_once
from helpers.profiles import PROFILES, Profile

__all__ = [
    "Box",
    "FastMRI",
    "Joined",
    "MRIData",
    "Slice",
    "all_filled",
    "default_acquisition",
    "filled",
    "open_data",
    "say_left_out",
]

DRAWN = ("knee", "brain", "stanford")
FOLDERS = {"train": "multicoil_train", "validation": "multicoil_val", "test": "multicoil_test"}


def default_acquisition(name: str) -> str:
    """The acquisition of a source that experiments on one kind of slice take, as the paper's do; "" for any."""
    return {"knee": "CORPD_FBK"}.get(str(name), "")


class Joined(Sequence):
    """Several sources of slices, one after the other."""

    def __init__(self, parts: Sequence[Sequence[Slice]]) -> None:
        self.parts = parts
        self._index = [(part, index) for part in parts for index in range(len(part))]

    def __len__(self) -> int:
        return len(self._index)

    def __getitem__(self, index: int) -> Slice:
        part, inner = self._index[index]
        return part[inner]

    @property
    def places(self) -> list[tuple[Path, int]]:
        """File and number of every slice, known without reading it."""
        return [place for part in self.parts for place in part.places]

    def image_shape(self, index: int) -> tuple[int, int]:
        """Rows and columns of the image of a slice, known without reading it."""
        part, inner = self._index[index]
        return part.image_shape(inner)


def open_data(
    name: str | Path,
    *,
    profile: Profile = PROFILES["laptop"],
    split: str = "test",
    volumes: int | None = None,
    slices: int | None = None,
    boxes: Path | None = None,
) -> Sequence[Slice]:
    """The slices behind a name: "knee", "brain" or "stanford" are drawn, anything else is a file or a folder.

    A folder may mix fastMRI volumes and ISMRMRD scans; what is no k-space in it is left out, a damaged .h5 is
    not. A folder without volumes stands for fastMRI's folder of the split in it, such as multicoil_train; where
    multicoil_test holds no references, as fastMRI's own, multicoil_val takes its place, which is said. profile: the
    size of drawn slices; volumes, slices: at most so many volumes, and slices of each (default: the profile's for drawn
    ones, all for files); boxes: a table of annotated findings of fastMRI volumes, in place of those beside them. Slices
    are read or drawn when they are asked for. Raises BadInput.
    """
    if str(name) in DRAWN:
        from helpers.data.scanner import Synthetic

        if Path(name).exists():
            say_once(f"{name} is drawn; ./{name} is the folder")
        count = {"volumes": volumes or profile.volumes, "slices": slices or profile.slices}
        return Synthetic(str(name), split=split, profile=profile, **count)
    path = Path(name)
    if not path.exists():
        raise BadInput(f"{path} does not exist; name a file, a folder, or one of {', '.join(DRAWN)}")
    # sorted before some are taken: a slice has the same place among fewer volumes
    files = sorted(_volumes(path, split), key=lambda each: each[1])[:volumes]
    fastmri = [each for each, is_scan in files if not is_scan]
    parts: list[Sequence[Slice]] = [FastMRI(fastmri, slices=slices, boxes=boxes)] if fastmri else []
    parts += [MRIData(each, slices=slices) for each, is_scan in files if is_scan]
    return parts[0] if len(parts) == 1 else Joined(parts)


def filled(places: Iterable[tuple[Sequence[Slice], int]]) -> Iterator[tuple[Sequence[Slice], int, Slice]]:
    """The slices at these places, each behind its place; those that are all zero are left out, as is said at the end.

    places: a source and an index in it. BadInput, at the end, where all of a file's are left out.
    """
    lost: dict[str, list[Empty]] = {}
    read = set()
    for data, index in places:
        try:
            item = data[index]
        except Empty as error:
            lost.setdefault(str(error.path.resolve()), []).append(error)
            continue
        read.add(item.path)
        yield data, index, item
    for errors in (lost[path] for path in lost if path in read):
        say_left_out(errors)
    if nothing := [errors[0] for path, errors in lost.items() if path not in read]:
        raise nothing[0]


def all_filled(*sources: Sequence[Slice]) -> Iterator[Slice]:
    """Every slice of the sources in turn, as `filled`."""
    return (item for *_, item in filled((data, index) for data in sources for index in range(len(data))))


def say_left_out(errors: Sequence[Empty]) -> None:
    """Say, once, which slices of a file are left out."""
    numbers = ", ".join(str(error.number) for error in errors)
    say_once(f"{errors[0].path}: all zero, and so left out, is slice {numbers}")


def _volumes(path: Path, split: str) -> list[tuple[Path, bool]]:
    """The files of k-space at a path, and of each whether it is an ISMRMRD scan."""
    if not path.is_dir():
        return [(path, is_ismrmrd(keys(path)))]
    inner = path / FOLDERS.get(split, f"multicoil_{split}")
    try:
        files = listed(path)
        if files and split != "test":
            apart = ", ".join(FOLDERS.values())
            say_once(
                f"{path} is one set: what is trained, tuned and tested on it are the same volumes; {apart} part it"
            )
        if not files and split == "test" and _without_references(inner) and listed(path / FOLDERS["validation"]):
            say_once(f"{inner} holds no references; {FOLDERS['validation']} beside it is taken in its place")
            inner = path / FOLDERS["validation"]
        if not files and inner.is_dir():
            path, files = inner, listed(inner)
    except OSError as error:
        raise BadInput(f"{path} may not be read; ask its owner for permission") from error
    found = [(file, is_ismrmrd(names)) for file in files if (names := keys(file)) & {"kspace", "dataset"}]
    if not found and any((path / each).is_dir() for each in {*FOLDERS.values()} - {inner.name}):
        purpose = " to tune or train on" if split == "train" else ""
        raise BadInput(f"{path} has no {inner.name}{purpose}; put volumes there, or name the folder of some")
    if not found:
        raise BadInput(f"{path} holds no volume; name a folder of .h5 files with k-space, or one with {inner.name}")
    return found


def _without_references(folder: Path) -> bool:
    """Whether a folder holds no volume, or begins with one of fastMRI's that carries a mask in place of a reference."""
    first = next(iter(listed(folder)), None)
    return first is None or "mask" in (names := keys(first)) and "reconstruction_rss" not in names
