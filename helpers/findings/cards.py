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

from helpers import __version__
from helpers.errors import BadInput
from helpers.experiments.report import SHIPPED
from helpers.findings import factors, pathologies, shifts, transfer
from helpers.findings.shifts import BASE
from helpers.places import ZOO
from helpers.stats import Gap, Interval, gap, interval, share

VERSION = 2  # of the schema
SCHEMA = json.loads(files(__package__).joinpath("card.schema.json").read_text("utf8"))
SUBMITTED = ZOO / "cards"  # of methods that are not in this package, one file each
EPS = 0.02  # of the attack that a card tells of
LITTLE = 0.01  # of the measurement: what is hidden by less was hardly there
NOISE = "4"  # times the scan's
TIMED = "wavelet"  # whose seconds are the unit of time
ITEM = ["volume", "item"]  # by which values of several methods are paired: a slice or a finding of a volume
POSITIVE = ("NMSE", "times")  # units of what is never below 0
CARD = "card.json"  # of a report
DRAWN = "drawn"  # the data of which all methods of the leaderboard are measured
SEED = 0  # of their masks, and of all tables of this package

Tables = Mapping[str, pd.DataFrame]  # by name, as in results/
Values = pd.Series  # by volume and by what was measured of it, in words


@dataclass(frozen=True)
class Measure:
    """One number of a card: what it is, in words; its unit; whether more is better; and how tables give its values.

    of: tables and a name to the values whose mean it is, or, of what is lost from some volumes to others, to both; none
    where it was not measured. mean: of one of them.
    """

    words: str
    unit: str
    more: bool
    of: Callable[[Tables, str], Sequence[Values]]
    mean: Callable[..., Interval] = interval
    sides: int = 1  # how many values there are: of a shift two

    @property
    def better(self) -> str:
        return "more is better" if self.more else "less is better"

    def number(self, values: Sequence[Values]) -> Interval | Gap:
        """The mean, or what is lost from the first values to the second, with its interval over volumes."""
        return averaged(values, self.mean)


def averaged(values: Sequence[Values], mean: Callable[..., Interval] = interval) -> Interval | Gap:
    """The mean of some values over volumes; of two kinds that of the first less that of the second."""
    means = [mean(each, each.index.get_level_values("volume")) for each in values]
    return gap(*means) if len(means) > 1 else means[0]


def _values(rows: pd.DataFrame, column: str) -> Sequence[Values]:
    """A column by volume and slice, and finding where there are several: a slice by the part of its identity."""
    rows = rows[rows[column].notna()]
    slices = rows["identity"].str.split("-").str[1]
    item = slices + "/" + rows["box"].astype(str) if "box" in rows else slices
    found = pd.Series(rows[column].to_numpy(float), pd.MultiIndex.from_arrays([rows["volume"], item], names=ITEM))
    return [found.groupby(level=ITEM, sort=False).mean()] if len(found) else []


def _by_volume(values: pd.Series) -> Sequence[Values]:
    values = values.dropna()
    found = pd.MultiIndex.from_product([values.index.get_level_values("volume"), [""]], names=ITEM)
    return [values.set_axis(found)] if len(values) else []


def _quality(score: str, source: str, tables: Tables, name: str) -> Sequence[Values]:
    rows = tables["quality"]
    return _values(rows[(rows["method"] == name) & (rows["source"] == source)], score)


def _time(tables: Tables, name: str) -> Sequence[Values]:
    rows = tables[SPEED] if SPEED in tables else tables["quality"]
    wide = rows.pivot_table(index=["volume", "identity"], columns="method", values="seconds")
    if not {name, TIMED} <= set(wide):
        return []
    return _values((wide[name] / wide[TIMED]).reset_index(name="times"), "times")


def _noise(tables: Tables, name: str) -> Sequence[Values]:
    rows = tables["factors"]
    rows = rows[(rows["factor"] == "noise") & (rows["method"] == name) & rows["level"].isin(["1", NOISE])]
    lost = factors.lost(rows)
    return _by_volume(next(iter(lost.values()))[name]) if len(lost) else []


def _attack(tables: Tables, name: str) -> Sequence[Values]:
    rows = tables["transfer"]
    rows = rows[(rows["protocol"] == "corrected") & (rows["eps"] == EPS) & (rows["method"] == name)]
    if not (rows["attacked"] == name).any():
        return []
    return _by_volume(transfer.losses(rows)[transfer.WORST, name])


def _shift(shift: str, tables: Tables, name: str) -> Sequence[Values]:
    rows = shifts.one(tables["shifts"], shift, "corrected", "knee")
    rows = rows[(rows["family"] == name) & (rows["variant"] == BASE)]
    found = [_values(rows[rows["side"] == side], "ssim") for side in ("in", "out")]
    return [side for sides in found for side in sides] if all(found) else []


def _boxes(score: str, tables: Tables, name: str) -> Sequence[Values]:
    rows = tables["features"]
    rows = rows[(rows["protocol"] == "corrected") & (rows["family"] == name) & (rows["variant"] == BASE)]
    return _values(pathologies.with_rates(rows), score)


def _hidden(tables: Tables, name: str) -> Sequence[Values]:
    rows = tables["hidden"]
    rows = rows[(rows["made_for"] == name) & (rows["method"] == name) & (rows["goal"] == "hide")]
    return _values(rows.assign(hidden=(rows["eps"] <= LITTLE).astype(float)), "hidden")


MEASURES = {
    "ssim knee": Measure("knees", "SSIM", True, partial(_quality, "ssim", "knee")),
    "ssim brain": Measure("brains", "SSIM", True, partial(_quality, "ssim", "brain")),
    "ssim object knee": Measure("knees, inside the object", "SSIM", True, partial(_quality, "ssim_object", "knee")),
    "noise": Measure("lost under 4 times the noise", "SSIM", False, _noise),
    "attack": Measure("lost to the worst change of 2 %", "SSIM", False, _attack),
    "site": Measure("lost at another site", "SSIM", False, partial(_shift, "site"), sides=2),
    "anatomy": Measure("lost on another anatomy", "SSIM", False, partial(_shift, "anatomy"), sides=2),
    "hard": Measure("lost on hard images", "SSIM", False, partial(_shift, "hard"), sides=2),
    "box": Measure("error in the box of a finding", "NMSE", False, partial(_boxes, "nmse_box")),
    "hides": Measure("findings hidden by itself", "share", False, partial(_boxes, pathologies.MISSED), share),
    "invents": Measure("findings invented by itself", "share", False, partial(_boxes, pathologies.INVENTED), share),
    "hidden": Measure("findings hidden by a change of 1 %", "share", False, _hidden, share),
    "time": Measure("time, of that of l1-wavelet", "times", False, _time),
}
NEEDED = ("quality", "factors", "transfer", "shifts", "features", "hidden")  # tables
SPEED = "speed"  # where seconds of all methods were measured in one go, for those whose quality was not


def numbers(tables: Tables, name: str) -> dict[str, dict]:
    """What a card says of a method: by measure mean, low, high, volumes and values; what was not measured is left out.

    tables: as in results/, those that there are; name: under which the method stands in them. Ends of intervals are
    None where one volume tells nothing of them; of a share it tells a little. values: see `nested`.
    """
    found = {}
    for key, measure in MEASURES.items():
        with_it = {each: tables[each] for each in (*NEEDED, SPEED) if len(tables.get(each, ()))}
        try:
            values = measure.of(with_it, name)
        except KeyError as missing:
            if missing.args[0] not in NEEDED:
                raise
            continue
        if len(values):
            number = measure.number(values)
            low, high = number.low, number.high
            low = max(low, 0.0) if measure.unit in POSITIVE else low
            high = min(high, 1.0) if measure.more else high  # what is better the more of it there is, is an SSIM
            ends = {"low": low, "high": high} if isfinite(low) and isfinite(high) else {"low": None, "high": None}
            found[key] = {"mean": number.mean, **ends, "volumes": number.volumes, "values": nested(values)}
    return found


def nested(values: Sequence[Values]) -> list[dict[str, dict[str, float]]]:
    """Values as a card has them, to six digits: by volume, and by slice, or finding in it, where there are several."""
    return [
        {
            volume: {item: float(f"{value:.6g}") for (_, item), value in group.items()}
            for volume, group in each.groupby(level="volume", sort=False)
        }
        for each in values
    ]


def flat(values: Sequence[Mapping[str, Mapping[str, float]]]) -> Sequence[Values]:
    """The same the other way round."""
    found = []
    for each in values:
        items = {(volume, item): value for volume, group in each.items() for item, value in group.items()}
        index = pd.MultiIndex.from_tuples(items, names=ITEM)
        found.append(pd.Series(list(items.values()), index, dtype=float))
    return found


def check(card: object, whose: str) -> dict:
    """The card, if it is one by the schema; BadInput, with the place of what is wrong in it, if not."""
    wrong = jsonschema.Draft202012Validator(SCHEMA).iter_errors(card)
    first = min(wrong, key=lambda error: list(map(str, error.absolute_path)), default=None)
    if first is not None:
        where = ".".join(map(str, first.absolute_path)) or "it"
        raise BadInput(f"{whose} is no card of a method: {where}: {first.message[:200]}")
    for key, number in card["measures"].items():
        ends = number["low"], number["high"]
        if ends != (None, None) and not (None not in ends and ends[0] <= number["mean"] <= ends[1]):
            raise BadInput(f"{whose} is no card of a method: measures.{key}: its mean lies outside its interval")
        if len(number["values"]) != MEASURES[key].sides:
            raise BadInput(f"{whose} is no card of a method: measures.{key}.values: {MEASURES[key].sides} are needed")
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
    as it calls itself. taken: names that are others', so that theirs get a star. Left out are cards of other slices or
    masks than the methods of this package were measured on, or of another version, see `comparable` and `left_out`.
    """
    cards = {name: card for name, card in _named(folder) if comparable(card)}
    return {f"{name}*" if name in taken else name: card for name, card in cards.items()}


def left_out(*folders: Path) -> str:
    """A sentence on the cards in some folders that `submitted` leaves out, "" where there are none."""
    cards = [(name, card) for folder in folders for name, card in _named(folder) if not comparable(card)]
    words = "; ".join(
        f"{name} ({card['data']}, profile {card['profile']}, seed {card['made_by']['seed']},"
        f" version {card['made_by']['versions']['helpers']})"
        for name, card in cards
    )
    return (
        f"Of other slices, masks or another version than the methods here, and so left out: {words}." if cards else ""
    )


def _named(folder: Path) -> Iterator[tuple[str, dict]]:
    own = folder / CARD
    for path in [own] if own.is_file() else sorted(folder.glob("*.json")) if folder.is_dir() else []:
        card = read(path)
        yield (card["method"] if path == own else path.stem), card


def comparable(card: Mapping) -> bool:
    """Whether a card is of what the methods of this package were measured on: drawn slices, masks and version."""
    made, usual = card["made_by"], (DRAWN, SHIPPED, SEED, __version__)
    return (card["data"], card["profile"], made["seed"], made["versions"]["helpers"]) == usual
