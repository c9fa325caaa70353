"""Whether a claim holds: the verdict that an interval gives, and whose attack would have to be better first."""

from collections.abc import Collection
from dataclasses import dataclass

from helpers.stats import Interval


@dataclass(frozen=True)
class Claim:
    """One claim of the paper, as differences of losses: what is lost by (attacked, method) above what `than` loses.

    ranking: it compares two methods, and is worth no more than the attacks on both.
    """

    words: str
    lost: tuple[str, str]
    than: tuple[str, str]
    ranking: bool = False


def verdict(measured: Interval, margin: float = 0.0) -> str:
    """What an interval says of the claim "greater than `margin`": supported, contradicted or undecided."""
    if measured.low > margin:
        return "supported"
    if measured.high < margin:
        return "contradicted"
    return "undecided"


def judged(claim: Claim, protocol: str, found: Interval, trusted: Collection[str]) -> str:
    """What the interval says of the claim, or, of a ranking, whose attack would have to be better first."""
    said = verdict(found)
    seems_robust = {"supported": claim.than[1], "contradicted": claim.lost[1]}.get(said)
    if claim.ranking and protocol == "corrected" and seems_robust and seems_robust not in trusted:
        return f"no verdict, the attack on {seems_robust} may be too weak"
    return said
