"""What the ranking of slices says: who is hard, whether that is noise or anatomy, and how much of it is the scan."""

import numpy as np
import pandas as pd

from helpers import stats
from helpers.experiments.hard import lowest
from helpers.findings import verdicts
from helpers.findings.verdicts import Measured

PREDICTORS = {
    "snr": "log of the SNR of the reference",
    "high_clean": "high frequencies, without the noise's",
}


def marked(ranking: pd.DataFrame) -> pd.DataFrame:
    """The ranking with a column `hard`, see `experiments.hard.lowest`, and an SNR that is NaN where it is not known."""
    return ranking.assign(hard=lowest(ranking), snr=pd.to_numeric(ranking["snr"], errors="coerce"))


def composition(ranking: pd.DataFrame) -> pd.DataFrame:
    """Of what acquisitions the hard slices are, beside all: shares, median SNR, and how many are hard."""
    found = marked(ranking)
    groups = found.groupby("acquisition")
    return pd.DataFrame(
        {
            "share of all": groups.size() / len(found),
            "share of the hard": groups["hard"].sum() / found["hard"].sum(),
            "hard of its own": groups["hard"].mean(),
            "median SNR": groups["snr"].median(),
            "volumes": groups["volume"].nunique(),
        }
    )


def more_high_frequencies(ranking: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """The supplement's claim: hard slices have more energy at high frequencies, with the noise's and without.

    The difference of means over slices, hard less the others, of all and within acquisitions (the slope of least
    squares, where value and being hard are each less the mean of the acquisition); intervals are of a bootstrap over
    volumes, whose slices hang together.
    """
    found, rows = marked(ranking).astype({"hard": float}), {}
    for name, words in (("high", "share of the energy"), ("high_clean", "the same, without the noise's")):
        pair = found[[name, "hard"]]
        inside = pair - pair.groupby(found["acquisition"]).transform("mean")
        for both, which in ((pair, "all slices"), (inside, "within acquisitions")):
            table = both.rename(columns={name: "value"}).assign(volume=found["volume"])
            rows[words, which] = stats.resampled(table, _difference, seed)
    return _worded(rows, found["volume"].nunique()).rename_axis(["high frequencies of hard slices, less others'", "of"])


def regression(ranking: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """What SSIM goes with: least squares on the noise of the reference and on what of high frequencies is anatomy.

    Coefficients are changes of SSIM by one standard deviation of a predictor, the other held; of all slices and within
    acquisitions. Intervals are of a bootstrap over volumes.
    """
    table = ranking.assign(snr=np.log(ranking["snr"])).dropna(subset=[*PREDICTORS, "ssim"])
    rows = {}
    for which in ("all slices", "within acquisitions"):
        values = table[[*PREDICTORS, "ssim"]]
        if which != "all slices":
            values = values - values.groupby(table["acquisition"]).transform("mean")
        spread = {name: values[name].std() for name in PREDICTORS}  # of none, as where each acquisition is one slice
        values = values.assign(**{name: values[name] / (each if each > 0 else 1) for name, each in spread.items()})
        coefficients = stats.resampled(values.assign(volume=table["volume"]), _least_squares, seed)
        for number, words in enumerate(PREDICTORS.values()):
            rows[words, which] = tuple(each[number] for each in coefficients)
    return _worded(rows, table["volume"].nunique()).rename_axis(["SSIM by one standard deviation of", "of"])


def explained(ranking: pd.DataFrame) -> pd.Series:
    """The share of the variance of SSIM that the noise of the reference explains, high frequencies, and both."""
    table = ranking.assign(snr=np.log(ranking["snr"])).dropna(subset=[*PREDICTORS, "ssim"])
    chosen = {words: [name] for name, words in PREDICTORS.items()} | {"both": list(PREDICTORS)}
    return pd.Series({words: _r_squared(table[names], table["ssim"]) for words, names in chosen.items()})


def _r_squared(predictors: pd.DataFrame, values: pd.Series) -> float:
    design = np.column_stack([np.ones(len(values)), predictors])
    residual = values - design @ np.linalg.lstsq(design, values, rcond=None)[0]
    return float(1 - residual.var() / values.var())


def _difference(table: pd.DataFrame) -> float:
    hard = table["hard"] - table["hard"].mean()
    return float((hard * table["value"]).sum() / (hard**2).sum()) if hard.any() else float("nan")


def _least_squares(table: pd.DataFrame) -> np.ndarray:
    design = np.column_stack([np.ones(len(table)), table[list(PREDICTORS)]])
    return np.linalg.lstsq(design, table["ssim"], rcond=None)[0][1:]


def _worded(rows: dict[tuple, tuple], volumes: int) -> pd.DataFrame:
    """Numbers with their intervals and the verdicts on "above zero", which are judged together."""
    found = verdicts.cells({key: Measured.above(*each, volumes) for key, each in rows.items()})
    return pd.DataFrame({"above zero": found.values()}, index=pd.MultiIndex.from_tuples(found))
