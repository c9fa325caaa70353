"""Attack a method: the measured entries are moved by eps of their norm so that its image becomes worst.

FILE is a volume of k-space as `reconstruct` takes it, fully sampled, so that there is a truth. Each slice is attacked
by all that is known to fit the method: noise of the same strength, the worst for SENSE, gradients (APGD; for wavelet
and tv implicit ones), the paper's joint descent, or a search without gradients. The worst is kept and scored by a
reconstruction made anew. An un-trained network is attacked by gradients through its fits, too, which takes as long as
six of them; --refits 0 leaves that out.
Example: python -m helpers attack knee.h5 --method varnet-knee --eps 0.02 --json
"""

import argparse
from collections.abc import Iterator
from functools import partial

import torch
from tqdm import tqdm

from helpers import methods
from helpers.attacks import known
from helpers.attacks.known import agreement, attacks_on, differentiable
from helpers.attacks.losses import LOSSES
from helpers.attacks.threat import Threat, noise_levels, realized
from helpers.attacks.worst import worst
from helpers.commands import show
from helpers.commands._inputs import COUNT, INDEX, SEED, positive, scans, usable, wanted
from helpers.data import filled
from helpers.errors import BadInput
from helpers.experiments import evaluate
from helpers.mri import metrics


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", metavar="FILE", help="k-space: files or folders")
    parser.add_argument("--method", required=True, help="a name, see python -m helpers methods, or MODULE:FUNCTION")
    parser.add_argument("--eps", type=positive, nargs="+", required=True, help="strengths ||e|| / ||y||, such as 0.02")
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
    show(rows(args, work, device), args.json)
    return 0


def fitted(args: argparse.Namespace) -> dict:
    """Options of an un-trained network; BadInput, from `load`, where another method is given any."""
    return {} if args.fit_steps is None else {"steps": args.fit_steps}


def rows(args: argparse.Namespace, work: list, device: torch.device) -> Iterator[dict]:
    """Attack: one row a slice and strength."""
    with tqdm(total=len(work) * len(args.eps), desc=f"attacking {args.method}", unit="attack") as progress:
        for data, index, item in filled(work):
            path, item = data.places[index][0], item.to(device)
            if item.target is None:
                raise BadInput(f"{path} has no reference: there is nothing to score an attack against")
            mask, seed = evaluate.mask_of(item, seed=args.seed), item.seed(args.seed)
            y, truth = item.kspace * mask, item.target
            make = partial(methods.load, args.method, item, **fitted(args))
            with torch.no_grad():
                clean = item.crop(make()(y, mask))
            reference = truth if args.away_from == "truth" else clean
            attacked = differentiable(args.method, item, **fitted(args))
            how = {"fit_steps": args.fit_steps, "refits": args.refits}
            attacks = attacks_on(args.method, item, seed, args.steps, args.starts, **how)
            for eps in args.eps:
                threat = Threat(attacked, y, mask, eps, reference, score=args.loss, target=truth)
                name, found, image = worst(make, threat, attacks, agreement(args.method, device, searched=True))
                with torch.no_grad():
                    by_chance = item.crop(make()(y + threat.noise(seed)[0], mask))
                images = {"": image, "_noise": by_chance, "_clean": clean}
                progress.update()
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
