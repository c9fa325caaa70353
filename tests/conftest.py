"""What several files of tests share: the root, real scans where there are some, and the rendered book."""

import sys
from pathlib import Path

import pytest
import torch
from made_reader import ITEM

from helpers.data import fastmri

ROOT = Path(__file__).resolve().parents[1]
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def root() -> Path:
    """The folder of the project."""
    return ROOT


@pytest.fixture(scope="session")
def real() -> Path:
    """The folder of real scans beside the project."""
    folder = ROOT.parent / "shared" / "real"
    if not folder.is_dir():
        pytest.skip("no real scans beside the project")
    return folder


@pytest.fixture(scope="session")
def smoke() -> Path:
    """The book in the smoke profile, as `make test` has just rendered it: folders `executed` and `html`."""
    folder = ROOT / "_build" / "smoke"
    last = folder / "html" / "search.html"
    written = max((path.stat().st_mtime for path in (ROOT / "book").glob("*.ipynb")), default=0)
    if not last.is_file() or last.stat().st_mtime < written:
        pytest.skip("the chapters as they are now have not been rendered: `make test` does it first")
    return folder


@pytest.fixture(scope="session")
def site(smoke) -> Path:
    """The pages of that book."""
    return smoke / "html"


@pytest.fixture
def reader(tmp_path, monkeypatch):
    """A folder with a scan, and a way to write a module into it: its source to MODULE:FUNCTION."""
    fastmri.write_volume(tmp_path / "knee.h5", [ITEM])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", *sys.path])

    def write(source: str, name: str = "reader", function: str = "reconstruct") -> str:
        (tmp_path / f"{name}.py").write_text(source)
        sys.modules.pop(name, None)
        return f"{name}:{function}"

    yield write
    for name in [each for each, module in sys.modules.items() if str(tmp_path) in str(getattr(module, "__file__", ""))]:
        del sys.modules[name]
