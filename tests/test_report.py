"""A report on one method: all of it from one command, without a network, resumable, and honest about what was lost."""

import json
import os
import re
import shutil
import subprocess
import sys

import pandas as pd
import pytest

from helpers.__main__ import main
from helpers.commands import report as command
from helpers.experiments import report
from helpers.experiments.report import Tried
from helpers.findings import cards
from helpers.findings.reported import Report, more_robust

SOURCE = """
import os, time
import numpy as np

def reconstruct(kspace, mask):
    coils = np.fft.ifft2(np.fft.ifftshift(kspace.numpy(), axes=(-2, -1)), norm="ortho")
    return np.sqrt((np.abs(np.fft.fftshift(coils, axes=(-2, -1))) ** 2).sum(0))

def counts(kspace, mask):
    with open("seen.txt", "a") as file:
        file.write("x")
    return reconstruct(kspace, mask)

def fails(kspace, mask):
    if float(abs(kspace).max() * 1e6) % 10 < 1:  # one slice of ten, always the same
        raise ValueError("an odd slice")
    return reconstruct(kspace, mask)

def sleeps(kspace, mask):
    time.sleep(600)
"""
QUICK = ["--quick", "--profile", "smoke"]
FAST = Tried(0, False, None)
FEW = {"quality", "factors"}


def run(*words, **options):
    command = [sys.executable, "-m", "helpers", "report", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, **options)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with a module in it, and a quick report on it."""
    folder = tmp_path_factory.mktemp("reader")
    (folder / "mine.py").write_text(SOURCE)
    done = run("mine:counts", *QUICK, "--about", "root of the sum of squares", cwd=folder)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout == "report/report.html\n" and "mine:counts: " in done.stderr and "minutes" in done.stderr
    return folder


@pytest.mark.slow
def test_it_has_a_page_tables_figures_and_a_card(made):
    out = made / "report"
    card = cards.read(out / "card.json")
    assert card["method"] == "mine:counts" and card["lost"] == {} and not card["gradient"]
    assert set(cards.MEASURES) - set(card["measures"]) == {"hard"}, "slices of that size were not ranked"
    assert all(len(pd.read_csv(out / f"{name}.csv")) for name in (*cards.NEEDED, "audit"))
    figures = {path.name for path in (out / "figures").iterdir()}
    assert {"quality.png", "quality.pdf", "transfer.png", "shift-site.pdf", "features.png", "hidden.pdf"} <= figures
    page = (out / "report.html").read_text("utf8")
    assert "mine:counts" in page and "root of the sum of squares" in page and "Traceback" not in page
    assert page.count("data:image/png;base64,") >= 7 and "Not measured" not in page
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', page) and "<script" not in page
    assert {path.name for path in out.iterdir()} == {
        "report.html", "report.ipynb", "report.json", "card.json", "figures",
        *(f"{name}.{ending}" for name in (*cards.NEEDED, "audit") for ending in ("csv", "json")),
    }  # fmt: skip


@pytest.mark.slow
def test_images_are_about_as_many_as_was_said(made):
    counted = len((made / "seen.txt").read_text())
    said = sum(size.images for size in report.QUICK.values())
    assert counted < said < 2.5 * counted, "what passes no gradient needs fewer"


@pytest.mark.slow
def test_what_was_measured_is_not_measured_again(made):
    before = {path.name: path.read_bytes() for path in (made / "report").glob("*.csv")}
    (made / "report" / "factors.csv").write_text(before["factors.csv"].decode().partition("\n")[0] + "\n")
    seen = len((made / "seen.txt").read_text())
    assert run("mine:counts", *QUICK, cwd=made).returncode == 0
    after = {path.name: path.read_bytes() for path in (made / "report").glob("*.csv")}
    rows = {name: text for name, text in after.items() if name != "factors.csv"}
    assert rows == {name: before[name] for name in rows}
    again = len((made / "seen.txt").read_text()) - seen
    assert again == report.QUICK["factors"].images + 4, "and four of the trial"


@pytest.mark.slow
def test_a_method_that_fails_on_one_slice_in_ten_loses_those(made, monkeypatch):
    """Of two parts only: the others take minutes, and are told what was lost by the same lines."""
    few = {name: size for name, size in report.QUICK.items() if name in FEW}
    monkeypatch.setattr(report, "sizes", lambda *_: few)
    monkeypatch.chdir(made)
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    assert main(["report", "mine:fails", *QUICK, "--out", "fails"]) == 1
    card = cards.read(made / "fails" / "card.json")
    assert set(card["lost"]) == FEW and all("an odd slice" in sentence for sentence in card["lost"].values())
    page = (made / "fails" / "report.html").read_text("utf8")
    assert "Lost" in page and "an odd slice" in page and "Not measured" in page


def test_one_that_never_returns_is_told_in_a_sentence(made):
    done = run("mine:sleeps", *QUICK, "--limit", "1", "--out", "sleeps", cwd=made)
    assert done.returncode == 2 and "took longer than 1 s and was ended" in done.stderr.splitlines()[-1]
    assert not (made / "sleeps").exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["mine:nothing"], "cannot be imported"),
        (["mine:counts", "--data", "nowhere", "--out", "new"], "nowhere"),
        (["nothing"], "there is no method"),
        (["mine:counts", "--out", "mine.py"], "no folder"),
    ],
)
def test_bad_input_is_one_sentence(made, monkeypatch, capsys, words, sentence):
    monkeypatch.chdir(made)
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    assert main(["report", *words, "--quick"]) == 2
    assert sentence in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["mine:counts", "--seed", "1"], "holds a report of seed 0"),
        (["mine:counts", "--profile", "laptop"], "holds a report of profile smoke"),
        (["mine:counts", "--data", "knee"], "holds a report of data drawn"),
        (["mine:fails"], "holds a report of method mine:counts"),
        (["changed:counts"], "holds a report of"),
    ],
)
def test_two_reports_do_not_share_a_folder(made, monkeypatch, capsys, words, sentence):
    """Whose tables would mix, under the card of one of them; also not of two versions of a method."""
    monkeypatch.chdir(made)
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    mark = made / "report" / "report.json"
    begun = mark.read_text()
    if words == ["changed:counts"]:
        (made / "changed.py").write_text(SOURCE + "# a new version\n")
        mark.write_text(begun.replace("mine:counts", "changed:counts"))
        sentence = "another version of the method"
    before = {path: path.read_bytes() for path in (made / "report").rglob("*") if path.is_file()}
    assert main(["report", *words[:1], *QUICK, *words[1:]]) == 2
    assert sentence in capsys.readouterr().err.splitlines()[-1]
    assert {path: path.read_bytes() for path in (made / "report").rglob("*") if path.is_file()} == before
    mark.write_text(begun)


def test_nobody_elses_folder_is_written_to(made, monkeypatch, capsys):
    monkeypatch.chdir(made)
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    (made / "theirs").mkdir()
    (made / "theirs" / "report.html").write_text("of somebody else")
    assert main(["report", "mine:counts", *QUICK, "--out", "theirs"]) == 2
    assert "is not empty" in capsys.readouterr().err.splitlines()[-1]
    assert [path.name for path in (made / "theirs").iterdir()] == ["report.html"]


HELD = """
import sys, time
from pathlib import Path
from helpers.files import claimed
held = claimed(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(60)
"""


def test_two_processes_do_not_go_on_with_one_report(reader, tmp_path, monkeypatch, capsys):
    name, mark = reader(SOURCE, function="counts"), tmp_path / "both" / "report.json"
    monkeypatch.setattr(report, "tried", lambda *_: FAST)
    monkeypatch.setattr(report, "plan", lambda *_: {})  # nothing to measure
    mark.parent.mkdir()
    words = ["report", name, *QUICK, "--out", "both"]
    with subprocess.Popen([sys.executable, "-c", HELD, str(mark)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        with monkeypatch.context() as patch:
            patch.setattr(command, "_check_folder", lambda args: None)  # both have looked before one began
            assert main(words) == 2 and not mark.exists()
        assert "another process goes on with both" in capsys.readouterr().err.splitlines()[-1]
        other.kill()
    (mark.parent / ".report.json.lock").unlink()
    assert main(words) == 2 and "nothing was measured" in capsys.readouterr().err.splitlines()[-1]
    assert [path.name for path in mark.parent.iterdir()] == ["report.json"], "no lock is left"


def test_a_report_is_of_the_scans_that_it_was_begun_on(reader, monkeypatch, capsys):
    """Old rows would count beside those of the volume that has taken their place."""
    name = reader(SOURCE, function="counts")
    monkeypatch.setattr(report, "tried", lambda *_: FAST)
    monkeypatch.setattr(report, "plan", lambda *_: {})  # nothing to measure
    words = ["report", name, *QUICK, "--data", "knee.h5", "--out", "theirs"]
    for _ in range(2):
        assert main(words) == 2 and "nothing was measured" in capsys.readouterr().err.splitlines()[-1]
    os.utime("knee.h5", (1, 1))
    assert main(words) == 2
    assert "theirs holds a report of knee.h5 before scans changed there" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.skipif(os.geteuid() == 0 and not os.path.exists("/proc/mounts"), reason="needs Linux")
def test_a_folder_that_cannot_be_written_is_told(made):
    done = run("mine:counts", *QUICK, "--out", "/proc/report", cwd=made)
    assert done.returncode == 2 and len(done.stderr.strip().splitlines()[-1]) < 300 and "/proc" in done.stderr


def test_a_reader_with_few_volumes_is_asked_for_no_more(tmp_path):
    assert main(["data", str(tmp_path), "--volumes", "2", "--slices", "1", "--profile", "smoke"]) == 0
    for quick, one in ((True, "audit"), (False, "")):
        sizes = report.sizes(str(tmp_path), quick, "smoke", FAST, 1)
        plan = report.plan("zero-filled", str(tmp_path), sizes, "smoke")
        for name in ("factors", "transfer", "audit"):
            at = plan[name].words.index("--volumes") + 1
            assert plan[name].words[at] == ("1" if name == one else "2")
        assert plan["shifts"].words[:4] == ["shifts", "--from", "knee", "--to"]
        of_brains = report.plan("zero-filled", str(tmp_path), sizes, "smoke", "brain")
        assert of_brains["shifts"].words[:4] == ["shifts", "--from", "brain", "--to"]
        whole = (report.QUICK if quick else report.WHOLE)["transfer"]
        assert sizes["transfer"].images == round(2 / whole.volumes * whole.images)


def test_a_quick_report_on_a_slow_method_leaves_out_what_takes_longest():
    """Volumes of the attack, the audit, what hides, then steps; no more than has to be, and of the whole nothing."""
    seen = []
    for seconds in (0, 0.1, 0.2, 0.4, 0.8, 1.2, 5):
        slow = Tried(seconds, True, None)
        sizes = report.sizes(None, True, "laptop", slow, 2)
        assert report.sizes(None, False, "laptop", slow, 2) == report.WHOLE
        words = [*sizes["transfer"].words, "--steps", "40"]
        steps = int(words[words.index("--steps") + 1])
        seen.append((sizes["transfer"].volumes, "audit" in sizes, "hidden" in sizes["features"].words, steps))
        if seconds < 2:
            assert report.seconds(sizes, slow, 2) <= report.QUICKLY
    assert seen == sorted(seen, reverse=True) and seen[0] == (3, True, True, 40) and seen[-1] == (2, False, False, 4)
    assert len(set(seen)) > 4, "it is cut step by step"
    alone = report.sizes(None, True, "laptop", Tried(5, True, None), 1)
    assert alone["transfer"].volumes == 1, "which takes half as long on one core, and as long as two on two"


def test_no_method_is_ahead_by_an_attack_that_no_audit_carries(monkeypatch):
    """A method that loses nothing and passes no gradient is not the most robust one."""
    rows = [
        {"protocol": "corrected", "eps": 0.02, "volume": f"v{volume}", "slice": 1, "method": name,
         "attacked": attacked, "climbed": "none" if attacked in ("nothing", "noise") else "ssim",
         "ssim": 0.9 - (0.01 * volume + 0.1 * (name == "tv")) * (attacked == name)}
        for volume in range(8) for name in ("mine", "tv") for attacked in ("nothing", "noise", "mine", "tv")
    ]  # fmt: skip
    monkeypatch.setattr(Report, "name", "mine")
    monkeypatch.setattr(Report, "table", lambda *_: pd.DataFrame(rows))
    for trusted, verdict in (({"mine"}, "supported"), ({"tv"}, "no verdict, the attack on mine may be too weak")):
        monkeypatch.setattr(Report, "trusted", lambda *_, trusted=trusted: trusted)
        (cell,) = more_robust(Report.of(""))["eps 0.02"]
        assert cell.endswith(f": {verdict}"), cell


def test_a_short_attack_is_told_and_no_number_of_the_card(tmp_path):
    example = Report.of("").folder
    shutil.copytree(example, tmp_path / "report")
    whole = Report(tmp_path / "report")
    assert whole.steps == 40 and "steps" not in whole.summary() and whole.measures(whole.name) == whole.card["measures"]
    made = tmp_path / "report" / "transfer.json"
    made.write_text(made.read_text().replace("--steps 40", "--steps 4"))
    short = Report(tmp_path / "report")
    assert ", with 4 of the usual 40 steps: no number to rank it by" in short.summary()
    assert set(whole.card["measures"]) - set(short.measures(whole.name)) == {"attack"}, "a weak attack flatters"


@pytest.mark.slow
def test_shipped_numbers_stand_beside_those_of_the_example():
    """Its rows and ours are of the same slices."""
    example = Report.of("")
    quality = example.table("quality")
    assert {example.name, "unet", "varnet", "tv", "wavelet"} <= set(quality["method"])
    counts = quality[quality["method"].isin(["tv", example.name])].groupby(["method", "volume", "slice"]).size()
    assert (counts == 1).all() and len(counts) == 2 * (quality["method"] == example.name).sum()
    for name in ("quality", "factors", "shifts", "features"):
        rows = example.table(name)
        pictures = rows.groupby(["source" if "source" in rows else "volume", "volume", "slice"])["identity"].nunique()
        assert (pictures == 1).all(), name
    assert json.loads((example.folder / "card.json").read_text())["data"] == "drawn"


def test_numbers_under_other_masks_do_not_stand_beside_it(tmp_path):
    example = Report.of("").folder
    shutil.copytree(example, tmp_path / "report")
    card = json.loads((example / "card.json").read_text())
    assert Report(tmp_path / "report").known
    card["made_by"]["seed"] = 5
    (tmp_path / "report" / "card.json").write_text(json.dumps(card))
    other = Report(tmp_path / "report")
    assert not other.known and set(other.table("quality")["method"]) <= {other.name, "zero-filled", "wavelet"}


def test_a_shift_of_which_one_side_was_lost_is_told_and_left_out(root, tmp_path):
    shutil.copytree(root / "results" / "report", tmp_path / "report")
    rows = pd.read_csv(tmp_path / "report" / "shifts.csv")
    rows[(rows["shift"] != "site") | (rows["side"] == "in")].to_csv(tmp_path / "report" / "shifts.csv", index=False)
    whole, left = Report(root / "results" / "report"), Report(tmp_path / "report")
    assert {*whole.shifts()} - {*left.shifts()} == {("site", "knee")} and "one side alone" not in whole.summary()
    assert "shift site*: one side alone was measured" in left.summary()
