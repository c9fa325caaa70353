"""The small studies of attacks: what goes through the coil maps, one perturbation for many slices, turned patients."""

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd
import torch
from torch import Tensor

from helpers import methods
from helpers.attacks import Threat
from helpers.attacks.exact import LinearSense
from helpers.attacks.known import differentiable
from helpers.attacks.motion import subject
from helpers.attacks.universal import universal
from helpers.data.slice import Slice
from helpers.errors import BadInput
from helpers.experiments import evaluate
from helpers.methods.sense import MU
from helpers.mri.coils import espirit
from helpers.mri.fourier import center_crop, ifft2c
from helpers.mri.rss import rss
from helpers.mri.sense import Sense


def through_maps(item: Slice, mask: Tensor, perturbations: dict[str, Tensor]) -> pd.DataFrame:
    """How much of a perturbation's effect on SENSE passes through the coil maps, which are made from y + e as well.

    perturbations: by name, (coil, ky, kx). One row each: the change of the image, ||f(y + e) - f(y)|| / ||f(y)||, with
    the maps of y kept, with those of y + e, and how far the maps themselves turn (the mean over the object of the sine
    of the angle between the vectors of the coils).
    """
    y = item.kspace * mask
    clean = espirit(y, mask)
    kept = LinearSense(Sense(clean, mask), MU, tolerance=1e-4)
    image = kept(y)
    inside = image.abs() > 0.1 * image.abs().max()
    rows = {}
    for words, e in perturbations.items():
        moved = espirit(y + e, mask)
        made_anew = LinearSense(Sense(moved, mask), MU, tolerance=1e-4)
        both = inside & moved.any(0)  # where there are no maps, none have turned
        cosine = (clean.conj() * moved).sum(0).abs()[both].clamp(max=1)
        rows[words] = {
            "maps kept": float((kept(y + e).abs() - image.abs()).norm() / image.norm()),
            "maps of y + e": float((made_anew(y + e).abs() - image.abs()).norm() / image.norm()),
            "maps turn by": float((1 - cosine.square()).sqrt().mean()),
        }
    return pd.DataFrame(rows).T


def one_for_many(name: str, seen: Sequence[Slice], unseen: Sequence[Slice], eps: float, seed: int = 0) -> pd.DataFrame:
    """One perturbation, found for a method on some slices under one mask, on those and on others, beside noise.

    The mask is that of the first. One row a slice: where ("seen", "unseen"), volume, and the squared relative error
    clean, noise and universal. BadInput unless all slices are of one shape.
    """
    shapes = {tuple(item.kspace.shape): item.volume for item in (*seen, *unseen)}
    if len(shapes) > 1:
        told = ", ".join(f"{volume} is {' x '.join(map(str, shape))}" for shape, volume in shapes.items())
        raise BadInput(f"one perturbation is of one shape, and {told}")
    mask = evaluate.mask_of(seen[0], seed=seed)
    method = differentiable(name, seen[0].source)
    threats = {item.identity: Threat(method, item.kspace * mask, mask, eps, item.target) for item in (*seen, *unseen)}
    direction, _ = universal([threats[item.identity] for item in seen], seed)
    rows = []
    with torch.no_grad():
        for where, items in (("seen", seen), ("unseen", unseen)):
            for item in items:
                threat = threats[item.identity]
                tried = {
                    "clean": 0 * threat.kspace,
                    "noise": threat.noise(item.seed(seed))[0],
                    "universal": threat.radius * direction,
                }
                losses = {words: float(threat.loss(e)) for words, e in tried.items()}
                rows.append({"where": where, "volume": item.volume, **losses})
    return pd.DataFrame(rows)


def turned(item: Slice, angle: float) -> Slice:
    """The slice as the scanner would see it with the patient turned clockwise by an angle in degrees, and its truth.

    BadInput for a scan with a mask of its own, but for 0: what is not in the file cannot be turned.
    """
    if item.mask is not None:
        if not angle:
            return item
        raise BadInput(f"{item.volume} was measured under a mask, so that nobody knows what it would be, turned")
    maps = espirit(item.kspace, torch.ones(item.kspace.shape[-1], dtype=torch.bool))
    kspace = subject(item.kspace, maps).posed(angle)
    return replace(item, kspace=kspace, target=center_crop(rss(ifft2c(kspace)), tuple(item.target.shape)))


def by_angle(item: Slice, names: Sequence[str], angles: Sequence[float], mask: Tensor) -> pd.DataFrame:
    """Scores of methods on a slice turned by small angles, against the turned truth: one row a method and angle.

    change of k-space: ||k' - k|| / ||k||, of which a perturbation of that size would be the eps.
    """
    rows = []
    for angle in angles:
        seen = turned(item, angle)
        moved = {"angle": angle, "change of k-space": float((seen.kspace - item.kspace).norm() / item.kspace.norm())}
        rows += [evaluate.measure(name, methods.load(name, item), seen, mask) | moved for name in names]
    return evaluate.table(rows)
