"""Chapters draw the same figures from a reader's folder, whatever its files are called."""

import csv
import json

import pytest

from helpers.__main__ import main
from helpers.data import open_data
from helpers.data.boxes import FASTMRI_PLUS, write_csv
from helpers.experiments import notebooks
from helpers.figures import sliders

CHAPTERS = ["shift_dataset", "shift_anatomy", "shift_hard", "shift_factors", "shift_real", "features"]


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
@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_readers_folder_draws_the_same_figures(chapter, folder, smoke, root, tmp_path, monkeypatch):
    monkeypatch.setenv(sliders.STATIC, "1")  # a slider is then a picture, as in the rendered book
    parameters = {"profile": "smoke", "data": str(folder)}
    known = notebooks.parameter_names(root / "book" / f"{chapter}.ipynb")
    parameters |= {"families": ["unet", "varnet"], "variants": 1} if "families" in known else {}
    parameters |= {"methods": ["unet", "tv"]} if "methods" in known else {}
    output = tmp_path / "run.ipynb"
    notebooks.run(root / "book" / f"{chapter}.ipynb", output, tmp_path / "log", parameters)
    drawn, yours = pictures(smoke / "executed" / "book" / f"{chapter}.ipynb"), pictures(output)
    assert drawn == yours and sum(yours) > 1
    assert "Warning" not in (tmp_path / "log").read_text("utf8")


@pytest.fixture(scope="module")
def annotated(tmp_path_factory):
    """Knees under other names, and a table of fastMRI+ elsewhere: with rows of a whole study, of a file that is not

    there, and of a box that lies partly outside of the image.
    """
    made = tmp_path_factory.mktemp("scans")
    assert main(["data", str(made), "--source", "knee", "--volumes", "4", "--slices", "4", "--profile", "smoke"]) == 0
    data = open_data(made)
    names = {volume: f"patient {number}" for number, volume in enumerate(dict.fromkeys(item.volume for item in data))}
    found = {(names[item.volume], item.number): item.boxes for item in data if item.boxes}
    shapes = {names[item.volume]: tuple(item.target.shape) for item in data}
    for table in made.rglob("*.csv"):
        table.unlink()
    for path in made.rglob("*.h5"):
        path.rename(path.with_name(f"{names[path.stem]}.h5"))
    table = tmp_path_factory.mktemp("annotations") / "knee.csv"
    write_csv(table, found, shapes)
    with table.open("a", newline="") as file:
        rows = csv.DictWriter(file, FASTMRI_PLUS)
        rows.writerow({"file": "patient 0", "slice": 0, "study_level": "Yes", "label": "Artifact"})
        common = {"study_level": "No", "width": 30, "height": 9, "label": "Meniscus Tear"}
        rows.writerow(common | {"file": "patient 9", "slice": 0, "x": 8, "y": 8})
        rows.writerow(common | {"file": "patient 1", "slice": 1, "x": 50, "y": 24})
    return made, table


@pytest.mark.slow
def test_a_readers_findings_draw_the_same_figures(annotated, smoke, root, tmp_path, monkeypatch):
    monkeypatch.setenv(sliders.STATIC, "1")
    scans, table = annotated
    parameters = {"profile": "smoke", "data": str(scans), "boxes": str(table), "families": ["unet", "wavelet"]}
    output = tmp_path / "run.ipynb"
    notebooks.run(root / "book" / "pathologies.ipynb", output, tmp_path / "log", parameters)
    drawn, yours = pictures(smoke / "executed" / "book" / "pathologies.ipynb"), pictures(output)
    # of a scan without a twin there is nothing to invent, so that one cell shows one picture in the place of two
    assert [min(count, 1) for count in drawn] == [min(count, 1) for count in yours] and sum(yours) > 5
    assert "Warning" not in (tmp_path / "log").read_text("utf8")


@pytest.mark.slow
def test_scans_without_findings_are_told_so(folder, root, tmp_path, monkeypatch):
    monkeypatch.setenv(sliders.STATIC, "1")
    scans = tmp_path / "scans"
    scans.mkdir()
    (volume, *_) = folder.rglob("patient 1.h5")
    (scans / "a.h5").symlink_to(volume)
    parameters = {"profile": "smoke", "data": str(scans), "families": ["unet"], "attacked": ["unet"], "count": 1}
    output = tmp_path / "run.ipynb"
    notebooks.run(root / "book" / "pathologies.ipynb", output, tmp_path / "log", parameters)
    said = output.read_text("utf8")
    assert "no annotated finding on a whole slice with a reference" in said and "shown on drawn slices" in said
    assert sum(pictures(output)) > 5
