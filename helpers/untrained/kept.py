"""Fits of a piece of work that takes hours, kept until it is done: one that was killed goes on where it was."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path

from torch import Tensor

from helpers import __version__
from helpers.data.slice import checksum

FOLDER: ContextVar[Path | None] = ContextVar("where fits are kept", default=None)


@contextmanager
def kept(folder: Path | None) -> Iterator[None]:
    """Keep all fits to one measurement that are made meanwhile in a folder, and remove it when the block ends well.

    A fit of the same version to the same measurement, by the same settings and seed, is read from there, or gone on
    with, and gives the same image to the bit. Some 6 MB a fit of the ConvDecoder. None: nothing is kept.
    """
    before = FOLDER.set(folder)
    try:
        yield
    finally:
        FOLDER.reset(before)
    if folder:
        shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):  # it is there for other pieces, too
            folder.parent.rmdir()


def place(kspace: Tensor, mask: Tensor, *how: object) -> Path | None:
    """The file in which a fit is kept, by what its image depends on; None where nothing is kept."""
    if not (folder := FOLDER.get()):
        return None
    return folder / f"{checksum(kspace, mask, repr((__version__, str(kspace.device), how)))}.pt"
