"""A wheel works from any folder: it holds the networks of the zoo and the tables of results."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
import torch
from helpers import methods, places
from helpers.experiments.provenance import commit
from helpers.findings import shipped
from helpers.networks import zoo

assert not places.CHECKOUT and commit() is None, places.ROOT
assert len(shipped.table("quality")) > 100 and "unet-knee" in zoo.names()
kspace, mask = torch.randn(2, 64, 48, dtype=torch.cfloat), torch.ones(48, dtype=torch.bool)
print(methods.load("unet-knee")(kspace, mask).shape)
"""


@pytest.mark.slow
def test_a_wheel_that_is_installed_elsewhere_has_networks_and_tables(root, tmp_path):
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-qq"]
    options = ["--no-deps", "--no-build-isolation"]
    source = tmp_path / "source"  # a build leaves folders behind
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, check=True).stdout
    for name in listed.decode().split("\0"):
        if name.startswith(("helpers/", "zoo/", "results/", "setup.py", "pyproject.toml", "README.md", "LICENSE")):
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).symlink_to(root / name)
    subprocess.run([*pip, "wheel", *options, str(source), "-w", str(tmp_path)], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    there = tmp_path / "there"
    subprocess.run([*pip, "install", "--no-deps", "--target", str(there), str(wheel)], check=True)
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(there)},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0 and "64, 48" in run.stdout, run.stderr
    assert (there / "helpers" / "py.typed").is_file()
