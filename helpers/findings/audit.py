"""What the audit says: how much of the worst known each attack finds, and which methods may be ranked."""

import numpy as np
import pandas as pd

from helpers.experiments.audit import LINEAR

PIECE = ["method", "eps", "volume", "slice"]  # what is audited in one piece
FLAT = 0.05  # of the increase: a curve that gains less in its last quarter has come to its end


def shares(table: pd.DataFrame) -> pd.DataFrame:
    """The table with `share`, the increase of the loss over the largest that is known of the slice, and `by`.

    by: the attack and where it starts, in words.
    """
    increase = table["loss"] - table["clean"]
    groups = [table[key] for key in PIECE]
    worst = increase.groupby(groups).transform("max")
    known = (table["exact"] - table["clean"]).fillna(worst)
    by = table["attack"] + (" from " + table["start"]).where(table["start"] != "none", "")
    return table.assign(share=increase / known, by=by)


def deep_or_wide(table: pd.DataFrame) -> pd.DataFrame:
    """What the same number of gradients finds in one long ascent and in two of half the length, by method.

    table: of `shares`. Means over slices of the share, of APGD: from the worst for SENSE, and the best of that and of
    noise.
    """
    most = table["steps"].max()
    apgd = table[(table["attack"] == "apgd") & ~table["method"].eq(LINEAR)]
    best = apgd.groupby([*PIECE, "steps", "start"])["share"].max().unstack("start")
    means = {
        f"{most} steps from the worst for SENSE": best["the worst for SENSE"].xs(most, level="steps"),
        f"{most // 2} from two starts": best.max(axis=1).xs(most // 2, level="steps"),
    }
    return pd.DataFrame({words: shares.groupby("method").mean() for words, shares in means.items()})


def late_gains(table: pd.DataFrame) -> pd.Series:
    """By method, what the last quarter of the steps of the attack that `attacks.known` has for it added to its find.

    table: of `shares`. Means over slices, as shares of all that was found, at the largest number of steps.
    """
    last = table[(table["attack"] == "apgd") & (table["steps"] == table["steps"].max())]
    ours = last.groupby(PIECE).tail(1)  # from the worst for SENSE; LINEAR, whose worst that is, from noise
    return ours.groupby("method")["flattened"].mean()


def trusted(table: pd.DataFrame, eps: float) -> set[str]:
    """The methods whose loss is known well enough to rank them at a strength: those whose attack came to its end there.

    None at a strength that was not audited.
    """
    late = late_gains(table[np.isclose(table["eps"], eps)])
    return set(late[late < FLAT].index)


def sentence(table: pd.DataFrame) -> str:
    """For which methods the audit carries a comparison, in words."""
    late = late_gains(table)
    flat_ones, climbing = ("; ".join(late[choice].index) or "none" for choice in (late < FLAT, late >= FLAT))
    return (
        f"The last quarter of the steps of APGD from the worst for SENSE, the attack of the transfer matrix, added less"
        f" than {100 * FLAT:g} % of what it found in all for: **{flat_ones}**; still climbing: **{climbing}**. Methods"
        " that are still climbing, and those without gradients, may be less robust than they look, and no ranking is"
        " read off that."
    )
