"""Whose scores a row has: a table knows slices by what they are, not by what their files are called."""

import json
import shutil

import h5py
import pandas as pd
import pytest
import torch

from helpers import methods
from helpers.__main__ import main
from helpers.data import fastmri, open_data
from helpers.data.scanner import draw_volume
from helpers.experiments import evaluate, tables, tuning
from helpers.profiles import profile

NAME = "001.h5"


@pytest.fixture
def scans(tmp_path, monkeypatch):
    """Two folders that hold another subject under the same name."""
    monkeypatch.chdir(tmp_path)
    for folder, seed in (("one", 0), ("two", 1)):
        fastmri.write_volume(tmp_path / folder / NAME, draw_volume("knee", seed, profile("smoke"), 1))
    return tmp_path


def score(folder) -> float:
    """SSIM of a volume that is measured alone."""
    (item,) = open_data(folder)
    return evaluate.measure("zero-filled", methods.load("zero-filled"), item, evaluate.mask_of(item))["ssim"]


def measured(*arguments) -> pd.DataFrame:
    assert main(["evaluate", "zero-filled", "--table", "kept.csv", *arguments]) == 0
    return pd.read_csv("kept.csv", dtype={"volume": str}).set_index("volume")


def test_each_of_two_files_of_one_name_gets_its_own_scores(scans, capsys):
    apart = [measured("--data", "one"), measured("--data", "two")][-1]
    [path.unlink() for path in scans.glob("kept.*")]
    together = measured("--data", "one", "two", "--json")
    assert apart["ssim"].tolist() == together["ssim"].tolist() == pytest.approx([score("one"), score("two")], rel=1e-5)
    assert together.index[0] == "001" and together.index[1].startswith("001-")
    summary = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert summary["n"] == summary["volumes"] == 2


def test_a_slice_that_is_there_twice_counts_once(scans):
    shutil.copy(scans / "one" / NAME, scans / "one" / "copy.h5")
    assert len(measured("--data", "one", "one")) == 1
    assert len(measured("--data", "one")) == 1


def test_a_file_may_move_and_be_renamed(scans):
    before = measured("--data", "one")
    (scans / "one" / NAME).rename(scans / "elsewhere.h5")
    pd.testing.assert_frame_equal(measured("--data", "elsewhere.h5"), before)


def test_a_scan_that_is_renamed_is_measured_under_the_same_masks_and_noise(scans):
    (before,) = open_data("one")
    (scans / "one" / NAME).rename(scans / "other.h5")
    (after,) = open_data("other.h5")
    assert after.volume == "other" and after.identity == before.identity and after.seed(3) == before.seed(3)
    assert torch.equal(evaluate.mask_of(after, seed=3), evaluate.mask_of(before, seed=3))


@pytest.mark.parametrize(
    "name, value", [("source", "stanford"), ("anatomy", "brain"), ("acquisition", "AXT2"), ("max", 9.0)]
)
def test_what_a_file_says_of_a_slice_is_part_of_what_it_is(scans, name, value):
    (before,) = open_data("one")
    with h5py.File(scans / "one" / NAME, "r+") as file:
        file.attrs[name] = value
    assert open_data("one")[0].identity != before.identity


def test_a_volume_whose_name_reads_as_nothing_keeps_it(scans):
    for name in ("NA", "null", "1e5"):
        shutil.copy(scans / "one" / NAME, scans / f"{name}.h5")
        (scans / "one" / NAME).unlink(missing_ok=True)
        with h5py.File(scans / f"{name}.h5", "r+") as file:
            file.attrs["acquisition"] = "None"
            file["kspace"][...] *= 2
            file["reconstruction_rss"][...] *= 2
        for _ in range(2):
            measured("--data", f"{name}.h5")
        rows = tables.read(scans / "kept.csv")
        assert name in set(rows["volume"]) and set(rows["acquisition"]) == {"None"}
        (scans / f"{name}.h5").rename(scans / "one" / NAME)


def test_a_file_that_has_changed_is_refused(scans, capsys):
    measured("--data", "one")
    before = (scans / "kept.csv").read_bytes()
    with h5py.File(scans / "one" / NAME, "r+") as file:
        file["reconstruction_rss"][...] *= 2
    assert main(["evaluate", "zero-filled", "--data", "one", "--table", "kept.csv"]) == 2
    assert "is another one than that in kept.csv" in capsys.readouterr().err
    assert (scans / "kept.csv").read_bytes() == before


def test_slices_drawn_at_other_positions_are_refused(scans, capsys):
    arguments = ["evaluate", "zero-filled", "--data", "knee", "--profile", "smoke", "--table", "kept.csv"]
    assert main([*arguments, "--volumes", "1", "--slices", "1"]) == 0
    assert main([*arguments, "--volumes", "1", "--slices", "2"]) == 2  # slice 1 of 2, not of 4
    assert "another number of slices was drawn" in capsys.readouterr().err


def test_subjects_drawn_otherwise_have_other_identities():
    drawn = [
        draw_volume("knee", 0, profile("smoke"), 2)[1],
        draw_volume("knee", 0, profile("smoke"), 2, pathology=False)[1],
        draw_volume("knee", 0, profile("smoke"), 2, snr=30)[1],
        draw_volume("knee", 0, profile("smoke"), 3)[1],
        draw_volume("knee", 0, profile("smoke"), 2, split="train")[1],
    ]
    assert len({item.identity for item in drawn}) == len(drawn)
    assert draw_volume("knee", 0, profile("smoke"), 2)[1].identity == drawn[0].identity


@pytest.mark.parametrize(
    "command",
    [["transfer", "--methods", "zero-filled", "--protocol", "corrected"], ["audit", "--methods", "zero-filled"]],
)
def test_attacks_on_another_file_of_that_name_are_their_own(scans, command):
    arguments = [*command, "--data", "scans", "--volumes", "1", "--eps", "0.02", "--table", "kept.csv"]
    for folder in ("one", "two"):
        shutil.copytree(folder, "scans", dirs_exist_ok=True)
        assert main(arguments) == 0
    rows = pd.read_csv("kept.csv", dtype={"volume": str})
    assert rows["identity"].nunique() == rows["volume"].nunique() == 2
    [path.unlink() for path in scans.glob("kept.*")]
    assert main(arguments) == 0
    alone = pd.read_csv("kept.csv", dtype={"volume": str})
    later = rows[rows["volume"] != "001"].reset_index(drop=True)
    both = (each.drop(columns=["volume", "seconds"], errors="ignore") for each in (later, alone))  # no clock repeats
    pd.testing.assert_frame_equal(*both)


def test_a_fit_does_not_go_on_from_another_file_of_that_name(scans, capsys):
    arguments = ["fit", "convdecoder", "--steps", "20", "--look", "10", "--checkpoints", "kept", "--json"]

    def ssim(folder, *more):
        assert main([*arguments, "--data", folder, *more]) == 0
        return json.loads(capsys.readouterr().out)["ssim"]

    assert ssim("one") != ssim("two")
    assert len(list((scans / "kept").glob("*.pt"))) == 2
    assert ssim("two") == ssim("two", "--checkpoints", "fresh")


def test_a_fit_goes_on_from_one_of_its_own_settings_alone(scans, capsys):
    """Its learning rate falls to its end: twenty steps do not begin forty. A table is made of what is there."""
    arguments = ["fit", "convdecoder", "--data", "one", "--look", "10", "--json", "--checkpoints"]

    def ssim(folder, steps, *more):
        assert main([*arguments, folder, "--steps", steps, *more]) == 0
        return json.loads(capsys.readouterr().out)["ssim"]

    short = ssim("kept", "20")
    assert ssim("kept", "40") == ssim("fresh", "40") != short
    assert ssim("kept", "20", "--table", "fit.csv") == short
    assert pd.read_csv("fit.csv")["step"].tolist() == [10, 20]
    assert ssim("kept", "20", "--table", "fit.csv") == short  # it goes on with a table of its own
    assert len(pd.read_csv("fit.csv")) == 2


def test_every_digit_of_a_strength_is_kept(scans):
    command = ["transfer", "--methods", "zero-filled", "--protocol", "corrected", "--data", "one", "--volumes", "1"]
    for _ in range(2):
        assert main([*command, "--eps", "0.0212345678901", "--table", "kept.csv"]) == 0
    rows = pd.read_csv("kept.csv")
    assert set(rows["eps"]) == {0.0212345678901} and not rows.duplicated(["attacked", "climbed", "method"]).any()


def test_a_folder_of_several_sources_is_tuned_on_all_of_it(scans, monkeypatch, capsys):
    monkeypatch.setattr(methods, "READERS", scans / "tuned.json")
    monkeypatch.setattr(tuning.sweep, "__defaults__", ((0.1, 5.0), 0, ()))
    with h5py.File(scans / "two" / NAME, "r+") as file:
        file.attrs["source"] = "elsewhere"
    shutil.copy(scans / "one" / NAME, scans / "two" / "003.h5")
    for _ in range(2):
        assert main(["tune", "tv", "--source", "two", "--table", "kept.csv", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["n"] == 2
    assert len(pd.read_csv("kept.csv")) == 4
