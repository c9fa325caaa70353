"""Attack a method: the measured entries are moved by eps of their norm so that its image becomes worst.

FILE is a volume of k-space as `reconstruct` takes it, fully sampled, so that there is a truth. Each slice is attacked
by all that is known to fit the method: noise of the same strength, the worst for SENSE, gradients (APGD; for wavelet
and tv implicit ones), the paper's joint descent, or a search without gradients. The worst is kept and scored by a
reconstruction made anew. An un-trained network is attacked by gradients through its fits, too, which takes as long as
six of them; --refits 0 leaves that out. A slice that cannot be attacked is lost and said at the end, with exit code 1.
Example: python -m helpers attack knee.h5 --method varnet-knee --eps 0.02 --json
"""

import argparse
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch
from tqdm import tqdm

from helpers import methods
from helpers.attacks import known
from helpers.attacks.known import agreement, attacks_on, differentiable
from helpers.attacks.losses import LOSSES
from helpers.attacks.threat import Threat, noise_levels, realized
from helpers.attacks.worst import worst
from helpers.commands import show, told
from helpers.commands._inputs import COUNT, EACH_ONCE, INDEX, SEED, positive, scans, usable, wanted
from helpers.data import Slice, filled
from helpers.errors import BadInput
from helpers.experiments import evaluate
from helpers.mri import metrics


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", **EACH_ONCE, metavar="FILE", help="k-space: files or folders")
    parser.add_argument("--method", required=True, help="a name, see python -m helpers methods, or MODULE:FUNCTION")
    parser.add_argument(
        "--eps", type=positive, **EACH_ONCE, required=True, help="strengths ||e|| / ||y||, such as 0.02"
    )
    steps = known.STEPS
    parser.add_argument("--steps", type=COUNT, default=steps, help=f"of the gradient attack (default: {steps})")
    parser.add_argument(
        "--starts", type=INDEX, default=0, help="of it from noise, beside the worst for SENSE (default: 0)"
    )
    parser.add_argument(
        "--away-from",
        choices=("truth", "clean"),
        default="truth",
        help="what the image is driven from (default: truth)",
    )
    parser.add_argument(
        "--loss", choices=LOSSES, default="nmse", help="what attacks climb: squared error, 1 - SSIM (default: nmse)"
    )
    parser.add_argument(
        "--fit-steps", type=COUNT, help="of an un-trained network, which is then another method (default: its own)"
    )
    parser.add_argument(
        "--refits",
        type=INDEX,
        default=known.REFITS,
        help=f"steps by gradients through fits of an un-trained network, each a fit from new (default: {known.REFITS})",
    )
    parser.add_argument("--slice", type=INDEX, help="number of the slice, counted from 0 (default: all)")
    parser.add_argument("--seed", type=SEED, default=0, help="of mask, starts and noise (default: 0)")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, ... (default: cpu)")
    parser.add_argument("--json", action="store_true", help="print one JSON object a slice and strength")


def run(args: argparse.Namespace) -> int:
    methods.load(args.method, source="knee", **fitted(args))  # what is wrong is said before any file is read
    device = usable(args.device)
    work = [(data, index) for name in args.files for data in [scans(name)] for index in wanted(data, name, args.slice)]
    lost: dict[str, list[str]] = {}
    came = show(rows(args, work, device, lost), args.json)
    return told(lost, {args.method: len(work)}, came)


def fitted(args: argparse.Namespace) -> dict:
    """Options of an un-trained network; BadInput, from `load`, where another method is given any."""
    return {} if args.fit_steps is None else {"steps": args.fit_steps}


def rows(args: argparse.Namespace, work: list, device: torch.device, lost: dict[str, list[str]]) -> Iterator[dict]:
    """Attack: one row a slice and strength; why a slice is lost goes to `lost`."""
    with tqdm(total=len(work) * len(args.eps), desc=f"attacking {args.method}", unit="attack") as progress:
        for data, index, item in filled(work):
            path = data.places[index][0]
            try:
                for row in attacked(args, path, item.to(device), device):
                    progress.update()
                    yield row
            except BadInput as error:
                lost.setdefault(args.method, []).append(f"{path}, slice {item.number}: {error}")


def attacked(args: argparse.Namespace, path: Path, item: Slice, device: torch.device) -> Iterator[dict]:
    """The rows of one slice."""
    if item.target is None:
        raise BadInput("no reference, so that there is nothing to score an attack against")
    mask, seed = evaluate.mask_of(item, seed=args.seed), item.seed(args.seed)
    y, truth = item.kspace * mask, item.target
    make = partial(methods.load, args.method, item, **fitted(args))
    with torch.no_grad():
        clean = item.crop(make()(y, mask))
    reference = truth if args.away_from == "truth" else clean
    method = differentiable(args.method, item, **fitted(args))
    how = {"fit_steps": args.fit_steps, "refits": args.refits}
    attacks = attacks_on(args.method, item, seed, args.steps, args.starts, **how)
    for eps in args.eps:
        threat = Threat(method, y, mask, eps, reference, score=args.loss, target=truth)
        name, found, image = worst(make, threat, attacks, agreement(args.method, device, searched=True))
        with torch.no_grad():
            by_chance = item.crop(make()(y + threat.noise(seed)[0], mask))
        images = {"": image, "_noise": by_chance, "_clean": clean}
        yield {
            "method": args.method,
            "file": str(path),
            "slice": item.number,
            "seed": args.seed,
            "eps": realized(found.e, y),
            "off_mask": realized(found.e * ~mask, y),
            "attack": name,
            "climbed": args.loss,
            **{f"ssim{key}": metrics.scores(image, truth)["ssim"] for key, image in images.items()},
            **{key: metrics.scores(image, truth)[key] for key in ("psnr", "nmse", "ssim_object")},
            "distance_to_clean": float((image - clean).norm() / clean.norm()),
            "noise_levels": noise_levels(found.e, y, mask),
            "evaluations": found.evaluations,
        }
