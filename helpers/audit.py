"""Can the attacks be trusted? What they find against steps, starts, each other, noise, and the exact worst case."""

from collections.abc import Iterator
from functools import partial

import numpy as np
import pandas as pd
import torch

from helpers import known_attacks, methods, study, transfer
from helpers.attacks import Found, Threat
from helpers.attacks.apgd import apgd
from helpers.attacks.exact import LinearSense, worst_case
from helpers.attacks.found import tried
from helpers.attacks.joint import joint
from helpers.attacks.noise import noise
from helpers.attacks.pgd import pgd
from helpers.coils import espirit
from helpers.data.slice import Slice
from helpers.physics import Sense

LINEAR = "sense, complex image"  # whose exact worst case is known
METHODS = (LINEAR, "sense", "wavelet", "tv", "unet", "varnet", "convdecoder")
STEPS = (5, 10, 20, known_attacks.STEPS)
EPS = 0.02
KEYS = ["method", "eps", "volume", "slice"]  # what is audited in one piece
FLAT = 0.05  # of the increase: a curve that gains less in its last quarter has come to its end


def rows(item: Slice, name: str, eps: float = EPS, seed: int = 0) -> Iterator[dict]:
    """Every attack on a method for one slice, with more and more steps where it has any: one row each.

    Columns: method, attack, start (of a gradient attack: noise, or the worst for SENSE; else none), steps (0 where
    there are none), eps, volume, slice, clean (the loss without a perturbation), loss, exact (the largest there is,
    where it is known), flattened (share of the increase that the last quarter of the steps gained), first_gradient,
    last_gradient (norms, relative to the largest on the way).
    """
    mask = study.mask_of(item, seed=seed)
    y = mask * item.kspace
    where = {"method": name, "eps": eps, "volume": item.volume, "slice": item.number}
    exact = float("nan")
    if name == LINEAR:
        sense = Sense(espirit(y, mask), mask)
        linear, truth = LinearSense(sense, known_attacks.MU, tolerance=1e-4), known_attacks.truth(item, sense)
        threat = Threat(linear, y, mask, eps, truth)
        _, value = worst_case(linear, threat.radius[0, 0, 0], linear(y) - truth, seed)
        exact = float(value**2 / truth.norm() ** 2)
        image = known_attacks.Iterate(sense.adjoint(y), sense.bound, known_attacks.ridge)
        single = {"noise": partial(noise, seed=seed), "joint": lambda threat: joint(threat, sense, image, truth)}
    else:
        threat = Threat(known_attacks.differentiable(name, item.source), y, mask, eps, item.target)
        single = known_attacks.known(name, item, seed)
        single.pop("apgd", None)
    if name in transfer.PUBLISHED:
        single["published"] = partial(_as_published, name, item, seed)
    with torch.no_grad():
        clean = float(threat.loss(torch.zeros_like(y)))
    for attack, find in single.items():
        yield where | _row(attack, "none", 0, clean, find(threat), exact)
    if methods.family(name) == "un-trained":
        return
    start = known_attacks.worst_for_sense(item, threat, seed)
    for steps in STEPS:
        for words, begin in (("noise", {"starts": 1}), ("the worst for SENSE", {"starts": 0, "start": start})):
            if name != LINEAR or words == "noise":  # which would begin where it should end
                yield where | _row("apgd", words, steps, clean, apgd(threat, seed, steps, **begin), exact)
        yield where | _row("pgd", "noise", steps, clean, pgd(threat, seed, steps), exact)


def _as_published(name: str, item: Slice, seed: int, threat: Threat) -> Found:
    """What the notebooks' attack finds, brought to the strength of ours and tried on our method."""
    e = transfer.as_published(name, item, threat.kspace, threat.mask, threat.eps, threat.eps, seed)
    return tried(threat, [threat.stretched(e)])


def _row(attack: str, start: str, steps: int, clean: float, found: Found, exact: float) -> dict:
    loss, curve, norms = float(found.loss), found.curve.flatten(), found.gradient_norms.flatten()
    late = float((curve[-1] - curve[-1 - len(curve) // 4]) / (curve[-1] - clean)) if steps else float("nan")
    ends = norms[[0, -1]] / norms.max() if len(norms) else torch.full((2,), float("nan"))
    return {
        "attack": attack,
        "start": start,
        "steps": steps,
        "clean": clean,
        "loss": loss,
        "exact": exact,
        "flattened": late,
        "first_gradient": float(ends[0]),
        "last_gradient": float(ends[1]),
    }


def shares(table: pd.DataFrame) -> pd.DataFrame:
    """The table with `share`, the increase of the loss over the largest that is known of the slice, and `by`.

    by: the attack and where it starts, in words.
    """
    increase = table["loss"] - table["clean"]
    groups = [table[key] for key in KEYS]
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
    best = apgd.groupby([*KEYS, "steps", "start"])["share"].max().unstack("start")
    means = {
        f"{most} steps from the worst for SENSE": best["the worst for SENSE"].xs(most, level="steps"),
        f"{most // 2} from two starts": best.max(axis=1).xs(most // 2, level="steps"),
    }
    return pd.DataFrame({words: shares.groupby("method").mean() for words, shares in means.items()})


def late_gains(table: pd.DataFrame) -> pd.Series:
    """By method, what the last quarter of the steps of the attack that `known_attacks` has for it added to its find.

    table: of `shares`. Means over slices, as shares of all that was found, at the largest number of steps.
    """
    last = table[(table["attack"] == "apgd") & (table["steps"] == table["steps"].max())]
    ours = last.groupby(KEYS).tail(1)  # from the worst for SENSE; LINEAR, whose worst that is, from noise
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
