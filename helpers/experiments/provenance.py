"""Where a number comes from: the command that made it, its seed, commit, versions, the machine, and the scans read."""

import os
import platform
import subprocess
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from helpers import __version__
from helpers.data import DRAWN, FOLDERS
from helpers.data.boxes import beside
from helpers.data.hdf5 import listed
from helpers.data.slice import checksum
from helpers.errors import BadInput
from helpers.places import CHECKOUT, ROOT

PACKAGES = ("torch", "numpy", "scipy", "PyWavelets", "sigpy", "fastmri", "scikit-image")
# of a processor: those with which libraries take other kernels, which round differently
INSTRUCTIONS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "sve", "bf16")


def provenance(command: str, seed: int | list[int], n: int, device: str = "cpu", threads: int = 1) -> dict:
    """Where a result of n rows comes from, to be stored beside it; threads: of each piece of work, 1 by `Workers`."""
    return {
        "command": command,
        "seed": seed,
        "n": n,
        "device": device,
        "threads": threads,
        "commit": commit(),
        "processor": processor(),
        "versions": versions(),
    }


def contents(name: str) -> str:
    """Twelve digits that change where what is read of a file, or of a folder of scans, does; "" where there is none.

    Of names, sizes and times of change: of the file, or the scans, and of tables of boxes beside them.
    """
    if name in DRAWN or not os.path.exists(name):
        return ""
    path = Path(name)
    files = [path] if path.is_file() else [scan for each in ("", *FOLDERS.values()) for scan in listed(path / each)]
    with suppress(BadInput):  # of a table that is no sound one of boxes, which whoever reads it says
        files += {table for scan in {each.parent: each for each in files}.values() for table in beside(scan)}
    told = sorted({(each.name, each.stat().st_size, each.stat().st_mtime_ns) for each in files})
    return checksum(repr(told)) if told else ""


def versions() -> dict[str, str]:
    """The versions of the packages that numbers depend on."""
    found = {"helpers": __version__}  # which need not be installed
    for name in PACKAGES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def commit() -> str | None:
    """The commit of the code, with a plus where files have changed since; None outside of a checkout."""
    if not CHECKOUT:
        return None
    words = ["git", "-C", str(ROOT), "describe", "--always", "--abbrev=12", "--exclude=*", "--dirty=+"]
    try:
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def processor() -> str:
    """The name of the processor and its vector instructions, which decide how sums are rounded."""
    name, flags = platform.processor() or platform.machine(), []
    try:
        for line in Path("/proc/cpuinfo").read_text("utf8").splitlines():
            key, _, value = (word.strip() for word in line.partition(":"))
            name = value if key == "model name" else name
            flags = value.split() if key in ("flags", "Features") else flags
    except OSError:  # no Linux
        pass
    return " ".join([name, *(each for each in INSTRUCTIONS if each in flags)])
