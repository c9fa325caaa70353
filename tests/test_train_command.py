"""The command `train`: queues, and bad arguments."""

import json
import subprocess
import sys

import pytest

from helpers.__main__ import main

TINY = {"network": "unet", "channels": 2, "pools": 2}


@pytest.mark.slow
def test_a_queue_trains_the_others_where_one_fails(tmp_path):
    (tmp_path / "broken.pt").write_bytes(b"no checkpoint")
    options = ["--architecture", json.dumps(TINY), "--profile", "smoke", "--steps", "3", "--volumes", "2", "--json"]
    folders = ["--out", str(tmp_path), "--checkpoints", str(tmp_path), "--jobs", "2"]
    command = [sys.executable, "-m", "helpers", "train", "one", "broken", "two", *options, *folders]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110)
    assert done.returncode == 2
    assert [json.loads(line)["name"] for line in done.stdout.splitlines()] == ["one", "two"]
    assert "broken: FAILED" in done.stderr and "is no checkpoint" in done.stderr
    assert "two: done" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "name a network"),
        (["nothing"], "there is no recipe 'nothing'"),
        (["mine", "--architecture", "[1]"], "JSON object"),
        (["mine", "--architecture", '{"network": "unet"}', "--steps", "0"], "at least 1"),
        (["mine", "--architecture", '{"network": "unet"}', "--profile", "huge"], "no profile 'huge'"),
        (["../mine", "--architecture", '{"network": "unet"}'], "no name for a network"),
        (["mine", "--architecture", '{"network": "x"}', "--hours", "1"], "there is no network 'x'"),
        (["mine", "--architecture", '{"network": "unet"}', "--data", "nowhere"], "does not exist"),
        (["mine", "--architecture", '{"network": "unet"}', "--jobs", "0"], "at least 1"),
        (["mine", "--architecture", '{"network": "unet"}', "--device", "quantum"], "no device"),
    ],
)
def test_bad_arguments_are_one_sentence(arguments, sentence, tmp_path, capsys):
    options = ["--out", str(tmp_path), "--checkpoints", str(tmp_path)]
    assert main(["train", *arguments, *options]) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert sentence in said[-1] and "Traceback" not in said[-1]
