"""The look of the book: colors told apart, code as it runs, errors where there is a target."""

import h5py
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from helpers import figures
from helpers.data import fastmri
from helpers.data.scanner import draw_volume
from helpers.figures import look, page
from helpers.mri import masks, metrics
from helpers.mri.sense import Sense
from helpers.profiles import profile


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def item():
    return draw_volume("knee", 0, profile("smoke"), slices=1)[0]


def test_tables_are_not_cut():
    figures.style()
    verdict = " ".join(["no verdict, the attack on convdecoder may be too weak"] * 2)
    assert verdict in pd.DataFrame({"verdict": [verdict]})._repr_html_()


def test_one_color_a_method_and_variants_share_it():
    assert len(set(figures.COLORS.values())) == len(figures.COLORS)
    assert figures.color("varnet-knee-large") == figures.COLORS["varnet"]
    assert figures.color("sigpy-tv") == figures.COLORS["tv"]
    assert figures.color("deep-decoder") != figures.color("convdecoder")
    assert figures.color("my_module:reconstruct") == "#000000"


def test_colors_are_told_apart_without_green_cones():
    """Deuteranopia after Machado et al. 2009: no two methods fall together."""
    deuteranope = np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    )
    seen = (np.array([to_rgb(color) for color in figures.COLORS.values()]) ** 2.2 @ deuteranope.T).clip(0, 1) ** (
        1 / 2.2
    )
    distance = np.linalg.norm(seen[:, None] - seen[None], axis=-1) + 10 * np.eye(len(seen))
    assert distance.min() > 0.1  # of 1.7 between black and white


def test_a_listing_is_the_code_without_its_docstring(capsys):
    figures.listing(Sense.adjoint)
    shown = capsys.readouterr().out
    assert "Markdown" in shown  # a plain terminal has no page to show it on
    source = figures.code(Sense.adjoint)
    assert source.startswith("def adjoint(self, kspace: Tensor) -> Tensor:\n    return (")
    assert '"""' not in source


def test_a_comparison_shows_errors_only_where_there_is_a_target(item):
    from dataclasses import replace

    image = item.target * 0.9
    assert len(figures.comparison(item, {"tv": image}).axes) == 4
    assert len(figures.comparison(replace(item, target=None), {"tv": image}).axes) == 1


@pytest.mark.parametrize("kind", masks.KINDS)
def test_what_was_measured_can_be_shown(item, kind):
    mask = masks.mask(kind, tuple(item.kspace.shape[-2:]), 4, 0.08, 0)
    assert isinstance(figures.measured(item, mask), Figure)


def test_intervals_name_their_axis_and_their_n():
    table = pd.DataFrame(
        {"method": list("ab") * 4, "source": "knee", "volume": [0, 0, 1, 1] * 2, "slice": 0, "ssim": torch.rand(8)}
    )
    (axes,) = figures.intervals(table, by="source").axes
    assert "SSIM" in axes.get_xlabel() and "n = 4 slices of 2 volumes" in axes.get_xlabel()
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b"]
    (axes,) = figures.intervals(table[(table["method"] == "a") | (table["volume"] == 0)], by="source").axes
    assert "n = 2 to 4 slices of 1 to 2 volumes" in axes.get_xlabel()


def test_tuning_curves_have_one_panel_a_source():
    rows = [
        {"method": m, "source": s, "lam": lam, "volume": v, "slice": 0, "ssim": lam + v}
        for m in ("tv", "wavelet")
        for s in ("knee", "brain")
        for lam in (0.1, 0.2)
        for v in (0, 1)
    ]
    found = figures.tuning_curves(pd.DataFrame(rows))
    assert [axes.get_title() for axes in found.axes] == ["knee, n = 2 volumes", "brain, n = 2 volumes"]


def test_training_curves_have_a_line_for_every_network():
    common = {"data": ["knee"], "parameters": 10, "validation_volumes": 20}
    cards = [
        common | {"name": "unet-knee", "curve": [[1, 0.5], [2, 0.6], [3, 0.7]], "restarts": [2]},
        common | {"name": "unet-brain", "data": ["brain"], "curve": [[1, 0.4]], "restarts": []},
    ]
    left, right = figures.training_curves(cards).axes
    assert [axes.get_title() for axes in (left, right)] == ["knee, n = 20 volumes", "brain, n = 20 volumes"]
    assert left.lines[0].get_ydata().tolist() == [0.5, 0.6, 0.7] and left.lines[1].get_markevery() == [1]
    assert left.lines[0].get_linewidth() == 3


def test_fit_curves_show_losses_error_and_the_step_that_was_kept():
    looks = [{"step": step, "loss": 1 / step, "held_loss": 0.5, "nmse": 0.1} for step in (10, 20, 30)]
    grid = figures.fit_curves(looks, best=20).axes
    assert [axes.get_title().split()[-2] for axes in grid] == ["fitted", "held-out", "the"]
    assert all(list(axes.lines[0].get_xdata()) == [10, 20, 30] for axes in grid)
    assert all(axes.lines[1].get_xdata()[0] == 20 for axes in grid)
    assert grid[2].get_ylabel() == metrics.SCORES["nmse"] and grid[0].get_yscale() == "log"


def test_recipes_are_told_apart_and_every_slice_has_its_panel():
    looks = pd.DataFrame(
        {
            "method": "convdecoder",
            "source": ["knee", "knee", "brain", "brain"],
            "seconds": [1, 2, 1, 2],
            "ssim": [0.5, 0.6, 0.7, 0.8],
        }
    )
    grid = figures.recipes({"long": looks.assign(seconds=100), "short": looks}).axes
    assert [axes.get_title() for axes in grid] == ["knee, one slice", "brain, one slice"]
    assert [line.get_linestyle() for line in grid[0].lines] == ["-", "--"]
    assert grid[1].lines[1].get_ydata().tolist() == [0.7, 0.8] and grid[0].get_xscale() == "log"


def test_data_without_references_are_shown_and_said_and_drawn_ones_take_their_place(item, tmp_path, monkeypatch):
    """Cropped to what their header asks for; data with references, and drawn ones, stay what they are."""
    shown = []
    monkeypatch.setattr(page, "display", shown.append)
    path = tmp_path / "scan.h5"
    fastmri.write_volume(path, [item])
    small = profile("smoke")
    assert [figures.referenced(data, small) for data in (str(path), "knee", "")] == [
        str(path),
        "knee",
        "",
    ] and not shown
    assert figures.referenced(str(path), small, whole=True) == str(path) and not shown
    with h5py.File(path, "r+") as file:
        file["mask"] = np.arange(file["kspace"].shape[-1]) % 4 == 0
    assert figures.referenced(str(path), small) == str(path) and not shown
    assert figures.referenced(str(path), small, whole=True) == ""
    assert "**scan was measured under a mask of its own**, so that no other" in shown.pop().data
    with h5py.File(path, "r+") as file:
        del file["mask"]
    with h5py.File(path, "r+") as file:
        file["kspace"][...] *= np.arange(file["kspace"].shape[-1]) % 4 == 0
        del file["reconstruction_rss"]
    assert figures.referenced(str(path), small, ["zero-filled"], instead="brain") == "brain"
    said, figure, _ = shown
    assert "**scan holds no reference**" in said.data
    assert figure.axes[0].images[0].get_array().shape == small.image != item.kspace.shape[-2:]


def test_a_readers_method_has_no_color_of_ours():
    """Whatever it is called."""
    assert look.color("my_tv:unet") == look.color("mine:reconstruct") != look.color("tv")
    assert look.color("helpers.methods.self_tuned:tv") == look.color("tv")
