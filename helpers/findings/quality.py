"""What the tables of quality say: whether one method beats another, by source and by SNR."""

from collections.abc import Sequence
from itertools import pairwise

import pandas as pd

from helpers import stats
from helpers.findings import verdicts
from helpers.findings.shipped import table
from helpers.findings.verdicts import Measured
from helpers.mri import metrics


def held_out() -> pd.DataFrame:
    """All methods on held-out slices: the un-trained ones, which take long, on fewer of them."""
    return pd.concat([table("quality"), table("untrained")], ignore_index=True)


def matched(quality: pd.DataFrame) -> pd.DataFrame:
    """The table with networks on the anatomy that they were trained on alone, by their architecture: "unet", "varnet".

    Networks of other sizes, and all networks on other anatomies, are left out; other methods stay as they are.
    """
    networks = quality["family"] == "network"
    kind = quality["method"].str.split("-").str[0]
    own = quality["method"] == kind + "-" + quality["anatomy"]
    renamed = quality.assign(method=quality["method"].where(~networks, kind))
    return renamed[own | ~networks]


def snr_bands(quality: pd.DataFrame, edges: Sequence[float] = (35, 70)) -> pd.DataFrame:
    """The table with the SNR of every slice as the band it falls into, in words, lowest first."""
    words = [f"SNR below {edges[0]}", *(f"SNR {a} to {b}" for a, b in pairwise(edges)), f"SNR above {edges[-1]}"]
    return quality.assign(snr=pd.cut(quality["snr"], [0, *edges, float("inf")], labels=words))


def claims(
    quality: pd.DataFrame,
    pairs: Sequence[tuple[str, str]],
    scores: Sequence[str] = ("ssim",),
    by: str = "source",
    margin: float = 0.0,
) -> pd.DataFrame:
    """Whether one method beats another: paired difference with its interval, and the verdict, a row a claim and group.

    The claims of one table are judged together, see `verdicts.verdicts`.

    quality: tidy, one row a slice, source and method; pairs: (better, worse) as claimed; scores: a column each; by:
    the column whose values get a row each, bands in their order, where both methods were measured; margin: by how
    much it is claimed.
    """
    rows, most = [], f" by {margin:g}" if margin else ""
    for better, worse in pairs:
        for value, group in quality.groupby(by, sort=quality[by].dtype == "category", observed=True):
            if not {better, worse} <= set(group["method"]):
                continue
            row = {"claim": f"{better} above {worse}{most}", by: value}
            row |= {metrics.SCORES[score]: stats.difference(group, better, worse, score) for score in scores}
            gain = row[metrics.SCORES[scores[0]]]
            rows.append(row | {"slices": gain.n, "volumes": gain.volumes})
    names = [metrics.SCORES[score] for score in scores]
    gains = {(n, name): Measured.mean(row[name], margin) for n, row in enumerate(rows) for name in names}
    for (n, name), said in verdicts.cells(gains).items():
        rows[n][name] = said
    return pd.DataFrame(rows, columns=list(rows[0]) if rows else ["claim", by]).set_index(["claim", by])


def findings(quality: pd.DataFrame) -> pd.DataFrame:
    """What the quality table says: a row a claim, with difference, interval and verdict of every source."""
    pairs = [("wavelet", "zero-filled"), ("tv", "wavelet"), ("convdecoder", "wavelet"), ("unet", "convdecoder")]
    pairs += [("unet", "wavelet"), ("varnet", "tv"), ("varnet", "unet")]
    found = claims(matched(quality), pairs)[metrics.SCORES["ssim"]]
    order = found.index.unique("claim")
    return found.unstack("source").loc[order].fillna("not measured").rename_axis(index="claim, in SSIM", columns=None)


def extremes(quality: pd.DataFrame) -> pd.DataFrame:
    """Of every network on every source, at worst over the slices: the brightest pixel, and the gain over zero-filled.

    quality: tidy, as `evaluate` writes it. Columns by source: the maximum of the image over that of the target, and the
    PSNR (dB) above that of the zero-filled image. SSIM sees neither a bright column nor what it costs.
    """
    networks = quality[quality["family"] == "network"]
    gained = networks.assign(gain=networks["psnr"] - networks["psnr_zero_filled"])
    worst = gained.groupby(["method", "source"], sort=False).agg(maximum=("maximum", "max"), gain=("gain", "min"))
    words = {"maximum": "largest maximum, targets' = 1", "gain": "least gain in PSNR (dB)"}
    return worst.rename(columns=words).unstack("source")
