"""Run the chapters with papermill, each only when something it depends on has changed."""

import functools
import hashlib
import json
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from helpers.experiments import notebooks
from helpers.places import READERS

ROOT = Path(__file__).resolve().parents[1]
SHARED = ("helpers", "results", "zoo", "requirements.lock")  # what every chapter may depend on


@dataclass(frozen=True)
class Run:
    """What became of one chapter: state is "fresh", "executed" or "FAILED", note says where a failure is kept."""

    chapter: str
    state: str
    seconds: float = 0.0
    note: str = ""


def chapters(entry: dict | list) -> Iterator[str]:
    """Names of the notebooks in a table of contents, in reading order: chapters(yaml of _toc.yml)."""
    for item in entry if isinstance(entry, list) else entry.values():
        if isinstance(item, (dict, list)):
            yield from chapters(item)
        elif (ROOT / f"{item}.ipynb").is_file():
            yield item


@functools.cache
def shared_digest() -> bytes:
    """Digest of the code and the results that every chapter may read."""
    digest = hashlib.sha256(sys.version.encode())
    for top in SHARED:
        paths = [ROOT / top, *(ROOT / top).rglob("*")]
        for path in sorted(p for p in paths if p.is_file() and "__pycache__" not in p.parts):
            digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    return digest.digest()


def data_state(data: str) -> list:
    """Name, size and time of each file of a reader's data and of the weights tuned on it: terabytes cost no reading."""
    files = sorted(p for p in [Path(data), *Path(data).rglob("*"), READERS] if p.is_file())
    return [(str(p), p.stat().st_size, p.stat().st_mtime_ns) for p in files]


def chapter_digest(notebook: Path, parameters: dict) -> str:
    """Digest of everything that a run of this notebook depends on."""
    state = [parameters, data_state(parameters["data"]) if "data" in parameters else None]
    digest = hashlib.sha256(shared_digest() + json.dumps(state, sort_keys=True).encode())
    digest.update(notebook.read_bytes())
    return digest.hexdigest()


def run(chapter: str, folder: Path, parameters: dict) -> Run:
    """Execute one chapter into folder/executed unless the copy there is fresh; a failed one goes to folder/failed."""
    notebook, output = ROOT / f"{chapter}.ipynb", folder / "executed" / f"{chapter}.ipynb"
    wanted = notebooks.parameter_names(notebook)
    parameters = {name: value for name, value in parameters.items() if name in wanted}
    key, stamp = chapter_digest(notebook, parameters), output.with_suffix(".sha256")
    if output.is_file() and stamp.is_file() and stamp.read_text() == key:
        return Run(chapter, "fresh")
    output.parent.mkdir(parents=True, exist_ok=True)
    stamp.unlink(missing_ok=True)
    part, log, start = output.with_suffix(".part.ipynb"), output.with_suffix(".log"), time.monotonic()
    try:
        notebooks.run(notebook, part, log, parameters)
    except Exception as error:  # whatever it was, the other chapters go on, and the traceback stays in the notebook
        failed = folder / "failed" / f"{chapter}.ipynb"
        failed.parent.mkdir(parents=True, exist_ok=True)
        if part.exists():
            os.replace(part, failed)
        reason = str(error).strip().splitlines()[-1:] or [type(error).__name__]
        return Run(chapter, "FAILED", time.monotonic() - start, f"{reason[0]} (the notebook is kept as {failed})")
    os.replace(part, output)
    stamp.write_text(key)
    return Run(chapter, "executed", time.monotonic() - start)


def run_all(names: list[str], folder: Path, parameters: dict, jobs: int) -> Iterator[Run]:
    """Execute chapters, `jobs` at a time, and yield what became of each in order."""
    os.environ["BOOK_STATIC"] = "1"  # sliders draw all their frames
    os.environ["TQDM_DISABLE"] = "1"
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // jobs)))
    with ThreadPoolExecutor(jobs) as pool:
        yield from pool.map(lambda name: run(name, folder, parameters), names)
