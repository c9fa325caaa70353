"""Long tables: what their rows depend on is kept beside them, and rows of another run are never mixed in."""

import io
import json
import os
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest

from helpers import files
from helpers.__main__ import main
from helpers.errors import BadInput
from helpers.experiments import tables
from helpers.experiments.provenance import provenance
from helpers.experiments.tables import Table, measured
from helpers.experiments.workers import Workers


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


def rows_of(arguments):
    return [{"method": "tv", "volume": arguments[0]}]


def test_every_command_that_made_a_part_is_named_until_one_makes_it_all(tmp_path):
    """It is what the results' chapters say their numbers come from."""

    def run(command, *volumes):
        made = Table(tmp_path / "t.csv", ["method", "volume"], lambda n: provenance(command, 0, n), {})
        measured(made, [(("tv", each), (each,)) for each in volumes], rows_of, Workers())
        said = json.loads((tmp_path / "t.json").read_text())
        return [*said.get("earlier", []), said["command"]]

    assert run("a", "1", "2") == ["a"]
    assert run("b", "3") == ["a", "b"]
    assert run("b", "3", "4") == ["a", "b"]
    assert run("c", "1") == ["a", "b"]  # it has measured nothing
    assert run("d", "1", "2", "3", "4") == ["d"]
    assert run("e", "1", "2", "3", "4", "5") == ["e"]


def test_a_disk_that_is_full_does_not_make_old_rows_new_ones(kept, monkeypatch):
    """The rows of a method that has changed are measured again, also where the table could not be written."""
    again = table(kept, tv={"lam": 0.2})
    written = tables._as_text
    monkeypatch.setattr(tables, "_as_text", lambda *arguments: written(*arguments) * 0)  # stands for what fails

    def fails(source, path):
        if str(path).endswith(".csv"):
            raise OSError(28, "No space left on device")
        os.rename(source, path)

    monkeypatch.setattr(files.os, "replace", fails)
    with pytest.raises(OSError, match="No space"):
        again.add([{"method": "tv", "volume": "002", "ssim": 0.6}])
    monkeypatch.undo()
    assert table(kept, tv={"lam": 0.2}).have == {("sense", "001")}


OTHER = """
import sys, time
from pathlib import Path
from helpers.experiments.tables import Table
held = Table(Path(sys.argv[1]), ["method", "volume"], lambda n: {"n": n}, {"profile": "smoke"})
print("held", flush=True)
time.sleep(60)
"""


def test_two_processes_do_not_go_on_with_one_table(kept):
    with subprocess.Popen([sys.executable, "-c", OTHER, str(kept)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(BadInput, match="another process goes on with"):
            table(kept)
        other.kill()
    assert len(table(kept).have) == 2
    assert {path.name for path in kept.parent.iterdir()} == {"kept.csv", "kept.json"}, "no lock is left"


def test_what_was_measured_elsewhere_keeps_where_it_was(tmp_path):
    def run(device):
        made = Table(tmp_path / "t.csv", ["method", "volume"], lambda n: provenance("a", 0, n, device), {})
        measured(made, [(("tv", "1"), ("1",))], rows_of, Workers())
        return json.loads((tmp_path / "t.json").read_text())["device"]

    assert run("cuda") == run("cpu") == "cuda"


def test_rows_of_a_method_that_has_changed_are_measured_again(kept):
    assert table(kept, tv={"lam": 0.2}).have == {("sense", "001")}
    assert table(kept, sense={}).have == {("tv", "001"), ("sense", "001")}  # not asked for: what is there stays


def test_what_was_tuned_on_other_data_than_these_forgets_no_row(kept, capsys):
    """A weight of a folder that this command does not name is remembered, and counts where it is named again."""
    tuned = {"lam": {"knee": 0.1, "/a": 5.0}}
    made = table(kept, tv=tuned)
    assert "1 rows of tv" in capsys.readouterr().err and made.have == {("sense", "001")}
    made.add([{"method": "tv", "volume": "001", "ssim": 0.5}])
    del made
    for lam in ({"knee": 0.1}, {"knee": 0.1, "/a": 5.0}):
        again = table(kept, tv={"lam": lam})
        assert ("tv", "001") in again.have and again.methods["tv"] == tuned
    assert capsys.readouterr().err == ""
    assert ("tv", "001") not in table(kept, tv={"lam": {"knee": 0.1, "/a": 6.0}}).have


def test_levels_and_names_that_look_like_numbers_are_text(tmp_path):
    """Levels 1, 1.5 and, later, one in words: none becomes 1.0."""
    path = tmp_path / "t.csv"
    for level in ("1", "1.5", "as it is"):
        made = Table(path, ["factor", "method", "level"], lambda n: provenance("made", 0, n), {}, {"123": {}})
        made.add([{"factor": "noise", "method": "123", "level": level, "ssim": 0.5}])
        made.finish(ordered=True)
        del made
    assert tables.read(path)["level"].tolist() == ["1", "1.5", "as it is"]
    again = Table(path, ["method", "level"], lambda n: {}, {}, {"123": {}})
    assert again.have == {("123", "1"), ("123", "1.5"), ("123", "as it is")}


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


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b'a,b\n1,2,3\n"\n'])
def test_a_file_that_is_no_table_is_refused(tmp_path, content):
    (tmp_path / "kept.csv").write_bytes(content)
    with pytest.raises(BadInput, match="is no table"):
        table(tmp_path / "kept.csv")


def test_columns_keep_their_order_when_a_value_is_unknown(tmp_path):
    made = table(tmp_path / "kept.csv")
    for snr in (None, 3.0, None):
        made.add([{"method": "tv", "volume": f"{snr}", "snr": snr, "ssim": 0.5}])
    assert list(pd.read_csv(tmp_path / "kept.csv")) == ["method", "volume", "snr", "ssim"]


def test_rows_are_appended_as_a_table_that_is_written_anew_has_them(tmp_path):
    """Numbers, words that need quotes, what is unknown, and columns that only some rows have."""
    rows = [
        {"method": "tv", "volume": "001", "eps": 0.1 + 0.2, "label": 'a, "b"', "ssim": 1 / 3, "box": 0},
        {"method": "tv", "volume": "002", "eps": 1e-7, "ssim": None, "box": 1},
        {"method": "tv", "volume": "NA", "eps": 2.0, "label": "ä", "ssim": 0.5, "box": 2},
    ]
    made = table(tmp_path / "kept.csv")
    for row in rows:
        made.add([row])
    appended = (tmp_path / "kept.csv").read_bytes()
    assert json.loads((tmp_path / "kept.json").read_text())["n"] is None
    made.finish()
    assert (tmp_path / "kept.csv").read_bytes() == appended
    assert json.loads((tmp_path / "kept.json").read_text())["n"] == 3
    again = tables.read(tmp_path / "kept.csv")
    assert again["eps"].tolist() == [row["eps"] for row in rows] and again["volume"].tolist() == ["001", "002", "NA"]


def test_a_run_that_was_killed_is_counted_by_the_next_one(kept):
    made = table(kept, tv={"lam": 0.1})
    made.add([{"method": "tv", "volume": "002", "ssim": 0.6}])  # and is killed
    table(kept, tv={"lam": 0.1}).finish()
    assert json.loads(kept.with_suffix(".json").read_text())["n"] == 3
    before = kept.stat().st_ino
    table(kept, tv={"lam": 0.1}).finish()
    assert kept.stat().st_ino == before, "what is finished stays as it is"


def test_one_more_row_does_not_write_the_others_again(kept):
    made = table(kept, tv={"lam": 0.1})
    made.add([{"method": "tv", "volume": "002", "ssim": 0.6}])
    node, size = kept.stat().st_ino, kept.stat().st_size
    made.add([{"method": "tv", "volume": "003", "ssim": 0.6}])
    assert kept.stat().st_ino == node and kept.stat().st_size == size + len("tv,003,0.6\n")


def test_a_last_line_that_is_not_whole_is_measured_again(kept):
    with kept.open("ab") as file:
        file.write(b"tv,002,0.")
    made = table(kept, tv={"lam": 0.1})
    assert made.have == {("tv", "001"), ("sense", "001")}
    made.add([{"method": "tv", "volume": "002", "ssim": 0.6}])
    assert tables.read(kept)["ssim"].tolist() == [0.5, 0.4, 0.6]


def test_a_full_disk_leaves_what_was_there(kept, monkeypatch):
    made = table(kept, tv={"lam": 0.1})
    made.add([{"method": "tv", "volume": "002", "ssim": 0.6}])
    before = kept.read_bytes()

    class Full(io.FileIO):
        def write(self, data):
            return super().write(data[:3])  # as much as fits

    with monkeypatch.context() as full, pytest.raises(OSError, match="No space left"):
        full.setattr(type(kept), "open", lambda path, *_, **__: Full(path, "ab"))
        made.add([{"method": "tv", "volume": "003", "ssim": 0.6}])
    assert kept.read_bytes() == before


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
        measured(empty, [(("tv", "001"), ())], killed, Workers(2))
    with pytest.raises(BadInput, match="a piece has failed"):
        measured(empty, [(("tv", str(number)), ()) for number in range(4)], interrupted, Workers(2))


def test_no_process_outlives_a_driver_that_is_killed(tmp_path):
    """Its processes hold memory, and one would go on with a piece whose rows nobody takes."""
    (tmp_path / "driver.py").write_text(
        "import os, time\n"
        "from helpers.experiments.tables import Table, measured\n"
        "from helpers.experiments.workers import Workers\n"
        "def slow(arguments):\n"
        "    open(f'{os.getpid()}.pid', 'w').close()\n"
        "    time.sleep(600)\n"
        "if __name__ == '__main__':\n"
        "    measured(Table(None, ['key'], dict, {}), [((n,), ()) for n in range(2)], slow, Workers(2))\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, sys.path))}
    with subprocess.Popen(
        [sys.executable, "driver.py"], cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL
    ) as run:
        wait_for(lambda: len(list(tmp_path.glob("*.pid"))) == 2)
        run.kill()
    processes = [int(path.stem) for path in tmp_path.glob("*.pid")]
    wait_for(lambda: not any(map(files.running, processes)))


def wait_for(done) -> None:
    deadline = time.monotonic() + 60
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.05)
