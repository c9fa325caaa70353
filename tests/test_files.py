"""Files are whole or not there at all, and what a killed process leaves is removed."""

import errno
import os
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch

from helpers import files
from helpers.files import written_aside


def test_a_file_appears_when_it_is_whole(tmp_path):
    path = tmp_path / "folder" / "table.csv"
    with written_aside(path) as part:
        part.write_text("whole")
        assert not path.exists()
    assert path.read_text() == "whole" and os.listdir(path.parent) == ["table.csv"]


def test_a_failure_leaves_what_was_there(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("old")
    with pytest.raises(RuntimeError), written_aside(path) as part:
        part.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["table.csv"]


def test_parts_of_the_dead_go_and_those_of_the_living_stay(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    for name in (f"a.{dead.pid}.part", f"b.{dead.pid}.part", f"a.{os.getppid()}.part", "a.part"):
        (tmp_path / name).touch()
    with written_aside(tmp_path / "a") as part:
        part.touch()
    assert sorted(os.listdir(tmp_path)) == sorted(["a", f"b.{dead.pid}.part", f"a.{os.getppid()}.part", "a.part"])


def test_where_the_file_system_knows_no_locks_everybody_goes_on(tmp_path, monkeypatch):
    def unknown(file, how):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(files.fcntl, "lockf", unknown)
    for _ in range(2):
        files.claimed(tmp_path / "t.csv")()
    assert not list(tmp_path.iterdir())


def test_a_checkpoint_that_does_not_fit_is_an_error_of_the_system(monkeypatch):
    """That of PyTorch, which writes to a path, would not say that the disk is full."""
    monkeypatch.setattr(files, "written_aside", lambda path: nullcontext(Path("/dev/full")))
    with pytest.raises(OSError, match="No space left"):
        files.save_aside(Path("fit.pt"), {"weights": torch.zeros(2**16)})
