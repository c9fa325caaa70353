"""A reader's method in a process of its own, which may hang or crash there, and is ended when it takes too long."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import lru_cache
from io import BytesIO
from math import prod
from queue import Empty, Queue
from threading import TIMEOUT_MAX, Thread
from typing import BinaryIO
from weakref import finalize

import numpy as np
import torch
from torch import Tensor

from helpers.errors import BadInput

PATIENCE = 5  # seconds until a thread whose pipes are closed has ended
IMAGE, GRADIENT = 0, 1  # what is asked for
DONE, PASSES, SENTENCE = 0, 1, 2  # an answer, an image through which a gradient passes, or why there is none
SECONDS: ContextVar[float | None] = ContextVar("seconds that an image of a reader's method may take", default=None)


@contextmanager
def allowing(seconds: float | None) -> Iterator[None]:
    """Give every image of a reader's method that is loaded here so many seconds; None for no limit."""
    before = SECONDS.set(seconds)
    try:
        yield
    finally:
        SECONDS.reset(before)


@lru_cache
def limited(name: str, seconds: float) -> "Limited":
    """A method in a process of its own, which stays for the next slice."""
    return Limited(name, seconds)


class Limited:
    """A method by name, given so many seconds an image, and as many for its gradient, where it passes one.

    It runs in a child process (`served`), which takes k-space and mask as arrays and gives the image back, and is
    started anew where it was ended. BadInput, as of the method itself, and where it takes longer or its process ends.
    memory: the most that the child has held so far, in MB; took: seconds of the last image, without the way to the
    child and back. None where it was asked for nothing yet.
    """

    def __init__(self, name: str, seconds: float):
        self.name, self.seconds = name, seconds
        self.memory: float | None = None
        self.took: float | None = None
        self._child: subprocess.Popen | None = None
        self._device = ""

    def __call__(self, kspace: Tensor, mask: Tensor) -> Tensor:
        wanted = kspace.requires_grad and torch.is_grad_enabled()
        kind, image = self._answer(IMAGE, kspace, mask, torch.tensor(wanted))
        return _Through.apply(kspace, image, mask, self) if kind == PASSES else image

    def gradient(self, kspace: Tensor, mask: Tensor, along: Tensor) -> Tensor:
        """That of the sum of `along` times the image, in the k-space."""
        return self._answer(GRADIENT, kspace, mask, along)[1]

    def ready(self, device: torch.device) -> None:
        """Start the process, if it does not run, and wait until it has imported the method, which is not counted."""
        if self._child is not None and self._child.poll() is None and str(device) == self._device:
            return
        self.end()
        command = [sys.executable, "-m", "helpers.methods.served", self.name, str(device)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        # a session of its own: what it starts is ended with it, and Ctrl-C reaches us alone
        self._child = subprocess.Popen(command, **pipes, start_new_session=True)
        self._ended = finalize(self, _end, self._child)  # at exit at the latest, and once: numbers of groups come again
        self._device = str(device)
        try:
            with suppress(EOFError):  # it has ended, as the first question will tell
                read(self._child.stdout)
        except BaseException:
            self.end()
            raise

    def end(self) -> None:
        """End the process, whatever it does."""
        if self._child is not None:
            self._ended()

    def _answer(self, kind: int, *arrays: Tensor) -> tuple[int, Tensor]:
        self.ready(arrays[0].device)
        answers: Queue = Queue()
        asking = Thread(target=self._asked, args=(kind, arrays, answers), daemon=True)
        asking.start()
        images = prod(arrays[0].shape[:-3])
        try:
            answer = answers.get(timeout=min(self.seconds * images, TIMEOUT_MAX / 2))  # beside it the time of now
        except Empty:
            self.end()
            raise BadInput(f"{self.name} took longer than {self.seconds:g} s and was ended") from None
        except BaseException:
            self.end()
            raise
        finally:
            asking.join(PATIENCE)  # its pipes are read, or closed; with a thread left at exit torch aborts the process
        if answer is None:
            code = self._child.wait()
            raise BadInput(f"{self.name} ended its process with code {code}")
        kind, (self.memory, self.took), array = int(answer[0]), answer[1].tolist(), answer[2]
        if kind == SENTENCE:
            raise BadInput(array.tobytes().decode())
        return kind, torch.from_numpy(array).to(arrays[0].device)

    def _asked(self, kind: int, arrays: tuple[Tensor, ...], answers: Queue) -> None:
        child = self._child
        try:
            for each in (np.array(kind), *(each.detach().cpu().numpy() for each in arrays)):
                write(child.stdin, each)
            answers.put([read(child.stdout) for _ in range(3)])
        except Exception:  # the pipe is closed, or what came through it is no answer
            answers.put(None)


class _Through(torch.autograd.Function):
    """The image that a child has made, with the gradient that it is asked for when there is need of one."""

    @staticmethod
    def forward(context, kspace: Tensor, image: Tensor, mask: Tensor, method: Limited) -> Tensor:
        context.save_for_backward(kspace, mask)
        context.method = method
        return image

    @staticmethod
    def backward(context, along: Tensor) -> tuple[Tensor, None, None, None]:
        return context.method.gradient(*context.saved_tensors, along), None, None, None


def _end(child: subprocess.Popen) -> None:
    with suppress(OSError), child:  # which closes its pipes, and what waits in them is lost
        if hasattr(os, "killpg"):
            with suppress(ProcessLookupError):  # what it has started may live on without it, and hold its pipes open
                os.killpg(child.pid, signal.SIGKILL)
        child.kill()


def write(stream: BinaryIO, array: np.ndarray) -> None:
    """Send an array down a pipe, after its length in bytes."""
    buffer = BytesIO()
    np.save(buffer, array, allow_pickle=False)
    stream.write(len(buffer.getvalue()).to_bytes(8) + buffer.getvalue())
    stream.flush()


def read(stream: BinaryIO) -> np.ndarray:
    """Take an array from a pipe; EOFError where it is closed."""
    return np.load(BytesIO(stream.read(int.from_bytes(stream.read(8)))), allow_pickle=False)
