"""The detectability curve: how small and how faint a feature may be that a method still shows."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product

import pandas as pd
import torch
from torch import Tensor

from helpers.data.slice import Box, Slice
from helpers.errors import BadInput
from helpers.experiments.evaluate import reconstruct
from helpers.experiments.live import measured_live
from helpers.features.artificial import SHAPES, Feature, Place, Scan
from helpers.features.recovered import Finding, detectability
from helpers.mri.metrics import object_mask
from helpers.shifts import groups, signal
from helpers.shifts.lines import measured

SIZES = (1, 2, 3, 4, 6, 8)
CONTRASTS = (-1.0, -0.5, 0.25, 0.5, 1.0)
USUAL = Feature(size=6, contrast=0.5)  # of which the shape is changed: of 4 pixels a disk is a cross
BAND = 20  # rows that have one feature: their errors are changed a little by others, their contrasts hardly
GROUPS = 2  # of places
DRAWS = 2  # of noise for each group
EMPTY = 4  # further draws without a feature: a deviation takes noise that the scans with it do not share
ELSEWHERE = 16  # groups of places without a feature, by which the threshold is set
TWICE = 2**0.5  # times the noise: as much as the scan has is added to it
FALSE = 0.05  # of places without a feature, that are taken for one
VOLUMES = 5
KEYS = ["method", "identity"]


def features() -> list[Feature]:
    """All sizes with all contrasts, and all shapes of the usual one."""
    squares = [Feature(size, contrast) for size, contrast in product(SIZES, CONTRASTS)]
    return squares + [Feature(USUAL.size, USUAL.contrast, shape) for shape in SHAPES if shape != USUAL.shape]


def rows(item: Slice, name: str, told: dict, seed: int = 0, which: Sequence[Feature] = ()) -> Iterator[dict]:
    """How a method shows features of every size, contrast and shape in one scan: a row each.

    name: of a family, a method, or MODULE:FUNCTION; told: what rows say besides. error: ||f - x||^2 / ||x||^2 in the
    windows, which black ones make large, having next to no energy; contrast: of the features, the share that f of the
    scan with them has and f without has not; detectability: d' of a matched filter under noise alone, the mean of
    places; misses: the share of places at which its output is below the `threshold`.
    """
    method, scan, mask = next(groups.variants(name, item)).load(), Scan.of(item), measured(item, seed=seed)
    draws = [signal.noisier(item, TWICE, seed + number) for number in range(DRAWS + EMPTY)]
    plain = torch.stack([reconstruct(method, draw, mask) for draw in draws])
    for feature in which or features():
        found = []
        for group in range(GROUPS):
            places = scattered(item, feature.size, seed + group)
            changed = scan.with_feature(feature, places)
            added = changed.kspace - item.kspace
            noisy = [replace(draw, kspace=draw.kspace + added) for draw in draws[:DRAWS]]
            images = torch.stack([reconstruct(method, draw, mask) for draw in noisy])
            found += [(finding, images) for finding in marked(changed, item, feature, places)]
        if not found:
            continue
        energy = torch.stack([finding.signal.square().sum() for finding, _ in found])
        shown, nothing = (
            torch.stack([finding.shown(which) for finding, which in each])
            for each in (found, [(finding, plain) for finding, _ in found])
        )
        truth = torch.stack([finding.truth.square().sum() for finding, _ in found])
        wrong = torch.stack([finding.wrong(images) for finding, images in found])
        outputs = energy.sqrt()[:, None] * shown
        yield told | {
            "size": feature.size,
            "contrast_put": feature.contrast,
            "shape": feature.shape,
            "places": len(found),
            "error": float(wrong.mean() / truth.mean()),
            "contrast": float((energy * (shown - nothing[:, :DRAWS]).mean(1)).sum() / energy.sum()),
            "detectability": sum(map(detectability, shown, nothing[:, DRAWS:])) / len(found),
            "misses": float((outputs < threshold(scan, feature, plain, seed)).float().mean()),
        }


def threshold(scan: Scan, feature: Feature, images: Tensor, seed: int = 0) -> float:
    """What the output of the matched filter exceeds at `FALSE` of the places without a feature, over all draws.

    images: (draws, y, x), of the scan as it is. What a method makes of the anatomy there is noise, too.
    """
    item, empty = scan.item, []
    for group in range(GROUPS, GROUPS + ELSEWHERE):
        places = scattered(item, feature.size, seed + group)
        for finding in marked(scan.with_feature(feature, places), item, feature, places):
            empty.append(finding.signal.square().sum().sqrt() * finding.shown(images))
    return float(torch.cat(empty).quantile(1 - FALSE))


def marked(changed: Slice, item: Slice, feature: Feature, places: Sequence[Place]) -> list[Finding]:
    """What the truth with the feature shows of it at each of the places."""
    boxes = [Box(column, row, feature.size, feature.size, "") for row, column in places]
    return [Finding.of(box, changed.target, item.target) for box in boxes]


def live(items: Sequence[Slice], names: Sequence[str], which: Sequence[Feature], seed: int = 0) -> pd.DataFrame:
    """The rows of several slices and methods, measured here and now."""
    work = [
        (item, name, {"method": name, "volume": item.volume, "slice": item.number}, seed, which)
        for item in items
        for name in names
    ]
    return measured_live(rows, work, "detectability")


def scattered(item: Slice, size: int, seed: int) -> list[Place]:
    """One place at random in each band of rows where a window lies within the object; BadInput for one too large."""
    if size >= BAND:
        raise BadInput(f"a feature has less than {BAND} pixels along a side, not {size}")
    inside = torch.from_numpy(object_mask(item.target.cpu().numpy())).float()
    whole = torch.nn.functional.avg_pool2d(inside[None], size, 1)[0] == 1
    chance, places = torch.Generator().manual_seed(item.seed(seed)), []
    for first in range(0, len(whole), BAND):
        there = whole[first : first + BAND - size].nonzero()
        if len(there):
            row, column = there[int(torch.randint(len(there), (1,), generator=chance))].tolist()
            places.append((first + row, column))
    return places
