"""The one command for a GPU runs through on a processor, and leaves what fits through a narrow door."""

import json
import subprocess
import sys
import zipfile

import pandas as pd
import pytest


@pytest.mark.slow
def test_it_runs_through_on_a_processor(root, tmp_path):
    command = [sys.executable, "scripts/gpu.py", "--device", "cpu", "--minutes", "0.2", "--out", str(tmp_path)]
    run = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-2000:]
    said = json.loads((tmp_path / "run.json").read_text())
    assert json.loads(run.stdout.splitlines()[-1])["failed"] == [] and said["device"] == "cpu"
    assert said["parts"]["placement"]["further apart than allowed"] == []
    assert (pd.read_csv(tmp_path / "placement.csv")["apart"] == 0).all()  # the same device, the same numbers
    assert len(said["parts"]["training"]) > 1 and said["parts"]["fits"]["rows"] >= 1
    with zipfile.ZipFile(tmp_path / "zoo.zip") as packed:
        assert {name.rpartition(".")[2] for name in packed.namelist()} == {"json", "safetensors"}
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) <= 8 and max(path.stat().st_size for path in files) <= 16e6
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]


def test_a_device_that_is_not_there_is_a_sentence(root, tmp_path):
    command = [sys.executable, "scripts/gpu.py", "--device", "cuda", "--out", str(tmp_path)]
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    run = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert run.returncode == 2 and "there is no device" in run.stderr
