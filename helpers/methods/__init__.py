"""The methods by name. A method is a function `reconstruct(kspace, mask) -> image`, and nothing more.

kspace  (..., coil, ky, kx) complex, zeros where nothing was measured
mask    (kx,) or (ky, kx) bool
image   (..., y, x) real magnitude on the full grid, in the units of kspace
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from importlib import import_module
from inspect import signature
from pathlib import Path
from shlex import quote

import torch
from torch import Tensor

from helpers.data import DRAWN, FOLDERS, Slice
from helpers.errors import BadInput, say_once
from helpers.methods import limited, own
from helpers.networks import NETWORKS, fastmri_weights, zoo
from helpers.places import READERS
from helpers.sparsity.wavelet import COARSEST
from helpers.untrained import precision
from helpers.untrained.recipes import FITS

Method = Callable[[Tensor, Tensor], Tensor]
TUNED = Path(__file__).with_name("tuned.json")


@dataclass(frozen=True)
class Entry:
    """Where a method is found, its family, under which name its lambda is tuned, if it has one, and its options."""

    module: str
    function: str
    family: str
    weight: str | None = None
    options: Mapping = field(default_factory=dict)


BASES = ("haar", "dct", "fourier")  # other bases of l1: does the basis matter?
REGISTRY = {
    "zero-filled": Entry("zero_filled", "reconstruct", "linear"),
    "sense": Entry("sense", "reconstruct", "linear"),
    "wavelet": Entry("l1", "reconstruct", "sparsity", weight="wavelet"),
    "tv": Entry("tv", "reconstruct", "sparsity", weight="tv"),
    **{f"l1-{name}": Entry("l1", "reconstruct", "sparsity", f"l1-{name}", {"name": name}) for name in BASES},
    "sigpy-sense": Entry("sigpy_reference", "sense", "linear"),
    "sigpy-wavelet": Entry("sigpy_reference", "wavelet", "sparsity", weight="wavelet"),
    "sigpy-tv": Entry("sigpy_reference", "tv", "sparsity", weight="tv"),
    **{name: Entry("untrained", "reconstruct", "un-trained") for name in FITS},
}


# whose data a network should have been trained on
ANATOMY = {"knee": "knee", "stanford": "knee", "brain": "brain"}
STAND_IN = "knee"  # for scans whose header does not tell what they show
NETWORK = Entry("trained", "reconstruct", "network")
NAMED = ("network", "un-trained")  # whose function takes the name of the member
OWN = Entry("", "", "own")


def names() -> list[str]:
    """Every method that `load` knows: those of the registry, and the networks of the zoo."""
    return [*REGISTRY, *zoo.names()]


def family(name: str) -> str:
    """The family that a method is counted to, such as "linear", "sparsity" or "network"; "own" for a reader's."""
    return (_find(name) or OWN).family


def load(name: str, source: str | Slice = "brain", **options) -> Method:
    """The method of that name, ready to be called as `reconstruct(kspace, mask)`.

    source: whose data it is, "knee", "brain" or "stanford", or "unknown", for which the knee stands in, as is said on
    standard error; methods with a tuned weight take it from there unless `lam` is given, and "unet", "varnet" and
    "irim" stand for the network of the zoo that was trained on that anatomy. Or a slice, for the source of which it is
    loaded, with the weight that `tune` found on its file or folder where there is one (see `tuned_on`).
    MODULE:FUNCTION is a reader's own, see `own.load`, and, where its seconds are limited, `limited`.
    options: further arguments of the method's own function. BadInput names the choices.
    """
    if name in NETWORKS:
        source = _standing_in(name, source.source if isinstance(source, Slice) else source)
        name = f"{name}-{ANATOMY.get(source, source)}"
    if ":" in name and not name.startswith(fastmri_weights.PREFIX):
        if options:
            raise BadInput(f"{name} has no options")
        seconds = limited.SECONDS.get()
        return limited.limited(name, seconds) if seconds else own.load(name)
    entry = _entry(name)
    function = getattr(import_module(f"helpers.methods.{entry.module}"), entry.function)
    known = list(signature(function).parameters)[2:]
    if strange := sorted(set(options) - set(known)):
        raise BadInput(f"{name} has no option {strange[0]!r}; its options: {', '.join(known) or 'none'}")
    options = {**entry.options, **options}
    if entry.family in NAMED:
        options["name"] = name
    if entry.weight and "lam" not in options:
        options["lam"] = tuned(name, source)["lam"]
    return partial(function, **options)


def tuned(name: str, source: str | Slice) -> dict:
    """What tuning found for a method on a source's training slices: `lam` and where it comes from.

    source: a drawn one, whose values lie in tuned.json beside this file, or a reader's file or folder that was tuned
    on; both are written by `python -m helpers tune`; or a slice, see `tuned_on`. BadInput where the method has nothing
    to tune or the source is unknown.
    """
    if isinstance(source, Slice):
        source = tuned_on(name, source)
    entry = _entry(name)
    if entry.weight is None:
        weighted = ", ".join(each for each in REGISTRY if REGISTRY[each].weight)
        raise BadInput(f"{name} has no weight to tune; these have: {weighted}")
    values = _tuned(entry.weight, TUNED) | _tuned(entry.weight, READERS)
    if source not in values:
        source = _standing_in(name, source)
    source = source if source in values else str(Path(source).resolve())
    if source not in values:
        raise BadInput(f"{name} was not tuned for the source {source!r}; choose one of {', '.join(values)}")
    return values[source]


def tuned_on(name: str, item: Slice) -> str:
    """On what the weight was tuned with which a method runs on a slice: its own file or folder, or its source.

    The former where `tune` has found a weight for its file or a folder that this is in; else, as is said on standard
    error, its source, as for drawn slices and methods without a weight.
    """
    entry = _find(name)
    if entry is None or entry.weight is None or not item.path:
        return item.source
    path, known = Path(item.path), _tuned(entry.weight, READERS)
    if found := next((str(each) for each in (path, *path.parents) if str(each) in known), None):
        return found
    folder = path.parent.parent if path.parent.name in FOLDERS.values() else path.parent
    words = f"{name} runs on {folder} with the weight that was tuned on drawn slices ({item.source})"
    say_once(f"{words}; python -m helpers tune {entry.weight} --data {quote(str(folder))} finds one for these")
    return item.source


def depends(name: str, data: Sequence[str] = (), device: str = "cpu") -> dict:
    """What the images of a method depend on, beside the measurement and the code of this package: plain values.

    The checksums of a network's weights, lambda by source, where a wavelet's levels end, the settings of an un-trained
    fit with the precision that it has on `device`, or the checksum of the file that a reader's own function is in.
    data: sources, files and folders; lambda that was tuned on a reader's, on what is in it, or on a folder that it is
    in, counts, too.
    """
    if name in NETWORKS:
        return {each: depends(each) for each in zoo.names() if each.startswith(f"{name}-")}
    if name in zoo.names():
        return {"weights": zoo.card(name)["sha256"]}
    entry = _find(name)
    if entry is None:
        return {"file": own.checksum(name)} if ":" in name else {}
    if entry.weight:
        lam = {source: found["lam"] for source, found in _tuned(entry.weight, TUNED).items()}
        paths = [Path(each).resolve() for each in data if each not in DRAWN]
        for where, found in _tuned(entry.weight, READERS).items():
            if any(path.is_relative_to(where) or Path(where).is_relative_to(path) for path in paths):
                lam[where] = found["lam"]
        has_levels = entry.module == "l1" and entry.options.get("name") not in ("dct", "fourier")
        return {"lam": lam} | ({"coarsest": COARSEST} if has_levels else {})
    if name in FITS:
        return asdict(FITS[name]) | {"precision": precision.used(FITS[name].precision, torch.device(device))}
    return {}


def _standing_in(name: str, source: str) -> str:
    """The source whose parameters are used, which is said where it is not the data's own."""
    if source != "unknown":
        return source
    say_once(f"{name}: the header does not tell what the scan shows, so what was made for {STAND_IN} is used")
    return STAND_IN


def _tuned(weight: str, path: Path) -> dict:
    return json.loads(path.read_text("utf8")).get(weight, {}) if path.is_file() else {}


def _find(name: str) -> Entry | None:
    trained = name in NETWORKS or name in zoo.names() or name.startswith(fastmri_weights.PREFIX)
    return NETWORK if trained else REGISTRY.get(name)


def _entry(name: str) -> Entry:
    found = _find(name)
    if found is None:
        raise BadInput(f"there is no method {name!r}; choose one of {', '.join(names())}")
    return found
