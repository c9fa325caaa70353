"""Reconstruct undersampled k-space files and score the images.

FILE is a volume in fastMRI's HDF5 layout, an ISMRMRD scan of mridata.org, or a folder of them. A fully sampled file
is undersampled by a mask and its image scored against the full data; a file that is undersampled is reconstructed
under its own mask, and scored where it carries a reference. Regularization weights are those tuned on drawings of
the file's anatomy, on the file or its folder where `tune` has found one for these, or on --tuned-on.
A slice on which the method fails is lost and said at the end, with exit code 1. --out keeps every image at the number
of its slice, and zeros where there is no image. The mask is that of `evaluate`, of the volume and the seed.
Example: python -m helpers reconstruct brain.h5 --method wavelet --seed 0 1 2 3 4 --json
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import h5py
import numpy as np
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import Tensor
from tqdm import tqdm

from helpers import methods
from helpers.commands import _outputs, show, told
from helpers.commands._inputs import EACH_ONCE, INDEX, SEED, positive, scans, usable, wanted
from helpers.data import Slice, filled
from helpers.errors import BadInput, say_once
from helpers.experiments import evaluate
from helpers.files import written_aside
from helpers.mri import masks, metrics
from helpers.mri.fourier import center_crop

SCORES = ("ssim", "psnr", "nmse", "ssim_object", "nmse_object")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", **EACH_ONCE, metavar="FILE", help="k-space: files or folders")
    parser.add_argument("--method", required=True, help="a name, see python -m helpers methods, or MODULE:FUNCTION")
    kinds = (*masks.KINDS, "given")
    parser.add_argument(
        "--mask", choices=kinds, help="kind of mask (default: given where the file has one, else random)"
    )
    parser.add_argument("--acceleration", type=positive, default=4, help="all entries over measured ones (default: 4)")
    parser.add_argument("--center-fraction", type=float, default=0.08, help="fully sampled center (default: 0.08)")
    parser.add_argument(
        "--seed", type=SEED, **EACH_ONCE, default=[0], help="seeds of the mask, one image each (default: 0)"
    )
    parser.add_argument("--slice", type=INDEX, help="number of the slice, counted from 0 (default: all)")
    words = "source, file or folder whose tuned weights are used (default: the file's own, or else those of its source)"
    parser.add_argument("--tuned-on", metavar="SOURCE", help=words)
    parser.add_argument(
        "--seconds",
        type=float,
        help="limit of an un-trained fit, which then gives its best image so far (default: none)",
    )
    parser.add_argument("--device", default="cpu", help="cpu, cuda, ... (default: cpu)")
    parser.add_argument(
        "--out", type=Path, metavar="OUT.h5", help="write images as fastMRI takes submissions, by number"
    )
    parser.add_argument("--png", type=Path, metavar="OUT.png", help="write the images side by side, in gray")
    parser.add_argument("--json", action="store_true", help="print one JSON object an image")


def run(args: argparse.Namespace) -> int:
    # what is wrong with a name is said before any file is read
    methods.load(args.method, source=args.tuned_on or "knee", **fitted(args))
    device = usable(args.device)
    if args.out and len(args.seed) > 1:
        raise BadInput("--out holds one image of each slice; give one --seed")
    work = [(data, index) for name in args.files for data in [scans(name)] for index in wanted(data, name, args.slice)]
    if args.out and len({data.places[index][0] for data, index in work}) > 1:
        raise BadInput("--out holds one volume; give one FILE")
    _outputs.check({"--out": args.out, "--png": args.png}, {data.places[index][0] for data, index in work})
    images: list[tuple[int, Tensor]] = []
    kept = images.append if args.out or args.png else lambda image: None
    lost: dict[str, list[str]] = {}
    came = show(rows(args, work, device, kept, lost), args.json)
    code = told(lost, {args.method: len(work)}, came)
    if args.out:
        whole = max(number for data, _ in work for _, number in data.places) + 1
        write_images(args.out, dict(images), whole)
    if args.png:
        write_picture(args.png, [image for _, image in images])
    return code


def fitted(args: argparse.Namespace) -> dict:
    """Options of a method that is fitted to each image: a bar, and a limit on time. BadInput for a limit of others."""
    if methods.family(args.method) == "un-trained":
        return {"progress": True} | ({} if args.seconds is None else {"seconds": args.seconds})
    if args.seconds is not None:
        raise BadInput(f"{args.method} is not fitted step by step; leave --seconds out")
    return {}


def rows(
    args: argparse.Namespace, work: list, device: torch.device, keep: Callable, lost: dict[str, list[str]]
) -> Iterator[dict]:
    """Reconstruct: one row an image; number and image go to `keep`, why a slice is lost goes to `lost`."""
    total = len(work) * len(args.seed)
    with tqdm(total=total, desc=args.method, unit="image", disable=total < 2) as progress:
        for data, index, item in filled(work):
            path, shape = data.places[index][0], data.image_shape(index)
            try:
                for image, row in reconstructed(args, path, item.to(device), shape):
                    keep((item.number, image))
                    progress.update()
                    yield row
            except BadInput as error:
                lost.setdefault(args.method, []).append(f"{path}, slice {item.number}: {error}")


def reconstructed(
    args: argparse.Namespace, path: Path, item: Slice, shape: tuple[int, int]
) -> Iterator[tuple[Tensor, dict]]:
    """The images of one slice, cropped to what is looked at, each with its row."""
    check_mask(args.mask, item)
    if item.target is None:
        words = f"{path} is undersampled and has no reference: there is nothing to score against"
        tqdm.write(words, file=sys.stderr)
    method = methods.load(args.method, args.tuned_on or item, **fitted(args))
    for seed in args.seed if item.mask is None else [None]:
        mask = evaluate.mask_of(item, args.mask or "random", args.acceleration, args.center_fraction, seed)
        start = time.perf_counter()
        image = evaluate.reconstruct(method, item, mask).cpu()
        seconds = time.perf_counter() - start
        image = center_crop(image, shape)
        scores = dict.fromkeys(SCORES) if item.target is None else metrics.scores(image, item.target)
        yield (
            image,
            {
                "method": args.method,
                "file": str(path),
                "slice": item.number,
                "seed": seed,
                "acceleration": masks.realized_acceleration(mask),
                **{name: scores[name] for name in SCORES},
                "seconds": seconds,
            },
        )


def check_mask(kind: str | None, item: Slice) -> None:
    """BadInput where the mask that is asked for cannot be laid over this slice."""
    if kind == "given" and item.mask is None:
        raise BadInput("the file carries no mask; choose --mask random, equispaced or poisson")
    if kind not in (None, "given") and item.mask is not None:
        raise BadInput("the file is undersampled and cannot be measured under another mask; leave --mask out")


def write_images(path: Path, images: Mapping[int, Tensor], whole: int) -> None:
    """Write images of one volume as fastMRI takes submissions: `reconstruction` (slice, y, x) float32.

    images: by the number of their slice, of which the volume has so many: those without an image are zero, as is said.
    """
    shape = next(iter(images.values())).shape
    with written_aside(path) as part, h5py.File(part, "w") as file:
        file.attrs[_outputs.MARK] = _outputs.MAKER
        written = file.create_dataset("reconstruction", (whole, *shape), np.float32, chunks=(1, *shape))
        for number, image in images.items():
            written[number] = image.numpy()
    if len(images) < whole:
        say_once(f"{path}: zero, for want of an image, are {whole - len(images)} of its {whole} slices")


def write_picture(path: Path, images: list[Tensor]) -> None:
    """Write a PNG of the images side by side, white at each one's 99.5th percentile."""
    height = max(image.shape[0] for image in images)
    gray = [image / torch.quantile(image, 0.995).clamp_min(torch.finfo().tiny) for image in images]
    padded = [torch.nn.functional.pad(image, (0, 0, 0, height - len(image))) for image in gray]
    pixels = (torch.cat(padded, 1).clamp(0, 1) * 255).byte().numpy()
    made = PngInfo()
    made.add_text(_outputs.MARK, _outputs.MAKER)
    with written_aside(path) as part:
        Image.fromarray(pixels).save(part, "png", pnginfo=made)
