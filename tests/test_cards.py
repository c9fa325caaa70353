"""Cards and ranks: what is ahead beyond doubt, what is no card, and shipped numbers from shipped tables."""

import copy
import json
import random

import numpy as np
import pandas as pd
import pytest

from helpers.errors import BadInput
from helpers.findings import cards, reported, shipped
from helpers.findings.cards import MEASURES, SCHEMA

CARD = {
    "card": 1,
    "method": "hann:reconstruct",
    "about": "",
    "data": "drawn",
    "size": "quick",
    "profile": "laptop",
    "made_by": {"command": "python -m helpers report hann:reconstruct", "seed": 0, "versions": {"helpers": "0"}},
    "depends": {"file": "0"},
    "gradient": False,
    "trusted": None,
    "seconds": 0.1,
    "memory": None,
    "measures": {"ssim knee": {"mean": 0.5, "low": 0.4, "high": 0.6, "volumes": 6}},
    "lost": {},
}


def numbers(mean, low, high, volumes=6):
    return {"mean": mean, "low": low, "high": high, "volumes": volumes}


def test_intervals_that_overlap_share_a_rank_whatever_the_order():
    """Of SSIM more is ahead, of a loss less; what has no interval has no rank and is ahead of nobody."""
    known = {
        "a": {"ssim knee": numbers(0.9, 0.85, 0.95), "attack": numbers(0.4, 0.3, 0.5)},
        "b": {"ssim knee": numbers(0.88, 0.8, 0.9), "attack": numbers(0.1, 0.05, 0.2)},
        "c": {"ssim knee": numbers(0.6, 0.5, 0.7), "attack": numbers(0.15, 0.1, 0.29)},
        "d": {"ssim knee": numbers(0.99, None, None, 1)},
    }
    names = list(known)
    for _ in range(5):
        random.Random(0).shuffle(names)
        ranks = cards.board({name: known[name] for name in names}, names).set_index(["measure", "method"])["rank"]
        assert ranks["ssim knee"].dropna().to_dict() == {"a": 1, "b": 1, "c": 3}
        assert ranks["attack"].to_dict() == {"a": 3, "b": 1, "c": 1}
        assert np.isnan(ranks["ssim knee", "d"])
        ranks = cards.board(known, ["a", "c"]).set_index(["measure", "method"])["rank"]
        assert np.isnan(ranks["attack", "b"]) and ranks["attack"].dropna().to_dict() == {"a": 2, "c": 1}, "not audited"
        words = cards.in_words(cards.board(known, ["a", "c"]), names)["lost to the worst change of 2 % (SSIM)"]
        assert words[["a", "b"]].tolist() == ["0.400 [0.300, 0.500] (2)", "0.100 [0.050, 0.200]"]


def test_the_schema_knows_every_measure_and_says_what_each_key_is():
    assert set(SCHEMA["properties"]["measures"]["propertyNames"]["enum"]) == set(MEASURES)
    assert all("description" in each or "const" in each for each in SCHEMA["properties"].values())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda card: card.pop("method"), "'method' is a required property"),
        (lambda card: card.update(card=2), "card"),
        (lambda card: card.update(strange=1), "strange"),
        (lambda card: card["measures"].update(beauty=numbers(1, 1, 1)), "beauty"),
        (lambda card: card["measures"]["ssim knee"].update(mean="high"), "measures.ssim knee.mean"),
        (lambda card: card["measures"]["ssim knee"].pop("volumes"), "volumes"),
        (lambda card: card.update(method="x" * 81), "method"),
    ],
)
def test_what_is_no_card_is_told_with_its_place(tmp_path, change, words):
    card = copy.deepcopy(CARD)
    assert cards.check(card, "card.json") is card
    change(card)
    path = tmp_path / "card.json"
    path.write_text(json.dumps(card))
    with pytest.raises(BadInput, match="no card of a method") as told:
        cards.read(path)
    assert words in str(told.value) and str(path) in str(told.value)


@pytest.mark.parametrize("text", ["", "[", "[]", "null", "[" * 100_000])
def test_a_file_of_anything_else_is_told(tmp_path, text):
    path = tmp_path / "card.json"
    path.write_text(text)
    with pytest.raises(BadInput, match="no card of a method"):
        cards.read(path)


def test_submitted_cards_are_those_that_can_be_compared(tmp_path):
    usual = {"data": "drawn", "profile": "laptop"}
    for name, more in (("a", {}), ("b", {"data": "my scans"}), ("c", {"profile": "smoke"})):
        (tmp_path / f"{name}.json").write_text(json.dumps(CARD | usual | more))
    assert list(cards.submitted(tmp_path)) == ["a"]
    told = cards.left_out(tmp_path)
    assert "b (my scans, profile laptop), c (drawn, profile smoke)" in told and "a (" not in told
    assert cards.submitted(tmp_path / "nowhere") == {} and cards.left_out(tmp_path / "nowhere") == ""


def test_no_card_takes_the_place_of_another(tmp_path):
    """Two that call their method alike stand by the names of their files, and one of ours is not theirs."""
    for name in ("one", "two", "varnet"):
        (tmp_path / f"{name}.json").write_text(json.dumps(CARD | {"data": "drawn", "profile": "laptop"}))
    assert list(cards.submitted(tmp_path, taken=["varnet"])) == ["one", "two", "varnet*"]


def test_a_report_is_a_folder_of_one_card():
    """Beside which the tables' own JSON lie."""
    assert len(list(reported.EXAMPLE.glob("*.json"))) > 1
    assert list(cards.submitted(reported.EXAMPLE)) == [cards.read(reported.EXAMPLE / cards.CARD)["method"]]


def test_every_card_that_comes_with_the_book_is_one():
    for path in [reported.EXAMPLE / cards.CARD, *cards.SUBMITTED.glob("*.json")]:
        cards.read(path)


def test_numbers_of_shipped_methods_are_those_of_their_tables():
    found = reported.shipped_cards()
    quality = shipped.table("quality")
    for name, method in (("unet", "unet-knee"), ("wavelet", "wavelet")):
        rows = quality[(quality["method"] == method) & (quality["source"] == "knee")]
        assert found[name]["ssim knee"]["mean"] == pytest.approx(rows.groupby("volume")["ssim"].mean().mean())
    assert found["wavelet"]["time"]["mean"] == 1
    assert {"unet", "varnet", "wavelet", "tv"} <= {name for name, card in found.items() if set(card) == set(MEASURES)}


def test_a_report_of_few_tables_has_a_card_of_few_numbers():
    rows = shipped.table("quality").query("method == 'tv'")
    assert set(cards.numbers({"quality": rows}, "tv")) == {"ssim knee", "ssim brain", "ssim object knee"}
    assert cards.numbers({"quality": rows}, "another") == {} == cards.numbers({"hidden": pd.DataFrame()}, "tv")


def test_no_interval_of_an_ssim_reaches_above_one():
    """Student's interval of two volumes would reach to 3.3."""
    two = shipped.table("quality").query("method == 'tv' and source == 'knee'").drop_duplicates("volume").head(2)
    number = cards.numbers({"quality": two.assign(ssim=[0.6, 1.0])}, "tv")["ssim knee"]
    assert number["low"] < number["mean"] < number["high"] == 1
