"""The groups of a shift: variants of every family, each trained or tuned on one side alone."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from helpers import methods, published
from helpers.data.slice import Slice
from helpers.methods import Method

FAMILIES = ("unet", "varnet", "wavelet", "tv", "convdecoder")
NETWORKS = ("unet", "varnet")
SIZES = {"base": "", "small": "-small", "large": "-large"}  # of networks of the zoo
BASES = {"base": "wavelet", "haar": "l1-haar", "dct": "l1-dct"}
WEIGHTS = {"base": 1.0, "half": 0.5, "double": 2.0}  # times the tuned weight of TV
FITS = {"base": "convdecoder", "small": "convdecoder-small"}
# lambda, step and number of steps of the notebooks' l1 on files of knees: tuned for these, for brains, and in their
# attack, where it has no lambda
PUBLISHED_L1 = {"base": (0.035, 0.028, 1000), "brain": (0.35, 0.028, 200), "attack": (0.0, 0.283, 1000)}
# numbers in a slice's k-space, over those of 15 x 640 x 368 of the knees: 6 x 640 x 322, 8 x 320 x 320. Their loss is a
# mean over them, so that the same numbers in the code are a lambda that grows with them, and a step that shrinks
NUMBERS = {"knee": 1.0, "brain": 0.35, "stanford": 0.232}


@dataclass(frozen=True)
class Variant:
    """A member of a family after training or tuning: what it is called, its method's name, and how it is loaded."""

    family: str
    variant: str
    method: str
    load: Callable[[], Method]


def variants(family: str, domain: str | Slice) -> Iterator[Variant]:
    """The variants of a family made on a domain, a drawn source, or for a slice; a reader's method is the only one."""
    if family in NETWORKS:
        anatomy = methods.ANATOMY.get(domain.source if isinstance(domain, Slice) else domain, methods.STAND_IN)
        for variant, size in SIZES.items():
            name = f"{family}-{anatomy}{size}"
            yield Variant(family, variant, name, partial(methods.load, name))
    elif family == "tv":
        tuned = methods.tuned("tv", domain)["lam"]
        for variant, times in WEIGHTS.items():
            yield Variant(family, variant, "tv", partial(methods.load, "tv", lam=times * tuned))
    else:
        known = {"wavelet": BASES, "convdecoder": FITS}.get(family, {"base": family})
        for variant, name in known.items():
            yield Variant(family, variant, name, partial(methods.load, name, source=domain))


def published_l1(variant: str, source: str) -> tuple[float, float, int]:
    """Lambda, step and number of steps of the notebooks' l1 on slices of a source; as on knees where it has none."""
    (lam, step, steps), n = PUBLISHED_L1[variant], NUMBERS.get(source, NUMBERS["knee"])
    return lam * n, step / n, steps


def as_published(family: str, domain: str | Slice, source: str = "") -> Iterator[Variant]:
    """The same as the notebooks have them, and nothing for a family that they do not have.

    Networks are ours. l1 has a lambda that is a number in the units of their files, and a step that depends on how many
    numbers these hold. The ConvDecoder fits all coils, and what was measured stands in its image. source: of the slices
    that are measured; the domain where it is none of theirs.
    """
    if family in NETWORKS:
        yield from variants(family, domain)
    elif family == "wavelet":
        own = domain.source if isinstance(domain, Slice) else domain
        for variant in PUBLISHED_L1:
            lam, step, steps = published_l1(variant, source if source in NUMBERS else own)
            reconstruct = partial(published.site.l1_in_file_units, lam=lam, step=step, steps=steps)
            yield Variant(family, variant, "published l1", partial(_itself, reconstruct))
    elif family == "convdecoder":
        for variant, settings in published.coil_images.SIZES.items():
            reconstruct = partial(published.reconstruction.convdecoder, settings=settings)
            yield Variant(family, variant, "published ConvDecoder", partial(_itself, reconstruct))


def _itself(reconstruct: Method) -> Method:
    return reconstruct
