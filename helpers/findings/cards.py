"""Cards: what is known of a method in a dozen numbers with intervals, and who is ahead of whom in each of them."""

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from math import isfinite
from pathlib import Path

import jsonschema
import pandas as pd

from helpers.errors import BadInput
from helpers.experiments.report import SHIPPED
from helpers.findings import factors, pathologies, shifts, transfer
from helpers.findings.shifts import BASE
from helpers.places import ZOO
from helpers.stats import Gap, Interval, interval, share

VERSION = 1  # of the schema
SCHEMA = json.loads(files(__package__).joinpath("card.schema.json").read_text("utf8"))
SUBMITTED = ZOO / "cards"  # of methods that are not in this package, one file each
EPS = 0.02  # of the attack that a card tells of
LITTLE = 0.01  # of the measurement: what is hidden by less was hardly there
NOISE = "4"  # times the scan's
TIMED = "wavelet"  # whose seconds are the unit of time
POSITIVE = ("NMSE", "times")  # units of what is never below 0
CARD = "card.json"  # of a report
DRAWN = "drawn"  # the data of which all methods of the leaderboard are measured

Tables = Mapping[str, pd.DataFrame]  # by name, as in results/
Number = Interval | Gap | None


@dataclass(frozen=True)
class Measure:
    """One number of a card: what it is, in words; its unit; whether more is better; and how tables give it."""

    words: str
    unit: str
    more: bool
    of: Callable[[Tables, str], Number]

    @property
    def better(self) -> str:
        return "more is better" if self.more else "less is better"


def _quality(score: str, source: str, tables: Tables, name: str) -> Number:
    rows = tables["quality"]
    return _mean(rows[(rows["method"] == name) & (rows["source"] == source)], score)


def _time(tables: Tables, name: str) -> Number:
    rows = tables[SPEED] if SPEED in tables else tables["quality"]
    wide = rows.pivot_table(index=["volume", "identity"], columns="method", values="seconds")
    if not {name, TIMED} <= set(wide):
        return None
    times = (wide[name] / wide[TIMED]).dropna().reset_index(name="times")
    return _mean(times, "times")


def _noise(tables: Tables, name: str) -> Number:
    rows = tables["factors"]
    rows = rows[(rows["factor"] == "noise") & (rows["method"] == name) & rows["level"].isin(["1", NOISE])]
    lost = factors.lost(rows)
    drops = next(iter(lost.values()))[name] if len(lost) else pd.Series(dtype=float)
    return interval(drops.to_numpy(), drops.index) if len(drops) else None


def _attack(tables: Tables, name: str) -> Number:
    rows = tables["transfer"]
    rows = rows[(rows["protocol"] == "corrected") & (rows["eps"] == EPS) & (rows["method"] == name)]
    if not (rows["attacked"] == name).any():
        return None
    lost = transfer.losses(rows)[transfer.WORST, name].dropna()
    return interval(lost, lost.index.get_level_values("volume"))


def _shift(shift: str, tables: Tables, name: str) -> Number:
    rows = shifts.one(tables["shifts"], shift, "corrected", "knee")
    rows = rows[(rows["family"] == name) & (rows["variant"] == BASE) & rows["side"].isin(["in", "out"])]
    return shifts.drops(rows).get(name) if len(rows) else None


def _boxes(score: str, of: Callable, tables: Tables, name: str) -> Number:
    rows = tables["features"]
    rows = rows[(rows["protocol"] == "corrected") & (rows["family"] == name) & (rows["variant"] == BASE)]
    return _mean(pathologies.with_rates(rows), score, of)


def _hidden(tables: Tables, name: str) -> Number:
    rows = tables["hidden"]
    rows = rows[(rows["made_for"] == name) & (rows["method"] == name) & (rows["goal"] == "hide")]
    return _mean(rows.assign(hidden=(rows["eps"] <= LITTLE).astype(float)), "hidden", share)


def _mean(rows: pd.DataFrame, score: str, of: Callable = interval) -> Number:
    known = rows[rows[score].notna()]
    return of(known[score], known["volume"]) if len(known) else None


MEASURES = {
    "ssim knee": Measure("knees", "SSIM", True, partial(_quality, "ssim", "knee")),
    "ssim brain": Measure("brains", "SSIM", True, partial(_quality, "ssim", "brain")),
    "ssim object knee": Measure("knees, inside the object", "SSIM", True, partial(_quality, "ssim_object", "knee")),
    "noise": Measure("lost under 4 times the noise", "SSIM", False, _noise),
    "attack": Measure("lost to the worst change of 2 %", "SSIM", False, _attack),
    "site": Measure("lost at another site", "SSIM", False, partial(_shift, "site")),
    "anatomy": Measure("lost on another anatomy", "SSIM", False, partial(_shift, "anatomy")),
    "hard": Measure("lost on hard images", "SSIM", False, partial(_shift, "hard")),
    "box": Measure("error in the box of a finding", "NMSE", False, partial(_boxes, "nmse_box", interval)),
    "hides": Measure("findings hidden by itself", "share", False, partial(_boxes, pathologies.MISSED, share)),
    "invents": Measure("findings invented by itself", "share", False, partial(_boxes, pathologies.INVENTED, share)),
    "hidden": Measure("findings hidden by a change of 1 %", "share", False, _hidden),
    "time": Measure("time, of that of l1-wavelet", "times", False, _time),
}
NEEDED = ("quality", "factors", "transfer", "shifts", "features", "hidden")  # tables
SPEED = "speed"  # where seconds of all methods were measured in one go, for those whose quality was not


def numbers(tables: Tables, name: str) -> dict[str, dict]:
    """What a card says of a method: by measure mean, low, high and volumes; what was not measured is left out.

    tables: as in results/, those that there are; name: under which the method stands in them. Ends of intervals are
    None where one volume tells nothing of them.
    """
    found = {}
    for key, measure in MEASURES.items():
        with_it = {each: tables[each] for each in (*NEEDED, SPEED) if len(tables.get(each, ()))}
        try:
            number = measure.of(with_it, name)
        except KeyError as missing:
            if missing.args[0] not in NEEDED:
                raise
            continue
        if number is not None:
            low, high = number.low, number.high
            low = max(low, 0.0) if measure.unit in POSITIVE else low
            high = min(high, 1.0) if measure.more else high  # what is better the more of it there is, is an SSIM
            ends = {"low": low, "high": high} if isfinite(low) else {"low": None, "high": None}
            found[key] = {"mean": number.mean, **ends, "volumes": number.volumes}
    return found


def check(card: object, whose: str) -> dict:
    """The card, if it is one by the schema; BadInput, with the place of what is wrong in it, if not."""
    wrong = jsonschema.Draft202012Validator(SCHEMA).iter_errors(card)
    first = min(wrong, key=lambda error: list(map(str, error.absolute_path)), default=None)
    if first is not None:
        where = ".".join(map(str, first.absolute_path)) or "it"
        raise BadInput(f"{whose} is no card of a method: {where}: {first.message[:200]}")
    return card


def read(path: Path) -> dict:
    """A card from its file; BadInput for what is none."""
    try:
        card = json.loads(path.read_text("utf8"))
    except (OSError, ValueError, RecursionError) as error:
        raise BadInput(f"{path} is no card of a method: {error}") from error
    return check(card, str(path))


def submitted(folder: Path = SUBMITTED, taken: Collection[str] = ()) -> dict[str, dict]:
    """The cards of others' methods that can stand on the leaderboard, by name.

    folder: of cards, whose files are called as the methods are on the board; or of one report, whose method is called
    as it calls itself. taken: names that are others', so that theirs get a star. Left out are cards of other data or
    another profile than the methods of this package were measured on, see `comparable` and `left_out`.
    """
    cards = {name: card for name, card in _named(folder) if comparable(card)}
    return {f"{name}*" if name in taken else name: card for name, card in cards.items()}


def left_out(*folders: Path) -> str:
    """A sentence on the cards in some folders that `submitted` leaves out, "" where there are none."""
    cards = [(name, card) for folder in folders for name, card in _named(folder) if not comparable(card)]
    words = ", ".join(f"{name} ({card['data']}, profile {card['profile']})" for name, card in cards)
    return f"Of other slices than the methods here, and so left out: {words}." if cards else ""


def _named(folder: Path) -> Iterator[tuple[str, dict]]:
    own = folder / CARD
    for path in [own] if own.is_file() else sorted(folder.glob("*.json")) if folder.is_dir() else []:
        card = read(path)
        yield (card["method"] if path == own else path.stem), card


def comparable(card: Mapping) -> bool:
    """Whether a card is of the drawn slices that the methods of this package were measured on."""
    return card["data"] == DRAWN and card["profile"] == SHIPPED


def board(cards: Mapping[str, Mapping[str, Mapping]], trusted: Collection[str]) -> pd.DataFrame:
    """Every measure of every method with its rank: a row a method and measure.

    cards: name to `numbers`; trusted: the methods on which an audit carries the attack: what others lose to theirs may
    be less than there is, and has no rank. Columns method, measure, mean, low, high, volumes, rank: one more than how
    many methods are ahead of it beyond doubt, that is, whose interval lies wholly on the better side of its own. NaN
    for a number without an interval. Of two whose intervals overlap neither is ahead of the other, though a third may
    be ahead of one of them alone; methods were measured on the same or on other volumes, which this rule need not know.
    """
    rows = [
        {"method": name, "measure": key, **card[key]} for key in MEASURES for name, card in cards.items() if key in card
    ]
    table = pd.DataFrame(rows, columns=["method", "measure", "mean", "low", "high", "volumes"])
    table[["mean", "low", "high"]] = table[["mean", "low", "high"]].astype(float)
    ranks = {}
    for key, group in table.groupby("measure", sort=False):
        known = group.dropna(subset=["low", "high"])
        known = known[known["method"].isin(trusted)] if key == "attack" else known
        for index, row in known.iterrows():
            ahead = known["low"] > row["high"] if MEASURES[key].more else known["high"] < row["low"]
            ranks[index] = 1 + int(ahead.sum())
    return table.assign(rank=pd.Series(ranks, dtype=float).reindex(table.index))


def in_words(table: pd.DataFrame, methods: Sequence[str]) -> pd.DataFrame:
    """The same as a table to read: a row a method, a column a measure, "mean [low, high] (rank)"."""

    def words(row: pd.Series) -> str:
        ends = f" [{row['low']:.3f}, {row['high']:.3f}]" if isfinite(row["low"]) else ""
        rank = f" ({row['rank']:.0f})" if isfinite(row["rank"]) else ""
        return f"{row['mean']:.3f}{ends}{rank}"

    cells = table.assign(words=table.apply(words, axis=1) if len(table) else [])
    wide = cells.pivot(index="method", columns="measure", values="words")
    wide = wide.reindex(index=methods, columns=[key for key in MEASURES if key in wide]).fillna("–")
    return wide.rename(columns={key: f"{each.words} ({each.unit})" for key, each in MEASURES.items()})
