"""Opening HDF5 files that others wrote: whatever is wrong with one becomes one sentence that names it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np

from helpers.errors import BadInput

DEFLATE = 1100  # no compression of HDF5 packs zeros tighter than this


@contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """The HDF5 file, open for reading and closed afterwards. Raises BadInput where HDF5 fails in the block, too."""
    if path.exists() and not path.is_file():  # a pipe would be waited for without end
        raise BadInput(f"{path} is no file; name one of HDF5")
    try:
        with h5py.File(path, "r") as file:
            yield file
    except BadInput:
        raise
    except FileNotFoundError as error:
        raise BadInput(f"{path} does not exist; check the path") from error
    except PermissionError as error:
        raise BadInput(f"{path} may not be read; ask its owner for permission") from error
    except MemoryError as error:
        raise BadInput(f"{path} asks for more memory than there is; it is damaged or too large") from error
    except (OSError, RuntimeError, LookupError, ValueError, TypeError, AttributeError, ArithmeticError) as error:
        if Path(path).name.startswith("._"):
            raise BadInput(
                f"{path} is what macOS keeps beside a file, not the file; name the one without ._"
            ) from error
        raise BadInput(f"{path} cannot be read as HDF5; it is truncated, damaged or of another kind") from error


def keys(path: Path) -> set[str]:
    """Names at the root of a file."""
    with opened(path) as file:
        return set(file)


def listed(folder: Path) -> list[Path]:
    """The .h5 and .hdf5 files of a folder, in the order of their names.

    Hidden files are left out: macOS puts a ._scan.h5, which is no HDF5, beside scan.h5 on disks of others.
    """
    return sorted(
        each
        for each in folder.glob("*")
        if each.suffix.lower() in (".h5", ".hdf5") and not each.name.startswith(".") and each.is_file()
    )


def dataset(file: h5py.File, name: str, axes: tuple[str, ...], kinds: str) -> h5py.Dataset:
    """A data set that must be there, with these axes and a dtype of one of these kinds (as numpy's dtype.kind)."""
    found = file.get(name)
    path = file.filename
    if not isinstance(found, h5py.Dataset):
        raise BadInput(f"{path} has no data set {name!r}; it must hold one of axes ({', '.join(axes)})")
    if found.dtype.kind not in kinds:
        wanted = "complex numbers" if kinds == "c" else "numbers"
        raise BadInput(f"{path}: {name!r} is of type {found.dtype}; it must hold {wanted}")
    if found.shape is None or len(found.shape) != len(axes):
        shape = " x ".join(map(str, found.shape or ()))
        raise BadInput(f"{path}: {name!r} has shape {shape or 'of nothing'}; it must be ({', '.join(axes)})")
    if 0 in found.shape:
        raise BadInput(f"{path}: {name!r} is empty; it must hold at least one slice")
    _check_stored(found, path, name)
    return found


def _check_stored(found: h5py.Dataset, path: str, name: str, depth: int = 0) -> None:
    """BadInput where the data of a set are not all there, which HDF5 would fill with zeros."""
    lost = BadInput(f"{path}: {name!r} holds less data than its shape says; the file was not written to its end")
    if not found.is_virtual:
        if found.nbytes > DEFLATE * found.id.get_storage_size():
            raise lost
        return
    mapped = 0
    for source in found.virtual_sources():
        mapped += source.vspace.get_select_npoints()
        beside = Path(found.file.filename).parent
        places = (beside / source.file_name, beside / Path(source.file_name).name, Path(source.file_name))
        here = Path(found.file.filename) if source.file_name == "." else next(filter(Path.is_file, places), None)
        if here is None:
            raise BadInput(
                f"{path}: {name!r} is kept in {source.file_name}, which is not there; put it beside the file"
            )
        with opened(here) as file:
            part = file.get(source.dset_name)
            if not isinstance(part, h5py.Dataset) or depth > 8 or not _holds(part, source):
                raise BadInput(f"{path}: {name!r} is kept in {here}, which does not hold it; export the file again")
            _check_stored(part, str(here), source.dset_name, depth + 1)
    if mapped < found.size:
        raise lost


def _holds(part: h5py.Dataset, source: tuple) -> bool:
    """Whether a data set is as large as an entry of `virtual_sources` takes it to be."""
    if source.src_space.get_select_type() == h5py.h5s.SEL_ALL:
        return part.size == source.vspace.get_select_npoints()
    last = source.src_space.get_select_bounds()[1]
    return len(last) == part.ndim and all(end < size for end, size in zip(last, part.shape, strict=True))


def text(value: object, default: str) -> str:
    """An attribute as text, whoever wrote it."""
    if value is None:
        return default
    return value.decode("utf8", "replace") if isinstance(value, bytes | np.bytes_) else str(value)
