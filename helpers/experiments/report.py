"""A report on one method: a trial of it, the commands that measure it, and how long they will take."""

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path

from helpers import methods
from helpers.data import open_data
from helpers.errors import BadInput
from helpers.experiments import pathologies, transfer
from helpers.experiments.evaluate import mask_of, reconstruct, timed
from helpers.methods.limited import Limited, allowing
from helpers.places import RESULTS
from helpers.profiles import profile

OUT = "{out}"  # what stands for the folder of the report in the words of a command
SHIPPED = "laptop"  # profile of the slices that the methods of this package were measured on
STARTING = 8  # seconds that a command takes to begin, and the page to be made
QUICKLY = 300  # seconds that a quick report may take
TRIES = 3  # slices of which one has to be reconstructed
BESIDE = ("zero-filled", "wavelet")  # measured with it wherever its time is: speed is a ratio
PEERS = (*BESIDE, "tv", "unet", "varnet")  # measured beside it on a reader's data, where no table knows them
TRIAL = "smoke"  # profile that shows that a report comes to its end: none of its numbers is held against another


@dataclass(frozen=True)
class Size:
    """How much of a part is measured: options of its command; about how many images; and seconds for all else.

    volumes: that its command asks for and would refuse to do without, None where it takes what there is; climbs:
    whether it takes gradients where the method passes any, each as long as another image
    """

    options: str
    images: int
    others: float
    volumes: int | None = None
    climbs: bool = False

    def of(self, volumes: int | None) -> "Size":
        """The same of at most so many volumes, None for any number."""
        if self.volumes is None or volumes is None or self.volumes <= volumes:
            return self
        share = volumes / self.volumes
        return replace(self, images=round(share * self.images), others=share * self.others, volumes=volumes)

    def seconds(self, tried: "Tried", jobs: int) -> float:
        """About how long it takes; a part with volumes is worked on by one process each."""
        rounds = self.volumes and math.ceil(self.volumes / jobs) / self.volumes
        image = tried.seconds * (1 + (self.climbs and tried.gradient))
        return (rounds or 1 / jobs) * (self.others + self.images * image) + STARTING

    @property
    def words(self) -> list[str]:
        """Of the command."""
        return shlex.split(self.options) + ([] if self.volumes is None else ["--volumes", str(self.volumes)])


# images and seconds: of a method that counts its calls and takes no time, one with gradients, on one core
QUICK = {
    "quality": Size("--volumes 6 --slices 2", 24, 28),
    "factors": Size("--factors noise acceleration", 27, 5, 3),
    "transfer": Size("--eps 0.02", 580, 35, 3, climbs=True),
    "audit": Size("--eps 0.02 --through", 510, 18, 1, climbs=True),
    "shifts": Size("--sides in out --volumes 4", 32, 7),
    "features": Size("--only pathologies hidden --findings 6 --sought 1", 120, 40, climbs=True),
}
SHORT = [Size(f"--eps 0.02 --steps {steps}", 24 + 9 * steps, 24, 2, climbs=True) for steps in (12, 4)]  # attacks
# what a quick report on a slow method is cut by, one after the other until it takes no longer than QUICKLY
CUTS: tuple[tuple[str, Size | None], ...] = (
    ("transfer", QUICK["transfer"].of(2)),
    ("audit", None),
    ("transfer", QUICK["transfer"].of(1)),
    ("features", Size("--only pathologies --findings 6", 48, 25)),  # no search for what hides one
    *(("transfer", short.of(volumes)) for short in SHORT for volumes in (2, 1)),
)
LEFT_OUT = ("audit", "hidden")  # of a quick report on a slow method
WHOLE = {
    "quality": Size("", 80, 120),
    "factors": Size("", 470, 90, 10),
    "transfer": Size("", 9_600, 580, 10, climbs=True),
    "audit": Size("", 5_800, 240, 3, climbs=True),
    "shifts": Size("--sides in out", 160, 40),
    "features": Size("--only pathologies hidden curves", 5_000, 900, climbs=True),
}


@dataclass(frozen=True)
class Part:
    """A part of a report.

    words: of its command, OUT for the folder; shipped: tables of ours that the command goes on with
    """

    words: Sequence[str]
    shipped: Sequence[Path] = ()


@dataclass(frozen=True)
class Tried:
    """How a method behaved: seconds an image, whether gradients pass, and MB of its process where that is its own.

    anatomy: whose methods suit the slice that was tried, "knee" or "brain"
    """

    seconds: float
    gradient: bool
    memory: float | None
    anatomy: str = methods.STAND_IN


def tried(name: str, data: str | None, size: str, limit: float, seed: int = 0) -> Tried:
    """Reconstruct one slice; BadInput, with the first reason, where none of the first TRIES can be."""
    options = {"profile": profile(size), "split": "test", "volumes": TRIES, "slices": 1}
    slices = (item for item in open_data(data or "knee", **options) if item.target is not None)
    wrong = f"no slice of {data} has a reference, so that nothing can be scored on it"
    for item in islice(slices, TRIES):
        with allowing(limit):
            method = methods.load(name, item)
        mask = mask_of(item, seed=seed)
        try:
            reconstruct(method, item, mask)  # what it does the first time only is not counted
            _, seconds = timed(method, partial(reconstruct, method, item, mask))
            image = method((mask * item.kspace).requires_grad_(), mask)
        except BadInput as error:
            wrong = str(error) if "reference" in wrong else wrong
            continue
        gradient = image.requires_grad and methods.family(name) != "un-trained"
        anatomy = methods.ANATOMY.get(item.source, methods.STAND_IN)
        return Tried(seconds, gradient, method.memory if isinstance(method, Limited) else None, anatomy)
    raise BadInput(wrong)


def sizes(data: str | None, quick: bool, size: str, tried: Tried, jobs: int) -> dict[str, Size]:
    """How much of each part is measured: no more volumes than a reader has, and quick, not much longer than QUICKLY."""
    found = QUICK if quick else WHOLE
    if data is not None:
        most = max(part.volumes or 0 for part in found.values())
        there = len(transfer.held_out(data, size, most, ""))
        found = {part: each.of(there) for part, each in found.items() if part != "features" or _annotated(data)}
    for part, cut in CUTS if quick else ():
        now = seconds(found, tried, jobs)
        if part in found and now > QUICKLY:
            others = {each: left for each, left in found.items() if each != part}
            fewer = found | {part: cut.of(found[part].volumes)} if cut else others
            # two volumes on two cores take as long as one
            found = fewer if seconds(fewer, tried, jobs) < now - STARTING else found
    return found


def seconds(sizes: Mapping[str, Size], tried: Tried, jobs: int) -> float:
    """About how long the parts will take, and the page."""
    return STARTING + sum(each.seconds(tried, jobs) for each in sizes.values())


def plan(
    name: str, data: str | None, sizes: Mapping[str, Size], size: str = SHIPPED, anatomy: str = methods.STAND_IN
) -> dict[str, Part]:
    """The parts of a report by name, those of `sizes`.

    data: a reader's file or folder, of that anatomy, None for drawn slices of the profile `size`. Those of SHIPPED the
    methods of this package were measured on, and stand in tables; else some of them are measured beside, in TRIAL the
    quick ones.
    """
    drawn = data is None
    known = drawn and size == SHIPPED
    peers = [each for each in (BESIDE if known or (drawn and size == TRIAL) else PEERS) if each != name]
    beside = [] if known else peers
    where = [] if drawn else ["--data", data, "--acquisition", ""]
    sources = ["knee", "brain"] if drawn else [data]
    shifted = ["--protocol", "corrected"] if drawn else ["--from", anatomy, "--to", data]
    if drawn:
        shifted += ["--ranking", f"{OUT}/hard.csv"] if known else ["--shift", "site", "anatomy"]
    commands = {
        "quality": ["evaluate", name, *peers, "--data", *sources],
        "factors": ["factors", *where, "--methods", name, *beside],
        "transfer": ["transfer", *where, "--methods", name, "--protocol", "corrected"],
        "audit": ["audit", *where, "--methods", name],
        "shifts": ["shifts", *shifted, "--families", name, *beside],
        "features": ["features", "--families", name, *beside, "--methods", name, "--protocol", "corrected"],
    }
    commands["features"] += [] if drawn else ["--data", data]
    out = {part: ["--table", f"{OUT}/{part}.csv"] for part in commands} | {"features": ["--tables", OUT]}
    shipped = {"shifts": [RESULTS / "hard.csv"]} if known else {}
    return {
        part: Part([*commands[part], *each.words, *out[part]], shipped.get(part, ())) for part, each in sizes.items()
    }


def _annotated(data: str) -> bool:
    """Whether findings are marked in a reader's data."""
    try:
        return bool(pathologies.places(data, profile("laptop"), 1, None))
    except BadInput:
        return False
