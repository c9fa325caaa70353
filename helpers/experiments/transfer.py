"""The transfer matrix (Figure 3): perturbations found for one method, tried on all, as published and corrected."""

from collections.abc import Iterator, Sequence
from functools import partial

import torch
from torch import Tensor

from helpers import methods, published
from helpers.attacks import Threat, known
from helpers.attacks.known import agreement, attacks_on, differentiable
from helpers.attacks.threat import realized
from helpers.attacks.worst import worst
from helpers.data import default_acquisition, open_data
from helpers.data.slice import Slice
from helpers.errors import BadInput
from helpers.experiments import evaluate
from helpers.mri import metrics
from helpers.profiles import profile

METHODS = ("unet", "varnet", "wavelet", "tv", "convdecoder")
PUBLISHED = published.protocol.METHODS
COUNT = 10  # slices
EPS = (0.02, 0.04, 0.08)  # the last is that of the notebooks
PROTOCOLS = ("corrected", "published")
KEYS = ["protocol", "eps", "identity"]  # what is measured in one piece


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
    eps: float,
    protocol: str = "corrected",
    names: Sequence[str] = METHODS,
    steps: int = known.STEPS,
    seed: int = 0,
) -> Iterator[dict]:
    """Every perturbation of one slice at one strength on every method: one row each.

    A perturbation is found for each method by the best of its own attacks (`attacked`, `attack`); beside them Gaussian
    noise of the same strength, and "nothing", the clean measurement. Under the published protocol strengths are
    relative to the full k-space, attacks and scores are those of the notebooks, and methods that they do not attack are
    left out. Every image is a full reconstruction by a method made anew. distance: ||f(y + e) - f(y)|| / ||f(y)||;
    realized: ||e|| / ||y||. steps: of gradient attacks; seed: of mask, noise and starts. BadInput for an unknown
    protocol.
    """
    if protocol not in PROTOCOLS:
        raise BadInput(f"there is no protocol {protocol!r}; choose one of {', '.join(PROTOCOLS)}")
    corrected = protocol == "corrected"
    names = [name for name in names if corrected or name in PUBLISHED]
    mask = evaluate.mask_of(item, seed=seed) if corrected else published.protocol.mask(item, seed)
    y, seed = mask * item.kspace, item.seed(seed)
    strength = eps if corrected else float(eps * item.kspace.norm() / y.norm())
    clean: dict[str, Tensor] = {}
    for attacked in ("nothing", "noise", *names):
        attack, e, own = attacked, torch.zeros_like(y), None
        if attacked == "noise":
            e = Threat(methods.load("zero-filled"), y, mask, strength, item.target).noise(seed)[0]
        elif attacked in names and corrected:
            attack, e, own = worst_of_its_own(attacked, item, y, mask, eps, steps, seed)
        elif attacked in names:
            attack, e = "published", published.attacks.as_published(attacked, item, mask, eps, seed)
        for name in names:
            made = own is not None and name == attacked  # anew, by `worst`
            image = own if made else reconstruction(name, item, y + e, mask, protocol, y, seed)
            scores = partial(published.protocol.scores, name, kspace=y + e) if not corrected else metrics.scores
            before = clean.setdefault(name, image)
            yield {
                "protocol": protocol,
                "attacked": attacked,
                "attack": attack,
                "method": name,
                "eps": eps,
                "volume": item.volume,
                "slice": item.number,
                "identity": item.identity,
                **scores(image, item.target),
                "distance": float((image - before).norm() / before.norm()),
                "realized": realized(e, y),
            }


def worst_of_its_own(
    name: str, item: Slice, y: Tensor, mask: Tensor, eps: float, steps: int, seed: int
) -> tuple[str, Tensor, Tensor]:
    """The attack on a method that finds most for one slice, what it finds, and the image that comes of it.

    Noise is left out, since the matrix has its own row.
    """
    threat = Threat(differentiable(name, item.source), y, mask, eps, item.target)
    attacks = attacks_on(name, item, seed, steps)
    del attacks["noise"]
    make = partial(methods.load, name, source=item.source)
    attack, found, image = worst(make, threat, attacks, agreement(name, y.device))
    return attack, found.e, image


@torch.no_grad()
def reconstruction(
    name: str, item: Slice, kspace: Tensor, mask: Tensor, protocol: str, clean: Tensor, seed: int = 0
) -> Tensor:
    """What a method makes of a measurement, cropped to the target; clean: what the notebooks put back into it.

    seed: of an un-trained fit as published, where it is that of the attack.
    """
    if protocol == "corrected":
        return item.crop(methods.load(name, source=item.source)(kspace, mask))
    return published.protocol.reconstruct(name, item, kspace, mask, clean, seed)
