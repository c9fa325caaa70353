"""Heat maps of small features (Figure 7): how well a method shows one, by where it lies."""

import base64
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from helpers.data.slice import Slice
from helpers.errors import BadInput
from helpers.experiments.evaluate import reconstruct
from helpers.experiments.live import measured_live
from helpers.features.artificial import Feature, Place, Scan, together, windows
from helpers.features.closed_form import ClosedForm
from helpers.methods import Method
from helpers.shifts import groups
from helpers.shifts.lines import PUBLISHED, measured

CLOSED_FORM = "sense"
METHODS = {
    "corrected": ("unet", "varnet", "wavelet", "tv", CLOSED_FORM, "convdecoder"),
    "published": ("unet", "varnet", "wavelet"),
}
VOLUMES = 6
# rows of which each has one feature in an image: as few as leave the error within 1 % (median) of that of one feature
# alone, and within 10 % at nearly all places, see `checked`. Networks normalize by the whole image, and so see all
# features in it.
BANDS = {"unet": 80, "varnet": 80, "wavelet": 40, "tv": 16, "convdecoder": 40, CLOSED_FORM: 3}
ALONE = 10**6  # for methods of which nothing is known
STRIDES = {"convdecoder": 10}  # pixels from one place to the next of a method whose images take a minute
COARSE = 4  # the same of further volumes, and as published
STORED = np.dtype("<f2")  # of errors: to one part in 2,000, in half of the space of their digits
KEYS = ["protocol", "method", "identity", "stride", "first"]
CHECKED = 10  # places of each volume
CHECK_KEYS = ["method", "identity"]


@dataclass(frozen=True)
class Seen:
    """What a method makes of a scan without a feature, against which those with one are held.

    published: features as the notebooks add them, and scored as they do
    """

    scan: Scan
    method: Method
    mask: Tensor
    clean: Tensor
    published: bool = False

    @classmethod
    def of(cls, scan: Scan, method: Method, mask: Tensor, published: bool = False) -> "Seen":
        return cls(scan, method, mask, reconstruct(method, scan.item, mask), published)

    def shown(self, feature: Feature, places: Sequence[Place]) -> dict[str, Tensor]:
        """How a feature at each of several places is shown, all in one image: (place,) each.

        error: the mean squared error in the window over the square of the image's maximum, as published that of images
        that each have mean 0 and deviation 1; contrast: what the image gains there over what the reference gains, 1
        where all of it is shown, NaN where the feature adds nothing.
        """
        put = self.scan.as_published if self.published else self.scan.with_feature
        item = put(feature, places)
        image = reconstruct(self.method, item, self.mask)
        gained, truly = (
            (windows(now, places, feature.size) - windows(before, places, feature.size)).sum((-2, -1))
            for now, before in ((image, self.clean), (item.target, self.scan.item.target))
        )
        unit = self.scan.peak
        target = item.target
        if self.published:
            unit, (image, target) = 1, ((each - each.mean()) / each.std() for each in (image, target))
        wrong = windows(image, places, feature.size) - windows(target, places, feature.size)
        return {
            "error": wrong.square().mean((-2, -1)) / unit**2,
            "contrast": torch.where(truly != 0, gained / truly, torch.nan),
        }


def seen(item: Slice, protocol: str, name: str, seed: int = 0) -> Seen:
    """A scan as a method sees it under a protocol; name: of a family, of a method, or MODULE:FUNCTION."""
    if protocol == "published":
        member = next(iter(groups.as_published(name, item.source)), None)
        if member is None:
            raise BadInput(f"the notebooks have no heat map of {name}")
        mask = measured(item, PUBLISHED, center_fraction=0.07, seed=seed)
        return Seen.of(Scan.of(item), member.load(), mask, published=True)
    mask = measured(item, seed=seed)
    if name == CLOSED_FORM:
        return Seen.of(Scan.of(item), ClosedForm.of(mask * item.kspace, mask), mask)
    return Seen.of(Scan.of(item), next(groups.variants(name, item)).load(), mask)


def wanted(protocol: str, names: Sequence[str], volumes: int, stride: int) -> Iterator[tuple[str, int, int]]:
    """Method, number of the volume and stride of all heat maps; stride: of the first volume, corrected."""
    for number in range(volumes):
        for name in names:
            if name in STRIDES:
                if number == 0:
                    yield name, number, max(stride, STRIDES[name])
            else:
                yield name, number, stride if number == 0 and protocol == "corrected" else max(stride, COARSE)


def live(items: Sequence[Slice], names: Sequence[str], stride: int = COARSE, seed: int = 0) -> pd.DataFrame:
    """The lines of coarse heat maps of slices, measured here and now."""
    work = [
        (item, protocol, name, stride, seed)
        for item in items
        for protocol, known in METHODS.items()
        for name in names
        if protocol == "corrected" or name in known
    ]
    return measured_live(_whole, work, "heat maps")


def checked_live(item: Slice, names: Sequence[str], count: int, seed: int = 0) -> pd.DataFrame:
    """The rows of `checked` of several methods, measured here and now."""
    work = [(seen(item, "corrected", name, seed), name, seed, {"method": name}, count) for name in names]
    return measured_live(checked, work, "features alone")


def _whole(item: Slice, protocol: str, name: str, stride: int, seed: int) -> Iterator[dict]:
    found = seen(item, protocol, name, seed)
    told = {"protocol": protocol, "method": name, "volume": item.volume, "slice": item.number}
    for first in firsts(tuple(item.target.shape), name, stride):
        yield from lines(found, name, stride, first, told | {"identity": item.identity})


def firsts(shape: tuple[int, int], name: str, stride: int) -> range:
    """The lines with which the pieces of a heat map begin: each has one feature in every band."""
    rows = len(range(0, shape[0] - Feature().size + 1, stride))
    return range(min(rows, band(name, stride)))


def lines(found: Seen, name: str, stride: int, first: int, told: dict) -> Iterator[dict]:
    """A piece of a heat map: its first line, and the one at that place of every band; told: what rows say besides.

    errors: of every place of a line, as `stored`.
    """
    shape = found.scan.places(Feature().size)
    coarse = tuple(len(range(0, n, stride)) for n in shape)
    apart = band(name, stride)
    errors = torch.full(coarse, torch.nan)
    for group in together(coarse, apart):
        if group[0][0] == first:
            places = [(row * stride, column * stride) for row, column in group]
            errors[tuple(torch.tensor(group).T)] = found.shown(Feature(), places)["error"].to(errors)
    for row in range(first, coarse[0], apart):
        yield told | {"stride": stride, "first": first, "row": row, "errors": stored(errors[row])}


def stored(errors: Tensor) -> str:
    """Errors (place,) as text: numbers of two bytes, in base64."""
    return base64.b64encode(errors.numpy().astype(STORED).tobytes()).decode()


def read(text: str) -> Tensor:
    """Errors (place,) float32 from the text that `stored` makes of them. BadInput for any other."""
    try:
        return torch.from_numpy(np.frombuffer(base64.b64decode(text, validate=True), STORED).astype(np.float32))
    except ValueError as error:
        raise BadInput("a line of a heat map is not what was stored; measure it again") from error


def heat_map(rows: pd.DataFrame) -> Tensor:
    """The map that lines of one protocol, method, slice and stride make: (rows, columns), NaN where there is none yet.

    Raises BadInput where lines are not of one length.
    """
    values = {row: read(errors) for row, errors in zip(rows["row"], rows["errors"])}
    if len({len(each) for each in values.values()}) != 1:
        raise BadInput("lines of a heat map are not of one length; measure it again")
    whole = torch.full((max(values) + 1, len(next(iter(values.values())))), torch.nan)
    for row, each in values.items():
        whole[row] = each
    return whole


def checked(found: Seen, name: str, seed: int, told: dict, count: int = CHECKED) -> Iterator[dict]:
    """The error of a feature among others in one image, at_once, beside that of it alone, at random places."""
    shape = found.scan.places(Feature().size)
    groups_of = list(together(shape, band(name, 1)))
    chance = torch.Generator().manual_seed(seed)
    for _ in range(count):
        group = groups_of[int(torch.randint(len(groups_of), (1,), generator=chance))]
        place = int(torch.randint(len(group), (1,), generator=chance))
        at_once, alone = found.shown(Feature(), group), found.shown(Feature(), [group[place]])
        row, column = group[place]
        yield told | {
            "features": len(group),
            "row": row,
            "column": column,
            "at_once": float(at_once["error"][place]),
            "alone": float(alone["error"][0]),
        }


def band(name: str, stride: int) -> int:
    """Rows of places of which each has one feature in an image."""
    return math.ceil(BANDS.get(name, ALONE) / stride)
