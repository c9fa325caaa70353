"""A sweep over a notebook: a row a run, whoever is killed; what fails is kept, told, and tried again."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from test_workers import wait_for

from helpers import files
from helpers.__main__ import main
from helpers.experiments import sweeps

DOT = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
CELLS = [
    ("parameters", 'a = 1\nb = "x"\nfails = -1'),
    ("", "import os, time\nfrom pathlib import Path\nfrom IPython.display import Markdown, display"),
    ("", "Path(f'{os.getpid()}.pid').touch()\ntime.sleep(0.2)\nassert a != fails, f'a is {a}'"),
    # as `figures.say` does, which takes seconds to import
    ("", "display(Markdown(f'twice {a}'), metadata={'numbers': {'twice': 2 * a}})"),
    ("", f"import base64\nfrom IPython.display import Image\nImage(base64.b64decode('{DOT}'), format='png')"),
]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with a small notebook."""
    cells = [
        {
            "cell_type": "code",
            "id": f"c{number}",
            "metadata": {"tags": [tag]} if tag else {},
            "source": source,
            "outputs": [],
            "execution_count": None,
        }
        for number, (tag, source) in enumerate(CELLS)
    ]
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    notebook = {"cells": cells, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}
    (tmp_path / "note.ipynb").write_text(json.dumps(notebook))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("0.01,0.02", [0.01, 0.02]),
        ("unet,wavelet", ["unet", "wavelet"]),
        ("3", [3]),
        ("['a', 'b'],['c']", [["a", "b"], ["c"]]),
        ("1,x", [1, "x"]),
        ("", []),
    ],
)
def test_values_are_numbers_lists_or_words(text, found):
    assert sweeps.values("a", text) == found


def test_a_sweep_has_a_row_a_copy_and_a_page_of_every_run(here, capsys):
    command = ["sweep", "note.ipynb", "-p", "a=1,2", "-p", "b=x,y", "--out", "out"]
    assert main([*command, "--json"]) == 0
    rows = pd.read_csv("out/sweep.csv")
    assert len(rows) == 4 and (rows["twice"] == 2 * rows["a"]).all() and set(rows["b"]) == {"x", "y"}
    assert [json.loads(line)["state"] for line in capsys.readouterr().out.splitlines()] == ["done"] * 4
    copies = {path.stem for path in (here / "out" / "runs").iterdir()}
    assert copies == set(rows["run"]), "no part and no log is left"
    page = (here / "out" / "index.html").read_text()
    assert page.count("<img") == 4 and "://" not in page and "4 runs of note.ipynb, 0 failed" in page
    before = {path: path.stat().st_mtime_ns for path in (here / "out" / "runs").iterdir()}
    assert main([*command, "-p", "fails=-1"]) == 0  # the grid has a further parameter: other runs
    assert len(pd.read_csv("out/sweep.csv")) == 8
    assert main(command) == 0
    assert all(path.stat().st_mtime_ns == time_ for path, time_ in before.items()), "finished runs are skipped"


def test_what_fails_keeps_its_traceback_is_told_and_is_tried_again(here, capsys):
    command = ["sweep", "note.ipynb", "-p", "a=1,2,3", "-p", "fails=2", "--out", "out"]
    assert main(command) == 1
    rows = pd.read_csv("out/sweep.csv")
    assert rows.set_index("a")["state"].to_dict() == {1: "done", 2: "failed", 3: "done"}
    (kept,) = (here / "out" / "failed").glob("*.ipynb")
    assert "AssertionError" in kept.read_text()
    said = capsys.readouterr().err.splitlines()[-1]
    assert said == f"out/failed/{kept.name}: AssertionError: a is 2"
    assert "a is 2" in (here / "out" / "index.html").read_text()
    assert main(command) == 1 and len(pd.read_csv("out/sweep.csv")) == 3
    assert main(["sweep", "note.ipynb", "-p", "a=4", "-p", "fails=2", "--out", "out"]) == 0
    rows = pd.read_csv("out/sweep.csv")
    assert rows.set_index("a")["state"][2] == "failed" and len(rows) == 4, "another grid forgets no failure"


def test_a_run_is_made_anew_where_what_its_parameters_name_has_changed(here, capsys):
    """A folder of scans, or a module beside the notebook: the numbers of what was there before are not its own."""
    place = here / "scans" / "multicoil_test"
    place.mkdir(parents=True)
    (here / "named_by_a_sweep.py").write_text("def reconstruct(kspace, mask): ...\n")
    changes = [
        ("scans", lambda: (place / "scan.h5").write_bytes(b"one")),
        (
            "named_by_a_sweep:reconstruct",
            lambda: (here / "named_by_a_sweep.py").write_text("def reconstruct(kspace, mask): return 0\n"),
        ),
    ]
    for value, change in changes:
        command = ["sweep", "note.ipynb", "-p", f"b={value},y", "--out", value.replace(":", "-"), "--json"]
        made = []
        for step in (None, None, change):
            step and step()
            capsys.readouterr()
            assert main(command) == 0
            out, err = capsys.readouterr()
            assert ("1 runs of" in err and "made anew" in err) == (step is not None)
            assert not any("named" in json.loads(line) for line in out.splitlines())
            made.append(pd.read_csv(f"{value.replace(':', '-')}/sweep.csv").set_index("b")["seconds"])
        assert made[0].equals(made[1]) and made[2]["y"] == made[1]["y"] and made[2][value] != made[1][value]


def test_a_table_that_does_not_say_what_its_runs_read_is_gone_on_with(here, capsys):
    (here / "scan.h5").write_bytes(b"one")
    command = ["sweep", "note.ipynb", "-p", "b=scan.h5,y", "--out", "out"]
    assert main(command) == 0
    before = pd.read_csv("out/sweep.csv").drop(columns="named").set_index("b", drop=False)
    before.to_csv("out/sweep.csv", index=False)
    assert main(command) == 0 and "1 runs of" in capsys.readouterr().err
    after = pd.read_csv("out/sweep.csv").set_index("b")
    assert after.loc["y", "seconds"] == before.loc["y", "seconds"]
    assert after.loc["scan.h5", "seconds"] != before.loc["scan.h5", "seconds"]


def test_words_are_values_of_any_parameter(here, capsys):
    """Also of one that is called as a column of numbers is elsewhere: the table is gone on with."""
    notebook = (here / "note.ipynb").read_text()
    (here / "note.ipynb").write_text(notebook.replace('a = 1\\nb = \\"x\\"', "a = 1\\nseed = 0"))
    words = ["sweep", "note.ipynb", "-p", "seed=0,'x',0", "--out", "swept", "--json"]
    for _ in range(2):
        assert main(words) == 0
        found = [str(json.loads(line)["seed"]) for line in capsys.readouterr().out.splitlines()]
        assert sorted(found) == ["0", "x"]


def test_what_cannot_be_swept_is_said_before_anything_starts(here, capsys):
    for words, more in (
        ("has no parameter 'c'; it has a, b, fails", ["-p", "c=1"]),
        ("-p takes NAME=VALUES, not 'a'", ["-p", "a"]),
        ("-p a has no value", ["-p", "a="]),
        ("-p a is given twice", ["-p", "a=1", "-p", "a=2"]),
    ):
        assert main(["sweep", "note.ipynb", *more, "--out", "out"]) == 2
        assert words in capsys.readouterr().err and not (here / "out").exists()
    assert main(["sweep", "nowhere.ipynb", "--out", "out"]) == 2
    assert "there is no notebook nowhere.ipynb" in capsys.readouterr().err


def children(process: int) -> list[int]:
    """The processes that descend from one."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents.setdefault(int(fields[1]), []).append(int(path.parent.name))
    found, todo = [], [process]
    while todo:
        below = parents.get(todo.pop(), [])
        found += below
        todo += below
    return found


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="processes are found in /proc")
def test_no_run_is_lost_or_doubled_whoever_is_killed(here):
    """kill -9 of a kernel, of a worker and of the driver, then started again: as a sweep without faults."""
    values = ",".join(map(str, range(12)))
    command = ["sweep", "note.ipynb", "-p", f"a={values}", "-p", "b=x,y", "--jobs", "2"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    table = here / "out" / "sweep.csv"

    def length():
        return len(pd.read_csv(table)) if table.is_file() else 0

    run = [sys.executable, "-m", "helpers", *command, "--out", "out"]
    with subprocess.Popen(run, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as driver:
        wait_for(lambda: length() >= 2)
        kernels = [int(path.stem) for path in here.glob("*.pid") if files.running(int(path.stem))]
        wait_for(lambda: any(files.running(int(path.stem)) for path in here.glob("*.pid")))
        kernels = [int(path.stem) for path in here.glob("*.pid") if files.running(int(path.stem))]
        os.kill(kernels[0], signal.SIGKILL) if kernels else None
        before = length()
        wait_for(lambda: length() >= before + 3)
        workers = [each for each in children(driver.pid) if "spawn_main" in Path(f"/proc/{each}/cmdline").read_text()]
        os.kill(workers[-1], signal.SIGKILL)
        before = length()
        wait_for(lambda: length() >= before + 3)
        driver.kill()
    time.sleep(1)
    assert 0 < length() < 24
    assert main([*command, "--out", "out"]) == 0
    found = pd.read_csv("out/sweep.csv")
    assert len(found) == 24 and (found["twice"] == 2 * found["a"]).all() and (found["state"] == "done").all()
    assert set(zip(found["a"], found["b"])) == {(a, b) for a in range(12) for b in "xy"}
    copies = [path.name for path in (here / "out" / "runs").glob("*.ipynb")]
    assert sorted(copies) == sorted(f"{name}.ipynb" for name in found["run"])


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["text.md", "-p", "a=1"], "is no notebook"),
        (["list.json", "-p", "a=1"], "is no notebook"),
        (["note.ipynb", "-p", "a={0,1}"], "holds what is no number"),
        (["note.ipynb", "-p", "a=1j"], "holds what is no number"),
        (["note.ipynb", "-p", "a=1", "--out", "site"], "is there and not of a sweep"),
    ],
)
def test_what_is_no_notebook_no_value_or_somebody_elses_is_a_sentence(here, capsys, words, sentence):
    (here / "text.md").write_text("# words")
    (here / "list.json").write_text("[1]")
    (here / "site").mkdir()
    (here / "site" / "index.html").write_text("mine")
    assert main(["sweep", "--out", "out", *words]) == 2
    assert sentence in capsys.readouterr().err
    assert (here / "site" / "index.html").read_text() == "mine"


def test_a_run_whose_name_looks_like_a_number_is_one(here, monkeypatch):
    monkeypatch.setattr(sweeps, "key", lambda parameters: f"{parameters['a']:012d}")
    assert main(["sweep", "note.ipynb", "-p", "a=351", "--out", "out"]) == 0
    copy = here / "out" / "runs" / "000000000351.ipynb"
    before = copy.stat().st_mtime_ns
    assert main(["sweep", "note.ipynb", "-p", "a=351,352", "--out", "out"]) == 0
    assert copy.stat().st_mtime_ns == before
