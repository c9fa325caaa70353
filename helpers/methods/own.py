"""A reader's own method, by MODULE:FUNCTION."""

import hashlib
import importlib
import inspect
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from helpers.errors import BadInput


def load(name: str) -> Callable[[Tensor, Tensor], Tensor]:
    """The function that MODULE:FUNCTION names, as a method; the module may lie in the current folder.

    It is called as reconstruct(kspace, mask) for one slice at a time, kspace (coil, ky, kx) and mask (kx,) or (ky, kx),
    and returns the image (y, x), as a tensor or an array. If it works in torch, gradients pass; if it leaves torch, it
    has none, and is attacked without. BadInput where there is no such function, and where it fails.
    """
    module, _, attribute = name.partition(":")
    if "" not in sys.path:
        sys.path.insert(0, "")  # a module beside the reader, as python -m finds it
    try:
        function = getattr(importlib.import_module(module), attribute)
    except Exception as error:  # whatever a reader's module does on import
        words = f"{name} cannot be imported ({error!r}); write MODULE:FUNCTION of something importable"
        raise BadInput(words) from error
    if not callable(function):
        raise BadInput(f"{name} is not a function; it must be reconstruct(kspace, mask) -> image")

    def one(kspace: Tensor, mask: Tensor) -> Tensor:
        try:
            return torch.as_tensor(function(kspace, mask), device=kspace.device)
        except Exception as error:
            if kspace.requires_grad:  # which numpy refuses
                return one(kspace.detach(), mask)
            place = traceback.extract_tb(error.__traceback__)[-1]
            raise BadInput(f"{name} failed with {error!r} at {place.filename}:{place.lineno}") from error

    def method(kspace: Tensor, mask: Tensor) -> Tensor:
        images = torch.stack([one(each, mask) for each in kspace.reshape(-1, *kspace.shape[-3:])])
        return images.reshape(*kspace.shape[:-3], *images.shape[1:])

    return method


def checksum(name: str) -> str | None:
    """SHA-256 of the file in which the function that MODULE:FUNCTION names is written; None where there is no file."""
    path = inspect.getsourcefile(importlib.import_module(name.partition(":")[0]))
    return hashlib.sha256(Path(path).read_bytes()).hexdigest() if path else None
