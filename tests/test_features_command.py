"""The command's other tables: curves, heat maps and their check, each resumed where it was."""

import pandas as pd
import pytest

from helpers.__main__ import main
from helpers.experiments import detection, heat_maps, shifts
from helpers.experiments.tables import read
from helpers.findings import heat_maps as regions
from helpers.profiles import profile

COMMAND = ["features", "--profile", "smoke", "--volumes", "1", "--stride", "16", "--tables", "t"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path / "t"


def test_heat_maps_are_of_all_pieces_whichever_run_measured_them(here, capsys):
    assert main([*COMMAND, "--only", "maps", "--methods", "zero-filled", "unet"]) == 0
    table = read(here / "heat_maps.csv")
    (item,) = shifts.slices("knee", profile("smoke"), 1)
    for protocol, names in (("corrected", {"zero-filled", "unet"}), ("published", {"unet"})):
        found = regions.of(table, item, protocol)
        assert set(found) == names and all(not each.isnan().any() for each in found.values())
    before = (here / "heat_maps.csv").read_bytes()
    lost = table[table["first"] != 2]  # as after a kill
    lost.to_csv(here / "heat_maps.csv", index=False)
    assert main([*COMMAND, "--only", "maps", "--methods", "zero-filled", "unet"]) == 0
    assert (here / "heat_maps.csv").read_bytes() == before


def test_curves_and_checks_have_a_readers_method_beside_the_shipped_ones(reader, here, capsys):
    name = reader(
        "from helpers.methods.zero_filled import reconstruct as plain\n\n"
        "def reconstruct(kspace, mask):\n    return plain(kspace, mask)\n",
        "curves_reader",
    )
    assert main([*COMMAND, "--only", "curves", "checks", "--methods", "zero-filled", name]) == 0
    curves, checks = pd.read_csv("t/detection.csv"), pd.read_csv("t/heat_map_checks.csv")
    assert len(curves) == 2 * len(detection.features()) and len(checks) == 2 * heat_maps.CHECKED
    ours, theirs = (curves[curves["method"] == each].reset_index() for each in ("zero-filled", name))
    assert ours["misses"].equals(theirs["misses"]) and ours["contrast"].equals(theirs["contrast"])
    # of a method of which nothing is known every image has one feature
    assert (checks["features"] == 1).all() and (checks["at_once"] == checks["alone"]).all()


def test_maps_of_one_protocol_leave_those_of_the_other(here, capsys):
    command = [*COMMAND, "--only", "maps", "--methods", "unet", "--protocol"]
    for protocol in ("published", "corrected", "published"):
        assert main([*command, protocol]) == 0
    capsys.readouterr()
    assert main([*COMMAND, "--only", "hidden", "curves", "checks", "--protocol", "published"]) == 2
    assert "published protocol has none" in capsys.readouterr().err
    assert set(read(here / "heat_maps.csv")["protocol"]) == {"published", "corrected"}
