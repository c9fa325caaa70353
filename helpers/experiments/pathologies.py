"""Pathologies (Figure 8): how much of a finding each method shows, beside how well it scores on the whole image."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from itertools import count
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from helpers import methods, published
from helpers.data import filled, open_data
from helpers.data.scanner import SOURCES, Subject
from helpers.data.slice import Box, Slice
from helpers.errors import BadInput, say_once
from helpers.experiments.evaluate import reconstruct
from helpers.experiments.live import measured_live
from helpers.features.recovered import Finding, detectability
from helpers.methods import Method
from helpers.mri import metrics
from helpers.profiles import Profile
from helpers.shifts import groups, signal
from helpers.shifts.groups import Variant
from helpers.shifts.lines import PUBLISHED, measured

EXPERIMENT = "pathology"
RIGHT_BOX = "published, right box"
PROTOCOLS = ("corrected", "published", RIGHT_BOX)
KEYS = ["experiment", "protocol", "family", "variant", "identity"]  # of all findings of one slice
WHERE = ("x", "y", "width", "height")
COUNT = 200  # findings
UNTRAINED = "convdecoder"  # images of it take a minute: one variant, without draws of noise, on so many of the findings
SLOW = "dct"  # a basis whose images take ten seconds
FITTED = 40  # of the findings
# findings change their box by so much in the truth, or they are not looked at: edema is drawn in acquisitions that do
# not show it, too, and there a method that smooths the texture of the bone away would seem to have invented it
VISIBLE = 0.1
DRAWS = 3  # of noise, for the deviation of the matched filter
TWICE = 2**0.5  # times the noise: as much as the scan has is added to it
NUMBERS, OF = (1, 3), 4  # slices of a drawn volume, no two of which are near duplicates

Place = tuple[int, int]  # of a drawn slice, seed and number; of one in a file, 0 and its index


@dataclass(frozen=True)
class Case:
    """A slice with annotated findings.

    without   the same subject, noise and coils without them: known where it was drawn, None for a real scan
    neighbor  the next slice of the volume, None where there is none: the notebooks read it instead
    """

    item: Slice
    without: Slice | None
    neighbor: Slice | None

    def of_contrast(self, part: float) -> Slice:
        """The slice with so much of what its findings add; of a real scan, whose twin nobody knows, as it is."""
        if self.without is None:
            return self.item
        pairs = ((self.item.kspace, self.without.kspace), (self.item.target, self.without.target))
        kspace, target = (plain + part * (whole - plain) for whole, plain in pairs)
        return replace(self.item, kspace=kspace, target=target)

    def to(self, device: str) -> "Case":
        """The case with its tensors on a device."""
        return Case(*(each and each.to(device) for each in (self.item, self.without, self.neighbor)))


def finding(one: Case, box: Box) -> Finding:
    """A finding of a case as the truth shows it."""
    return Finding.of(box, one.item.target, None if one.without is None else one.without.target)


def visible(one: Case) -> tuple[tuple[int, Box], ...]:
    """The findings of a case that its acquisition shows, each with its number; of a real scan all but blank ones."""
    found = []
    for number, box in enumerate(one.item.boxes):
        try:
            seen = finding(one, box).visibility
        except BadInput as error:
            say_once(f"{one.item.volume}, slice {one.item.number}: {error}; it is left out")
            continue
        if one.without is None or seen >= VISIBLE:
            found.append((number, box))
    return tuple(found)


def has_twins(data: str) -> bool:
    """Whether it is known what slices would be without their findings: of a drawn source, not of files."""
    return data in SOURCES


@lru_cache(maxsize=4)
def case(data: str, profile: Profile, place: Place, boxes: Path | None = None) -> Case:
    """A case of a drawn source, or of a reader's file or folder; boxes: the table of these, None for those beside."""
    seed, number = place
    if has_twins(data):
        subject = _subject(data, seed, profile)
        return Case(subject.slice(number, OF), subject.slice(number, OF, False), subject.slice(number + 1, OF))
    slices = _slices(data, profile, boxes)
    item, after = slices[number], slices[number + 1] if number + 1 < len(slices) else None
    follows = after is not None and (after.origin, after.number) == (item.origin, item.number + 1)
    return Case(item, None, after if follows else None)


@dataclass(frozen=True)
class Marked:
    """Where a slice with findings is, and which it is, without its data: of many scans there is no room for more."""

    place: Place
    volume: str
    number: int
    identity: str
    source: str
    boxes: tuple[tuple[int, Box], ...]  # those that are visible, each with its number


def places(data: str, profile: Profile, findings: int = COUNT, boxes: Path | None = None) -> list[Marked]:
    """Where the first so many findings are, of copies of a scan those of the first.

    BadInput for data without any on a slice that has a reference and all of its k-space.
    """
    for remembered in (case, _slices):  # a table of boxes may have changed since
        remembered.cache_clear()
    slices = _drawn(data, profile) if has_twins(data) else _stored(data, profile, boxes)
    with_boxes = (
        Marked(place, item.volume, item.number, item.identity, item.source, visible(case(data, profile, place, boxes)))
        for place, item in slices
        if item.boxes and item.whole
    )
    found = list(first((each for each in unique(with_boxes) if each.boxes), findings))
    if not found:
        raise BadInput(
            f"{data} has no annotated finding on a whole slice with a reference; boxes lie as CSV beside volumes"
        )
    return found


def unique(marked: Iterable[Marked]) -> Iterator[Marked]:
    """Marked slices without those that are the same as one before."""
    known = set()
    for each in marked:
        if each.identity not in known:
            yield each
        known.add(each.identity)


def first(marked: Iterable[Marked], findings: int) -> Iterator[Marked]:
    """The first of marked slices that have so many findings together, or all."""
    for each in marked:
        yield each
        findings -= len(each.boxes)
        if findings <= 0:
            return


def _drawn(source: str, profile: Profile) -> Iterator[tuple[Place, Slice]]:
    for seed in count():
        for number in NUMBERS:
            yield (seed, number), _subject(source, seed, profile).slice(number, OF)


def _stored(data: str, profile: Profile, boxes: Path | None) -> Iterator[tuple[Place, Slice]]:
    found = _slices(data, profile, boxes)
    for _, index, item in filled((found, index) for index in range(len(found))):
        yield (0, index), item


@lru_cache(maxsize=2)
def _subject(source: str, seed: int, profile: Profile) -> Subject:
    return Subject(source, seed, profile)


@lru_cache(maxsize=1)
def _slices(data: str, profile: Profile, boxes: Path | None):
    return open_data(data, profile=profile, split="test", boxes=boxes)


def redrawn(rows: pd.DataFrame, found: Iterable[Marked], every: bool = True) -> pd.Series:
    """Which rows are of slices whose boxes are others now; every: there are rows of all boxes of a slice."""
    now = {each.identity: {(number, *where(box).values()) for number, box in each.boxes} for each in found}
    stale = set()
    for identity in now.keys() & set(rows["identity"]):
        of_it = rows.loc[rows["identity"] == identity, ["box", *WHERE]]
        have = set(of_it.itertuples(index=False, name=None))
        if not (have == now[identity] if every else have <= now[identity]):
            stale.add(identity)
    return rows["identity"].isin(stale)


def where(box: Box) -> dict[str, int]:
    """The pixels of a box, as rows have them."""
    return {name: getattr(box, name) for name in WHERE}


def members(protocol: str, family: str, source: str | Slice) -> list[Variant]:
    """What a family has under a protocol, made on a source or for a slice; l1 with half its weight in place of SLOW."""
    found = (groups.variants if protocol == "corrected" else groups.as_published)(family, source)
    members = [each for each in found if each.variant != SLOW][: 1 if family == UNTRAINED else None]
    if (protocol, family) == ("corrected", "wavelet"):
        half = methods.tuned(family, source)["lam"] / 2
        members.append(Variant(family, "half", family, partial(methods.load, family, source=source, lam=half)))
    return members


def live(
    families: Sequence[str],
    profile: Profile,
    data: str,
    findings: int,
    variants: int | None = None,
    seed: int = 0,
    boxes: Path | None = None,
) -> pd.DataFrame:
    """The rows of the first findings of a drawn source or of a reader's data, measured here and now."""
    work = [
        (data, profile, each.place, boxes, protocol, family, member.variant, seed)
        for protocol in PROTOCOLS
        for each in places(data, profile, findings, boxes)
        for family in families
        for member in members(protocol, family, each.source)[:variants]
    ]
    return measured_live(_of_place, work, "findings in boxes")


def _of_place(data: str, profile: Profile, place: Place, boxes: Path | None, *others) -> Iterator[dict]:
    return rows(case(data, profile, place, boxes), *others)


@torch.no_grad()
def rows(one: Case, protocol: str, family: str, variant: str, seed: int = 0) -> Iterator[dict]:
    """One variant on one slice: a row a finding, with the scores of the whole image beside.

    nmse_box: ||f - x||^2 / ||x||^2 in the box, as published the error of `published.boxes`; contrast: how much of the
    finding's own signal the image has, see `Finding.shown`, f of the scan with it less f of that without; shown_with
    and shown_without: the two alone, by which a method hides or invents a finding by itself; detectability: d' under
    noise as strong as the scan's, which is added to it, NaN for UNTRAINED.
    """
    (member,) = (each for each in members(protocol, family, one.item) if each.variant == variant)
    told = {"experiment": EXPERIMENT, "protocol": protocol, "method": member.method, "family": family}
    told |= {"variant": variant, "volume": one.item.volume, "slice": one.item.number, "identity": one.item.identity}
    told |= {"snr": one.item.snr}
    found = _corrected(one, member, seed) if protocol == "corrected" else _as_published(one, protocol, member, seed)
    for (number, box), numbers in found:
        yield told | {"box": number, "label": box.label} | where(box) | numbers


def _corrected(one: Case, member: Variant, seed: int) -> Iterator[tuple[tuple[int, Box], dict]]:
    item, without, method = one.item, one.without, member.load()
    mask = measured(item, seed=seed)
    image = reconstruct(method, item, mask)
    plain = None if without is None else reconstruct(method, without, mask)
    drawn = member.family != UNTRAINED
    seeds = range(seed, seed + DRAWS), range(seed + DRAWS, seed + 2 * DRAWS)  # a deviation takes noise of its own
    present, absent = (
        _noisy(scan, method, mask, each) if scan and drawn else None for scan, each in zip((item, without), seeds)
    )
    scores = metrics.scores(image, item.target, item.peak)
    for number, box in visible(one):
        there = finding(one, box)
        shown, nothing = float(there.shown(image)), math.nan if plain is None else float(there.shown(plain))
        both = [None if images is None else there.shown(images) for images in (present, absent)]
        yield (
            (number, box),
            scores
            | {
                "visibility": there.visibility,
                "nmse_box": there.error(image),
                "contrast": shown if plain is None else shown - nothing,
                "shown_with": shown,
                "shown_without": nothing,
                "detectability": detectability(*both) if drawn else math.nan,
            },
        )


def _noisy(scan: Slice, method: Method, mask: Tensor, seeds: Iterable[int]) -> Tensor:
    """Images of a scan with as much noise again as it has, (draws, y, x)."""
    draws = [signal.noisier(scan, TWICE, seed) for seed in seeds]
    return torch.stack([reconstruct(method, draw, mask) for draw in draws])


def _as_published(one: Case, protocol: str, member: Variant, seed: int) -> Iterator[tuple[tuple[int, Box], dict]]:
    item = one.item if protocol == RIGHT_BOX else one.neighbor
    if item is None:
        return
    mask = measured(item, PUBLISHED, center_fraction=0.07, seed=seed)
    image = reconstruct(member.load(), item, mask)
    scores = published.protocol.scores_by_reference(image, item.target)
    for number, box in visible(one):
        read = box if protocol == RIGHT_BOX else published.boxes.transposed(box)
        yield (number, box), scores | {"nmse_box": published.boxes.error(image, item.target, read)}
