"""The command `train`: queues, and bad arguments."""

import json
import shutil
import subprocess
import sys

import h5py
import pytest
import torch

from helpers.__main__ import main
from helpers.data import fastmri
from helpers.data.scanner import draw_volume
from helpers.profiles import profile

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
        (["mine", "--architecture", "unet"], "JSON object"),
        (["mine", "--architecture", '{"network": ["unet"]}'], "there is no network ['unet']"),
        (["tv", "--architecture", '{"network": "unet"}'], "tv is the name of a method"),
        (["unet", "--architecture", '{"network": "unet"}'], "unet is the name of a method"),
        (["mine", "--architecture", '{"network": "unet"}', "--save-every", "nan"], "0 seconds or more"),
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


def few(name, folder, *more):
    options = ["--architecture", json.dumps(TINY), "--profile", "smoke", "--steps", "3", "--volumes", "2"]
    return ["train", name, *options, "--out", str(folder / "out"), "--checkpoints", str(folder / "kept"), *more]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    assert main(few("mine", folder)) == 0
    return folder


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock"}


def test_what_is_wrong_is_said_before_the_checkpoint_is_forgotten(trained, capsys):
    before = contents(trained)
    assert main(few("mine", trained, "--fresh", "--data", "nowhere")) == 2
    assert "does not exist" in capsys.readouterr().err and contents(trained) == before


def test_a_trained_network_is_not_that_of_other_settings(trained, tmp_path, capsys):
    shutil.copytree(trained / "out", tmp_path / "out")  # without its checkpoint
    assert main(few("mine", tmp_path)) == 0
    assert "mine is trained: 3 steps" in capsys.readouterr().err
    for option, value in {"--loss": "mse", "--data": "brain", "--seed": "1"}.items():
        assert main(few("mine", tmp_path, option, value)) == 2
        assert f"was trained with {option[2:]} " in capsys.readouterr().err


def test_what_the_validation_needs_is_seen_before_the_first_step(tmp_path, capsys):
    drawn = ["--profile", "smoke", "--volumes", "2", "--slices", "1"]
    assert main(["data", str(tmp_path / "scans"), "--split", "train", *drawn]) == 0
    assert main(few("mine", tmp_path, "--data", str(tmp_path / "scans"))) == 2
    said = capsys.readouterr().err
    assert "multicoil_val" in said and "step/s" not in said
    assert not (tmp_path / "out").exists()


def test_a_table_of_somebody_elses_is_no_log(tmp_path, capsys):
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "mine.csv").write_text("day,weight\n1,80\n")
    assert main(few("mine", tmp_path)) == 2
    assert "no log of a training" in capsys.readouterr().err
    assert (tmp_path / "kept" / "mine.csv").read_text() == "day,weight\n1,80\n"


def test_one_folder_for_training_and_test_is_said(tmp_path, capsys):
    drawn = ["--profile", "smoke", "--volumes", "2", "--slices", "1"]
    assert main(["data", str(tmp_path / "scans"), "--split", "train", *drawn]) == 0
    assert main(few("mine", tmp_path, "--data", str(tmp_path / "scans" / "multicoil_train"))) == 0
    assert "trained, tuned and tested on it are the same volumes" in capsys.readouterr().err


def test_what_does_not_fit_into_memory_is_a_sentence(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("helpers.commands.train.usable", lambda name: torch.empty(2**50))
    assert main(few("mine", tmp_path)) == 2
    assert "not enough memory" in capsys.readouterr().err


def test_data_without_references_are_told_before_the_first_step(tmp_path, capsys):
    item = draw_volume("knee", 0, profile("smoke"), slices=1)[0]
    for folder in ("scans/multicoil_train", "scans/multicoil_val", "also"):
        (tmp_path / folder).mkdir(parents=True)
        fastmri.write_volume(tmp_path / folder / "a.h5", [item])
        if folder != "scans/multicoil_train":
            with h5py.File(tmp_path / folder / "a.h5", "a") as file:
                file["kspace"][..., ::2] = 0
                del file["reconstruction_rss"]
    assert main(few("mine", tmp_path, "--data", str(tmp_path / "scans"))) == 2
    assert main(few("mine", tmp_path, "--also", str(tmp_path / "also"))) == 2
    said = capsys.readouterr().err
    assert said.count("has a reference, so that nothing can be validated") == 2 and "step/s" not in said
