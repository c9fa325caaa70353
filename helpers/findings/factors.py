"""What the table of factors says: what each costs each method, and who loses more by it."""

from collections.abc import Mapping, Sequence

import pandas as pd

from helpers import stats
from helpers.findings import verdicts
from helpers.findings.verdicts import Measured
from helpers.shifts.factors import FACTORS, in_words

# of methods: does the first lose more?
PAIRS = (("unet", "wavelet"), ("unet", "tv"), ("varnet", "tv"), ("varnet", "unet"))


def lost(table: pd.DataFrame, score: str = "ssim") -> dict[str, pd.DataFrame]:
    """What each factor costs at the level that costs most on average: by factor and level, drops from the usual level.

    Below zero where all other levels are better than the usual one. table: of `experiments.factors.rows`. Each table
    has a row a volume and a column a method.
    """
    means, found = table.groupby(["factor", "level"])["drop"].mean(), {}
    for name in [name for name in FACTORS if name in means.index.unique("factor")]:
        rows, where = table[table["factor"] == name], in_words(FACTORS[name].usual)
        level = means[name].drop(where).idxmax()
        usual, changed = (
            rows[rows["level"] == each].pivot_table(index="volume", columns="method", values=score, sort=False)
            for each in (where, level)
        )
        found[f"{FACTORS[name].words}: {level}"] = (usual - changed).dropna()
    return found


def costs(lost: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The mean drop with its interval: a row a factor, a column a method."""
    found = {words: {name: str(_mean(drops[name])) for name in drops} for words, drops in lost.items()}
    return pd.DataFrame.from_dict(found, orient="index").rename_axis("lost at the worst level")


def judged(lost: Mapping[str, pd.DataFrame], pairs: Sequence[tuple[str, str]] = PAIRS) -> pd.DataFrame:
    """Whether the first of a pair of methods loses more than the second: a row a factor, all judged together.

    Empty where no pair was measured.
    """
    more = {
        (words, f"{a} loses more than {b}"): Measured.mean(_mean(drops[a] - drops[b]))
        for words, drops in lost.items()
        for a, b in pairs
        if {a, b} <= set(drops)
    }
    cells = verdicts.cells(more)
    wide = pd.DataFrame(index=pd.Index(list(lost), name="at the worst level"))
    for words, column in cells:
        wide.loc[words, column] = cells[words, column]
    return wide


def _mean(values: pd.Series) -> stats.Interval:
    return stats.interval(values.to_numpy(), values.index)
