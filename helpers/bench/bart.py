"""BART, the Berkeley Advanced Reconstruction Toolbox, called as a program on files of its own format."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

DIMENSIONS = 16  # that every array of BART has


def installed() -> bool:
    """Whether the program is found; Debian has it as the package `bart`."""
    return shutil.which("bart") is not None


class Bart:
    """A folder of BART's arrays and the calls on them, for `with Bart() as bart`; the folder goes at the end.

    BART orders axes from the fastest: an array (coil, y, x) is kept as x, y, 1, coil.
    """

    def __enter__(self) -> "Bart":
        self._folder = tempfile.TemporaryDirectory()
        self.folder = Path(self._folder.name)
        return self

    def __exit__(self, *_) -> None:
        self._folder.cleanup()

    def write(self, name: str, array: Tensor) -> None:
        """Keep an array (coil, y, x) complex under that name."""
        coils, ny, nx = array.shape
        sizes = [nx, ny, 1, coils] + [1] * (DIMENSIONS - 4)
        (self.folder / f"{name}.hdr").write_text("# Dimensions\n" + " ".join(map(str, sizes)) + "\n", "utf8")
        array.resolve_conj().cpu().numpy().astype(np.complex64).tofile(self.folder / f"{name}.cfl")

    def read(self, name: str) -> Tensor:
        """An array (coil, y, x), or (1, y, x) of an image, complex64."""
        words = (self.folder / f"{name}.hdr").read_text("utf8").splitlines()[1].split()
        nx, ny, _, coils = map(int, words[:4])
        values = np.fromfile(self.folder / f"{name}.cfl", np.complex64)
        return torch.from_numpy(values[: coils * ny * nx].reshape(coils, ny, nx))

    def call(self, tool: str, *words: object) -> float:
        """Run one tool on one thread. Returns its seconds of CPU time, start and files included."""
        before = _children()
        subprocess.run(
            ["bart", tool, *map(str, words)],
            cwd=self.folder,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.DEVNULL,
            check=True,
        )
        return _children() - before


def _children() -> float:
    """CPU seconds of all processes that this one has waited for, in one sum, which never falls."""
    times = os.times()
    return times.children_user + times.children_system
