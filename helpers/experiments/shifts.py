"""Distribution shifts (Figures 2, 4, 6): every method where it was made and elsewhere, as published and corrected."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch

from helpers import methods, published
from helpers.data import open_data
from helpers.data.slice import Slice
from helpers.errors import BadInput, say_once
from helpers.experiments import hard
from helpers.experiments.live import measured_live
from helpers.methods.border import called
from helpers.mri import masks, metrics
from helpers.profiles import Profile
from helpers.shifts import groups, like, signal
from helpers.shifts.groups import Variant
from helpers.shifts.lines import COINS, CUT, PUBLISHED, measured, undrawn

PROTOCOLS = ("corrected", "published")
KEYS = ["shift", "protocol", "domain", "side", "family", "variant", "identity"]
SECOND = "stanford"  # the second site, whose scans differ in more than what they show
COUNT = 20  # slices of a side, one a volume
FITTED = 12  # of them that un-trained networks are measured on
RANKED = ("any", "hard")  # sets of slices that are chosen by rank
RAW = "readout as it is"  # the second site's scans without the readout that the first site's have
SHIFTS = {  # name: the domains, and for each the sides, "in" first: whose slices, and under which mask
    "site": {"knee": {"in": ("fat-suppressed", "random"), "out": (SECOND, "random"), RAW: (SECOND, "random")}},
    "anatomy": {
        "knee": {"in": ("knee", "random"), "out": ("brain", "random"), "mask": ("knee", "equispaced")},
        "brain": {"in": ("brain", "random"), "out": ("knee", "random"), "mask": ("brain", "equispaced")},
    },
    "hard": {"knee": {"in": ("any", "random"), "out": ("hard", "random")}},
}
PUBLISHED_MASK = {"site": COINS, "hard": COINS}  # that of the notebooks by shift; that for anatomy changes with it
YOURS = "yours"  # the shift between two of a reader's folders
CENTER = {"corrected": 0.08, "published": 0.07}
PARTS = (*like.THINGS, RAW)  # sides that tell what a shift is made of, for the first variant of each family


@dataclass(frozen=True)
class Side:
    """One side of a shift: what was trained or tuned on `domain`, measured under a kind of mask on a set of slices.

    level: of a side of `like.THINGS`, by how much the slices are made like those of the other side.
    """

    shift: str
    protocol: str
    domain: str
    side: str
    slices: str
    mask: str
    level: float | None = None

    @property
    def second(self) -> bool:
        """Whether its slices are the second site's, drawn or a reader's."""
        return self.shift == "site" and self.side in ("out", RAW)


def sides(shift: str, protocol: str) -> Iterator[Side]:
    """The sides of a shift, as published the two that the paper has. BadInput for unknown names."""
    for name, value, known in (("shift", shift, SHIFTS), ("protocol", protocol, PROTOCOLS)):
        if value not in known:
            raise BadInput(f"there is no {name} {value!r}; choose one of {', '.join(known)}")
    for domain, both in SHIFTS[shift].items():
        for side, (slices, mask) in both.items():
            if protocol == "published":
                mask = PUBLISHED_MASK.get(shift, CUT if slices == "brain" else PUBLISHED)
            if side in ("in", "out") or protocol == "corrected":
                yield Side(shift, protocol, domain, side, slices, mask)


def between(start: str, end: str, domain: str) -> Iterator[Side]:
    """The sides of a reader's own shift: from one source, file or folder to another; corrected alone."""
    for side, name in (("in", start), ("out", end)):
        yield Side(YOURS, "corrected", domain, side, f"./{name}" if name in RANKED else name, "random")


def of_yours(side: Side, data: str, anatomy: str) -> Side:
    """The same side with a reader's slices, of that anatomy, in the place of drawn ones.

    They are the second site, with the first drawn and of their anatomy; one of the two anatomies; or those of which
    hard ones are found (see `slices`).
    """
    if side.shift == "site":
        first = "brain" if anatomy == "brain" else side.slices
        return replace(side, domain=anatomy, slices=data if side.slices == SECOND else first)
    if side.shift == "hard":
        return replace(side, domain=anatomy)
    return replace(side, slices=data if side.slices == anatomy else side.slices)


def slices(
    name: str, profile: Profile, count: int = COUNT, ranking: pd.DataFrame | None = None, source: str = "knee"
) -> list[Slice]:
    """The slices of a side, one a volume.

    name: "knee", "brain", "stanford", or a reader's file or folder; "fat-suppressed" knees; "any" and "hard", those of
    `source` that were ranked, see `hard.places`. Volumes that were measured under a mask of their own are left out,
    which is said. BadInput where none has a reference, or each a mask.
    """
    if name in RANKED:
        ranked = hard.slices_of(ranking, profile, source)
        return [ranked[place] for place in hard.places(ranking, name == "hard", count)]
    source, suffix = ("knee", "FS_FBK") if name == "fat-suppressed" else (name, "")
    found, masked = {}, None
    for item in open_data(source, profile=profile, split="test", volumes=8 * count, slices=1):
        if item.target is not None and item.acquisition.endswith(suffix):
            if item.whole:
                found.setdefault(item.volume, item)
            else:
                say_once(f"{item.volume} is left out: it has a sampling mask of its own")
                masked = item
        if len(found) == count:
            break
    if not found and masked:
        undrawn(masked)
    if not found:
        raise BadInput(f"{name} has no volume with a reference, so that nothing can be scored on it")
    return list(found.values())


def parts(sides: Sequence[Side], sets: Mapping[str, Sequence[Slice]]) -> Iterator[Side]:
    """For each corrected shift its first side once more, made like the other in one thing at a time (`like`).

    sets: the slices of all sides by name.
    """
    for start in sides:
        for end in sides:
            same = all(getattr(start, key) == getattr(end, key) for key in ("shift", "protocol", "domain"))
            if same and start.protocol == "corrected" and (start.side, end.side) == ("in", "out"):
                for thing, level in like.differences(sets[start.slices], sets[end.slices]).items():
                    yield replace(start, side=thing, level=level)


def at_other_levels(rows: pd.DataFrame, sides: Sequence[Side]) -> pd.Series:
    """Of each row of a table, whether it was made like the other side by another level than these sides have.

    A level is of medians over all slices, so that it moves where a reader's folder grows.
    """
    keys = ["shift", "protocol", "domain", "side"]
    levels = {tuple(getattr(side, key) for key in keys): side.level for side in sides if side.level is not None}
    now = pd.Series(
        [levels.get(key, np.nan) for key in zip(*(rows[key] for key in keys), strict=True)], rows.index, float
    )
    then = rows["level"].astype(float) if "level" in rows else np.nan
    return now.notna() & ~np.isclose(now, then, rtol=1e-4)  # a table keeps six digits


def members(side: Side, family: str) -> list[Variant]:
    """What a family has on the domain of a side, under its protocol."""
    if side.protocol == "corrected":
        return list(groups.variants(family, side.domain))
    # the notebooks tune l1 by anatomy, and the other's is not made on this side; our ConvDecoder is the same on both
    others = "base" if side.domain == "brain" else "brain"
    found = groups.as_published(family, side.domain, side.slices)
    return [each for each in found if (each.family, each.variant) != ("wavelet", others)]


def pieces(
    sides: Sequence[Side], families: Sequence[str], sets: Mapping[str, Sequence[Slice]], variants: int | None = None
) -> Iterator[tuple[tuple, tuple]]:
    """What is to be measured: the key of each row, `KEYS`, and the arguments of `row` that give it.

    families: also a reader's methods; sets: the slices of all sides by name; variants: at most so many of each family.
    """
    for side in sides:
        for family in families:
            if side.level is not None and family == "convdecoder":  # its few slices differ by another level
                continue
            few = sets[side.slices][: FITTED if family == "convdecoder" else None]
            for member in members(side, family)[: 1 if side.side in PARTS else variants]:
                for item in few:
                    key = (side.shift, side.protocol, side.domain, side.side, family, member.variant, item.identity)
                    yield key, (item, side, family, member.variant)


def live(
    shift: str,
    families: Sequence[str],
    profile: Profile,
    data: str = "",
    seed: int = 0,
    variants: int | None = None,
    ranking: pd.DataFrame | None = None,
    known: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """The rows of a shift, measured here and now on as many volumes a side as the profile has.

    data: a reader's slices, which take the place of drawn ones (`of_yours`), those of the anatomy of the first;
    ranking: of the slices among which hard ones are found, for that shift; known: rows that were measured, which stand
    for sides of drawn slices where they have them; others as in `pieces`. BadInput where the data hold no reference.
    """
    found = [side for protocol in PROTOCOLS for side in sides(shift, protocol)]
    anatomy = _anatomy(slices(data, profile, 1)[0]) if data else ""
    found = [of_yours(side, data, anatomy) if data else side for side in found]
    stored = {} if known is None else {side: _stored(known, side, families, variants) for side in found}
    names = dict.fromkeys(side.slices for side in found if not len(stored.get(side, ())))
    sets = {name: slices(name, profile, profile.volumes, ranking, data or "knee") for name in names}
    sets |= {data: [item for item in sets[data] if _anatomy(item) == anatomy]} if data in sets else {}
    left = [side for side in found if side.slices in names]
    left += parts(left, sets)
    work = [(*arguments, seed) for _, arguments in pieces(left, families, sets, variants)]
    made = measured_live(lambda *arguments: [row(*arguments)], work, f"shift, {shift}")
    shipped = [rows.assign(warned="", shipped=True) for side, rows in stored.items() if side not in left]
    return pd.concat([*shipped, made.assign(shipped=False)], ignore_index=True)


def _anatomy(item: Slice) -> str:
    """Whose methods suit a slice: "knee" or "brain"."""
    return methods.ANATOMY.get(item.source, methods.STAND_IN)


def _stored(known: pd.DataFrame, side: Side, families: Sequence[str], variants: int | None) -> pd.DataFrame:
    """The rows of a side that a table has, of so many variants of these families."""
    keys = {key: getattr(side, key) for key in ("shift", "protocol", "domain", "side", "slices")}
    rows = known[(known[list(keys)] == pd.Series(keys)).all(axis=1)]
    chosen = {(family, each.variant) for family in families for each in members(side, family)[:variants]}
    return rows[[pair in chosen for pair in zip(rows["family"], rows["variant"], strict=True)]]


@torch.no_grad()
def row(item: Slice, side: Side, family: str, variant: str, seed: int = 0) -> dict:
    """One variant, trained or tuned on the domain of the side, on one slice.

    Corrected, a scan without an oversampled readout is given one along the image, where that is exact, and the mask has
    as many lines as it says. As published, the second site's scan is turned by a spline and in the units of its files,
    the VarNet sees its lines doubled (see `published.site`), and scores are those of the notebooks (see
    `published.protocol`). acceleration: what is shown of the lines of the scan.
    """
    (member,) = (each for each in members(side, family) if each.variant == variant)
    seen = (corrected if side.protocol == "corrected" else as_published)(item, side)
    if side.level is not None:
        seen = like.like(seen, side.side, side.level, seed)
    doubled = side.protocol == "published" and side.second and family == "varnet"
    if doubled:
        seen = replace(seen, kspace=published.site.doubled(seen.kspace))
    mask = measured(seen, side.mask, center_fraction=CENTER[side.protocol], seed=seed)
    y = mask * seen.kspace
    image = seen.crop(called(member.load(), y, mask))
    if side.protocol == "corrected":
        scores = metrics.scores(image, seen.target, seen.peak)
    elif side.shift == "anatomy":
        scores = published.protocol.scores_by_reference(image, seen.target)
    else:
        scores = published.protocol.scores(family, image, seen.target, y)
    made = {"level": side.level} if side.level is not None else {}
    return made | {
        "shift": side.shift,
        "protocol": side.protocol,
        "domain": side.domain,
        "side": side.side,
        "family": family,
        "variant": variant,
        "method": member.method,
        "slices": side.slices,
        "acquisition": item.acquisition,
        "volume": item.volume,
        "slice": item.number,
        "identity": item.identity,
        "snr": item.snr,
        "acceleration": published.site.shown(mask) if doubled else masks.realized_acceleration(mask),
        **scores,
    }


def corrected(item: Slice, side: Side) -> Slice:
    """A scan at the resolution of the first site's: the readout filled up where it is no longer than the image."""
    return signal.oversampled(item, 2) if side.second and side.side != RAW else item


def as_published(item: Slice, side: Side) -> Slice:
    """A scan of the second site as the notebooks have it: turned, in the units of its files, which a reader's is in."""
    if not side.second:
        return item
    unit = published.site.STANFORD if side.slices == SECOND else 1
    return replace(
        item, kspace=unit * published.site.turned(item.kspace), target=unit * item.target.rot90(1).contiguous()
    )
