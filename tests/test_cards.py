"""Cards and ranks: what is ahead beyond doubt, what is no card, and shipped numbers from shipped tables."""

import copy
import json

import numpy as np
import pandas as pd
import pytest

from helpers import __version__
from helpers.errors import BadInput
from helpers.findings import cards, ranks, reported, shipped
from helpers.findings.cards import MEASURES, SCHEMA

CARD = {
    "card": 2,
    "method": "hann:reconstruct",
    "about": "",
    "data": "drawn",
    "size": "quick",
    "profile": "laptop",
    "made_by": {
        "command": "python -m helpers report hann:reconstruct",
        "seed": 0,
        "versions": {"helpers": __version__},
    },
    "depends": {"file": "0"},
    "gradient": False,
    "trusted": None,
    "seconds": 0.1,
    "memory": None,
    "measures": {
        "ssim knee": {
            "mean": 0.5,
            "low": 0.4,
            "high": 0.6,
            "volumes": 2,
            "values": [{"one": {"1": 0.4, "2": 0.5}, "two": {"1": 0.55}}],
        }
    },
    "lost": {},
}


def values(numbers, first=0) -> pd.Series:
    """A value a volume, of volumes counted from the first on."""
    volumes = [f"v{number}" for number in range(first, first + len(numbers))]
    return pd.Series(numbers, pd.MultiIndex.from_product([volumes, [""]], names=cards.ITEM), dtype=float)


def number(some) -> dict:
    found = cards.averaged([some])
    return {"mean": found.mean, "low": found.low, "high": found.high, "volumes": found.volumes} | {
        "values": cards.nested([some])
    }


BASE = np.array([0.9, 0.5, 0.7, 0.8, 0.6, 0.75, 0.65, 0.85])  # volumes differ by more than methods do
JITTER = np.array([1, -1, 0.5, -0.5, 0.8, -0.8, 0.2, -0.2]) / 1000


def test_who_is_better_on_the_same_volumes_is_ahead_where_intervals_overlap():
    """Of SSIM more is ahead, of a loss less, in any order."""
    known = {
        "a": {"ssim knee": number(values(BASE)), "attack": number(values(BASE))},
        "b": {"ssim knee": number(values(BASE + JITTER)), "attack": number(values(BASE + JITTER))},
        "c": {"ssim knee": number(values(BASE - 0.02 + JITTER)), "attack": number(values(BASE - 0.02 + JITTER))},
    }
    assert known["c"]["ssim knee"]["high"] > known["a"]["ssim knee"]["low"], "intervals overlap"
    for names in (list(known), list(known)[::-1]):
        found = ranks.board({name: known[name] for name in names}, names).set_index(["measure", "method"])["rank"]
        assert found["ssim knee"].to_dict() == {"a": 1, "b": 1, "c": 3}
        assert found["attack"].to_dict() == {"a": 2, "b": 2, "c": 1}
    table = ranks.board(known, ["a", "c"])
    found = table.set_index(["measure", "method"])["rank"]
    assert np.isnan(found["attack", "b"]) and found["attack"].dropna().to_dict() == {"a": 2, "c": 1}, "not audited"
    words = ranks.in_words(table, list(known))["lost to the worst change of 2 % (SSIM)"]
    assert words["a"].endswith("] (2)") and words["b"].endswith("]")


def test_few_or_other_volumes_have_no_rank_and_stand_before_nobody():
    """The best by far on five volumes, or on others, is not ahead, and no number of volumes makes a bad one first."""
    known = {
        "few": number(values(BASE[:5] + 0.3)),
        "others": number(values(BASE + 0.3, first=100)),
        "a": number(values(BASE)),
        "b": number(values(BASE - 0.1 + JITTER)),
    }
    table = ranks.board({name: {"ssim knee": each} for name, each in known.items()}, ()).set_index("method")
    assert table["rank"].dropna().to_dict() == {"a": 1, "b": 2}


def test_what_is_lost_between_other_volumes_is_compared_side_by_side():
    """Of a shift the sides have other patients: each side is paired by itself."""
    before, after = values(BASE), values(BASE - 0.2, first=50)
    measure, worse = MEASURES["site"], [before, after - 0.05]
    worse[1] = worse[1] + JITTER
    assert measure.number([before, after]).mean == pytest.approx(0.2)
    assert ranks.ranks(measure, {"a": [before, after], "b": worse}) == {"a": 1, "b": 2}


def test_times_are_compared_by_ratios():
    """A hundred times as long on every volume is behind, however much the times themselves spread."""
    fast = values([0.01, 1.0, 0.1, 5.0, 0.02, 0.3])
    assert ranks.ranks(MEASURES["time"], {"fast": [fast], "slow": [fast * np.linspace(90, 110, 6)]}) == {
        "fast": 1,
        "slow": 2,
    }


def test_values_come_back_from_a_card():
    some = [values(BASE), values(BASE[:3], first=7)]
    for one, other in zip(some, cards.flat(json.loads(json.dumps(cards.nested(some))))):
        pd.testing.assert_series_equal(one, other)


def test_pairs_of_a_shipped_column_are_decided_as_their_claims_are():
    """Chapter index says that the VarNet is above the U-Net: so does the rank."""
    board = ranks.board(reported.shipped_cards(), ()).set_index(["measure", "method"])["rank"]
    assert board["ssim knee", "varnet"] < board["ssim knee", "unet"] < board["ssim knee", "zero-filled"]


def test_the_schema_knows_every_measure_and_says_what_each_key_is():
    assert set(SCHEMA["properties"]["measures"]["propertyNames"]["enum"]) == set(MEASURES)
    assert all("description" in each or "const" in each for each in SCHEMA["properties"].values())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda card: card.pop("method"), "'method' is a required property"),
        (lambda card: card.update(card=1), "card"),
        (lambda card: card.update(strange=1), "strange"),
        (lambda card: card["measures"].update(beauty=card["measures"]["ssim knee"]), "beauty"),
        (lambda card: card["measures"]["ssim knee"].update(low=0.55), "outside its interval"),
        (lambda card: card["measures"]["ssim knee"].update(high=None), "outside its interval"),
        (lambda card: card["measures"]["ssim knee"].update(values=[]), "measures.ssim knee.values"),
        (
            lambda card: card["measures"].update(site=card["measures"]["ssim knee"]),
            "measures.site.values: 2 are needed",
        ),
        (lambda card: card["measures"]["ssim knee"].update(values=[{"one": {"1": "x"}}]), "values.0.one.1"),
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
    made = CARD["made_by"]
    others = {
        "a": {},
        "b": {"data": "my scans"},
        "c": {"profile": "smoke"},
        "d": {"made_by": made | {"seed": 7}},
        "e": {"made_by": made | {"versions": {"helpers": "0.0.1"}}},
    }
    for name, more in others.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(CARD | more))
    assert list(cards.submitted(tmp_path)) == ["a"]
    told = cards.left_out(tmp_path)
    assert all(f"{name} (" in told for name in "bcde") and "a (" not in told
    assert "b (my scans, profile laptop, seed 0" in told and "e (drawn, profile laptop, seed 0, version 0.0.1)" in told
    assert cards.submitted(tmp_path / "nowhere") == {} and cards.left_out(tmp_path / "nowhere") == ""


def test_no_card_takes_the_place_of_another(tmp_path):
    """Two that call their method alike stand by the names of their files, and one of ours is not theirs."""
    for name in ("one", "two", "varnet"):
        (tmp_path / f"{name}.json").write_text(json.dumps(CARD))
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
