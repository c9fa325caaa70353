"""`evaluate` and `tune` at the command line: a reader's own method, resumption, and what is kept where."""

import json
import shlex
import sys
from dataclasses import replace

import h5py
import pandas as pd
import pytest

from helpers import errors, methods
from helpers.__main__ import main
from helpers.data.scanner import draw_volume
from helpers.experiments import evaluate, tuning
from helpers.methods import tuned
from helpers.mri import metrics
from helpers.networks import zoo
from helpers.profiles import profile

SMALL = ["--profile", "smoke", "--volumes", "2"]


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A module of a reader's in the current folder."""
    (tmp_path / "mine.py").write_text(
        "from helpers.methods import load\n"
        "def half(kspace, mask):\n    return 0.5 * load('zero-filled')(kspace, mask)\n"
        "def broken(kspace, mask):\n    return 1 / 0\n"
        "number = 3\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [""] + sys.path)
    yield tmp_path
    sys.modules.pop("mine", None)


def test_a_method_of_ones_own_beside_ours(mine, capsys):
    assert main(["evaluate", "zero-filled", "mine:half", "--data", "knee", *SMALL, "--slices", "1", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["method"] for row in rows] == ["zero-filled", "mine:half"]
    assert rows[0]["mean"] > rows[1]["mean"] and rows[0]["n"] == rows[0]["volumes"] == 2


def test_what_is_measured_is_not_measured_again(mine):
    arguments = ["evaluate", "zero-filled", "--data", "knee", *SMALL, "--slices", "1", "--table", "kept.csv"]
    assert main(arguments) == 0
    before = pd.read_csv("kept.csv")
    assert main([*arguments[:1], "mine:half", *arguments[1:]]) == 0
    after = pd.read_csv("kept.csv")
    pd.testing.assert_frame_equal(after[after["method"] == "zero-filled"].reset_index(drop=True), before)
    made = json.loads((mine / "kept.json").read_text())
    assert made["n"] == len(after) == 4 and made["command"].startswith("python -m helpers evaluate mine:half")


def test_a_network_with_new_weights_is_measured_again(mine):
    arguments = [
        "evaluate",
        "zero-filled",
        "unet-knee",
        "--data",
        "knee",
        *SMALL,
        "--slices",
        "1",
        "--table",
        "kept.csv",
    ]
    assert main(arguments) == 0
    before, made = pd.read_csv("kept.csv"), json.loads((mine / "kept.json").read_text())
    assert made["methods"]["unet-knee"] == {"weights": zoo.card("unet-knee")["sha256"]}
    pd.DataFrame(before.assign(ssim=0.5)).to_csv("kept.csv", index=False)
    made["methods"]["unet-knee"]["weights"] = "of an earlier training"
    (mine / "kept.json").write_text(json.dumps(made))
    assert main([each for each in arguments if each != "unet-knee"]) == 0  # not asked for: what is there stays
    assert (pd.read_csv("kept.csv")["ssim"] == 0.5).all()
    assert main(arguments) == 0
    after = pd.read_csv("kept.csv").set_index(["method", "volume"])["ssim"]
    before = before.set_index(["method", "volume"])["ssim"]
    assert (after["zero-filled"] == 0.5).all() and after["unet-knee"].equals(before["unet-knee"])


def test_an_origin_that_cannot_be_read_is_a_sentence(mine, capsys):
    (mine / "kept.csv").write_text("method,volume,slice,seed,ssim\ntv,a,0,0,0.5\n")
    for words in ("{", "[]"):
        (mine / "kept.json").write_text(words)
        assert main(["evaluate", "zero-filled", "--data", "knee", *SMALL, "--table", "kept.csv"]) == 2
        assert "kept.json is there and not of this command" in capsys.readouterr().err.splitlines()[-1]


def test_several_masks_are_several_rows(mine, capsys):
    arguments = ["evaluate", "zero-filled", "--data", "knee", *SMALL, "--slices", "1", "--table", "kept.csv", "--seed"]
    assert main([*arguments, "1"]) == 0
    assert main([*arguments, "0", "1"]) == 0
    rows = pd.read_csv("kept.csv")
    assert rows["seed"].tolist() == [0, 0, 1, 1] and not rows.duplicated(["volume", "seed"]).any()
    assert rows.groupby("volume")["ssim"].nunique().eq(2).all()  # other masks, other images
    assert json.loads((mine / "kept.json").read_text())["seed"] == [0, 1]
    capsys.readouterr()
    assert main([*arguments, "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["mean"] == pytest.approx(rows[rows["seed"] == 1]["ssim"].mean())


def test_a_scan_with_a_mask_of_its_own_is_measured_once_whatever_the_seeds(mine, capsys):
    """Each would give the same row again."""
    (item,) = draw_volume("knee", 0, profile("smoke"), 1)
    with h5py.File("scan.h5", "w") as file:
        file["kspace"] = (item.kspace * evaluate.mask_of(item))[None].numpy()
        file["reconstruction_rss"] = item.target[None].numpy()
    command = ["evaluate", "zero-filled", "--data", "scan.h5", "--json", "--table", "kept.csv", "--seed"]
    for seeds in (["3", "4"], ["4", "5"]):
        assert main([*command, *seeds]) == 0
        assert json.loads(capsys.readouterr().out)["n"] == len(pd.read_csv("kept.csv")) == 1
    assert pd.read_csv("kept.csv")["seed"].tolist() == [3]


def test_a_table_of_another_kind_is_a_sentence_and_stays(mine, capsys):
    (mine / "kept.csv").write_text("method,volume,slice,ssim\ntv,a,0,0.5\n")
    assert main(["evaluate", "zero-filled", "--data", "knee", *SMALL, "--table", "kept.csv"]) == 2
    assert "no column identity" in capsys.readouterr().err.splitlines()[-1]
    assert (mine / "kept.csv").read_text().endswith("0.5\n")


@pytest.mark.parametrize(
    "method, words",
    [
        ("mine:broken", "ZeroDivisionError"),
        ("mine:number", "is not a function"),
        ("mine:nothing", "cannot be imported"),
        ("nowhere:half", "cannot be imported"),
        ("magic", "there is no method"),
    ],
)
def test_a_method_that_does_not_work_is_a_sentence(mine, capsys, method, words):
    assert main(["evaluate", method, "--data", "knee", *SMALL]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert words in error and "Traceback" not in error


def test_tuning_keeps_its_find_and_its_sweep(tmp_path, monkeypatch, capsys):
    kept, table = tmp_path / "tuned.json", tmp_path / "sweep.csv"
    monkeypatch.setattr(methods, "TUNED", kept)
    monkeypatch.setattr(tuning.sweep, "__defaults__", ((0.1, 5.0), 0, ()))
    assert main(["tune", "tv", "--source", "knee", *SMALL, "--table", str(table), "--json"]) == 0
    found = json.loads(kept.read_text())["tv"]["knee"]
    assert found["lam"] == 0.1 and found["n"] == 2 and found["command"].startswith("python -m helpers tune tv")
    assert json.loads(capsys.readouterr().out)["lam"] == 0.1
    sweep = pd.read_csv(table)
    assert len(sweep) == 4 and json.loads(table.with_suffix(".json").read_text())["n"] == 4
    monkeypatch.setattr(evaluate, "measure", None)  # nothing is measured again
    assert main(["tune", "tv", "--source", "knee", *SMALL, "--table", str(table)]) == 0
    assert pd.read_csv(table).equals(sweep)


def test_a_folder_of_a_readers_is_tuned_for_itself_alone(tmp_path, monkeypatch, capsys):
    shipped, kept = methods.TUNED.read_bytes(), tmp_path / "kept" / "tuned.json"
    monkeypatch.setattr(methods, "READERS", kept)
    monkeypatch.setattr(tuning.sweep, "__defaults__", ((0.123, 5.0), 0, ()))
    assert (
        main(["data", str(tmp_path), "--profile", "smoke", "--volumes", "1", "--split", "train", "--slices", "2"]) == 0
    )
    assert main(["tune", "tv", "--source", str(tmp_path), "--volumes", "1"]) == 0
    assert methods.TUNED.read_bytes() == shipped and tuned("tv", "knee")["lam"] != 0.123
    assert tuned("tv", str(tmp_path))["lam"] == json.loads(kept.read_text())["tv"][str(tmp_path)]["lam"] == 0.123
    scan = str(tmp_path / "multicoil_train" / "knee-train-0000.h5")
    capsys.readouterr()
    ssim = []
    for more in ([], ["--tuned-on", "knee"], ["--tuned-on", str(tmp_path)]):
        assert main(["reconstruct", scan, "--method", "tv", "--slice", "0", "--json", *more]) == 0
        ssim.append(json.loads(capsys.readouterr().out)["ssim"])
    assert ssim[0] == ssim[2] != ssim[1]


def test_all_of_a_folder_is_evaluated(tmp_path, capsys):
    assert main(["data", str(tmp_path), "--profile", "smoke", "--volumes", "1", "--slices", "4"]) == 0
    capsys.readouterr()
    for more, n in (([], 4), (["--slices", "2"], 2)):
        assert main(["evaluate", "zero-filled", "--data", str(tmp_path), "--json", *more]) == 0
        assert json.loads(capsys.readouterr().out)["n"] == n


def test_only_methods_with_a_weight_are_tuned(capsys):
    assert main(["tune", "sense", "--source", "knee", *SMALL]) == 2
    assert "no option 'lam'" in capsys.readouterr().err


def test_shipped_weights_say_where_they_come_from():
    for method in ("wavelet", "tv"):
        for source in ("knee", "brain", "stanford"):
            found = tuned(method, source)
            assert found["command"].startswith("python -m helpers tune") and found["n"] >= 12
            assert min(tuning.GRID) < found["lam"] < max(tuning.GRID)  # an optimum at the edge is none


@pytest.mark.slow
def test_the_settings_of_an_un_trained_network_are_tried_one_at_a_time(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(tuning.around, "__defaults__", ({"steps": (10, 20), "mu": (0.1,)}, 0))
    monkeypatch.setitem(tuning.FITS, "convdecoder", replace(tuning.FITS["convdecoder"], steps=20))
    command = ["tune", "convdecoder", "--profile", "smoke", "--volumes", "1", "--table", str(tmp_path / "kept.csv")]
    assert main(command) == 0
    rows = pd.read_csv(tmp_path / "kept.csv")
    tried = sorted(zip(rows["setting"], rows["value"], strict=True))
    assert tried == [("mu", 0.03), ("mu", 0.1), ("steps", 10), ("steps", 20)]
    usual = rows[(rows["setting"] + rows["value"].astype(str)).isin(["mu0.03", "steps20.0"])]
    assert usual["ssim"].nunique() == 1 and rows["ssim"].nunique() == 3
    assert main(command) == 0 and pd.read_csv(tmp_path / "kept.csv").equals(rows)
    assert main(["tune", "convdecoder", "tv"]) == 2
    assert "commands of their own" in capsys.readouterr().err


def test_who_falls_below_zero_filled_is_told_so(mine, capsys):
    """One hot pixel leaves SSIM where it was, and PSNR far below what is there without any reconstruction."""
    (mine / "mine.py").write_text(
        "from helpers.methods import load\n"
        "def hot(kspace, mask):\n"
        "    image = load('zero-filled')(kspace, mask)\n"
        "    image[64, 36] = 20 * image.max()\n"
        "    return image\n"
    )
    command = ["evaluate", "zero-filled", "mine:hot", "--data", "knee", *SMALL, "--slices", "1", "--table", "kept.csv"]
    assert main(command) == 0
    said = capsys.readouterr().err
    assert "mine:hot falls below zero-filled in PSNR on 2 of 2 slices of knee" in said
    assert "zero-filled falls" not in said
    rows = pd.read_csv("kept.csv").set_index("method")
    assert (rows.loc["mine:hot", "maximum"] > 5).all() and (rows.loc["zero-filled", "maximum"] < 1.5).all()


def test_a_batch_of_slices_gives_the_rows_of_each(tmp_path, monkeypatch):
    """Whatever the volumes; a batch ends with its volume."""
    monkeypatch.chdir(tmp_path)
    words = ["evaluate", "unet", "wavelet", "--data", "knee", "--profile", "smoke", "--volumes", "2", "--slices", "3"]
    for batch in ("1", "2"):
        assert main([*words, "--batch", batch, "--table", f"{batch}.csv"]) == 0
    one, other = (pd.read_csv(f"{batch}.csv") for batch in (1, 2))
    keys = ["method", "volume", "slice"]
    assert len(one) == 12 and one[keys].equals(other[keys])
    # a network to rounding; l1, should rounding move its stop by a step, to the .001 that the stop leaves
    for method, to in {"unet": 1e-5, "wavelet": 1e-3}.items():
        for score in [each for each in metrics.SCORES if each in one]:
            rows, others = (each.loc[each["method"] == method, score].to_numpy() for each in (one, other))
            assert rows == pytest.approx(others, rel=to), (method, score)


def test_of_a_batch_only_slices_that_fail_are_lost(reader, capsys):
    name = reader(
        "from helpers.methods.zero_filled import reconstruct as plain\nseen = []\n\n"
        "def reconstruct(kspace, mask):\n    seen.append(float(abs(kspace).max()))\n"
        "    if seen.index(seen[-1]) == 1:\n        raise ValueError('the second')\n    return plain(kspace, mask)\n",
        "reader_batch",
    )
    words = ["--data", "knee", "--profile", "smoke", "--volumes", "1", "--slices", "4", "--batch", "4"]
    assert main(["evaluate", name, *words, "--table", "t.csv"]) == 1
    assert "1 of 4 slices are lost" in capsys.readouterr().err and len(pd.read_csv("t.csv")) == 3


def test_one_method_that_loses_everything_takes_no_other_with_it(mine, capsys):
    words = ["--data", "knee", *SMALL, "--slices", "1", "--json"]
    assert main(["evaluate", "mine:broken", "zero-filled", *words]) == 1
    out, err = capsys.readouterr()
    assert [json.loads(line)["method"] for line in out.splitlines()] == ["zero-filled"]
    assert "mine:broken: 2 of 2 slices are lost" in err
    assert main(["evaluate", "mine:broken", *words]) == 2
    out, err = capsys.readouterr()
    assert out == "" and "ZeroDivisionError" in err.splitlines()[-1]


def test_what_is_given_twice_is_measured_once(mine, capsys):
    words = ["--data", "knee", "knee", *SMALL, "--slices", "1", "--seed", "1", "0", "1", "--table", "a table.csv"]
    assert main(["evaluate", "zero-filled", "zero-filled", *words]) == 0
    assert len(pd.read_csv("a table.csv")) == 4
    command = shlex.split(json.loads((mine / "a table.json").read_text())["command"])
    assert command[3:7] == ["evaluate", "zero-filled", "--data", "knee"] and command[-1] == "a table.csv"
    assert command[-5:-2] == ["--seed", "1", "0"]


def test_the_command_that_tunes_can_be_run_again(mine, monkeypatch):
    monkeypatch.setattr(methods, "TUNED", mine / "tuned.json")
    monkeypatch.setattr(tuning.sweep, "__defaults__", ((0.1,), 0, ()))
    assert main(["tune", "tv", "--profile", "smoke", "--volumes", "1", "--seed", "3", "--table", "a table.csv"]) == 0
    for made in (json.loads((mine / "a table.json").read_text()), methods.tuned("tv", "knee")):
        assert shlex.split(made["command"])[-4:] == ["--seed", "3", "--table", "a table.csv"]
    assert main(["tune", "tv", "--limit", "5"]) == 2, "it would do nothing"


def test_a_readers_scan_is_reconstructed_with_what_was_tuned_on_it_or_it_is_said(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(methods, "READERS", tmp_path / "tuned.json")
    errors.say_once.cache_clear()
    assert main(["data", "scans", "--source", "knee", "--volumes", "1", "--profile", "smoke"]) == 0
    command = ["evaluate", "wavelet", "--data", "scans", "--table", "t.csv"]
    assert main(command) == 0
    assert f"tune wavelet --data {tmp_path / 'scans'} finds one for these" in capsys.readouterr().err
    before = pd.read_csv("t.csv")
    found = {"wavelet": {str(tmp_path / "scans"): {"lam": 3.0}}}
    (tmp_path / "tuned.json").write_text(json.dumps(found))
    assert main(command) == 0, "rows of another weight are measured again"
    after = pd.read_csv("t.csv")
    assert (after["ssim"] != before["ssim"]).all() and "tuned on drawn" not in capsys.readouterr().err
    ssim = {}
    for given in ([], ["--tuned-on", "scans"], ["--tuned-on", "knee"]):
        assert main(["reconstruct", "scans", "--method", "wavelet", "--slice", "0", "--json", *given]) == 0
        ssim[" ".join(given)] = json.loads(capsys.readouterr().out)["ssim"]
    assert ssim[""] == ssim["--tuned-on scans"] != ssim["--tuned-on knee"]
