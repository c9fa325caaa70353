"""What was tuned on a reader's scans is what every command runs with on them, and no other scans are touched."""

import json
import shutil

import pandas as pd
import pytest

from helpers import methods
from helpers.__main__ import main
from helpers.attacks.known import differentiable
from helpers.data import open_data
from helpers.errors import say_once
from helpers.experiments import pathologies
from helpers.methods import depends, load, tuned
from helpers.profiles import profile
from helpers.shifts import groups

LAM = 2.5


@pytest.fixture
def scans(tmp_path, monkeypatch):
    """A folder of two drawn knees, for which a weight will be kept, and another one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(methods, "READERS", tmp_path / "kept" / "tuned.json")
    for name in ("scans", "others"):
        words = ["data", name, "--source", "knee", "--volumes", "2", "--profile", "smoke", "--slices", "1"]
        assert main(words) == 0
    return tmp_path / "scans"


def keep(folder, name="tv"):
    methods.READERS.parent.mkdir(exist_ok=True)
    methods.READERS.write_text(json.dumps({name: {str(folder): {"lam": LAM}}}))


def test_a_slice_of_the_folder_is_loaded_with_its_weight_wherever_methods_are_made(scans):
    keep(scans)
    options = {"profile": profile("smoke"), "split": "test"}
    (item, *_), (other, *_) = (open_data(name, **options) for name in ("scans", "others"))
    drawn = open_data("knee", **options)[0]
    usual = tuned("tv", "knee")["lam"]
    for each, lam in ((item, LAM), (other, usual), (drawn, usual)):
        assert load("tv", each).keywords["lam"] == tuned("tv", each)["lam"] == lam
        assert differentiable("tv", each).keywords["lam"] == lam
        assert [one.load().keywords["lam"] for one in groups.variants("tv", each)] == [lam, lam / 2, 2 * lam]
        assert [one.load().keywords["lam"] for one in pathologies.members("corrected", "tv", each)][0] == lam
    assert load("tv", item, lam=1.0).keywords["lam"] == 1.0
    assert load("sigpy-tv", item).keywords["lam"] == LAM
    assert load("wavelet", item).keywords["lam"] == tuned("wavelet", "knee")["lam"]


def test_the_command_that_finds_a_weight_can_be_pasted(scans, capsys):
    scans.rename("my scans")
    say_once.cache_clear()
    load("tv", open_data("my scans")[0])
    assert f"helpers tune tv --data '{scans.with_name('my scans')}' finds" in capsys.readouterr().err


def test_tables_depend_on_it_whether_the_folder_a_part_or_a_whole_of_it_is_named(scans):
    for data in ("scans", "scans/multicoil_test", "."):
        before = depends("tv", [data])
        keep(scans)
        assert depends("tv", [data])["lam"] == before["lam"] | {str(scans): LAM}
        methods.READERS.unlink()
    keep(scans)
    assert depends("tv", ["others", "knee"]) == depends("tv", ["brain"]) == before
    assert depends("wavelet", ["scans"]) == depends("wavelet")


FACTORS = ["factors", "--methods", "tv", "--factors", "noise", "--volumes", "1", "--acquisition", "", "--data"]


@pytest.mark.parametrize("command", [["evaluate", "tv", "--data"], FACTORS], ids=["evaluate", "factors"])
def test_a_table_is_measured_again_with_it(scans, command):
    for data, again in (("scans", True), ("others", False)):
        ssim = []
        methods.READERS.unlink(missing_ok=True)
        for _ in range(2):
            assert main([*command, data, "--profile", "smoke", "--table", f"{data}.csv"]) == 0
            ssim.append(pd.read_csv(f"{data}.csv")["ssim"])
            keep(scans)
        assert (ssim[0] != ssim[1]).all() == again


def test_a_copy_elsewhere_is_measured_again_in_the_table_of_what_was_tuned(scans):
    """A slice is known by what it is, and its weight by where it lies."""
    shutil.rmtree("others")
    shutil.copytree("scans", "others")
    keep(scans)
    ssim = {}
    for data, table in (("scans", "one"), ("others", "one"), ("others", "two"), ("scans", "one")):
        assert main(["evaluate", "tv", "--data", data, "--table", f"{table}.csv"]) == 0
        rows = pd.read_csv(f"{table}.csv")
        assert len(rows) == 2
        ssim.setdefault((data, table), rows["ssim"].tolist())
    assert ssim["scans", "one"] != ssim["others", "one"] == ssim["others", "two"]
    assert rows["ssim"].tolist() == ssim["scans", "one"]


def test_attacks_run_with_it_and_refuse_a_table_of_another(scans, capsys):
    command = ["transfer", "--methods", "tv", "--volumes", "1", "--eps", ".02", "--steps", "1", "--acquisition", ""]
    command += ["--protocol", "corrected", "--data", "scans", "--table"]
    assert main([*command, "before.csv"]) == 0
    keep(scans)
    assert main([*command, "before.csv"]) == 2 and str(LAM) in capsys.readouterr().err
    assert main([*command, "after.csv"]) == 0
    before, after = (pd.read_csv(f"{name}.csv") for name in ("before", "after"))
    assert (before["ssim"] != after["ssim"]).all()


def test_a_peer_runs_with_the_weight_of_our_method_which_is_what_is_tuned(scans, capsys):
    item = open_data(scans)[0]
    methods.tuned_on("sigpy-tv", item)
    assert "python -m helpers tune tv --data" in capsys.readouterr().err
    assert main(["tune", "sigpy-tv", "--data", str(scans)]) == 2
    assert "sigpy-tv runs with the weight of tv; tune that" in capsys.readouterr().err
