"""Who is ahead of whom in the numbers of cards, by what was measured of both: the leaderboard as a table."""

from collections.abc import Collection, Mapping, Sequence
from itertools import combinations
from math import isfinite

import numpy as np
import pandas as pd

from helpers.findings.cards import MEASURES, Measure, Values, averaged, flat
from helpers.findings.verdicts import LEAST
from helpers.stats import LEVEL, Gap, Interval, holm

RATIO = "times"  # unit of what is compared by ratios
COLUMNS = ["method", "measure", "mean", "low", "high", "volumes"]


def board(cards: Mapping[str, Mapping[str, Mapping]], trusted: Collection[str]) -> pd.DataFrame:
    """Every measure of every method with its rank: a row a method and measure.

    cards: name to `cards.numbers`; trusted: the methods on which an audit carries the attack: what others lose to
    theirs may be less than there is, and has no rank. Columns method, measure, mean, low, high, volumes, rank: see
    `ranks`, NaN for none.
    """
    rows = [
        {"method": name, "measure": key} | {column: card[key][column] for column in COLUMNS[2:]}
        for key in MEASURES
        for name, card in cards.items()
        if key in card
    ]
    table = pd.DataFrame(rows, columns=COLUMNS).astype(dict.fromkeys(("mean", "low", "high"), float))
    found = {}
    for key, measure in MEASURES.items():
        compared = [name for name in cards if key in cards[name] and (key != "attack" or name in trusted)]
        values = {name: flat(cards[name][key]["values"]) for name in compared}
        found |= {(name, key): rank for name, rank in ranks(measure, values).items()}
    return table.assign(rank=[found.get(key, float("nan")) for key in zip(table["method"], table["measure"])])


def ranks(measure: Measure, values: Mapping[str, Sequence[Values]]) -> dict[str, int]:
    """By method, one more than how many others are ahead of it.

    values: of each method, see `cards.Measure`. One method is ahead of another where the mean difference over what was
    measured of both, on `verdicts.LEAST` volumes or more, is not 0 by chance, with Holm's correction over all pairs;
    of times that of their logarithms. A method that has so much in common with no other has no rank.
    """
    if measure.unit == RATIO:
        values = {name: [np.log(each) for each in some] for name, some in values.items()}
    found = {pair: difference(*(values[name] for name in pair)) for pair in combinations(values, 2)}
    known = {pair: each for pair, each in found.items() if each is not None}
    rank = {name: 1 for pair in known for name in pair}
    for (a, b), p in zip(known, holm([each.p_value() for each in known.values()])):
        if p < 1 - LEVEL:
            rank[b if (known[a, b].mean > 0) == measure.more else a] += 1
    return rank


def difference(one: Sequence[Values], other: Sequence[Values]) -> Interval | Gap | None:
    """The mean of one method less that of another on what was measured of both; None of fewer than LEAST volumes."""
    both = [(a - b).dropna() for a, b in zip(one, other, strict=True)]
    if min(each.index.get_level_values("volume").nunique() for each in both) < LEAST:
        return None
    return averaged(both)


def in_words(table: pd.DataFrame, methods: Sequence[str]) -> pd.DataFrame:
    """A table of `board` to read: a row a method, a column a measure, "mean [low, high] (rank)"."""

    def words(row: pd.Series) -> str:
        ends = f" [{row['low']:.3f}, {row['high']:.3f}]" if isfinite(row["low"]) else ""
        rank = f" ({row['rank']:.0f})" if isfinite(row["rank"]) else ""
        return f"{row['mean']:.3f}{ends}{rank}"

    cells = table.assign(words=table.apply(words, axis=1) if len(table) else [])
    wide = cells.pivot(index="method", columns="measure", values="words")
    wide = wide.reindex(index=methods, columns=[key for key in MEASURES if key in wide]).fillna("–")
    return wide.rename(columns={key: f"{each.words} ({each.unit})" for key, each in MEASURES.items()})
