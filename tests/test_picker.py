"""A picker shows the same pictures live and rendered, on places that lie where they are said to."""

import json
import re

import ipywidgets
import numpy as np
import pytest

from helpers.figures import sliders
from helpers.figures.picker import picker

PLACES = [(10, 20), (10, 40), (30, 20), (30, 40)]
OVERVIEW = np.linspace(0, 1, 40 * 60).reshape(40, 60)


def picture(place) -> np.ndarray:
    return np.full((8, 8), place[0] / 40) * np.linspace(0, place[1] / 60, 8)


def made(**options):
    return picker(picture, PLACES, OVERVIEW, (40, 60), label="the <spot> at", alt="a spot", **options)


def test_a_rendered_picker_holds_one_picture_and_one_button_a_place(monkeypatch):
    monkeypatch.setenv(sliders.STATIC, "1")
    shown = made(start=2, cell=10)._repr_mimebundle_()
    page = shown["text/html"]
    words = json.loads(re.search(r"words = (\[.*?\]), alts", page)[1])
    assert words == ["row 10, column 20", "row 10, column 40", "row 30, column 20", "row 30, column 40"]
    sources = json.loads(re.search(r"sources = (\[.*?\]), words", page)[1])
    assert len(set(sources)) == page.count('type="radio"') == 4
    assert "&lt;spot&gt;" in page and "<spot>" not in page and "://" not in page
    checked = re.findall(r'value="(\d)" aria-label="[^"]*" checked', page)
    assert checked == ["2"] and f'<img class="shown" src="{sources[2]}"' in page
    first = re.search(r"left:([\d.]+)%;top:([\d.]+)%;width:([\d.]+)%;height:([\d.]+)%", page).groups()
    assert [float(each) for each in first] == pytest.approx([100 * 15 / 60, 100 * 5 / 40, 100 * 10 / 60, 25], abs=0.01)
    assert shown["image/png"]


def test_two_pickers_of_one_page_do_not_share_their_buttons(monkeypatch):
    monkeypatch.setenv(sliders.STATIC, "1")
    other = picker(lambda place: 1 - picture(place), PLACES, OVERVIEW, (40, 60), label="the spot at")
    names = {re.search(r'name="(picker-\w+)"', each._repr_mimebundle_()["text/html"])[1] for each in (made(), other)}
    assert len(names) == 2


def test_a_live_picker_computes_a_picture_when_its_place_is_picked(monkeypatch):
    monkeypatch.delenv(sliders.STATIC, raising=False)
    asked = []

    def compute(place):
        asked.append(place)
        return picture(place)

    box = picker(compute, PLACES, OVERVIEW, (40, 60), label="the spot at")
    told, grid, image = box.children
    assert isinstance(grid, ipywidgets.GridBox) and len(grid.children) == 4 and asked == PLACES[:1]
    before = image.value
    grid.children[3].click()
    assert asked == [PLACES[0], PLACES[3]] and image.value != before and told.value == "the spot at: row 30, column 40"
    grid.children[0].click()
    assert len(asked) == 2 and image.value == before
