"""A method in a process of its own, which may hang or crash there, and is ended when it takes too long."""

import subprocess
import sys
from io import BytesIO
from queue import Empty, Queue
from threading import Thread
from typing import BinaryIO

import numpy as np
import torch
from torch import Tensor

from helpers.errors import BadInput

IMAGE, SENTENCE = 0, 1  # what an answer is: an image, or the bytes of the sentence why there is none


class Limited:
    """A method by name, given so many seconds an image; no gradient passes.

    It runs in a child process, which takes k-space and mask as arrays and gives the image back, and is started anew
    where it was ended. BadInput, as of the method itself, and where it takes longer or its process ends.
    """

    def __init__(self, name: str, source: str, seconds: float):
        self.name, self.source, self.seconds = name, source, seconds
        self._child: subprocess.Popen | None = None

    def __call__(self, kspace: Tensor, mask: Tensor) -> Tensor:
        first = self._child is None or self._child.poll() is not None
        if first:
            command = [sys.executable, "-m", "helpers.methods.limited", self.name, self.source]
            self._child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        answers: Queue = Queue()
        Thread(target=self._asked, args=(kspace, mask, first, answers), daemon=True).start()
        try:
            if first and not isinstance(answers.get(), np.ndarray):  # ready: what it imports is not counted
                answers.put((None, None))
            kind, answer = answers.get(timeout=self.seconds)
        except Empty:
            self.end()
            raise BadInput(f"{self.name} took longer than {self.seconds:g} s and was ended") from None
        except BaseException:
            self.end()
            raise
        if kind is None:
            code = self._child.wait()
            raise BadInput(f"{self.name} ended its process with code {code}")
        if kind == SENTENCE:
            raise BadInput(answer.tobytes().decode())
        return torch.from_numpy(answer).to(kspace.device)

    def _asked(self, kspace: Tensor, mask: Tensor, first: bool, answers: Queue) -> None:
        child = self._child
        try:
            if first:
                answers.put(_read(child.stdout))
            for each in (kspace, mask):
                _write(child.stdin, each.detach().cpu().numpy())
            answers.put((int(_read(child.stdout)), _read(child.stdout)))
        except (OSError, EOFError):  # the pipe is closed
            answers.put((None, None))

    def end(self) -> None:
        """End the process, whatever it does."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()

    def __del__(self) -> None:
        self.end()


def serve(name: str, source: str) -> None:
    """What the child does: load the method, then an image for every k-space and mask that come, until none do."""
    from helpers import methods
    from helpers.methods.border import called

    torch.set_num_threads(1)
    given, answers = sys.stdin.buffer, sys.stdout.buffer
    sentence, method = "", None
    try:
        method = methods.load(name, source=source)
    except BadInput as error:
        sentence = str(error)
    _write(answers, np.array(0))
    while given.peek(1):
        kspace, mask = (torch.from_numpy(_read(given)) for _ in range(2))
        try:
            if method is None:
                raise BadInput(sentence)
            kind, answer = IMAGE, called(method, kspace, mask, name).numpy()
        except BadInput as error:
            kind, answer = SENTENCE, np.frombuffer(str(error).encode(), np.uint8)
        for each in (np.array(kind), answer):
            _write(answers, each)


def _write(stream: BinaryIO, array: np.ndarray) -> None:
    """Send an array down a pipe, after its length in bytes."""
    buffer = BytesIO()
    np.save(buffer, array, allow_pickle=False)
    stream.write(len(buffer.getvalue()).to_bytes(8) + buffer.getvalue())
    stream.flush()


def _read(stream: BinaryIO) -> np.ndarray:
    """Take an array from a pipe; EOFError where it is closed."""
    return np.load(BytesIO(stream.read(int.from_bytes(stream.read(8)))), allow_pickle=False)


if __name__ == "__main__":
    serve(*sys.argv[1:])
