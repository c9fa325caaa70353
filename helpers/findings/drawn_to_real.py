"""What the step from drawn slices to real scans costs, and what a single scan can carry."""

from itertools import combinations

import numpy as np
import pandas as pd

from helpers import stats


def both(drawn: pd.DataFrame, real: pd.DataFrame, score: str = "ssim") -> pd.DataFrame:
    """Each method on drawn slices and on real ones: a row a method, best on drawn ones first.

    drawn, real: tidy, as `evaluate` writes them, with a column `seed` of masks in the second. Columns: drawn and real,
    the means over volumes, each with `_low` and `_high`: on drawn slices, and on real ones of several volumes, the 95 %
    interval; of one real volume the range over masks, which says nothing about other scans. volumes: of the real ones.
    """
    found = {}
    for method in [name for name in drawn["method"].unique() if name in set(real["method"])]:
        row = {}
        for where, table in (("drawn", drawn), ("real", real)):
            rows = table[table["method"] == method]
            measured = stats.interval(rows[score].to_numpy(), rows["volume"])
            one = measured.volumes == 1
            low, high = (rows[score].min(), rows[score].max()) if one else (measured.low, measured.high)
            row |= {where: measured.mean, f"{where}_low": low, f"{where}_high": high}
        found[method] = row | {"volumes": measured.volumes}
    return pd.DataFrame.from_dict(found, orient="index").rename_axis("method").sort_values("drawn", ascending=False)


def orders(real: pd.DataFrame, score: str = "ssim") -> pd.DataFrame:
    """Of how many pairs of methods the order of the means is the same under every mask: by how far apart they are.

    real: tidy, with a column `seed` of masks. A row a band of differences of means: pairs, and how many of them keep
    their order under all masks.
    """
    wide = real.pivot_table(index=["seed", "volume"], columns="method", values=score).groupby("seed").mean()
    rows = []
    for a, b in combinations(wide, 2):
        apart = (wide[a] - wide[b]).dropna()
        rows.append({"apart": abs(apart.mean()), "kept": bool((np.sign(apart) == np.sign(apart.iloc[0])).all())})
    table = pd.DataFrame(rows)
    bands = pd.cut(table["apart"], [0, 0.005, 0.01, 0.02, 0.05, np.inf], include_lowest=True)
    names = ["below .005", ".005 to .01", ".01 to .02", ".02 to .05", "above .05"]
    found = table.groupby(bands.cat.rename_categories(names), observed=True)["kept"].agg(["size", "sum"])
    return found.rename(columns={"size": "pairs", "sum": "same order under every mask"}).rename_axis("SSIM apart by")
