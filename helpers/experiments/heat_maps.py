"""Heat maps of small features (Figure 7): how well a method shows one, by where it lies."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from tqdm import tqdm

from helpers.data.slice import Slice
from helpers.features.artificial import Feature, Place, Scan, together, windows
from helpers.methods import Method
from helpers.methods.border import called

BAND = 16  # rows that have one feature


@dataclass(frozen=True)
class Seen:
    """What a method makes of a scan without a feature, against which those with one are held."""

    scan: Scan
    method: Method
    mask: Tensor
    clean: Tensor

    @classmethod
    def of(cls, scan: Scan, method: Method, mask: Tensor) -> "Seen":
        return cls(scan, method, mask, _image(scan.item, method, mask))

    @torch.no_grad()
    def shown(self, feature: Feature, places: Sequence[Place]) -> dict[str, Tensor]:
        """How a feature at each of several places is shown, all in one image: (place,) each.

        error: the mean squared error in the window over the square of the image's maximum; contrast: what the image
        gains there over what the reference gains, 1 where all of it is shown, NaN where the feature adds nothing.
        """
        item = self.scan.with_feature(feature, places)
        image = _image(item, self.method, self.mask)
        found, plain, truth, before = (
            windows(each, places, feature.size) for each in (image, self.clean, item.target, self.scan.item.target)
        )
        gained = (truth - before).sum((-2, -1))
        return {
            "error": (found - truth).square().mean((-2, -1)) / self.scan.peak**2,
            "contrast": torch.where(gained != 0, (found - plain).sum((-2, -1)) / gained, torch.nan),
        }

    def heat_map(
        self, feature: Feature, band: int = BAND, stride: int = 1, progress: bool = False
    ) -> dict[str, Tensor]:
        """`shown` for every place of the target, or every stride-th: (rows, columns) each.

        band: rows that have one feature in each image; of all rows for one at a time.
        """
        shape = self.scan.places(feature.size)
        coarse = tuple(-(-n // stride) for n in shape)
        groups = list(together(coarse, max(1, band // stride)))
        maps = {name: torch.full(coarse, torch.nan) for name in ("error", "contrast")}
        for group in tqdm(groups, "heat map", disable=not progress):
            places = [(row * stride, column * stride) for row, column in group]
            for name, values in self.shown(feature, places).items():
                maps[name][tuple(torch.tensor(group).T)] = values.to(maps[name])
        return maps


def _image(item: Slice, method: Method, mask: Tensor) -> Tensor:
    with torch.no_grad():
        return item.crop(called(method, mask * item.kspace, mask))
