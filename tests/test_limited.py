"""A method that hangs, crashes or fails on some slices loses those, is told so, and the rest goes on."""

import json

import pandas as pd
import pytest
import torch

from helpers import methods
from helpers.__main__ import main
from helpers.errors import BadInput
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
COMMAND = ["--data", "knee", "--profile", "smoke", "--volumes", "5", "--slices", "2", "--table", "t.csv"]


@pytest.fixture
def measured():
    kspace = torch.randn(2, 32, 24, dtype=torch.cfloat, generator=torch.Generator().manual_seed(0))
    return kspace, torch.ones(24, dtype=torch.bool)


def test_it_gives_the_image_that_the_method_gives(measured):
    limited = Limited("zero-filled", "knee", 60)
    for _ in range(2):
        assert torch.equal(limited(*measured), methods.load("zero-filled")(*measured))
    limited.end()


def test_what_hangs_is_ended_and_begun_anew(reader, measured):
    reader(SOURCE, "limits_one")
    limited = Limited("limits_one:sleeps", "knee", 1)
    image = limited(*measured)
    with pytest.raises(BadInput, match="limits_one:sleeps took longer than 1 s and was ended"):
        limited(*measured)
    assert torch.equal(limited(*measured), image)
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


def test_a_method_that_loses_every_slice_is_bad_input(reader, capsys):
    name = reader("def fails(kspace, mask):\n    raise RuntimeError('never')\n", "limits_three", "fails")
    assert main(["evaluate", "zero-filled", name, *COMMAND]) == 2
    assert "RuntimeError: never" in capsys.readouterr().err.splitlines()[-1]
    assert len(pd.read_csv("t.csv")) == 10, "what others gave is kept"
