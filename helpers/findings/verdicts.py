"""Whether a claim holds: the verdict among all claims of a table, and whose attack would have to be better first."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from helpers.stats import LEVEL, Gap, Interval, bias_corrected, holm

LEAST = 6  # volumes; with fewer, intervals of skewed scores cover too little to tell
ALONE = "without Holm's correction"


@dataclass(frozen=True)
class Claim:
    """One claim of the paper, as differences of losses: what is lost by (attacked, method) above what `than` loses.

    ranking: it compares two methods, and is worth no more than the attack on the one that seems more robust.
    """

    words: str
    lost: tuple[str, str]
    than: tuple[str, str]
    ranking: bool = False


@dataclass(frozen=True)
class Measured:
    """What was measured, in words; on how many volumes; and the verdict, if so small a p-value is enough."""

    words: str
    volumes: int
    p: float
    said: str

    @classmethod
    def mean(cls, found: Interval | Gap, margin: float = 0.0) -> "Measured":
        """That a mean is above a margin."""
        said = "supported" if found.mean > margin else "contradicted"
        return cls(f"{found}", found.volumes, found.p_value(margin), said)

    @classmethod
    def above(cls, value: float, low: float, high: float, p: float, volumes: int) -> "Measured":
        """That a number is above zero; p: its p-value of zero."""
        said = "supported" if value > 0 else "contradicted"
        return cls(f"{value:.3f} [{low:.3f}, {high:.3f}]", volumes, p, said)

    @classmethod
    def resampled(cls, drawn: np.ndarray, claimed: float, volumes: int) -> "Measured":
        """That a number is above what is claimed; drawn: as in `stats.bias_corrected`."""
        value, (low, high, p) = drawn[0], bias_corrected(drawn, claimed)
        if not np.isfinite(low):
            return cls("not defined", volumes, p, "undecided")
        said = "supported" if value > claimed else "contradicted"
        return cls(f"{value:.3f} [{low:.3f}, {high:.3f}]", volumes, p, said)


def cells(claims: Mapping[tuple, Measured]) -> dict[tuple, str]:
    """What was measured and the verdict of each claim, all of them judged together with Holm's correction."""
    together, found = holm([each.p if each.volumes >= LEAST else float("nan") for each in claims.values()]), {}
    for (key, each), p in zip(claims.items(), together):
        said, alone = (each.said if value < 1 - LEVEL else "undecided" for value in (p, each.p))
        few = f"no verdict, {each.volumes} volume" + "s" * (each.volumes > 1)
        found[key] = f"{each.words}: {few if each.volumes < LEAST else worded(said, alone)}"
    return found


def verdict(measured: Interval, margin: float = 0.0, p_value: float | None = None) -> str:
    """What an interval says of the claim "greater than `margin`": supported, contradicted or undecided.

    p_value: that of the claim among others, see `verdicts`; by default its own.
    """
    if measured.volumes < LEAST:
        return f"no verdict, {measured.volumes} volume" + "s" * (measured.volumes > 1)
    if not (measured.p_value(margin) if p_value is None else p_value) < 1 - LEVEL:
        return "undecided"
    return "supported" if measured.mean > margin else "contradicted"


def verdicts(measured: Sequence[Interval], margin: float = 0.0) -> list[tuple[str, str]]:
    """The verdicts on all claims of a table, each with Holm's correction for their number, and as if it stood alone.

    Claims on fewer than LEAST volumes are not tested, and do not count.
    """
    corrected = holm([each.p_value(margin) if each.volumes >= LEAST else float("nan") for each in measured])
    return [(verdict(each, margin, p), verdict(each, margin)) for each, p in zip(measured, corrected)]


def worded(said: str, alone: str) -> str:
    """A verdict in its cell, with the one that it would be alone where the correction took that away."""
    return f"{said} ({alone} {ALONE})" if said == "undecided" and alone in ("supported", "contradicted") else said


def judged(claim: Claim, said: str, trusted: Collection[str] | None) -> str:
    """The verdict on the claim, or, of a ranking, whose attack would have to be better first.

    trusted: the methods on which it is good enough; None asks for nothing.
    """
    seems_robust = {"supported": claim.than[1], "contradicted": claim.lost[1]}.get(said)
    if claim.ranking and trusted is not None and seems_robust and seems_robust not in trusted:
        return f"no verdict, the attack on {seems_robust} may be too weak"
    return said


def sentence(table: pd.DataFrame) -> str:
    """What a table of claims was tested by, and which of them would be decided without the correction, in words.

    table: cells end with a colon and a verdict, or say that nothing was measured.
    """
    cells = {
        ", ".join(map(str, [*(index if isinstance(index, tuple) else (index,)), column])): table.loc[index, column]
        for index in table.index
        for column in table.columns
        if ": " in str(table.loc[index, column])
    }
    tested = [cell for cell in cells.values() if not cell.endswith((" volume", " volumes"))]
    if not tested:
        return f"*No claim of this table has {LEAST} volumes or more, so that none is judged.*"
    more = [words for words, cell in cells.items() if cell.endswith(f"{ALONE})")]
    return (
        f"*Brackets hold {100 * LEVEL:g} % intervals over volumes, each for itself. The {len(tested)} claims of this"
        f" table that have {LEAST} volumes or more are judged together, with Holm's correction: a false verdict is to"
        f" be expected in about {100 - 100 * LEVEL:g} of 100 such tables, in up to twice as many where few volumes have"
        " skewed scores. Without it, "
        + (f"these would be decided as well: {'; '.join(more)}.*" if more else "the verdicts are the same.*")
    )
