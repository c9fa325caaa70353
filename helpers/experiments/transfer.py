"""The transfer matrix (Figure 3): perturbations found for one method, tried on all, as published and corrected."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from helpers import methods, published
from helpers.attacks import Threat, known
from helpers.attacks.threat import realized
from helpers.data import default_acquisition, open_data
from helpers.data.slice import Slice
from helpers.errors import BadInput
from helpers.experiments import evaluate, worst_known
from helpers.mri import metrics
from helpers.profiles import profile

METHODS = ("unet", "varnet", "wavelet", "tv", "convdecoder")
COUNT = 10  # slices
EPS = (0.01, 0.02, 0.04, 0.06, 0.08)  # the last is that of the notebooks
PROTOCOLS = ("corrected", "published")
KEYS = ["protocol", "identity"]  # what is measured in one piece: what is found at one strength counts at the next


def slices(data: str = "knee", size: str = "laptop", count: int = COUNT, acquisition: str | None = None) -> list[Slice]:
    """The middle slices of the first held-out volumes of an acquisition, one a volume; BadInput where there are fewer.

    An acquisition "" is any, None `data.default_acquisition`.
    """
    acquisition = default_acquisition(data) if acquisition is None else acquisition
    found: dict[str, Slice] = {}
    for item in open_data(data, profile=profile(size), split="test", volumes=8 * count, slices=1):
        if acquisition in (item.acquisition, "") and item.target is not None:
            found.setdefault(item.volume, item)
        if len(found) == count:
            return list(found.values())
    kind = acquisition or "any kind"
    raise BadInput(f"{data} has {len(found)} volumes of {kind} with a reference, not {count}; ask for fewer")


def rows(
    item: Slice,
    strengths: Sequence[float],
    protocol: str = "corrected",
    names: Sequence[str] = METHODS,
    steps: int = known.STEPS,
    seed: int = 0,
) -> Iterator[dict]:
    """Every perturbation of one slice on every method, from strength to strength: one row each.

    Perturbations are found for each method (`attacked`) by its own attacks (`attack`), two of each: the worst that is
    allowed by each of `worst_known.SCORES` (`climbed`). Beside them Gaussian noise of the same strength, and "nothing",
    the clean measurement. Every image is a full reconstruction by a method made anew. Un-trained networks, which take
    longest, come last, see only the worst by SSIM of what was made for others, and begin their attack at it.
    Under the published protocol strengths are relative to the full k-space, masks, attacks and scores are those of the
    notebooks (see `published.protocol`), and methods that they do not attack are left out.

    distance: ||f(y + e) - f(y)|| / ||f(y)||; amplification: ||f(y + e) - f(y)|| / ||e||; realized: ||e|| / ||y||.
    steps: of gradient attacks; seed: of mask, noise and starts. BadInput for an unknown protocol.
    """
    if protocol not in PROTOCOLS:
        raise BadInput(f"there is no protocol {protocol!r}; choose one of {', '.join(PROTOCOLS)}")
    if protocol == "corrected":
        mask, names = evaluate.mask_of(item, seed=seed), sorted(names, key=slow)
        found = _corrected(item, mask, strengths, names, steps, item.seed(seed))
        scores = lambda name, image, e: metrics.scores(image, item.target)  # noqa: E731
    else:
        mask, names = published.protocol.mask(item, seed), [n for n in names if n in published.protocol.METHODS]
        found = _published(item, mask, strengths, names, item.seed(seed))
        scores = lambda name, image, e: published.protocol.scores(name, image, item.target, y + e)  # noqa: E731
    y, clean = mask * item.kspace, {}
    for each in found:
        before = clean.setdefault(each.method, each.image)
        change = (each.image - before).norm()
        yield {
            "protocol": protocol,
            "attacked": each.attacked,
            "attack": each.attack,
            "climbed": each.climbed,
            "method": each.method,
            "eps": each.eps,
            "volume": item.volume,
            "slice": item.number,
            "identity": item.identity,
            **scores(each.method, each.image, each.e),
            "distance": float(change / before.norm()),
            "amplification": float(change / each.e.norm().clamp(min=1e-30)),
            "realized": realized(each.e, y),
        }


@dataclass(frozen=True)
class Tried:
    """One perturbation on one method, and the image (y, x) that it makes of it; e (coil, ky, kx)."""

    attacked: str
    attack: str
    climbed: str
    eps: float
    method: str
    e: Tensor
    image: Tensor


def slow(name: str) -> bool:
    """Whether a method takes so long that it does not see everything."""
    return methods.family(name) == "un-trained"


def _corrected(
    item: Slice, mask: Tensor, strengths: Sequence[float], names: Sequence[str], steps: int, seed: int
) -> Iterator[Tried]:
    """Nothing, noise, and the worst for each method, each on all; names: the slow ones last."""
    y = mask * item.kspace
    nothing = {name: reconstruction(name, item, y, mask) for name in names}
    noise = Threat(methods.load("zero-filled"), y, mask, 1.0, item.target).noise(seed)[0]
    others: dict[float, list[Tensor]] = {eps: [] for eps in strengths}
    own = {}
    for name in names:
        climb = worst_known.by_strength(name, item, y, mask, strengths, steps, seed, others if slow(name) else None)
        for eps, worst, _ in climb:
            own[name, eps] = worst
            if not slow(name):
                others[eps].append(worst["ssim"].e)
    for eps in sorted(strengths):
        for name in names:
            yield Tried("nothing", "nothing", "none", eps, name, 0 * y, nothing[name])
        for name in names:
            yield Tried(
                "noise", "noise", "none", eps, name, eps * noise, reconstruction(name, item, y + eps * noise, mask)
            )
        for attacked in names:
            for climbed, worst in own[attacked, eps].items():
                for name in names:
                    if name == attacked:
                        image = worst.image  # anew, by `worst`
                    elif slow(name) and climbed != "ssim":
                        continue
                    else:
                        image = reconstruction(name, item, y + worst.e, mask)
                    yield Tried(attacked, worst.attack, climbed, eps, name, worst.e, image)


def _published(
    item: Slice, mask: Tensor, strengths: Sequence[float], names: Sequence[str], seed: int
) -> Iterator[Tried]:
    """The same by the notebooks' attacks and reconstructions; strengths are relative to the full k-space."""
    y = mask * item.kspace
    noise = Threat(methods.load("zero-filled"), y, mask, 1.0, item.target).noise(seed)[0]
    clean = {name: published.protocol.reconstruct(name, item, y, mask, y, seed) for name in names}
    for eps in sorted(strengths):
        found = {"nothing": 0 * y, "noise": float(eps * item.kspace.norm() / y.norm()) * noise}
        found |= {name: published.attacks.as_published(name, item, mask, eps, seed) for name in names}
        for attacked, e in found.items():
            attack = "published" if attacked in names else attacked
            for name in names:
                image = clean[name] if attacked == "nothing" else published.protocol.reconstruct(name, item, y + e, mask, y, seed)
                yield Tried(attacked, attack, "none", eps, name, e, image)


@torch.no_grad()
def reconstruction(name: str, item: Slice, kspace: Tensor, mask: Tensor) -> Tensor:
    """What a method, made anew, makes of a measurement, cropped to the target."""
    return item.crop(methods.load(name, source=item.source)(kspace, mask))
