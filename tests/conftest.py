"""What several files of tests share: the root, real scans where there are some, and the rendered book."""

from pathlib import Path

import pytest
import torch

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
