"""Pieces of work on a cluster that is reached by its address: none is lost and none comes twice, whoever is killed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from helpers.__main__ import main
from helpers.errors import BadInput
from helpers.experiments import workers
from helpers.experiments.tables import read
from helpers.experiments.workers import MEMORY, Workers

MODULE = (
    "import time\nfrom pathlib import Path\nfrom helpers.methods.zero_filled import reconstruct as plain\n\n"
    "def slow(kspace, mask):\n    Path('begun').touch()\n    time.sleep(0.5)\n    return plain(kspace, mask)\n"
)


def doubled(arguments):
    return 2 * arguments[0]


def wait_for(done, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def cluster(request, tmp_path, monkeypatch):
    """A scheduler and two workers in processes of their own, in a folder with a reader's module: address, workers."""
    (tmp_path / "clustered.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    told = tmp_path / "scheduler.json"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, sys.path)])}
    dask = Path(sys.executable).with_name("dask")
    common = {"cwd": tmp_path, "env": environment, "stderr": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
    words = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(told)]
    runs = [subprocess.Popen([dask, "scheduler", *words], **common)]
    try:
        wait_for(told.is_file)
        words = [
            "--scheduler-file",
            str(told),
            "--nthreads",
            "1",
            "--no-nanny",
            "--no-dashboard",
            "--host",
            "127.0.0.1",
        ]
        gpu = [[], getattr(request, "param", [])]  # of the second worker alone
        runs += [subprocess.Popen([dask, "worker", *words, *of], **common) for of in gpu]
        yield json.loads(told.read_text())["address"], runs[1:]
    finally:
        for run in runs:
            run.kill()
            run.wait()
        sys.modules.pop("clustered", None)


def test_one_job_works_here_and_more_work_elsewhere_to_the_same_end():
    work = [(number, (number,)) for number in range(7)]
    here, elsewhere = (dict(Workers(jobs).results(doubled, work)) for jobs in (1, 2))
    assert here == elsewhere == {number: 2 * number for number in range(7)}


def test_workers_without_the_weights_that_were_tuned_here_are_refused(cluster, tmp_path, monkeypatch):
    """They would run with others, and nobody would see it."""
    address, _ = cluster
    monkeypatch.setattr(workers, "READERS", tmp_path / "tuned.json")
    (tmp_path / "tuned.json").write_text('{"tv": {"somewhere": {"lam": 1.0}}}')
    with pytest.raises(BadInput, match="other tuned weights; copy .*tuned.json to where they run"):
        list(Workers(scheduler=address).results(doubled, [(0, (0,))]))


def pid(arguments: tuple) -> int:
    return os.getpid()


@pytest.mark.parametrize("cluster", [["--resources", "GPU=1"]], indirect=True)
def test_pieces_for_a_gpu_go_to_the_worker_that_has_one(cluster):
    address, (_, with_gpu) = cluster
    work = [(number, (number,)) for number in range(20)]
    wait_for(lambda: len(set(dict(Workers(scheduler=address).results(pid, work)).values())) == 2)
    assert set(dict(Workers(scheduler=address, device="cuda").results(pid, work)).values()) == {with_gpu.pid}


def test_pieces_for_a_gpu_do_not_wait_where_there_is_none(cluster):
    with pytest.raises(BadInput, match="--resources GPU=1"):
        dict(Workers(scheduler=cluster[0], device="cuda").results(doubled, [(0, (0,))]))


def slow(arguments: tuple) -> int:
    time.sleep(0.3)
    return arguments[0]


def test_a_scheduler_that_is_lost_is_a_sentence(cluster):
    address, workers = cluster
    scheduler = int(subprocess.check_output(["pgrep", "-P", str(os.getpid()), "-f", "dask scheduler"]).split()[0])
    with pytest.raises(BadInput, match="was lost in the middle of the work"):
        for _ in Workers(scheduler=address).results(slow, [(number, (number,)) for number in range(100)]):
            os.kill(scheduler, signal.SIGKILL)


@pytest.mark.parametrize("address", ["nonsense", "", ":", "foo://x"])
def test_what_is_no_address_is_told_before_a_client_is_made(monkeypatch, address):
    """Which would hang for a minute when it is deleted."""
    monkeypatch.setattr("distributed.Client", None)
    with pytest.raises(BadInput, match=f"no dask scheduler answers at {address}; give the address"):
        list(Workers(scheduler=address).results(doubled, [(0, (0,))]))


def test_a_scheduler_that_does_not_answer_is_a_sentence(monkeypatch):
    monkeypatch.setattr("helpers.experiments.workers.PATIENCE", 1)
    with pytest.raises(BadInput, match="no dask scheduler answers at tcp://127.0.0.1:9"):
        list(Workers(scheduler="tcp://127.0.0.1:9").results(doubled, [(0, (0,))]))


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        "evaluate clustered:slow zero-filled --data knee --volumes 6 --slices 2",
        "transfer --methods sense --protocol corrected --eps 0.05 --steps 2 --volumes 4",
    ],
    ids=["evaluate", "transfer"],
)
def test_a_killed_worker_and_a_killed_driver_lose_no_row_and_double_none(cluster, tmp_path, words):
    address, workers = cluster
    common = [*words.split(), "--profile", "smoke"]
    command = [sys.executable, "-m", "helpers", *common, "--scheduler", address, "--table", "t.csv"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, sys.path)])}
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL) as driver:
        wait_for((tmp_path / "t.csv").is_file)
        workers[0].send_signal(signal.SIGKILL)
        rows = len(read(tmp_path / "t.csv"))
        wait_for(lambda: len(read(tmp_path / "t.csv")) >= rows + 4)
        driver.kill()
    unfinished = read(tmp_path / "t.csv")
    assert main([*common, "--scheduler", address, "--table", "t.csv"]) == 0
    found = read(tmp_path / "t.csv")
    assert main([*common, "--table", "alone.csv"]) == 0
    alone = read(tmp_path / "alone.csv")
    assert 0 < len(unfinished) < len(alone) == len(found)
    found, alone = (table.drop(columns="seconds", errors="ignore") for table in (found, alone))
    assert found.equals(alone) and not found.duplicated().any()


def told(arguments: tuple) -> dict:
    return {name: os.environ.get(name) for name in MEMORY}


def test_processes_keep_memory_that_they_have_freed():
    """dask's own setting makes them ask the system for every large tensor anew: half of the time was spent on it."""
    for _, found in Workers(2).results(told, [(0, ()), (1, ())]):
        assert found == {name: str(value) for name, value in MEMORY.items()}
