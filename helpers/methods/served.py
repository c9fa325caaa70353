"""The other end of `limited`: the process in which a reader's method makes the images that it is asked for."""

import os
import signal
import sys
import time
from threading import Thread

import numpy as np
import torch
from torch import Tensor

from helpers.errors import BadInput
from helpers.methods import own
from helpers.methods.border import called
from helpers.methods.limited import DONE, GRADIENT, PASSES, SENTENCE, read, write


class Served:
    """A method, and the last image through which a gradient passes."""

    def __init__(self, name: str, device: str):
        self.name, self.device, self.method = name, device, None
        self.last: tuple[Tensor, Tensor, Tensor] | None = None

    def load(self) -> str:
        """Import it; the sentence why that cannot be, empty where it can."""
        try:
            self.method = own.load(self.name)
        except BadInput as error:
            return str(error)
        return ""

    def image(self, kspace: Tensor, mask: Tensor, wanted: bool) -> tuple[int, Tensor]:
        """The image (..., y, x), and whether a gradient passes where one is wanted."""
        self.last = None
        image = called(self.method, kspace.requires_grad_(wanted), mask, self.name)
        if not image.requires_grad:
            return DONE, image
        self.last = kspace, mask, image
        return PASSES, image

    def gradient(self, kspace: Tensor, mask: Tensor, along: Tensor) -> tuple[int, Tensor]:
        """The gradient in k-space of the sum of `along` times the image, which is made anew if it is not the last."""
        if self.last is None or not (torch.equal(self.last[0], kspace) and torch.equal(self.last[1], mask)):
            self.image(kspace, mask, True)
        kspace, _, image = self.last
        self.last = None
        (found,) = torch.autograd.grad(image, kspace, along, allow_unused=True)
        return DONE, torch.zeros_like(kspace) if found is None else found


def serve(name: str, device: str) -> None:
    """Load the method, then answer every question that comes, until none do: kind, memory in MB and seconds, array."""
    torch.set_num_threads(1)
    Thread(target=_watch, args=(os.getppid(),), daemon=True).start()
    given, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever the method prints, from any thread or program, is no answer
    served = Served(name, device)
    sentence = served.load()
    write(answers, np.array(0))
    while given.peek(1):
        asked = int(read(given))
        arrays = [torch.from_numpy(read(given)).to(device) for _ in range(3)]
        start = time.perf_counter()
        try:
            if sentence:
                raise BadInput(sentence)
            kind, answer = served.gradient(*arrays) if asked == GRADIENT else served.image(*arrays[:2], bool(arrays[2]))
            answer = answer.detach().cpu().numpy()
        except (BadInput, RuntimeError) as error:  # torch raises the second where a gradient fails
            kind, answer = SENTENCE, np.frombuffer(str(error).encode(), np.uint8)
        for each in (np.array(kind), np.array([_memory(), time.perf_counter() - start]), answer):
            write(answers, each)


def _watch(parent: int) -> None:
    """End this process and all that it has started when its parent is no more, whatever the method does."""
    while os.getppid() == parent:
        time.sleep(1)
    if os.getpgrp() == os.getpid():  # it leads a group of its own
        os.killpg(os.getpid(), signal.SIGKILL)


def _memory() -> float:
    """The most that this process has held so far, in MB; NaN where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return float("nan")
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (2**20 if sys.platform == "darwin" else 2**10)


if __name__ == "__main__":
    serve(*sys.argv[1:])
