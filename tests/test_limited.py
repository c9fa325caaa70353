"""A method that hangs, crashes or fails on some slices loses those, is told so, and the rest goes on."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import torch
from test_workers import wait_for

from helpers import methods
from helpers.__main__ import main
from helpers.errors import BadInput
from helpers.experiments.evaluate import timed
from helpers.methods.limited import Limited

SOURCE = """
import os, time
from helpers.methods.zero_filled import reconstruct as plain
print("imported, and printed")

def seen():  # on disk: a process that is begun anew forgets
    with open("seen.txt", "a+") as file:
        file.write("x")
        return file.tell()

def at(number, then):
    if seen() == number:
        then()

def fails(kspace, mask):
    at(2, lambda: 1 / 0)
    return plain(kspace, mask)

def sleeps(kspace, mask):
    print("printed")
    at(2, lambda: time.sleep(600))
    return plain(kspace, mask)

def crashes(kspace, mask):
    at(2, lambda: os._exit(7))
    return plain(kspace, mask)

def lost(kspace, mask):
    return plain(kspace, mask) * (float("nan") if seen() == 2 else 1)
"""
BACKWARD = """
import time
import torch
from helpers.methods.zero_filled import reconstruct as plain

class Slow(torch.autograd.Function):
    @staticmethod
    def forward(context, image):
        return image.clone()

    @staticmethod
    def backward(context, along):
        time.sleep(600)

def slow(kspace, mask):
    return Slow.apply(plain(kspace, mask))
"""
ZERO_FILLED = "helpers.methods.zero_filled:reconstruct"
COMMAND = ["--data", "knee", "--profile", "smoke", "--volumes", "5", "--slices", "2", "--table", "t.csv"]


@pytest.fixture
def measured():
    kspace = torch.randn(2, 32, 24, dtype=torch.cfloat, generator=torch.Generator().manual_seed(0))
    return kspace, torch.ones(24, dtype=torch.bool)


def test_it_gives_the_image_and_the_gradient_that_the_method_gives(measured):
    """Of a batch, too, and where another image was made between an image and its gradient."""
    limited, plain = Limited(ZERO_FILLED, 60), methods.load(ZERO_FILLED)
    kspace, mask = torch.stack([measured[0], 2 * measured[0]]), measured[1]
    for method in (limited, plain):
        one, other = (kspace.clone().requires_grad_() for _ in range(2))
        image, second = method(one, mask), method(3 * other, mask)
        along = torch.linspace(0, 1, image.numel()).reshape(image.shape)
        found = torch.autograd.grad([(along * image).sum(), second.square().sum()], [one, other])
        if method is limited:
            first = image, *found
    for each, same in zip(first, (image, *found)):
        assert torch.equal(each.detach(), same.detach())
    assert limited(kspace, mask).requires_grad is False and 50 < limited.memory < 5000  # MB
    limited.end()


def test_what_passes_no_gradient_has_none(reader, measured):
    source = "import numpy as np\ndef plain(kspace, mask):\n    return np.abs(kspace.numpy()).sum(0)\n"
    limited = Limited(reader(source, "limits_four", "plain"), 60)
    assert not limited(measured[0].requires_grad_(), measured[1]).requires_grad
    limited.end()


def test_a_gradient_that_hangs_is_ended_too(reader, measured):
    limited = Limited(reader(BACKWARD, "limits_five", "slow"), 2)
    image = limited(measured[0].requires_grad_(), measured[1])
    with pytest.raises(BadInput, match="took longer than 2 s"):
        image.sum().backward()
    limited.end()


def test_more_seconds_than_a_clock_has_are_no_limit(measured):
    limited = Limited(ZERO_FILLED, 1e12)
    assert torch.equal(limited(*measured), methods.load(ZERO_FILLED)(*measured))
    limited.end()


def test_what_hangs_is_ended_and_begun_anew(reader, measured):
    reader(SOURCE, "limits_one")
    limited = Limited("limits_one:sleeps", 1)
    image = limited(*measured)
    with pytest.raises(BadInput, match="limits_one:sleeps took longer than 1 s and was ended"):
        limited(*measured)
    assert torch.equal(limited(*measured), image)
    limited.end()


def test_what_a_method_has_started_is_ended_with_it(reader, measured):
    """A program that hangs, such as BART, would else go on for ever, one for every slice."""
    source = "import subprocess\ndef calls(kspace, mask):\n    program = subprocess.Popen(['sleep', '600'])\n"
    source += "    open('program.txt', 'w').write(str(program.pid))\n    program.wait()\n"
    limited = Limited(reader(source, "limits_six", "calls"), 2)
    with pytest.raises(BadInput, match="took longer than 2 s"):
        limited(*measured)
    wait_for(lambda: not lives(int(Path("program.txt").read_text())))


def test_nothing_is_left_of_a_run_that_was_killed(reader):
    reader(SOURCE, "limits_seven")
    words = [sys.executable, "-m", "helpers", "evaluate", "limits_seven:sleeps", *COMMAND, "--limit", "600"]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
        wait_for(lambda: Path("seen.txt").is_file() and len(Path("seen.txt").read_text()) == 2)
        (child,) = map(int, Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split())
        assert lives(child)
        run.kill()
    wait_for(lambda: not lives(child))


def lives(process: int) -> bool:
    """Whether a process is there, and has not ended without anybody having asked how."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_what_it_imports_is_not_counted(reader, measured):
    limited = Limited(reader(SOURCE, "limits_eight", "fails"), 60)
    limited.ready(measured[0].device)
    child = limited._child.pid
    limited(*measured)
    assert limited._child.pid == child
    limited.end()


def test_the_way_to_its_process_is_not_counted(reader, measured):
    """Of a method that takes no time at all; what a large k-space takes through the pipe is ten times as long."""
    kspace, mask = measured
    name = reader("def none(kspace, mask):\n    return abs(kspace[0])\n", "limits_nine", "none")
    limited, large = Limited(name, 60), kspace.repeat(100, 1, 1)
    limited(large, mask)
    start = time.perf_counter()
    _, seconds = timed(limited, lambda: limited(large, mask))
    assert 0 < seconds == limited.took < time.perf_counter() - start
    limited.end()


@pytest.mark.parametrize(
    ("function", "words"),
    [("fails", "ZeroDivisionError"), ("sleeps", "took longer than 2 s"), ("crashes", "with code 7"), ("lost", "NaN")],
)
def test_evaluate_loses_a_slice_and_measures_the_rest(reader, capsys, function, words):
    name = reader(SOURCE, "limits_two", function)
    assert main(["evaluate", "zero-filled", name, *COMMAND, "--limit", "2", "--json"]) == 1
    told = capsys.readouterr()
    rows = pd.read_csv("t.csv").groupby("method").size()
    assert rows["zero-filled"] == 10 and rows[name] == 9
    (said,) = [line for line in told.err.splitlines() if "1 of 10 slices" in line]
    assert name in said and words in said
    assert {json.loads(line)["method"]: json.loads(line)["n"] for line in told.out.splitlines()}[name] == 9


def test_a_method_that_loses_every_slice_leaves_the_others(reader, capsys):
    name = reader("def fails(kspace, mask):\n    raise RuntimeError('never')\n", "limits_three", "fails")
    assert main(["evaluate", "zero-filled", name, *COMMAND]) == 1
    out, err = capsys.readouterr()
    assert "RuntimeError: never" in err.splitlines()[-1] and "zero-filled" in out
    assert len(pd.read_csv("t.csv")) == 10, "what others gave is kept"


@pytest.mark.parametrize(
    ("command", "pieces"),
    [
        (["factors", "--factors", "noise", "coils", "--volumes", "2", "--acquisition", "", "--table", "t.csv"], 4),
        (
            [
                "transfer",
                "--eps",
                "0.05",
                "--steps",
                "2",
                "--protocol",
                "corrected",
                "--volumes",
                "2",
                "--table",
                "t.csv",
            ],
            2,
        ),
        (["audit", "--eps", "0.05", "--volumes", "2", "--table", "t.csv"], 2),
    ],
)
def test_other_commands_lose_a_piece_and_measure_the_rest(reader, capsys, command, pieces):
    """What they have lost they measure when they are called once more."""
    name = reader(SOURCE, f"limits_{command[0]}", "sleeps")  # of another name: its process stays
    words = [*command, "--profile", "smoke", "--methods", name, "--limit", "3"]
    assert main(words) == 1
    (said,) = [line for line in capsys.readouterr().err.splitlines() if "pieces of work are lost" in line]
    assert said.startswith(f"1 of {pieces} pieces") and "knee" in said and f"{name} took longer than 3 s" in said
    before = len(pd.read_csv("t.csv"))
    assert main(words) == 0
    assert len(pd.read_csv("t.csv")) > before


FORKS = """
import os, time
from multiprocessing import Process
from threading import Thread
from helpers.methods.zero_filled import reconstruct as plain

def leaves_a_child(kspace, mask):
    Process(target=time.sleep, args=(60,)).start()
    os._exit(3)

def chatter():
    while True:
        os.write(1, b"printed past Python")
        time.sleep(0.01)

def chats(kspace, mask):
    Thread(target=chatter, daemon=True).start()
    time.sleep(0.3)
    return plain(kspace, mask)
"""


def test_what_a_dead_process_has_started_is_ended_too(reader, measured):
    limited, start = Limited(reader(FORKS, "limits_six", "leaves_a_child"), 20), time.monotonic()
    with pytest.raises(BadInput, match="ended its process with code 3|took longer"):
        limited(*measured)
    limited.end()
    assert time.monotonic() - start < 50, "less than its child would have lived"


def test_what_a_thread_prints_is_no_answer(reader, measured):
    limited = Limited(reader(FORKS, "limits_seven", "chats"), 30)
    for _ in range(2):
        assert torch.equal(limited(*measured), methods.load(ZERO_FILLED)(*measured))
    limited.end()
