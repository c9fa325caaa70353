"""The command that fits an un-trained network to one slice: its looks, that it goes on after a kill, bad input."""

import json

import pandas as pd
import pytest
import torch

from helpers.__main__ import main
from helpers.commands import fit as command
from helpers.untrained.fit import fit

OPTIONS = ["--data", "knee", "--profile", "smoke", "--json"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fit")
    table = folder / "whole.csv"
    arguments = ["fit", "convdecoder", *OPTIONS, "--steps", "60", "--look", "20", "--table", str(table)]
    assert main([*arguments, "--checkpoints", str(folder)]) == 0
    return pd.read_csv(table), json.loads(table.with_suffix(".json").read_text())


def test_a_look_every_so_many_steps_with_its_scores(whole):
    rows, made = whole
    assert rows["step"].tolist() == [20, 40, 60] and set(rows["method"]) == {"convdecoder"}
    assert rows[["loss", "held_loss", "ssim", "psnr", "ssim_object", "seconds"]].notna().all(axis=None)
    assert made["command"].startswith("python -m helpers fit convdecoder --data knee --slice 0") and made["n"] == 3
    assert "--seed 0" in made["command"]


def test_a_killed_fit_goes_on_from_its_checkpoint_to_the_same_numbers(whole, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("helpers.untrained.fit.SAVE_EVERY", 0)

    def killed(*arguments, watch, **options):
        def watched(look, image):
            watch(look, image)
            if look["step"] == 40:
                raise KeyboardInterrupt

        return fit(*arguments, watch=watched, **options)

    table = tmp_path / "parts.csv"
    arguments = ["fit", "convdecoder", *OPTIONS, "--steps", "60", "--look", "20", "--table", str(table)]
    arguments += ["--checkpoints", str(tmp_path)]
    with monkeypatch.context() as patch:
        patch.setattr(command, "fit", killed)
        assert main(arguments) == 130
    assert main(arguments) == 0
    numbers = ["step", "loss", "held_loss", "ssim", "psnr", "ssim_object"]
    pd.testing.assert_frame_equal(pd.read_csv(table)[numbers], whole[0][numbers])
    assert json.loads(capsys.readouterr().out)["step"] == 60


def test_a_file_that_is_no_checkpoint(tmp_path, capsys):
    arguments = ["fit", "convdecoder", *OPTIONS, "--steps", "10", "--look", "10", "--checkpoints", str(tmp_path)]
    assert main(arguments) == 0
    (checkpoint,) = tmp_path.glob("*.pt")
    for stored in (b"nothing", None):
        if stored:
            checkpoint.write_bytes(stored)
        else:
            torch.save({"state": {}}, checkpoint)
        capsys.readouterr()
        assert main(arguments) == 2
        assert "is no checkpoint of this fit" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["magic"], "no un-trained method; choose one of convdecoder"),
        (["dip", "--steps", "0"], "at least 1"),
        (["dip", "--look", "15"], "multiple of 10"),
        (["dip", "--slice", "-1"], "at least 0"),
        (["dip", "--data", "nowhere.h5"], "does not exist"),
        (["dip", "--device", "quantum"], "no device"),
    ],
)
def test_bad_arguments(arguments, sentence, capsys):
    assert main(["fit", *arguments, "--profile", "smoke"]) == 2
    assert sentence in capsys.readouterr().err


def test_another_look_is_another_trajectory(tmp_path):
    common = ["fit", "convdecoder", *OPTIONS, "--steps", "20", "--checkpoints", str(tmp_path)]
    for look, steps in ((20, [20]), (10, [10, 20])):
        assert main([*common, "--look", str(look), "--table", str(tmp_path / f"{look}.csv")]) == 0
        assert pd.read_csv(tmp_path / f"{look}.csv")["step"].tolist() == steps
