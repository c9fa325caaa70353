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
        raise BadInput(f"{path} cannot be read as HDF5; it is truncated, damaged or of another kind") from error


def keys(path: Path) -> set[str]:
    """Names at the root of a file."""
    with opened(path) as file:
        return set(file)


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
    if found.nbytes > DEFLATE * found.id.get_storage_size():
        raise BadInput(f"{path}: {name!r} holds less data than its shape says; the file was not written to its end")
    return found


def text(value: object, default: str) -> str:
    """An attribute as text, whoever wrote it."""
    if value is None:
        return default
    return value.decode("utf8", "replace") if isinstance(value, bytes | np.bytes_) else str(value)
