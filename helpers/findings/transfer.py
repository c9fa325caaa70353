"""What the transfer matrix says: what every perturbation costs every method, and whether the paper's claims hold."""

from collections.abc import Collection, Mapping, Sequence

import pandas as pd

from helpers import stats
from helpers.findings import audit, verdicts
from helpers.findings.verdicts import Claim
from helpers.mri import metrics

WORST = "worst"
OWN = 0.9  # share of the worst loss known that a method's own attack has to find, to be trusted in a score


def claims(methods: Sequence[str]) -> list[Claim]:
    """The paper's claims on Figure 3, for the methods that were measured."""
    found = [
        Claim(f"{name} is hurt more by its own perturbation than by noise", (name, name), ("noise", name))
        for name in methods
    ]
    pairs = [("wavelet", "unet"), ("unet", "wavelet")]
    found += [Claim(f"what is found for {a} hurts {b} less than {a}", (a, a), (a, b)) for a, b in pairs]
    pairs = [("unet", "convdecoder"), ("wavelet", "convdecoder"), ("varnet", "unet"), ("varnet", "wavelet")]
    found += [Claim(f"{a} is less robust than {b}", (a, a), (b, b), ranking=True) for a, b in pairs]
    return [claim for claim in found if {claim.lost[1], claim.than[1]} <= set(methods)]


def losses(table: pd.DataFrame, score: str = "ssim") -> pd.DataFrame:
    """What a perturbation takes off a score: clean minus perturbed, a row a protocol, strength and slice.

    table: of `transfer.rows`. Columns are (attacked, method); of the perturbations that were found for one method that
    which climbed this score, or its like, is taken where there is one. The method "worst" of all that were tried on it
    is attacked by (WORST, method).
    """
    keys = ["protocol", "eps", "volume", "slice"]
    chosen = table.assign(other=table["climbed"] != _like(score)).sort_values("other", kind="stable")
    chosen = chosen.drop_duplicates([*keys, "attacked", "method"])
    wide = chosen.pivot(index=keys, columns=["attacked", "method"], values=score)
    lost = pd.concat(
        {attacked: wide["nothing"] - wide[attacked] for attacked in wide.columns.unique(0) if attacked != "nothing"},
        axis=1,
    )
    perturbed = table[table["attacked"] != "nothing"].groupby([*keys, "method"])[score].min().unstack("method")
    return lost.join(pd.concat({WORST: wide["nothing"] - perturbed}, axis=1))


def _like(score: str) -> str:
    """What an attack climbs that is meant to hurt a score."""
    return "ssim" if score.startswith("ssim") else "nmse"


def lost(table: pd.DataFrame, score: str = "ssim") -> pd.DataFrame:
    """The mean loss of every pair with its 95 % interval over volumes: a row a protocol, strength and pair."""
    wide = losses(table, score)
    rows = [
        {"protocol": protocol, "eps": eps, "attacked": attacked, "method": method}
        | stats.interval(
            group[attacked, method].dropna(), group[attacked, method].dropna().index.get_level_values("volume")
        ).row()
        for (protocol, eps), group in wide.groupby(level=["protocol", "eps"])
        for attacked, method in wide.columns
        if group[attacked, method].notna().any()
    ]
    return pd.DataFrame(rows)


def counted(table: pd.DataFrame) -> str:
    """How many slices the means of a table are of, in words, and of which methods fewer; table: of `transfer.rows`.

    On slices on which a method was not measured nothing that was made for it was tried, either.
    """
    slices = table.drop_duplicates(["eps", "method", "volume", "slice"]).groupby(["method", "eps"], sort=False).size()
    of = slices.groupby("method", sort=False).min()
    fewer = [f", {of[name]} with {name}" for name in of.index if of[name] < of.max()]
    return f"n = {of.max()} slices" + "".join(fewer)


def complete(wide: pd.DataFrame, name: str) -> pd.DataFrame:
    """What a method lost on slices on which everything was tried on it: there alone its own compares with the worst.

    wide: of `losses`; a column for whom each perturbation was made.
    """
    return wide.xs(name, axis=1, level="method").dropna(axis=1, how="all").dropna()


def spread(table: pd.DataFrame, again: pd.DataFrame, score: str = "ssim") -> pd.DataFrame:
    """How far the same command on another machine comes from a table: a row a strength and what was attacked.

    again: what it measured there, each method under noise and its own attacks alone, of which those count that climbed
    the score. Columns: slices, "largest", of one slice, and "of the mean", absolute differences of the score. Attacks
    magnify the last digit of a processor.
    """
    keys = ["protocol", "attacked", "climbed", "method", "eps", "volume", "slice", "identity"]
    both = again[again["climbed"].isin(["none", _like(score)])]
    both = both.merge(table, on=[key for key in keys if key in again and key in table], suffixes=(" again", ""))
    difference = both[f"{score} again"] - both[score]
    kind = both["attacked"].where(both["attacked"].isin(["nothing", "noise"]), "its own")
    groups = difference.groupby([both["eps"], both["method"], kind.rename("attack")])
    return pd.DataFrame(
        {"slices": groups.size(), "largest": groups.agg(lambda d: d.abs().max()), "of the mean": groups.mean().abs()}
    )


def whose(table: pd.DataFrame, eps: float, protocol: str = "corrected", score: str = "ssim") -> pd.DataFrame:
    """What each method loses to its own perturbation, to noise, and to the worst of those made for others.

    A row a method, means over the n slices on which all was tried on it; "made for" says for whom the worst of the
    others was found. NaN, and no name, where no other method was attacked.
    """
    table = table[(table["eps"] == eps) & (table["protocol"] == protocol)]
    wide, rows = losses(table, score), {}
    for name in [name for name in dict.fromkeys(table["method"]) if (name, name) in wide]:
        every = complete(wide, name)
        means = every.drop(columns=WORST).mean()
        others = means.drop(["noise", name])
        rows[name] = {
            "its own": means[name],
            "noise": means["noise"],
            "another's": others.max(),
            "made for": others.idxmax() if len(others) else "",
            "n": len(every),
        }
    words = f"loss of {metrics.SCORES[score]} (mean of n slices) to"
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(words)


def judged(table: pd.DataFrame, eps: float, trusted: Collection[str], score: str = "ssim") -> pd.DataFrame:
    """The paper's claims at one strength: the difference with its interval and the verdict, a column a protocol.

    trusted: the methods that the audit carries in this score, see `audit.trusted`. Every loss is a lower bound, so that
    a ranking under the corrected protocol is given only where the attack on the method that seems to lose less is
    trusted, and is `carried`. The claims of the table are judged together, see `verdicts.verdicts`.
    """
    groups = dict(list(losses(table, score).xs(eps, level="eps").groupby(level="protocol")))
    strong = {
        protocol: carried(group, trusted) if protocol == "corrected" else None for protocol, group in groups.items()
    }
    found = together(groups, claims(list(table["method"].unique())), strong)
    return found.rename_axis(index=f"claim, in {metrics.SCORES[score]} at eps {eps:g}")


def ranked(table: pd.DataFrame, audited: pd.DataFrame, score: str = "ssim") -> pd.DataFrame:
    """The paper's rankings at every strength under the corrected protocol, as in `judged`: a column a strength.

    audited: of `audit.shares`. All are judged together; at a strength that was not audited none is carried.
    """
    groups = dict(list(losses(table[table["protocol"] == "corrected"], score).groupby(level="eps")))
    strong = {eps: carried(group, audit.trusted(audited, eps, score)) for eps, group in groups.items()}
    rankings = [claim for claim in claims(list(table["method"].unique())) if claim.ranking]
    found = together(groups, rankings, strong).rename_axis(index=f"ranking, in {metrics.SCORES[score]}")
    return found.rename(columns="eps {:g}".format)


def together(
    groups: Mapping[object, pd.DataFrame], asked: Sequence[Claim], strong: Mapping[object, Collection[str] | None]
) -> pd.DataFrame:
    """Claims on groups of losses, judged together: a row a claim, a column a group.

    groups: of `losses`; strong: of each the methods of whose attack a ranking may be given, None for all of them.
    """
    found = {}
    for claim in asked:
        for column, group in groups.items():
            difference = (group[claim.lost] - group[claim.than]).dropna()
            if len(difference):
                found[claim, column] = stats.interval(difference, difference.index.get_level_values("volume"))
    rows = {}
    for (claim, column), said in zip(found, verdicts.verdicts(list(found.values()))):
        held, alone = (verdicts.judged(claim, each, strong[column]) for each in said)
        rows.setdefault(claim.words, {})[column] = f"{found[claim, column]}: {verdicts.worded(held, alone)}"
    return pd.DataFrame.from_dict(rows, orient="index").fillna("not measured")


def carried(wide: pd.DataFrame, trusted: Collection[str]) -> set[str]:
    """Those of the trusted methods on which no perturbation that was made for another does much more harm.

    wide: of `losses`.
    """
    means = {name: complete(wide, name).mean() for name in trusted if (name, name) in wide}
    return {name for name, lost in means.items() if lost[name] >= OWN * lost[WORST]}


def found_by_own(table: pd.DataFrame, score: str = "ssim") -> pd.DataFrame:
    """The share of the worst loss known that each method's own attack found, corrected: a column a strength.

    A row a method for the share of the mean loss, and one for the smallest share on any slice, of slices on which all
    was tried on it.
    """
    table = table[table["protocol"] == "corrected"]
    wide, rows = losses(table, score), {}
    for name in [name for name in dict.fromkeys(table["method"]) if (name, name) in wide]:
        every = complete(wide, name)
        own, worst, n = every[name], every[WORST], every.groupby(level="eps").size().min()
        of_mean = own.groupby(level="eps").mean() / worst.groupby(level="eps").mean()
        rows[name, f"of the mean, n = {n}"] = of_mean
        rows[name, "least, of a slice"] = (own / worst).groupby(level="eps").min()
    found = pd.DataFrame.from_dict(rows, orient="index").rename(columns="eps {:g}".format)
    return found.rename_axis(["share of the worst known", f"in {metrics.SCORES[score]}, n slices"])
