"""A reader's own method goes through every command by its name MODULE:FUNCTION, with gradients or without."""

import json
import shutil
import sys

import h5py
import pandas as pd
import pytest
import torch
from PIL import Image

from helpers import methods
from helpers.__main__ import main
from helpers.data import fastmri
from helpers.data.scanner import draw_volume
from helpers.errors import BadInput
from helpers.profiles import profile

MODULE = """
import numpy as np
from helpers.mri import fourier, rss

def differentiable(kspace, mask):
    assert kspace.ndim == 3, "one slice at a time"
    return rss.rss(fourier.ifft2c(kspace))

def leaves_torch(kspace, mask):
    k = np.fft.ifftshift(kspace.numpy(), axes=(-2, -1))
    images = np.fft.fftshift(np.fft.ifft2(k, norm="ortho"), axes=(-2, -1))
    return np.sqrt((np.abs(images) ** 2).sum(-3)).astype(np.float32)

seen = []

def second_fails(kspace, mask):
    seen.append(len(seen))
    return 1 / 0 if seen[-1] == 1 else leaves_torch(kspace, mask)

def fails(kspace, mask):
    return 1 / 0
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    (tmp_path / "reader.py").write_text(MODULE)
    fastmri.write_volume(tmp_path / "knee.h5", draw_volume("knee", 0, profile("smoke"), slices=1))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    sys.modules.pop("reader", None)


def said(capsys) -> dict:
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_it_is_attacked_as_ours_are(mine, capsys):
    """Both do what zero-filled does; the one that leaves torch is searched without gradients, and gives way less."""
    rows = {}
    for name in ("zero-filled", "reader:differentiable", "reader:leaves_torch"):
        assert main(["attack", "knee.h5", "--method", name, "--eps", "0.05", "--steps", "5", "--json"]) == 0
        rows[name] = said(capsys)
    ours, same, blind = rows.values()
    assert same["attack"] == ours["attack"] == "apgd" and same["ssim"] == pytest.approx(ours["ssim"], abs=1e-4)
    assert blind["ssim_clean"] == pytest.approx(ours["ssim_clean"], abs=1e-4) and blind["attack"] != "apgd"
    assert ours["nmse"] >= blind["nmse"] and blind["ssim"] < blind["ssim_noise"]


def test_slices_that_are_lost_take_no_others_with_them(mine, capsys):
    shutil.copy("knee.h5", "bare.h5")
    with h5py.File("bare.h5", "a") as file:
        file["kspace"][..., ::2] = 0
        del file["reconstruction_rss"]
    attack = ["attack", "knee.h5", "bare.h5", "--method", "zero-filled", "--eps", "0.05", "0.05", "--steps", "1"]
    assert main(attack) == 1
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 2 and "1 of 2 slices are lost; the first: bare.h5, slice 0: no reference" in err
    assert main([*attack[:1], *attack[2:]]) == 2 and "no reference" in capsys.readouterr().err.splitlines()[-1]

    fastmri.write_volume(mine / "knees.h5", draw_volume("knee", 0, profile("smoke"), slices=3))
    reconstruct = ["reconstruct", "knees.h5", "knees.h5", "--method", "reader:second_fails", "--png", "some.png"]
    assert main(reconstruct) == 1
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 3 and "1 of 3 slices are lost; the first: knees.h5, slice 1: " in err
    with Image.open("some.png") as picture, h5py.File("knees.h5") as file:
        assert picture.width == 2 * file["reconstruction_rss"].shape[-1]
    reconstruct[-3:] = ["reader:fails", "--png", "none.png"]
    assert main(reconstruct) == 2 and not (mine / "none.png").exists()
    assert "knees.h5, slice 0: reader:fails failed" in capsys.readouterr().err.splitlines()[-1]


def test_it_is_reconstructed_and_transferred(mine, capsys):
    name = "reader:differentiable"
    assert main(["reconstruct", "knee.h5", "--method", name, "--json"]) == 0
    assert said(capsys)["ssim"] > 0.3
    options = ["--profile", "smoke", "--volumes", "1", "--eps", "0.05", "--steps", "3", "--protocol", "corrected"]
    assert main(["transfer", "--methods", name, "sense", *options, "--table", "mine.csv"]) == 0
    found = pd.read_csv("mine.csv").groupby(["attacked", "method"])["ssim"]
    assert found.max()[name, name] < found.min()["noise", name]


def test_a_batch_is_its_slices_and_options_are_refused(mine):
    method = methods.load("reader:leaves_torch")
    kspace, mask = torch.randn(2, 3, 4, 8, 6, dtype=torch.complex64), torch.ones(6, dtype=torch.bool)
    assert torch.equal(method(kspace, mask)[1, 2], method(kspace[1, 2], mask))
    with pytest.raises(BadInput, match="no options"):
        methods.load("reader:differentiable", lam=1.0)
