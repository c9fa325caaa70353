"""A reader's own method, by MODULE:FUNCTION."""

import ast
import hashlib
import importlib
import importlib.util
import inspect
import re
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from operator import attrgetter
from pathlib import Path

import torch
from torch import Tensor

from helpers.errors import BadInput
from helpers.methods.border import called, guest, installed


def load(name: str) -> Callable[[Tensor, Tensor], Tensor]:
    """The function that MODULE:FUNCTION names, as a method; the module may lie in the current folder.

    See `method`. BadInput where there is no such function, or its module cannot be imported.
    """
    module, _, attribute = name.partition(":")
    _look_here()
    with guest(f"{name} cannot be imported:", "; write MODULE:FUNCTION of something importable"):
        function = attrgetter(attribute)(importlib.import_module(module))
    return method(function, name)


def method(function: Callable, name: str) -> Callable[[Tensor, Tensor], Tensor]:
    """A reader's function as a method that can be trusted with our data, whatever it does; name: what it is called.

    It is called as reconstruct(kspace, mask) for one slice at a time, kspace (coil, ky, kx) and mask (kx,) or (ky, kx),
    copies both, and returns the image (y, x), as `border.called` takes it. If it works in torch, gradients pass; if it
    leaves torch, it has none, and is attacked without. BadInput where it cannot be called so, and where it fails.
    """
    if not callable(function):
        raise BadInput(f"{name} is not a function; it must be reconstruct(kspace, mask) -> image")
    try:
        inspect.signature(function).bind(None, None)
    except TypeError as error:
        raise BadInput(f"{name} cannot be called as reconstruct(kspace, mask): {error}") from error
    except ValueError:  # what is written in C need not say what it takes
        pass

    def run(kspace: Tensor, mask: Tensor) -> object:
        # as if called by hand: it may need gradients of its own
        with guest(f"{name} failed with"), torch.enable_grad():
            return function(kspace, mask)

    def one(kspace: Tensor, mask: Tensor) -> Tensor:
        if not (kspace.requires_grad and torch.is_grad_enabled()):
            return called(run, kspace.detach(), mask, name)
        try:
            return called(run, kspace, mask, name)
        except BadInput as error:
            refused = error
        image = called(run, kspace.detach(), mask, name)  # numpy takes nothing with a gradient; what is wrong, is again
        warnings.warn(f"{refused}, and works without a gradient: it is attacked without one", stacklevel=2)
        return image

    def slices(kspace: Tensor, mask: Tensor) -> Tensor:
        images = torch.stack([one(each, mask) for each in kspace.reshape(-1, *kspace.shape[-3:])])
        return images.reshape(*kspace.shape[:-3], *images.shape[1:])

    return slices


def checksum(name: str) -> str | None:
    """SHA-256 of the source that MODULE:FUNCTION is made of; None where it is in no file, as in a notebook.

    That is the file of the module, or all of the package that it is in, and what these import, unless it is installed.
    Weights and other data that they read are no part of it.
    """
    _look_here()
    found: dict[str, list[Path]] = {"helpers": []}  # which has a version
    left = [re.split("[:.]", name)[0]]
    while left:
        module = left.pop()
        if module not in found:
            files = _files(module)
            found[module] = files if len(found) == 1 else [path for path in files if not installed(path)]
            left += [each for path in found[module] if not installed(path) for each in _imports(path)]
    files = sorted({path for each in found.values() for path in each})
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest() if files else None


def _look_here() -> None:
    """Let a module beside the reader be found, as python -m finds it, also where it has just been written."""
    if "" not in sys.path:
        sys.path.insert(0, "")
    importlib.invalidate_caches()


def _files(module: str) -> list[Path]:
    """The file of a module, or the Python files of a package, by its name without dots; none where it has none."""
    try:
        spec = importlib.util.find_spec(module)
    except ValueError:  # what is run, as a notebook, has no name
        spec = None
    if spec is None:
        return []
    folders = spec.submodule_search_locations
    if folders is not None:
        return [path for folder in folders for path in Path(folder).rglob("*.py")]
    return [Path(spec.origin)] if spec.has_location else []


def _imports(path: Path) -> set[str]:
    """The modules that a file imports by name, the part before the first dot; none where it is not Python."""
    with suppress(SyntaxError, ValueError):
        nodes = list(ast.walk(ast.parse(path.read_bytes())))
        plain = [each.name for node in nodes if isinstance(node, ast.Import) for each in node.names]
        chosen = [node.module for node in nodes if isinstance(node, ast.ImportFrom) and not node.level]
        return {each.partition(".")[0] for each in plain + chosen}
    return set()
