"""Distribution shifts (Figures 2, 4, 6): every method where it was made and elsewhere, as published and corrected."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pandas as pd
import torch

from helpers import published
from helpers.data import open_data
from helpers.data.slice import Slice
from helpers.errors import BadInput
from helpers.experiments import hard
from helpers.methods.border import called
from helpers.mri import masks, metrics
from helpers.profiles import Profile
from helpers.shifts import groups, signal
from helpers.shifts.groups import Variant
from helpers.shifts.lines import PUBLISHED, measured

PROTOCOLS = ("corrected", "published")
KEYS = ["shift", "protocol", "domain", "side", "family", "variant", "identity"]
SECOND = "stanford"  # the second site, whose scans differ in more than what they show
COUNT = 20  # slices of a side, one a volume
FITTED = 12  # of them that un-trained networks are measured on
SHIFTS = {  # name: the domains, and for each the sides, "in" first: whose slices, and under which mask
    "site": {"knee": {"in": ("fat-suppressed", "random"), "out": (SECOND, "random")}},
    "anatomy": {
        "knee": {"in": ("knee", "random"), "out": ("brain", "random"), "mask": ("knee", "equispaced")},
        "brain": {"in": ("brain", "random"), "out": ("knee", "random"), "mask": ("brain", "equispaced")},
    },
    "hard": {"knee": {"in": ("any", "random"), "out": ("hard", "random")}},
}
PUBLISHED_MASK = {"brain": "equispaced"}  # theirs changes with the anatomy
YOURS = "yours"  # the shift between two of a reader's folders
CENTER = {"corrected": 0.08, "published": 0.07}


@dataclass(frozen=True)
class Side:
    """One side of a shift: what was trained or tuned on `domain`, measured under a kind of mask on a set of slices."""

    shift: str
    protocol: str
    domain: str
    side: str
    slices: str
    mask: str


def sides(shift: str, protocol: str) -> Iterator[Side]:
    """The sides of a shift, as published without the one that changes the mask alone. BadInput for unknown names."""
    for name, value, known in (("shift", shift, SHIFTS), ("protocol", protocol, PROTOCOLS)):
        if value not in known:
            raise BadInput(f"there is no {name} {value!r}; choose one of {', '.join(known)}")
    for domain, both in SHIFTS[shift].items():
        for side, (slices, mask) in both.items():
            if protocol == "published":
                mask = PUBLISHED_MASK.get(slices, PUBLISHED)
            if side != "mask" or protocol == "corrected":
                yield Side(shift, protocol, domain, side, slices, mask)


def between(start: str, end: str, domain: str) -> Iterator[Side]:
    """The sides of a reader's own shift: from one source, file or folder to another; corrected alone."""
    for side, name in (("in", start), ("out", end)):
        yield Side(YOURS, "corrected", domain, side, name, "random")


def slices(name: str, profile: Profile, count: int = COUNT, ranking: pd.DataFrame | None = None) -> list[Slice]:
    """The slices of a side, one a volume.

    name: "knee", "brain", "stanford", or a reader's file or folder; "fat-suppressed" knees; "any" and "hard", knees
    that were ranked, see `hard.places`. BadInput for fewer than two.
    """
    if name in ("any", "hard"):
        ranked = hard.ranked(profile, ranking["volume"].nunique())
        return [ranked[place] for place in hard.places(ranking, name == "hard", count)]
    source, suffix = ("knee", "FS_FBK") if name == "fat-suppressed" else (name, "")
    found: dict[str, Slice] = {}
    for item in open_data(source, profile=profile, split="test", volumes=8 * count, slices=1):
        if item.target is not None and item.acquisition.endswith(suffix):
            found.setdefault(item.volume, item)
        if len(found) == count:
            break
    if len(found) < 2:
        raise BadInput(f"{name} has fewer than two volumes with a reference; a side of a shift needs more")
    return list(found.values())


def members(side: Side, family: str) -> list[Variant]:
    """What a family has on the domain of a side, under its protocol."""
    found = groups.variants if side.protocol == "corrected" else groups.as_published
    return list(found(family, side.domain))


@torch.no_grad()
def row(item: Slice, side: Side, family: str, variant: str, seed: int = 0) -> dict:
    """One variant, trained or tuned on the domain of the side, on one slice.

    Corrected, a scan without an oversampled readout is given one along the image, where that is exact, and the mask has
    as many lines as it says. As published, the second site's scan is turned by a spline and in the units of its files,
    the VarNet sees its lines doubled (see `published.site`), and scores are those of the notebooks. acceleration: what
    is shown of the lines of the scan.
    """
    (member,) = (each for each in members(side, family) if each.variant == variant)
    seen = (corrected if side.protocol == "corrected" else as_published)(item, side)
    doubled = side.protocol == "published" and side.slices == SECOND and family == "varnet"
    if doubled:
        seen = replace(seen, kspace=published.site.doubled(seen.kspace))
    mask = measured(seen, side.mask, center_fraction=CENTER[side.protocol], seed=seed)
    y = mask * seen.kspace
    image = seen.crop(called(member.load(), y, mask))
    if side.protocol == "corrected":
        scores = metrics.scores(image, seen.target, seen.peak)
    else:
        scores = published.protocol.scores(family, image, seen.target, y)
    return {
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
    return signal.oversampled(item, 2) if side.slices == SECOND else item


def as_published(item: Slice, side: Side) -> Slice:
    """A scan of the second site as the notebooks have it: turned, in the units of its files."""
    if side.slices != SECOND:
        return item
    kspace = published.site.STANFORD * published.site.turned(item.kspace)
    return replace(item, kspace=kspace, target=published.site.STANFORD * item.target.rot90(1).contiguous())
