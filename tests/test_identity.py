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
from helpers.errors import say_once
from helpers.experiments import evaluate, tables, transfer, tuning
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
    summary = [json.loads(line) for line in capsys.readouterr().out.splitlines()[-2:]]
    assert [row["data"] for row in summary] == ["one", "two"] and [row["n"] for row in summary] == [1, 1]
    assert [row["mean"] for row in summary] == pytest.approx([score("one"), score("two")], rel=1e-5)


def summaries(capsys, *arguments) -> list[dict]:
    """What `evaluate` sums up, but for intervals; means are rounded, since a table keeps six digits."""
    capsys.readouterr()
    measured(*arguments, "--json")
    rows = map(json.loads, capsys.readouterr().out.splitlines())
    told = ("data", "source", "n", "volumes")
    return [{name: row[name] for name in told} | {"mean": round(row["mean"], 5)} for row in rows]


def test_a_volume_that_was_exported_anew_counts_without_its_old_self(scans, capsys):
    """Its rows stay in the table, which may be of several folders, and are said to count no more."""
    shutil.copy(scans / "one" / NAME, scans / "one" / "002.h5")
    shutil.copy(scans / "two" / NAME, scans / "one" / NAME)
    (before,) = summaries(capsys, "--data", "one")
    fastmri.write_volume(scans / "one" / NAME, draw_volume("knee", 2, profile("smoke"), 1))
    say_once.cache_clear()
    assert len(measured("--data", "one")) == 3
    assert "kept.csv keeps rows of another 001, not counted here" in capsys.readouterr().err
    (after,) = summaries(capsys, "--data", "one")
    [path.unlink() for path in scans.glob("kept.*")]
    (fresh,) = summaries(capsys, "--data", "one")
    assert after == fresh and after["n"] == after["volumes"] == before["n"] == 2


def test_data_of_one_anatomy_have_a_mean_each(scans, capsys):
    options = ["--profile", "smoke", "--volumes", "1", "--slices", "1"]
    apart = [summaries(capsys, "--data", data, *options)[0] for data in ("knee", "two")]
    assert {row["source"] for row in apart} == {"knee"} and apart[0]["mean"] != apart[1]["mean"]
    assert summaries(capsys, "--data", "knee", "two", *options) == apart


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
    "name, value", [("source", "stanford"), ("anatomy", "brain"), ("acquisition", "AXT2"), ("max", "unknown")]
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


def test_attacks_on_a_volume_that_was_exported_anew_are_all_that_counts(scans, capsys):
    words = ["transfer", "--methods", "zero-filled", "--protocol", "corrected", "--data", "one", "--volumes", "1"]
    words += ["--eps", "0.02", "--steps", "1", "--json", "--table"]
    assert main([*words, "kept.csv"]) == 0
    shutil.copy(scans / "two" / NAME, scans / "one" / NAME)
    capsys.readouterr()
    printed = []
    for name in ("kept.csv", "fresh.csv"):
        assert main([*words, name]) == 0
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1]


def test_two_scans_of_one_name_are_two_volumes_also_in_one_folder(scans):
    shutil.copy(scans / "two" / NAME, scans / "one" / "001.hdf5")
    assert len(transfer.slices("one", "smoke", 2)) == 2


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
