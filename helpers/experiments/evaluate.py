"""Measuring: methods on slices under masks, one tidy row for each."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import pandas as pd
import torch
from torch import Tensor

from helpers import methods
from helpers.data import all_filled, open_data
from helpers.data.slice import Slice
from helpers.methods import Method, zero_filled
from helpers.methods.border import called
from helpers.methods.limited import Limited
from helpers.mri import masks, metrics
from helpers.profiles import Profile


def chapter_slices(data: str, size: Profile) -> list[Slice]:
    """What a chapter looks at: held-out drawn knees and brains, or the first volumes of a reader's file or folder.

    data: "" for drawn slices, else a path or the name of a source; size: of how many volumes how many slices, and how
    large drawn ones are.
    """
    sources = [data] if data else ["knee", "brain"]
    options = {"profile": size, "split": "test", "volumes": size.volumes, "slices": size.slices}
    return list(all_filled(*(open_data(source, **options) for source in sources)))


def mask_of(
    item: Slice, kind: str = "random", acceleration: float = 4, center_fraction: float = 0.08, seed: int = 0
) -> Tensor:
    """The mask under which a slice is measured: the file's own where it has one, else one drawn for its volume.

    Returns (kx,) or (ky, kx) bool, where the k-space is; every slice of a volume gets the same mask, volumes get
    different ones.
    """
    if item.mask is not None:
        return item.mask
    drawn = masks.volume_seed(item.seeded_by, seed)
    return masks.mask(kind, tuple(item.kspace.shape[-2:]), acceleration, center_fraction, drawn).to(item.kspace.device)


def reconstruct(method: Method, item: Slice, mask: Tensor) -> Tensor:
    """What a method makes of the measured part of a slice, cropped to the target: (y, x) real.

    The method sees mask * kspace and the mask, nothing else, and they are copies. Raises BadInput where its image
    cannot be scored.
    """
    return item.crop(called(method, mask * item.kspace, mask))


def evolution(item: Slice) -> tuple[Callable[[dict, Tensor], None], list[tuple[int, Tensor]]]:
    """For a fit of one slice: a watcher that adds scores to every look, and the list of (step, image) that it fills."""
    frames: list[tuple[int, Tensor]] = []

    def watch(look: dict, image: Tensor) -> None:
        frames.append((look["step"], item.crop(image)))
        look |= metrics.scores(frames[-1][1], item.target)

    return watch, frames


def measure(name: str, method: Method, item: Slice, mask: Tensor) -> dict:
    """One row: a method's scores on one slice, with where they come from and the seconds it took.

    psnr_zero_filled: what is there without any reconstruction, which every method should be above.
    """
    image, seconds = timed(method, lambda: reconstruct(method, item, mask))
    return scored(name, item, mask, image, seconds)


def timed(method: Method, make: Callable[[], Tensor]) -> tuple[Tensor, float]:
    """What is made with a method, and the seconds that took; of one in its own process those that it took there."""
    start = time.perf_counter()
    made = make()
    return made, method.took if isinstance(method, Limited) else time.perf_counter() - start


def measure_batch(name: str, method: Method, items: Sequence[Slice], mask: Tensor) -> Iterator[dict]:
    """The same rows of several slices of one size under one mask, which are reconstructed at once, as a GPU likes it.

    seconds: of the batch, over its slices.
    """
    if len(items) == 1:
        yield measure(name, method, items[0], mask)
        return
    kspace = torch.stack([item.kspace for item in items])
    images, seconds = timed(method, lambda: called(method, mask * kspace, mask))
    for item, image in zip(items, images, strict=True):
        yield scored(name, item, mask, item.crop(image), seconds / len(items))


def scored(name: str, item: Slice, mask: Tensor, image: Tensor, seconds: float) -> dict:
    """The row of an image (y, x) that a method has made of a slice in so many seconds.

    acceleration: all entries of the stored grid over the measured ones; under a file's own mask its padding counts as
    not measured, and so does what a partial Fourier scan leaves out.
    """
    row = {
        "method": name,
        "family": methods.family(name),
        "anatomy": item.anatomy,
        "source": item.source,
        "acquisition": item.acquisition,
        "volume": item.volume,
        "slice": item.number,
        "identity": item.identity,
        "snr": item.snr,
        "acceleration": masks.realized_acceleration(mask),
    }
    nothing = item.crop(zero_filled.reconstruct(mask * item.kspace, mask))
    below = {"psnr_zero_filled": metrics.scores(nothing, item.target)["psnr"]}
    return row | metrics.scores(image, item.target, item.peak) | below | {"seconds": seconds}


def rows(
    chosen: Mapping[str, Method] | Iterable[str],
    slices: Iterable[Slice],
    **mask_options,
) -> Iterator[dict]:
    """Every chosen method on every slice that has a target: one row each, as it comes.

    chosen: functions by name, or names of methods, which are then loaded with the parameters tuned on the slice's own
    source; mask_options as for `mask_of`.
    """
    named = isinstance(chosen, Mapping)
    for item in slices:
        if item.target is None:
            continue
        mask = mask_of(item, **mask_options)
        for name in chosen:
            method = chosen[name] if named else methods.load(name, item)
            yield measure(name, method, item, mask)


def worse_than_nothing(found: pd.DataFrame) -> list[str]:
    """A sentence for each method and each of the data on some slices of which it falls below zero-filled in PSNR.

    found: tidy, rows of `measure`, with a column `data`: what they are of. SSIM hardly shows a few pixels that are far
    too bright; PSNR does.
    """
    sentences = []
    for (data, method), group in found.groupby(["data", "method"], sort=False):
        gain = group["psnr"] - group["psnr_zero_filled"]
        if (gain < 0).any():
            worst = group.loc[gain.idxmin()]
            sentences.append(
                f"{method} falls below zero-filled in PSNR on {(gain < 0).sum()} of {len(group)} slices of {data}, by"
                f" {-gain.min():.1f} dB on {worst['volume']}:{worst['slice']}; look at its images"
            )
    return sentences


def table(found: Iterable[dict]) -> pd.DataFrame:
    """Rows as one tidy table, methods in the order in which they came."""
    return pd.DataFrame(list(found))
