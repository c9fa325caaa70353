"""What the table of shifts says: what each family loses, whether all lose alike, and whether scores lie on a line."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd
from scipy import stats as scipy_stats

from helpers import stats
from helpers.experiments.shifts import RAW
from helpers.findings import verdicts
from helpers.findings.verdicts import Measured
from helpers.mri import metrics
from helpers.shifts import like

MARGIN = 0.02  # of SSIM: drops that differ by less are alike
LINE = 0.9  # correlation from which on points are said to lie on a line, and ranks to be kept
RESAMPLES = 2000
NUMBERS = ("slope", "offset", "r", "rank correlation")  # of a line
BASE = "base"  # the variant that every family has, and that alone tells what a shift is made of
LEFT = "left over"
PARTS = {  # of a shift: what is lost from one side to another that differs from it in one thing
    "noise that the methods see": ("in", like.NOISE),
    "noise in the reference": (like.NOISE, like.REFERENCE),
    "fewer coils": ("in", like.COILS),
    "a coarser matrix": ("in", like.MATRIX),
    RAW: ("out", RAW),
}


def one(table: pd.DataFrame, shift: str, protocol: str, domain: str) -> pd.DataFrame:
    """The rows of one shift under one protocol; none where it was not measured."""
    keys = {"shift": shift, "protocol": protocol, "domain": domain}
    return table[(table[list(keys)] == pd.Series(keys)).all(axis=1)]


def by_volume(rows: pd.DataFrame, side: str, score: str) -> pd.DataFrame:
    """Mean scores of the variants of each family on one side: a row a volume, a column a family and variant."""
    chosen = rows[rows["side"] == side]
    return chosen.pivot_table(index="volume", columns=["family", "variant"], values=score, aggfunc="mean", sort=False)


def families(rows: pd.DataFrame, side: str, score: str) -> pd.DataFrame:
    """The same as means over the variants of a family, of volumes that all of them have: a column a family."""
    wide = by_volume(rows, side, score)
    return pd.DataFrame({name: wide[name].dropna().mean(axis=1) for name in wide.columns.unique(0)})


def drops(rows: pd.DataFrame, score: str = "ssim", side: str = "out") -> dict[str, stats.Gap]:
    """What each family loses of a score from the side "in" to another one, as a difference over volumes."""
    before, after = (families(rows, each, score) for each in ("in", side))
    return {name: stats.gap(_mean(before[name]), _mean(after[name])) for name in before if name in after}


def differences(rows: pd.DataFrame, score: str = "ssim", side: str = "out") -> dict[tuple[str, str], stats.Gap]:
    """How much more the first family of a pair loses than the second, over the volumes that both were measured on."""
    before, after = (families(rows, each, score) for each in ("in", side))
    names = [name for name in before if name in after]
    return {
        (a, b): stats.gap(_mean(before[a] - before[b]), _mean(after[a] - after[b])) for a, b in combinations(names, 2)
    }


def common(rows: pd.DataFrame, side: str = "out") -> pd.DataFrame:
    """The rows of "in" and another side of the volumes that every variant was measured on.

    Means over other volumes are not to be compared: un-trained networks see fewer. Variants that were not measured on
    both sides are left out.
    """
    chosen = rows[rows["side"].isin(["in", side])]
    chosen = chosen[chosen.groupby(["family", "variant"])["side"].transform("nunique") == 2]
    variants = chosen.drop_duplicates(["side", "volume", "family", "variant"]).groupby(["side", "volume"]).size()
    full = variants.index[variants == chosen.groupby(["family", "variant"]).ngroups]
    return chosen[pd.MultiIndex.from_frame(chosen[["side", "volume"]]).isin(full)]


def points(rows: pd.DataFrame, score: str = "ssim", side: str = "out") -> pd.DataFrame:
    """Every variant as a point: its mean on either side with its interval, of the volumes in `common`.

    A row a family and variant.
    """
    rows, found = common(rows, side), {}
    for words, each in (("in", "in"), ("out", side)):
        wide = by_volume(rows, each, score)
        for key in wide:
            measured = _mean(wide[key])
            found.setdefault(key, {}).update(
                {words: measured.mean, f"{words}_low": measured.low, f"{words}_high": measured.high}
            )
    return pd.DataFrame.from_dict(found, orient="index").rename_axis(["family", "variant"]).dropna(subset=["in", "out"])


def line(rows: pd.DataFrame, score: str = "ssim", side: str = "out", seed: int = 0) -> pd.DataFrame:
    """The line through the points of all variants: slope, offset, r and rank correlation, each with its interval.

    offset: what is lost, on the line, by a method of the mean score inside. Over the volumes in `common`; intervals are
    of a bootstrap over those of either side (`stats.bias_corrected`), since the points of one volume hang together.
    A row a number.
    """
    found = {}
    for name, drawn in zip(NUMBERS, _lines(rows, score, side, seed).T):
        low, high, _ = stats.bias_corrected(drawn)
        found[name] = {"value": drawn[0], "low": low, "high": high}
    return pd.DataFrame.from_dict(found, orient="index").rename_axis("line")


def _lines(rows: pd.DataFrame, score: str, side: str = "out", seed: int = 0) -> np.ndarray:
    """The numbers of the line, in a row, and in further rows those of the resamples."""
    rows = common(rows, side)
    before, after = (by_volume(rows, each, score).dropna() for each in ("in", side))
    chance, means = np.random.default_rng(seed), []
    for values in (before.to_numpy(), after[before.columns].to_numpy()):
        chosen = [np.arange(len(values)), *chance.integers(len(values), size=(RESAMPLES, len(values)))]
        means.append(np.array([values[each].mean(0) for each in chosen]))
    return _fit(*means)


def elsewhere(rows: pd.DataFrame, other: pd.DataFrame, family: str, score: str = "ssim") -> stats.Interval:
    """What a family pays on the second domain's own slices for having been made on the first.

    rows, other: the rows of the two domains of a shift, whose sides "out" and "in" are of the same slices.
    """
    made_there, made_elsewhere = families(other, "in", score)[family], families(rows, "out", score)[family]
    return _mean(made_there - made_elsewhere)


def paired(rows: pd.DataFrame, family: str, before: str, after: str, score: str = "ssim") -> stats.Interval:
    """What a family loses from one side to another of the same volumes."""
    return _mean(families(rows, before, score)[family] - families(rows, after, score)[family])


def above_zero(measured: Mapping[str, stats.Interval], words: str) -> pd.DataFrame:
    """The verdicts on numbers of which it is claimed that they are above zero, judged together: a row each.

    Where every volume has exactly 0, one image was held against itself, and there is nothing to judge.
    """
    judged = verdicts.cells({name: Measured.mean(each) for name, each in measured.items() if each.means.any()})
    found = {name: judged.get(name, "0, the same images") for name in measured}
    return pd.DataFrame({words: found})


def worst(rows: pd.DataFrame, other: pd.DataFrame, family: str, count: int, score: str = "ssim") -> list[str]:
    """The volumes on which a family loses most by having been made on the first domain and not on the second.

    rows, other: the rows of the two domains of a shift, whose sides "out" and "in" are of the same slices.
    """
    lost = families(other, "in", score)[family] - families(rows, "out", score)[family]
    return lost.dropna().sort_values(ascending=False).index[:count].tolist()


def effective(rows: pd.DataFrame, score: str = "ssim", side: str = "out") -> pd.Series:
    """How far each variant lies above the line through all: effective robustness (Taori et al. 2020)."""
    found = points(rows, score, side)
    slope, intercept = np.polyfit(found["in"], found["out"], 1)
    return (found["out"] - slope * found["in"] - intercept).rename(f"above the line, {metrics.SCORES[score]}")


def judged(
    table: pd.DataFrame,
    shift: str,
    domain: str,
    scores: Sequence[str] = ("ssim", "ssim_object"),
    margin: float = MARGIN,
) -> pd.DataFrame:
    """The paper's claims on one shift: what was measured and the verdict, a column a protocol and score.

    That each family loses; that all lose alike, see `alike`; that scores lie on a line and keep their ranks: that the
    correlation is above LINE, by the resamples of `line`. Resampled ranks change places by chance alone, so that ranks
    are kept, or it is not known. As published the first score counts, which alone is matched there. All claims of the
    table are judged together, with Holm's correction for their number.
    """
    claims = {}
    for protocol in table["protocol"].unique():
        rows = one(table, shift, protocol, domain)
        for score in (scores if protocol == "corrected" else scores[:1]) if len(rows) else ():
            column = f"{protocol}, {metrics.SCORES[score]}"
            for name, lost in drops(rows, score).items():
                claims[f"{name} loses", column] = Measured.mean(lost)
            if pairs := differences(rows, score):
                claims[f"all lose alike, to {margin:g}", column] = _alike(pairs, margin)
            drawn, volumes = _lines(rows, score), min(common(rows).groupby("side")["volume"].nunique())
            aligned, kept = (
                Measured.resampled(drawn[:, NUMBERS.index(number)], LINE, volumes)
                for number in ("r", "rank correlation")
            )
            kept = kept if kept.said == "supported" else replace(kept, said="undecided")
            claims |= {("scores in and out lie on a line", column): aligned, ("the ranking is kept", column): kept}
    order = list(dict.fromkeys(words for words, _ in claims))
    order.sort(key=lambda words: not words.endswith(" loses"))
    wide = pd.Series(verdicts.cells(claims), dtype=object).unstack().loc[order]
    wide = wide[list(dict.fromkeys(column for _, column in claims))].fillna("not measured")
    return wide.rename_axis(index=f"claim, {shift}, made on {domain}")


def made_of(rows: pd.DataFrame, score: str = "ssim") -> pd.DataFrame:
    """What the drop of each family is made of, as far as one thing at a time tells: a row a part, a column a family.

    rows: of one shift under one protocol; of each family the variant "base" counts. Parts are paired differences over
    the volumes of the side that was changed; what is left is the whole less all of them, the sides' subjects above all.
    Cells: `stats.Interval` or `stats.Gap`; families of which a part was not measured are left out.
    """
    base = rows[rows["variant"] == BASE]
    sides = {side: families(base, side, score) for side in base["side"].unique()}
    there = {words: pair for words, pair in PARTS.items() if set(pair) <= set(sides)}
    whole, found = RAW if RAW in sides else "out", {}
    needed = [sides[whole], *(sides[side] for pair in there.values() for side in pair)]
    for name in [name for name in sides["in"] if all(name in each for each in needed)]:
        parts = {words: sides[a][name] - sides[b][name] for words, (a, b) in there.items()}
        first, second = (sides[side][name] for side in ("in", "out"))
        rest = first - sum(part for words, part in parts.items() if words != RAW)
        found[name] = {"the whole shift": stats.gap(_mean(first), _mean(sides[whole][name]))}
        found[name] |= {words: _mean(part) for words, part in parts.items()}
        found[name][LEFT] = stats.gap(_mean(rest), _mean(second))
    return pd.DataFrame(found)


def closed(rows: pd.DataFrame, pairs: Mapping[str, str], score: str = "ssim") -> pd.DataFrame:
    """Whether a method that tunes itself on the scan loses less than the one that was tuned on the first side.

    pairs: the first to the second. A row a pair: what each loses, and by how much more the second does, with the
    verdicts on the claim that it does, judged together.
    """
    base = rows[rows["variant"] == BASE]
    lost, more = drops(base, score), differences(base, score)
    more |= {(b, a): replace(gap, mean=-gap.mean) for (a, b), gap in more.items()}
    there = {each: Measured.mean(more[each[::-1]]) for each in pairs.items() if each[::-1] in more}
    found = {}
    for (its_own, other), said in verdicts.cells(there).items():
        words = f"tuned on the scan, {other} loses less than tuned on the first side"
        found[words] = {"tuned on the scan loses": lost[its_own], "tuned on the first side loses": lost[other]}
        found[words]["more"] = said
    return pd.DataFrame.from_dict(found, orient="index").rename_axis("claim")


def alike(pairs: dict[tuple[str, str], stats.Gap], margin: float = MARGIN) -> str:
    """Whether all pairs lose alike, in words: the pair that differs most, and the verdict on this claim alone.

    Equivalence has to be shown for every pair, so that the weakest decides and none is corrected; that one pair differs
    by more than the margin is enough for the contrary, so that the strongest is corrected for the number of pairs.
    """
    return verdicts.cells({(): _alike(pairs, margin)})[()]


def _alike(pairs: dict[tuple[str, str], stats.Gap], margin: float) -> Measured:
    (a, b), most = max(pairs.items(), key=lambda each: abs(each[1].mean))
    near = max(each.beyond(margin) for each in pairs.values())
    apart = stats.holm([each.p_value(np.sign(each.mean) * margin) for each in pairs.values()])
    far = min([p for p, each in zip(apart, pairs.values()) if abs(each.mean) > margin], default=1.0)
    said = "contradicted" if far < near else "supported"
    return Measured(f"{a} against {b} {most}", min(each.volumes for each in pairs.values()), min(near, far), said)


def _mean(values: pd.Series) -> stats.Interval:
    values = values.dropna()
    return stats.interval(values.to_numpy(), values.index)


def _fit(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """`NUMBERS` of the least-squares line through points, a row each: (row, point) twice to (row, 4)."""

    def correlation(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        x, y = (each - each.mean(-1, keepdims=True) for each in (x, y))
        return (x * y).sum(-1) / np.sqrt((x**2).sum(-1) * (y**2).sum(-1))

    r = correlation(before, after)
    ranks = correlation(*(scipy_stats.rankdata(each, axis=-1) for each in (before, after)))
    slope = r * after.std(-1) / before.std(-1)
    return np.stack([slope, before.mean(-1) - after.mean(-1), r, ranks], -1)
