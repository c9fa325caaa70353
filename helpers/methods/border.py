"""The border to functions that others wrote: copies go in, an image comes out, and nothing else does."""

import ctypes
import os
import sys
import sysconfig
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout, suppress
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from helpers.errors import BadInput, Terminated


def called(
    method: Callable[[Tensor, Tensor], object],
    kspace: Tensor,
    mask: Tensor,
    name: str = "a method",
    complex_too: bool = False,
) -> Tensor:
    """The image that a function makes of a measurement, whatever it does to what it is given and however it returns it.

    kspace: (..., coil, ky, kx) complex; mask: (kx,) or (ky, kx) bool: the function gets copies, which are its own to
    work in. It may return a tensor or an array of any real type, order and device. Returns a copy, (..., y, x) on the
    full grid, of the precision and on the device of kspace, with its gradient where kspace has one. complex_too: the
    image may be complex. BadInput, with the name, for what is no dense array of finite real numbers on that grid.
    """
    returned = method(kspace.clone(), mask.clone())
    try:
        with nullcontext() if type(returned) in (Tensor, np.ndarray) else _printed_on_standard_error():
            image = _tensor(returned)
    except (KeyboardInterrupt, Terminated):
        raise
    except BaseException:  # whatever an object does that is asked for its numbers
        image = None
    if image is None:
        words = f"{name} must return an image as a dense tensor or array of numbers, none of them masked"
        raise BadInput(f"{words}; it returned {_kind(returned)}")
    if image.dtype == torch.bool:
        raise BadInput(f"{name} must return an image of numbers, this one is of truth values")
    if image.is_complex() and not complex_too:
        raise BadInput(f"{name} must return a real, finite image, this one is complex; return its magnitude")
    expected = (*kspace.shape[:-3], *kspace.shape[-2:])
    if image.shape != expected:
        shape = tuple(image.shape)
        raise BadInput(f"{name} must return an image of {expected}, the grid of the k-space, this one is of {shape}")
    image = image.to(kspace.device, kspace.dtype if image.is_complex() else kspace.dtype.to_real(), copy=True)
    if strange := int((~torch.isfinite(image)).sum()):
        raise BadInput(f"{name} must return a real, finite image, this one is NaN or infinite in {strange} pixels")
    return image if kspace.requires_grad else image.detach()


def _tensor(returned: object) -> Tensor | None:
    """What a function returned as a tensor; None for what is no dense array of numbers."""
    if isinstance(returned, Tensor):
        dense = returned.layout is torch.strided and not (returned.is_meta or returned.is_quantized)
        return returned.as_subclass(Tensor) if dense else None
    if not hasattr(returned, "__array__") or np.ma.is_masked(returned):
        return None
    array = np.asarray(returned)
    if array.dtype.kind not in "biufc":
        return None
    # torch knows no other byte order, no negative stride and no long double
    kind = np.float64 if array.dtype.kind in "iuf" else array.dtype.newbyteorder("=")
    return torch.from_numpy(np.array(array, kind, order="C"))


def _kind(returned: object) -> str:
    """What a thing is, in words."""
    if isinstance(returned, Tensor):
        return f"a tensor of {returned.dtype}, {returned.layout}, on {returned.device}"
    if isinstance(returned, np.ndarray):
        return f"a {type(returned).__name__} of {returned.dtype}"
    return "None" if returned is None else f"a {type(returned).__name__}"


def _folder() -> str | None:
    with suppress(OSError):  # it may have been removed
        return os.getcwd()
    return None


def _precision() -> str:
    try:
        return torch.get_float32_matmul_precision()
    except RuntimeError:  # it was set in two ways that contradict each other
        return "highest"


def _nesting() -> int:
    """How many autocasts are entered: weights that they have cast are kept until the last is left."""
    torch.autocast_increment_nesting()
    return torch.autocast_decrement_nesting()


def _left(nesting: int) -> None:
    while _nesting() != nesting:
        (torch.autocast_decrement_nesting if _nesting() > nesting else torch.autocast_increment_nesting)()
    torch.clear_autocast_cache()


# what code can change for the whole process so that other code gives other numbers: how it is read, how it is set.
# Not the states of random generators: all that is drawn here comes from generators of its own
GLOBALS = (
    (torch.is_grad_enabled, torch.set_grad_enabled),
    (torch.get_default_dtype, torch.set_default_dtype),
    (torch.get_default_device, lambda device: torch.set_default_device(None if device.type == "cpu" else device)),
    (_precision, torch.set_float32_matmul_precision),
    (torch.get_num_threads, torch.set_num_threads),
    (torch.is_anomaly_enabled, torch.set_anomaly_enabled),
    (_nesting, _left),
    (partial(torch.is_autocast_enabled, "cpu"), partial(torch.set_autocast_enabled, "cpu")),
    (partial(torch.is_autocast_enabled, "cuda"), partial(torch.set_autocast_enabled, "cuda")),
    (np.geterr, lambda errors: np.seterr(**errors)),
    (lambda: warnings.filters[:], lambda filters: warnings.filters.__setitem__(slice(None), filters)),
    (_folder, lambda folder: folder and os.chdir(folder)),
)


@contextmanager
def guest(failed: str, advice: str = "") -> Iterator[None]:
    """Let others' code run: what it raises becomes a sentence, what it prints no result, and settings stay ours.

    failed, advice: begin and end of the sentence, with the error and the line of theirs in between. What is printed
    goes to standard error. BadInput for whatever is raised, `sys.exit` too, but for Ctrl-C and the signal to terminate.
    """
    before = [read() for read, _ in GLOBALS]
    try:
        with _printed_on_standard_error():
            yield
    except (KeyboardInterrupt, Terminated):
        raise
    except BaseException as error:
        raise BadInput(f"{failed} {_told(error)}{advice}") from error
    finally:
        for (read, write), value in zip(GLOBALS, before, strict=True):
            if read() != value:
                write(value)


@contextmanager
def _printed_on_standard_error() -> Iterator[None]:
    """Send what is printed to standard error, be it by Python, by a library in C or by a program that is called."""
    print(end="", flush=True)
    try:
        kept = os.dup(1)
        os.dup2(2, 1)
    except OSError:  # one of them is closed
        kept = None
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        print(end="", file=sys.__stdout__, flush=True)
        if os.name == "posix":
            ctypes.CDLL(None).fflush(None)
        if kept is not None:
            os.dup2(kept, 1)
            os.close(kept)


def _told(error: BaseException) -> str:
    """An error in words: its kind, the first sentence of what it says, and the line of others' code that it is from."""
    message = ""
    with suppress(Exception):
        message = " ".join(str(error).split()).split(". ")[0].rstrip(".")
    ours = Path(__file__).parents[1]
    lines = [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    lines = [each for each in lines if not each[0].startswith("<") and not Path(each[0]).is_relative_to(ours)]
    nearest = [each for each in lines if not installed(each[0])] or [each for each in lines if "-packages" in each[0]]
    place = " at {}:{}".format(*nearest[-1]) if nearest else ""
    return f"{type(error).__name__}{message and ': '}{message[:300]}{place}"


def installed(path: str | Path) -> bool:
    """Whether a file is part of Python or of a package that is installed, and so not a reader's own."""
    packages = {"site-packages", "dist-packages"} & set(Path(path).parts)
    return bool(packages) or Path(path).is_relative_to(sysconfig.get_path("stdlib"))
