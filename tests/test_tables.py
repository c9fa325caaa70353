"""Long tables: what their rows depend on is kept beside them, and rows of another run are never mixed in."""

import json
import os
import signal

import pandas as pd
import pytest

from helpers.__main__ import main
from helpers.errors import BadInput
from helpers.experiments import tables
from helpers.experiments.provenance import provenance
from helpers.experiments.tables import Table, measured


def table(path, depends=(("profile", "smoke"),), **methods) -> Table:
    return Table(path, ["method", "volume"], lambda n: provenance("made", 0, n), dict(depends), methods)


@pytest.fixture
def kept(tmp_path):
    path = tmp_path / "kept.csv"
    made = table(path, tv={"lam": 0.1}, sense={})
    made.add([{"method": "tv", "volume": "001", "ssim": 0.5}, {"method": "sense", "volume": "001", "ssim": 0.4}])
    return path


def test_what_was_kept_comes_back_and_a_volume_named_001_is_no_number(kept):
    again = table(kept, tv={"lam": 0.1})
    assert again.have == {("tv", "001"), ("sense", "001")}
    again.add([{"method": "tv", "volume": "002", "ssim": 0.6}])
    assert tables.read(kept)["volume"].tolist() == ["001", "001", "002"]
    assert json.loads(kept.with_suffix(".json").read_text())["methods"] == {"tv": {"lam": 0.1}, "sense": {}}


def test_rows_of_a_method_that_has_changed_are_measured_again(kept):
    assert table(kept, tv={"lam": 0.2}).have == {("sense", "001")}
    assert table(kept, sense={}).have == {("tv", "001"), ("sense", "001")}  # not asked for: what is there stays


@pytest.mark.parametrize("depends", [[("profile", "laptop")], [("profile", "smoke"), ("steps", 3)], []])
def test_rows_of_other_settings_are_refused(kept, depends):
    before = kept.read_bytes(), kept.with_suffix(".json").read_bytes()
    with pytest.raises(BadInput, match="was measured with"):
        table(kept, depends)
    assert (kept.read_bytes(), kept.with_suffix(".json").read_bytes()) == before


def test_a_table_that_nothing_is_known_of_is_refused(kept):
    kept.with_suffix(".json").unlink()
    with pytest.raises(BadInput, match="nothing says what"):
        table(kept)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b'a,b\n1,2,3\n"'])
def test_a_file_that_is_no_table_is_refused(tmp_path, content):
    (tmp_path / "kept.csv").write_bytes(content)
    with pytest.raises(BadInput, match="is no table"):
        table(tmp_path / "kept.csv")


def test_columns_keep_their_order_when_a_value_is_unknown(tmp_path):
    made = table(tmp_path / "kept.csv")
    for snr in (None, 3.0, None):
        made.add([{"method": "tv", "volume": f"{snr}", "snr": snr, "ssim": 0.5}])
    assert list(pd.read_csv(tmp_path / "kept.csv")) == ["method", "volume", "snr", "ssim"]


def test_a_result_says_on_which_machine_it_was_made():
    made = provenance("made", 0, 3)
    assert made["processor"] and made["versions"]["torch"] and made["commit"] is not None


def test_two_runs_with_other_settings_do_not_share_a_table(tmp_path, capsys):
    """The case that was found: one quick run begins a table, which a thorough one then signs without measuring."""
    path, some = tmp_path / "transfer.csv", ["--volumes", "1", "--eps", "0.02", "--protocol", "corrected"]
    quick = ["transfer", "--profile", "smoke", "--methods", "unet", "--steps", "1", *some, "--table", str(path)]
    assert main(quick) == 0
    before = path.read_bytes()
    for change, word in (
        (["--methods", "unet", "sense"], "methods"),
        (["--steps", "2"], "steps"),
        (["--seed", "7"], "seed"),
        (["--acquisition", ""], "acquisition"),
    ):
        assert main([*quick, *change]) == 2
        assert f"was measured with {word}" in capsys.readouterr().err.splitlines()[-1]
    assert path.read_bytes() == before


def killed(arguments) -> list:
    os.kill(os.getpid(), signal.SIGKILL)


def interrupted(arguments) -> list:
    raise BadInput("a piece has failed")


def test_a_process_that_is_killed_at_its_work_is_a_sentence_and_no_endless_wait(tmp_path):
    empty = table(tmp_path / "kept.csv")
    with pytest.raises(BadInput, match="a process ended in the middle of its work"):
        measured(empty, [(("tv", "001"), ())], killed)
    with pytest.raises(BadInput, match="a piece has failed"):
        measured(empty, [(("tv", str(number)), ()) for number in range(4)], interrupted, jobs=2)
