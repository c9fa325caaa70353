"""What the table of noise levels says: how far off the level is, by each thing in which scans differ."""

import pandas as pd

FACTORS = ("mask", "coils", "kept", "snr", "source", "oversampled")


def by_factor(table: pd.DataFrame) -> pd.DataFrame:
    """Ratios of the level found to the one drawn, over all scans and by the values of each factor.

    table: tidy, of `noise_levels.rows`. Columns: least, median and largest ratio, and the shares of the scans whose
    level is within 10 and 20 % of the truth.
    """
    groups = {("all", ""): table["ratio"]}
    for factor in FACTORS:
        groups |= {(factor, str(value)): group["ratio"] for value, group in table.groupby(factor)}
    found = {
        key: {
            "least": ratio.min(),
            "median": ratio.median(),
            "largest": ratio.max(),
            "within 10 %": ratio.between(0.9, 1.1).mean(),
            "within 20 %": ratio.between(0.8, 1.2).mean(),
            "n": len(ratio),
        }
        for key, ratio in groups.items()
    }
    return pd.DataFrame.from_dict(found, orient="index").rename_axis(["scans", "value"])
