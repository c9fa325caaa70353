"""The chapters on shifts draw the same figures from a reader's folder, whatever its files are called."""

import json

import execute
import pytest

from helpers.__main__ import main
from helpers.figures import sliders


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder as fastMRI's, of drawn knees under other names: two to validate on, and one of the training set."""
    made = tmp_path_factory.mktemp("reader")
    for split, volumes in (("train", "1"), ("validation", "2")):
        words = ["--source", "knee", "--split", split, "--volumes", volumes, "--slices", "3", "--profile", "smoke"]
        assert main(["data", str(made), *words]) == 0
    for number, path in enumerate(sorted(made.rglob("*.h5"))):
        path.rename(path.with_name(f"patient {number}.h5"))
    return made


def pictures(path) -> list[int]:
    """How many pictures each cell of an executed chapter shows."""
    cells = json.loads(path.read_text("utf8"))["cells"]
    cells = [cell for cell in cells if "injected-parameters" not in cell["metadata"].get("tags", [])]
    return [sum("image/png" in output.get("data", {}) for output in cell.get("outputs", [])) for cell in cells]


@pytest.mark.slow
@pytest.mark.parametrize("chapter", ["shift_dataset", "shift_anatomy", "shift_hard", "shift_factors", "shift_real"])
def test_a_readers_folder_draws_the_same_figures(chapter, folder, smoke, root, tmp_path, monkeypatch):
    monkeypatch.setenv(sliders.STATIC, "1")  # a slider is then a picture, as in the rendered book
    parameters = {"profile": "smoke", "data": str(folder)}
    if "families" in execute.parameter_names(root / "book" / f"{chapter}.ipynb"):
        parameters |= {"families": ["unet", "varnet"], "variants": 1}
    output = tmp_path / "run.ipynb"
    execute.papermill_run(root / "book" / f"{chapter}.ipynb", output, tmp_path / "log", parameters)
    drawn, yours = pictures(smoke / "executed" / "book" / f"{chapter}.ipynb"), pictures(output)
    assert drawn == yours and sum(yours) > 1
    assert "Warning" not in (tmp_path / "log").read_text("utf8")
