"""Writing files so that nothing is ever half-written, aside first, then renamed, and by one process at a time."""

import errno
import fcntl
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import torch

NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


@contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to; it takes the place of `path` when the block ends well, and goes if not.

    What a process that was killed has left half-written beside `path` goes, too.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(path.parent, path.name)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def by_one(path: Path) -> Iterator[None]:
    """Wait until no other process has claimed a file, and keep it claimed meanwhile: it is read and written anew."""
    while True:
        try:
            release = claimed(path)
            break
        except BlockingIOError:
            time.sleep(0.02)
    try:
        yield
    finally:
        release()


def save_aside(path: Path, kept: dict) -> None:
    """Write a checkpoint of PyTorch, aside first: a kill leaves the old one or the new one."""
    buffer = BytesIO()
    torch.save(kept, buffer)  # to a full disk it would raise RuntimeError, which does not tell why
    with written_aside(path) as part:
        part.write_bytes(buffer.getbuffer())


def remove_leftovers(folder: Path, name: str) -> None:
    """Remove the parts of the file `name` in a folder whose process is no more."""
    for part in folder.glob("*.part"):
        found = re.fullmatch(r"(.+)\.(\d+)\.part", part.name)
        if found and found[1] == name and not running(int(found[2])):
            part.unlink(missing_ok=True)


def running(process: int) -> bool:
    """Whether a process of that number is there."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def claimed(path: Path) -> Callable[[], None]:
    """Claim a file for this process, until what is returned is called or the process ends.

    The claim is a hidden file beside it, since the file itself is replaced. BlockingIOError where another process has
    claimed it. File systems that know no locks, as some of clusters, let everybody in.
    """
    beside = path.with_name(f".{path.name}.lock")
    while True:
        file = beside.open("a")
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in NO_LOCKS:
                file.close()
                raise BlockingIOError from error
        if beside.exists() and os.path.samestat(os.fstat(file.fileno()), beside.stat()):
            break
        file.close()  # whoever had it has just removed it

    def release() -> None:
        beside.unlink(missing_ok=True)
        file.close()

    return release
