"""The weights that fastMRI publishes, fetched once into a cache and loaded into the same modules."""

import hashlib
import json
import os
import pickle
import sys
from pathlib import Path

import requests
import torch
from torch import nn
from tqdm import tqdm

from helpers.errors import BadInput
from helpers.files import written_aside
from helpers.networks import zoo

PREFIX = "fastmri:"
HOST = "https://dl.fbaipublicfiles.com/fastMRI/trained_models"
VARNET = {"network": "varnet", "cascades": 12, "channels": 18, "pools": 4}
UNET = {"network": "unet", "channels": 256, "pools": 4, "crop": 320}
PUBLISHED = {
    "fastmri:varnet-knee": (f"{HOST}/varnet/knee_leaderboard_state_dict.pt", VARNET),
    "fastmri:varnet-brain": (f"{HOST}/varnet/brain_leaderboard_state_dict.pt", VARNET),
    "fastmri:unet-knee": (f"{HOST}/unet/knee_mc_leaderboard_state_dict.pt", UNET),
    "fastmri:unet-brain": (f"{HOST}/unet/brain_leaderboard_state_dict.pt", UNET),
}
WARNING = "was trained on fastMRI's training and validation volumes: its scores on the validation set are no test"
TIMEOUT = 30  # seconds without a byte
PIECE = 1 << 14  # bytes; what a broken transfer has of the last one is lost


def names() -> list[str]:
    """Every name that `load` knows."""
    return list(PUBLISHED)


def load(name: str, device: str | torch.device = "cpu", published: dict = PUBLISHED) -> nn.Module:
    """The published network of that name, frozen, ready to be called as a method; fetched where the cache lacks it.

    Says on standard error that its training saw the validation set. published: address and architecture of every
    name. BadInput where the name is unknown, the file cannot be had, or does not hold these weights.
    """
    if name not in published:
        raise BadInput(f"there are no published weights {name!r}; choose one of {', '.join(published)}")
    url, architecture = published[name]
    path = fetched(url, cache() / f"{name.removeprefix(PREFIX)}.pt")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, KeyError, pickle.UnpicklingError) as error:
        raise BadInput(f"{path} holds no weights that can be read safely; remove it to fetch it again") from error
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise BadInput(f"{path} holds something else than weights; remove it to fetch it again")
    network = zoo.assembled(architecture, state, str(path)).to(device)
    print(f"{name} {WARNING}", file=sys.stderr)
    return network


def cache() -> Path:
    """Where fetched weights are kept: HELPERS_CACHE, else a folder of the user's cache."""
    if folder := os.environ.get("HELPERS_CACHE"):
        return Path(folder)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "robust-mri" / "weights"


def fetched(url: str, path: Path) -> Path:
    """The file behind an address, at `path`: fetched at the first time, its checksum compared ever after.

    A transfer that breaks off keeps what has come in `path`.partial and goes on there the next time, unless the
    server's file has changed since. fastMRI publishes no checksums: the SHA-256 of the first fetch is written beside
    the file with its size and the server's tag, so that later damage is seen, not a wrong file at the start.
    """
    receipt = path.with_name(path.name + ".json")
    if path.is_file() and receipt.is_file():
        try:
            known = json.loads(receipt.read_text("utf8"))["sha256"]
        except (ValueError, KeyError, TypeError) as error:
            raise BadInput(f"{receipt} is damaged; remove it to fetch {path.name} again") from error
        if _sha256(path) != known:
            raise BadInput(f"{path} has changed since it was fetched; remove it to fetch it again")
        return path
    partial = path.with_name(path.name + ".partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        tag = _transfer(url, partial)
    except requests.RequestException as error:
        raise BadInput(
            f"{url} cannot be fetched ({type(error).__name__}); check the network and try again: what has come is kept"
        ) from error
    found = {"url": url, "bytes": partial.stat().st_size, "etag": tag, "sha256": _sha256(partial)}
    with written_aside(receipt) as part:
        part.write_text(json.dumps(found) + "\n", "utf8")
    os.replace(partial, path)
    return path


def _transfer(url: str, partial: Path) -> str:
    """Fetch into `partial`, after what is there already if the server still has the same file; returns its tag."""
    tagged = partial.with_name(partial.name + ".tag")
    have = partial.stat().st_size if partial.is_file() and tagged.is_file() else 0
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers |= {"Range": f"bytes={have}-", "If-Range": tagged.read_text("utf8")}
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as answer:
        if answer.status_code == 416:  # what is there is as long as the whole, or longer: begin anew
            tagged.unlink()
            return _transfer(url, partial)
        answer.raise_for_status()
        tag = answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""
        have = have if answer.status_code == 206 else 0
        if tag and not tag.startswith("W/"):
            tagged.write_text(tag, "utf8")
        total = have + int(answer.headers["Content-Length"]) if "Content-Length" in answer.headers else None
        bar = tqdm(total=total, initial=have, desc=url.rpartition("/")[2], unit="B", unit_scale=True)
        with bar, partial.open("ab" if have else "wb") as file:
            for piece in answer.iter_content(PIECE):
                file.write(piece)
                bar.update(len(piece))
    if total is not None and partial.stat().st_size != total:
        raise requests.ConnectionError(f"{partial.stat().st_size} of {total} bytes")
    tagged.unlink(missing_ok=True)
    return tag


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
