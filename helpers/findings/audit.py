"""What the audit says: how much of the worst known each attack finds, and which methods may be ranked."""

import numpy as np
import pandas as pd

from helpers.experiments.audit import LINEAR, OWN

PIECE = ["method", "eps", "score", "volume", "slice"]  # among whose finds there is one worst
FLAT = 0.05  # of the increase: a curve that gains less in its last quarter has come to its end
FOUND = 0.9  # share of the worst known that the attack of the matrix, and an ascent from any start, has to find
SOME = ["exact", "seconds", "flattened", "first_gradient", "repeated", "foretold"]  # columns of some rows, else NaN
REPEATED = 0.05  # of the error: images of one measurement that lie further apart are those of a method of chance
FORETOLD = (0.5, 2.0)  # what a short step gains over what the gradient foretells: else it is no gradient of the loss


def shares(table: pd.DataFrame) -> pd.DataFrame:
    """The table with `share`, the increase of the loss over the largest that is known of the slice, and `by`.

    by: the attack, where it starts and what it climbs, in words. Known is what came out in the end: losses on the way
    may be those of a search that is not quite the method, as of shorter fits, and their shares may be above 1.
    """
    table = table.reindex(columns=[*table, *(each for each in SOME if each not in table)])
    by = table["attack"] + (" from " + table["start"]).where(table["start"] != "none", "")
    by += (", climbing " + table["climbed"]).where(table["climbed"] != "none", "")
    increase = table["loss"] - table["clean"]
    final = increase.where(increase.index.isin(ends(table.assign(by=by)).index))
    worst = final.groupby([table[key] for key in PIECE]).transform("max")
    known = (table["exact"] - table["clean"]).fillna(worst)
    return table.assign(share=increase / known, by=by)


def ends(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of finds after all of their effort, each judged in a score; those on the way are left out."""
    return table.sort_values("steps", kind="stable").groupby([*PIECE, "by"], sort=False).tail(1)


def exact(table: pd.DataFrame) -> pd.Series:
    """The loss of PSNR of SENSE, its complex image and its maps held, that no perturbation exceeds, by strength.

    table: of `audit.rows`; means over slices.
    """
    known = table[(table["method"] == LINEAR) & (table["attack"] == OWN) & (table["climbed"] == table["score"])]
    lost = 10 * np.log10(known["exact"] / known["clean"])
    return lost.groupby(known["eps"]).mean()


def checks(table: pd.DataFrame) -> pd.DataFrame:
    """All that `trusted` asks for, by method, strength and score: a row each, a column a check, and the verdict.

    table: of `shares`. repeats: one measurement gives one image; gradient: it is there on every slice, finite
    and that of the loss; starts: the least mean share that an ascent from any start finds; own: the share that the
    attack of the matrix finds of the worst of all; late: the share of its find that the last quarter of
    its effort gained.
    """
    finds, rows = ends(table), {}
    for key, group in finds.groupby(["method", "eps", "score"]):
        climbing = group[group["climbed"] == key[2]]
        own = climbing[climbing["attack"] == OWN]
        others = climbing["attack"].eq("pgd") | climbing["attack"].str.contains("unrolled")
        ascents = climbing[climbing["start"].ne("none") & ~others]
        rows[key] = {
            "repeats": not (group["repeated"] > REPEATED).any(),
            "gradient": _is_one(own["first_gradient"]) and _followed(group["foretold"]),
            "starts": float(ascents.groupby("by")["share"].mean().min()) if len(ascents) else np.nan,
            "own": float(own["share"].mean()) if len(own) else np.nan,
            "late": float(own["flattened"].mean()) if len(own) else np.nan,
        }
    found = pd.DataFrame.from_dict(rows, orient="index").rename_axis(index=["method", "eps", "score"])
    fine = (found["starts"] >= FOUND) & (found["own"] >= FOUND) & (found["late"] < FLAT)
    return found.assign(trusted=found["repeats"] & found["gradient"] & fine)


def beside(table: pd.DataFrame, attack: str, score: str = "nmse") -> pd.DataFrame:
    """An attack beside that of the matrix, which climbed the score: shares of the worst known and seconds, means.

    table: of `shares`. A row a method and strength at which both were tried.
    """
    finds = ends(table[table["score"] == score])
    own = finds[(finds["attack"] == OWN) & (finds["climbed"] == score)]
    both = {attack: finds[finds["attack"] == attack], OWN: own}
    means = {
        words: each.groupby(["method", "eps"], sort=False)[["share", "seconds"]].mean() for words, each in both.items()
    }
    found = pd.concat(means, axis=1, join="inner").swaplevel(axis=1)
    return found[[(column, words) for column in ("share", "seconds") for words in means]]


def _is_one(norms: pd.Series) -> bool:
    """Whether there is a gradient; nothing is said of slices on which a perturbation that was known is the worst."""
    known = norms.dropna()
    return bool(len(known) and (known > 0).all())


def _followed(foretold: pd.Series) -> bool:
    """Whether short steps gain about what gradients foretell; nothing is said of fits, which magnify any step."""
    known = foretold.dropna()
    return bool(known.between(*FORETOLD).all())


def trusted(table: pd.DataFrame, eps: float, score: str = "ssim") -> set[str]:
    """The methods whose loss in a score is known well enough to rank them at a strength; none where it was not audited.

    table: of `shares`; score: one of those that are climbed, or its like, as PSNR is of the squared error.
    """
    like = "ssim" if score.startswith("ssim") else "nmse"
    rows = table[np.isclose(table["eps"], eps) & (table["score"] == like)]
    found = checks(rows).reset_index() if len(rows) else rows.assign(trusted=False)
    return set(found.loc[found["trusted"], "method"])


def sentence(table: pd.DataFrame, score: str = "ssim") -> str:
    """Which methods the audit carries in a score, and what speaks against the others at which strength."""
    found = checks(table[table["score"] == score]).reset_index()
    found = found[found["method"] != LINEAR]
    against = {
        "it is a method of chance": ~found["repeats"],
        "no gradient that can be followed": ~found["gradient"],
        "starts disagree": found["starts"] < FOUND,
        "another attack finds more": found["own"] < FOUND,
        "still climbing": found["late"] >= FLAT,
    }
    words = []
    for name in dict.fromkeys(found["method"]):
        mine = found["method"] == name
        reasons = [
            f"{reason} at {', '.join(f'{eps:g}' for eps in found.loc[mine & holds, 'eps'])}"
            for reason, holds in against.items()
            if (mine & holds).any()
        ]
        words.append(f"{name}: " + ("; ".join(reasons) if reasons else "**trusted**"))
    return (
        f"Whether the attack of the transfer matrix is trusted, in {score}: the method repeats itself, short steps gain"
        f" what its gradient foretells, {100 * FOUND:g} % of the worst known are found from every start, and the last"
        f" quarter of the effort gained less than {100 * FLAT:g} %. " + ". ".join(words) + "."
    )
