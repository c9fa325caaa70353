"""The transfer matrix (Figure 3): perturbations found for one method, tried on all, as published and corrected."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from torch import Tensor

from helpers import methods, published
from helpers.attacks import Threat
from helpers.attacks.exact import worst_for_sense
from helpers.attacks.fresh_fits import Known
from helpers.attacks.known import STEPS
from helpers.attacks.threat import realized
from helpers.data import DRAWN, default_acquisition, open_data
from helpers.data.slice import Slice
from helpers.errors import BadInput
from helpers.experiments import evaluate
from helpers.experiments.worst_known import by_strength, fitted_by, reconstruction
from helpers.mri import metrics
from helpers.profiles import profile

METHODS = ("unet", "varnet", "wavelet", "tv", "convdecoder")
COUNT = 10  # slices
FITTED = 6  # of them that un-trained networks are measured on, which takes some two hours on a core each time
EPS = (0.01, 0.02, 0.04, 0.06, 0.08)  # the last is that of the notebooks
PROTOCOLS = ("corrected", "published")
KEYS = ["protocol", "identity"]  # what is measured in one piece: what is found at one strength counts at the next


def held_out(data: str, size: str, count: int, acquisition: str) -> list[Slice]:
    """The middle slices of the first held-out volumes of an acquisition, one a volume, at most count; "" is any."""
    found: dict[tuple[str, str], Slice] = {}  # scan.h5 and scan.hdf5 are two
    volumes = 8 * count if data in DRAWN else None  # of a folder any may be of that acquisition
    for item in open_data(data, profile=profile(size), split="test", volumes=volumes, slices=1):
        if acquisition in (item.acquisition, "") and item.target is not None:
            found.setdefault((item.volume, item.origin), item)
        if len(found) == count:
            break
    return list(found.values())


def slices(data: str = "knee", size: str = "laptop", count: int = COUNT, acquisition: str | None = None) -> list[Slice]:
    """Those of `held_out`; BadInput where there are fewer than count. Acquisition None: `data.default_acquisition`."""
    acquisition = default_acquisition(data) if acquisition is None else acquisition
    found = held_out(data, size, count, acquisition)
    if len(found) < count:
        kind = acquisition or "any kind"
        raise BadInput(f"{data} has {len(found)} volumes of {kind} with a reference, not {count}; ask for fewer")
    return found


def rows(
    item: Slice,
    strengths: Sequence[float],
    protocol: str = "corrected",
    names: Sequence[str] = METHODS,
    steps: int = STEPS,
    seed: int = 0,
) -> Iterator[dict]:
    """Every perturbation of one slice on every method, from strength to strength: one row each.

    Perturbations are found for each method (`attacked`) by its own attacks (`attack`), corrected two of each: the worst
    that is allowed by each of `worst_known.SCORES` (`climbed`). Beside them Gaussian noise of the same strength, and
    "nothing", the clean measurement. Every image is a full reconstruction by a method made anew. Un-trained networks,
    which take longest, come last, and begin their attack at the worst of what was made for others.
    Under the published protocol strengths are relative to the full k-space, masks, attacks and scores are those of the
    notebooks (see `published.protocol`), and methods that they do not attack are left out.

    distance: ||f(y + e) - f(y)|| / ||f(y)||; amplification: ||f(y + e) - f(y)|| / ||e||; realized: ||e|| / ||y||.
    steps: of gradient attacks, and in their measure of those without; seed: of mask, noise and starts. BadInput for an
    unknown protocol.
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
    for tried in found:
        made, name, image = tried.made, tried.method, tried.image
        before = clean.setdefault(name, image)
        change = (image - before).norm()
        yield {
            "protocol": protocol,
            "attacked": made.attacked,
            "attack": made.attack,
            "climbed": made.climbed,
            "method": name,
            "eps": made.eps,
            "volume": item.volume,
            "slice": item.number,
            "identity": item.identity,
            **scores(name, image, made.e),
            "distance": float(change / before.norm()),
            "amplification": float(change / made.e.norm().clamp(min=1e-30)),
            "realized": realized(made.e, y),
        }


@dataclass(frozen=True)
class Made:
    """A perturbation e (coil, ky, kx), for whom and how it was made."""

    attacked: str
    attack: str
    climbed: str
    eps: float
    e: Tensor


@dataclass(frozen=True)
class Tried:
    """A perturbation on a method, and the image (y, x) that comes of it."""

    made: Made
    method: str
    image: Tensor


def measured_on(number: int, names: Sequence[str]) -> tuple[str, ...]:
    """The methods that are measured on the slice of that number, from 0: un-trained ones on the first `FITTED`."""
    return tuple(name for name in names if number < FITTED or not slow(name))


def slow(name: str) -> bool:
    """Whether a method takes so long that what was made for others is tried on it before it is attacked."""
    return methods.family(name) == "un-trained"


def _corrected(
    item: Slice, mask: Tensor, strengths: Sequence[float], names: Sequence[str], steps: int, seed: int
) -> Iterator[Tried]:
    """Nothing, noise, and the worst for each method, each on all; names: the slow ones last."""
    y, strengths = mask * item.kspace, sorted(strengths)
    for name in names:
        image, _ = reconstruction(name, item, y, mask)
        yield from (Tried(Made("nothing", "nothing", "none", eps, 0 * y), name, image) for eps in strengths)
    threats = {eps: Threat(methods.load("zero-filled"), y, mask, eps, item.target) for eps in strengths}
    found = [Made("noise", "noise", "none", eps, threat.noise(seed)[0]) for eps, threat in threats.items()]
    linear = {eps: [Known(worst_for_sense(item, threat, seed))] for eps, threat in threats.items()}
    done: set[tuple[int, str]] = set()

    def left(name: str) -> Iterator[Made]:
        """What a method has yet to see."""
        for number, made in enumerate(found):
            if (number, name) not in done:
                done.add((number, name))
                yield made

    for name in names:
        known = {eps: [] if fitted_by(name) else [*each] for eps, each in linear.items()}
        for made in left(name) if slow(name) else ():  # first, since its attack begins there
            image, fitted = reconstruction(name, item, y + made.e, mask)
            known[made.eps].append(Known(made.e, fitted))
            yield Tried(made, name, image)
        for eps, worst, _ in by_strength(name, item, y, mask, strengths, steps, seed, known):
            for climbed, each in worst.items():
                found.append(Made(name, each.attack, climbed, eps, each.e))
                done.add((len(found) - 1, name))
                yield Tried(found[-1], name, each.image)
    for name in names:
        for made in left(name):
            yield Tried(made, name, reconstruction(name, item, y + made.e, mask)[0])


def _published(
    item: Slice, mask: Tensor, strengths: Sequence[float], names: Sequence[str], seed: int
) -> Iterator[Tried]:
    """The same by the notebooks' attacks and reconstructions; strengths are relative to the full k-space."""
    y = mask * item.kspace
    drawn = Threat(methods.load("zero-filled"), y, mask, 1.0, item.target).noise(seed)[0]
    clean = {name: published.protocol.reconstruct(name, item, y, mask, y, seed) for name in names}
    for eps in sorted(strengths):
        yield from (Tried(Made("nothing", "nothing", "none", eps, 0 * y), name, clean[name]) for name in names)
        found = [Made("noise", "noise", "none", eps, float(eps * item.kspace.norm() / y.norm()) * drawn)]
        for name in names:
            e = published.attacks.as_published(name, item, mask, eps, seed)
            found.append(Made(name, "published", "none", eps, e))
        for made, name in product(found, names):
            yield Tried(made, name, published.protocol.reconstruct(name, item, y + made.e, mask, y, seed))
