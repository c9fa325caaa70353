"""Findings in their boxes: the drawn twin, the box as the notebooks read it, and a reader's scans."""

import csv
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from made import made_slices

from helpers import methods, published
from helpers.__main__ import main
from helpers.data import fastmri
from helpers.data.slice import Box
from helpers.experiments import hidden, pathologies
from helpers.experiments.pathologies import RIGHT_BOX, Case
from helpers.features.goal import GOALS, NEAR, SMALLEST
from helpers.features.recovered import inside
from helpers.methods.zero_filled import reconstruct as zero_filled
from helpers.mri import metrics
from helpers.profiles import profile
from helpers.shifts.lines import measured

SMOKE = profile("smoke")


@pytest.fixture(scope="module")
def one() -> Case:
    """The largest of some findings, of one box."""
    found = [each for each in pathologies.places("knee", SMOKE, 30) if len(each.boxes) == 1]
    largest = max(found, key=lambda each: each.boxes[0][1].width * each.boxes[0][1].height)
    return pathologies.case("knee", SMOKE, largest.place)


def only(rows):
    (row,) = rows
    return row


def test_a_twin_is_the_same_scan_without_the_finding(one):
    """Elsewhere the two differ by no more than one part in a thousand: of what a pixel's neighbors share with it."""
    difference = (one.item.target - one.without.target).abs()
    (box,) = one.item.boxes
    near = torch.zeros_like(difference, dtype=torch.bool)
    near[max(box.y - 8, 0) : box.y + box.height + 8, max(box.x - 8, 0) : box.x + box.width + 8] = True
    assert float(inside(difference, box).max()) > 0.05 * float(one.item.target.max())
    assert float(difference[~near].max()) < 0.2 * float(inside(difference, box).max())
    assert not one.without.boxes and torch.equal(measured(one.item), measured(one.without))


def test_a_part_of_a_finding_lies_between_the_slice_and_its_twin(one):
    for part, end in ((0.0, one.without), (1.0, one.item)):
        assert torch.allclose(one.of_contrast(part).kspace, end.kspace, atol=1e-6 * float(end.kspace.abs().max()))
    box = one.item.boxes[0]
    half = pathologies.finding(one, box).shown(one.of_contrast(0.5).target)
    assert float(half) == pytest.approx(0.5, abs=1e-3)
    assert replace(one, without=None).of_contrast(0.5) is one.item


def test_a_row_is_what_its_docstring_says(one):
    row = only(pathologies.rows(one, "corrected", "zero-filled", "base"))
    mask, (box,) = measured(one.item), one.item.boxes
    image, plain = (each.crop(zero_filled(mask * each.kspace, mask)) for each in (one.item, one.without))
    truth, twin = (inside(each.target, box) for each in (one.item, one.without))
    signal = truth - twin
    with_it, without_it = (
        float((signal * (inside(each, box) - twin)).sum() / (signal**2).sum()) for each in (image, plain)
    )
    assert row["shown_with"] == pytest.approx(with_it, rel=1e-4)
    assert row["shown_without"] == pytest.approx(without_it, rel=1e-4, abs=1e-6)
    assert row["contrast"] == pytest.approx(with_it - without_it, rel=1e-4)
    wrong = inside(image, box) - truth
    assert row["nmse_box"] == pytest.approx(float((wrong**2).sum() / (truth**2).sum()), rel=1e-4)
    assert {name: row[name] for name in ("ssim", "ssim_object")} == pytest.approx(
        {name: metrics.scores(image, one.item.target, one.item.peak)[name] for name in ("ssim", "ssim_object")}
    )
    assert row["detectability"] > 0 and (row["x"], row["y"]) == (box.x, box.y)


def test_noise_is_drawn_for_the_scan_and_for_its_twin(one, monkeypatch):
    seeds = []
    noisier = pathologies.signal.noisier
    monkeypatch.setattr(
        pathologies.signal, "noisier", lambda item, times, seed: seeds.append(seed) or noisier(item, times, seed)
    )
    list(pathologies.rows(one, "corrected", "zero-filled", "base"))
    assert sorted(seeds) == list(range(2 * pathologies.DRAWS))


def test_a_scan_without_a_twin_has_all_but_what_it_would_be_without(one):
    row = only(pathologies.rows(replace(one, without=None), "corrected", "zero-filled", "base"))
    assert np.isnan(row["shown_without"]) and row["contrast"] == row["shown_with"]
    assert row["detectability"] != 0 and np.isfinite(row["detectability"])


def test_the_published_box_is_that_of_the_notebooks():
    """They draw x as columns, take it for rows, and each image has mean 0 and deviation 1 (facts 5.2)."""
    chance = np.random.default_rng(0)
    image, target = chance.random((2, 40, 40)).astype(np.float32)
    box = Box(x=4, y=20, width=6, height=5, label="Meniscus Tear")
    orig, recon = ((each - each.mean()) / each.std(ddof=1) for each in (target, image))
    x0, x1, y0, y1 = box.x, box.x + box.width, box.y, box.y + box.height
    theirs = ((orig - recon)[x0:x1, y0:y1] ** 2).mean()
    tensors = torch.from_numpy(image), torch.from_numpy(target)
    assert published.boxes.error(*tensors, published.boxes.transposed(box)) == pytest.approx(theirs, rel=1e-5)
    assert published.boxes.error(*tensors, box) != pytest.approx(theirs, rel=0.01)
    # brightness and contrast cost nothing
    louder = published.boxes.error(3 * tensors[1] + 7, tensors[1], box)
    assert louder == pytest.approx(0, abs=1e-9)


def test_the_published_score_is_of_the_next_slice_and_the_right_box_of_this_one(one):
    rows = {name: only(pathologies.rows(one, name, "wavelet", "brain")) for name in (RIGHT_BOX, "published")}
    assert rows["published"]["ssim"] == rows["published"]["ssim_matched"] != rows[RIGHT_BOX]["ssim"]
    swapped = replace(one, neighbor=one.item)
    here = only(pathologies.rows(swapped, "published", "wavelet", "brain"))
    assert here["ssim"] == rows[RIGHT_BOX]["ssim"] and here["nmse_box"] != rows[RIGHT_BOX]["nmse_box"]
    assert not list(pathologies.rows(replace(one, neighbor=None), "published", "wavelet", "brain"))


def test_the_first_places_have_as_many_findings_as_asked_for_and_no_more_slices():
    few, more = (pathologies.places("knee", SMOKE, count) for count in (2, 5))
    assert few == more[: len(few)] and sum(len(each.boxes) for each in more) >= 5
    assert sum(len(each.boxes) for each in more[:-1]) < 5


HEADER = ["file", "slice", "study_level", "x", "y", "width", "height", "label"]


@pytest.fixture
def folder(tmp_path):
    """A reader's folder: volumes of other names, and rows of a fastMRI+ table of every kind."""
    for name, unit in (("scan A", 1e-3), ("scan B", 2e-3), ("the same again", 1e-3)):
        slices = [replace(each, boxes=()) for each in made_slices(name, 3, unit)]
        fastmri.write_volume(tmp_path / f"{name}.h5", slices)
    with (tmp_path / "knee.csv").open("w", newline="") as file:
        csv.writer(file).writerows(
            [
                HEADER,
                ["scan A", 0, "No", 4, 7, 6, 5, "Meniscus Tear"],
                ["scan A", 1, "No", 28, 4, 9, 5, "Partly Outside"],
                ["scan A", 0, "Yes", "", "", "", "", "Artifact"],
                ["scan B", 1, "No", 5, 7, 6, 5, "Bone-Subchondral edema"],
                ["the same again", 1, "No", 4, 7, 6, 5, "Seen Already"],
                ["missing", 4, "No", 4, 7, 6, 5, "Meniscus Tear"],
            ]
        )
    return tmp_path


def test_the_command_measures_a_readers_findings_and_goes_on_where_it_was(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    command = ["features", "--data", ".", "--tables", "t", "--only", "pathologies", "--families", "zero-filled"]
    assert main([*command, "--json"]) == 0
    (first, *_) = map(json.loads, capsys.readouterr().out.splitlines())
    assert {"protocol", "family", "variant"} <= first.keys()
    found = pd.read_csv("t/features.csv")
    corrected = found[found["protocol"] == "corrected"]
    assert sorted(corrected["label"]) == ["Bone-Subchondral edema", "Meniscus Tear", "Partly Outside"]
    assert corrected.set_index("label")["width"]["Partly Outside"] == 32 - 28
    assert corrected["shown_without"].isna().all() and corrected["detectability"].notna().all()
    before = (folder / "t/features.csv").read_bytes()
    assert main(command) == 0 and (folder / "t/features.csv").read_bytes() == before
    assert main([*command, "sense"]) == 0
    more = pd.read_csv("t/features.csv")
    assert len(more) == 6 and len(more.merge(found)) == 3


def test_a_table_of_boxes_elsewhere_takes_the_place_of_those_beside(folder, tmp_path_factory, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    other = tmp_path_factory.mktemp("boxes") / "mine.csv"
    other.write_text(",".join(HEADER) + "\nscan A,2,No,5,7,6,5,Mine\n")
    command = ["features", "--data", ".", "--tables", "t", "--only", "pathologies", "--families", "zero-filled"]
    command += ["--protocol", "corrected", "--boxes", str(other)]
    assert main(command) == 0 and pd.read_csv("t/features.csv")[["label", "slice"]].values.tolist() == [["Mine", 2]]
    # a box that was moved is measured again
    before = pd.read_csv("t/features.csv")
    other.write_text(",".join(HEADER) + "\nscan A,2,No,6,7,5,5,Mine\n")
    assert main(command) == 0
    after = pd.read_csv("t/features.csv")
    assert len(after) == 1 and int(after["x"][0]) == 6 and after["nmse_box"][0] != before["nmse_box"][0]
    assert main([*command[:-1], "nowhere.csv"]) == 2 and "nowhere.csv" in capsys.readouterr().err
    assert main(["features", "--boxes", str(other)]) == 2 and "are drawn with it" in capsys.readouterr().err


def test_data_without_findings_are_a_sentence(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    (folder / "knee.csv").unlink()
    assert main(["features", "--data", "."]) == 2
    assert "no annotated finding on a whole slice with a reference" in capsys.readouterr().err


def test_what_hides_a_finding_is_handed_to_other_methods_as_it_is(one):
    hide, other = hidden.rows(one, 0, "hide", "zero-filled", ["sense"])
    assert (hide["method"], other["method"]) == ("zero-filled", "sense")
    assert {row["made_for"] for row in (hide, other)} == {"zero-filled"} and hide["eps"] == other["eps"] > SMALLEST
    assert hide["after"] < 0.5 < hide["before"] and other["after"] < other["before"] != hide["before"]
    (invent,) = hidden.rows(one, 0, "invent", "varnet")
    assert invent["before"] < 0.5 < invent["after"] and 0 < invent["noise_levels"] < 1
    assert not list(hidden.rows(replace(one, without=None), 0, "invent", "zero-filled"))


def test_a_readers_own_method_is_hidden_from_too(reader, capsys):
    """Beside the shipped ones, in both tables, whose rows of it are measured again once it has changed."""
    name = reader(
        "from helpers.methods.zero_filled import reconstruct as plain\n\n"
        "def reconstruct(kspace, mask):\n    return plain(kspace, mask)\n",
        "features_reader",
    )
    command = ["features", "--profile", "smoke", "--findings", "1", "--sought", "1", "--variants", "1"]
    command += ["--families", "zero-filled", name, "--methods", name, "zero-filled"]
    command += ["--protocol", "corrected", "--tables", "t", "--only", "pathologies", "hidden"]
    assert main(command) == 0
    found, sought = pd.read_csv("t/features.csv"), pd.read_csv("t/hidden.csv")
    ours, theirs = (found[found["method"] == each] for each in ("zero-filled", name))
    assert len(ours) == len(theirs) > 0 and theirs["nmse_box"].tolist() == ours["nmse_box"].tolist()
    assert len(sought) == 2 * 2 * 2 and set(sought["goal"]) == {"hide", "invent"}
    assert (sought["after"] > 0.5).equals(sought["goal"] == "invent")


PLAIN = """
import numpy as np

def reconstruct(kspace, mask):
    coils = np.fft.ifft2(np.fft.ifftshift(kspace.numpy(), axes=(-2, -1)), norm="ortho")
    return np.sqrt((np.abs(np.fft.fftshift(coils, axes=(-2, -1))) ** 2).sum(0))
"""


@pytest.mark.parametrize("goal", GOALS)
@pytest.mark.filterwarnings("ignore:.*works without a gradient")
def test_what_passes_no_gradient_is_searched_by_way_of_stand_ins(one, reader, goal):
    """It takes more than with the gradient of the same method, and at most three times as much."""
    name = reader(PLAIN, "no_gradient")
    found = {each: hidden.search(one, 0, goal, each) for each in ("zero-filled", name)}
    by_gradient, without = (each.found.eps for each in found.values())
    assert 0 < by_gradient / NEAR < without < 3 * by_gradient
    shown = float(found[name].finding.shown(found[name].image(methods.load(name))))
    assert shown < 0.5 if goal == "hide" else shown > 0.5
