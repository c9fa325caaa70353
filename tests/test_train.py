"""Training: a loss that falls, and the same weights after a kill."""

import csv
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from helpers import networks
from helpers.__main__ import main
from helpers.data import fastmri
from helpers.data.scanner import draw_volume
from helpers.errors import BadInput
from helpers.mri.fourier import center_crop
from helpers.networks import zoo
from helpers.profiles import PROFILES
from helpers.training import recipes
from helpers.training.card import in_restart, last_quarter_gain, restart_gain
from helpers.training.data import Drawn, Stream, example
from helpers.training.loop import Training, train
from helpers.training.recipes import Recipe, learning_rate, loss_function
from helpers.training.run import Run, checkpoint_of, locked

TINY = {"network": "unet", "channels": 2, "pools": 2}
SMOKE = PROFILES["smoke"]


@pytest.mark.parametrize("name", recipes.LOSSES)
def test_losses_are_zero_at_the_target_and_have_its_slope(name):
    target = torch.rand(2, 12, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    loss = loss_function(name)
    if "ssim" in name:
        target = target.float()  # fastMRI's window is single precision
    assert_close(loss(target, target), torch.zeros((), dtype=target.dtype), atol=1e-6, rtol=0)
    image = (target + 0.1).requires_grad_()
    (slope,) = torch.autograd.grad(loss(image, target), image)
    assert (slope * 0.1).sum() > 0
    with pytest.raises(BadInput, match="l1"):
        loss_function("l7")


def test_the_learning_rate_warms_up_and_comes_to_one_percent():
    rates = [learning_rate(step, 1000, 2.0) for step in range(1000)]
    assert rates[0] < 0.1 and max(rates) > 1.9 and rates[-1] == pytest.approx(0.02, rel=0.01)
    assert all(a >= b for a, b in itertools.pairwise(rates[50:]))
    assert learning_rate(500, 1000, 2.0, restart=500) < 0.05 * rates[500]
    again = [learning_rate(step, 1250, 2.0, restart=1000, full=1000) for step in range(1000, 1250)]
    assert again[0] < 0.2 and max(again) > 1.8 and again[-1] == pytest.approx(0.02, rel=0.02)


def test_last_quarter_gain_is_read_off_the_curve():
    assert last_quarter_gain([[25, 0.5], [75, 0.7], [100, 0.71]]) == pytest.approx(0.01)
    assert last_quarter_gain([[100, 0.7]]) is None


def test_restart_gain_is_what_came_after_the_restart():
    assert restart_gain([[75, 0.7], [100, 0.71], [125, 0.712]], 100) == pytest.approx(0.002)
    assert restart_gain([[75, 0.7], [100, 0.71]], 100) is None and restart_gain([[100, 0.7], [125, 0.8]], 0) is None


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A network trained for a moment, and where it is."""
    place = tmp_path_factory.mktemp("tiny")
    recipe = Recipe("tiny", TINY, profile="smoke", steps=120, vary=False, learning_rate=3e-3)
    run = Run(folder=place, checkpoints=place, validate_every=60, volumes=2)
    return recipe, run, train(recipe, run)


def test_the_loss_falls(tiny):
    _, run, card = tiny
    with (run.checkpoints / "tiny.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["step", "loss", "validation_ssim", "seconds"]
    assert [row["step"] for row in rows] == ["50", "100", "120"]
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"]) - 0.05
    assert [step for step, _ in card["curve"]] == [60, 120] and card["curve"][1][1] > card["curve"][0][1]


def test_a_trained_network_is_a_method_that_beats_its_start(tiny):
    _, run, card = tiny
    item = draw_volume("knee", 3, SMOKE, slices=1)[0]
    network = zoo.load("tiny", folder=run.folder)
    assert network(item.kspace, torch.ones(72, dtype=torch.bool)).shape == (128, 72)
    assert card["ssim"] > 0.3  # an untrained network of this size scores below .1


def test_a_finished_training_does_nothing_more(tiny):
    recipe, run, card = tiny
    before = (run.folder / "tiny.safetensors").stat().st_mtime_ns
    assert train(recipe, run)["sha256"] == card["sha256"]
    assert (run.folder / "tiny.safetensors").stat().st_mtime_ns == before


def test_a_training_that_diverges_stops_before_its_weights_are_lost(tmp_path):
    """Whatever the network does with what is no number."""
    varnet = {"network": "varnet", "cascades": 1, "channels": 2, "pools": 1, "output": "expected"}
    varnet |= {"sensitivity_channels": 2, "sensitivity_pools": 1}
    recipe = Recipe("diverges", varnet, profile="smoke", steps=4, vary=False)
    training = Training(recipe, Run(folder=tmp_path, checkpoints=tmp_path, volumes=2), torch.device("cpu"))
    try:
        with torch.no_grad():
            next(training.network.parameters()).fill_(torch.nan)
        others = [each.clone() for each in list(training.network.parameters())[1:]]
        with pytest.raises(BadInput, match="lower the learning rate"):
            training.step()
        assert all(torch.equal(*pair) for pair in zip(others, list(training.network.parameters())[1:], strict=True))
    finally:
        training.stream.close()


def test_a_checkpoint_of_other_settings_is_refused(tiny):
    recipe, run, _ = tiny
    with pytest.raises(BadInput, match="loss 'ssim', not 'l1'"):
        train(Recipe(**vars(recipe) | {"loss": "l1"}), run)
    with locked(run.checkpoints / "tiny.lock"), pytest.raises(BadInput, match="another process"):
        train(recipe, run)


def test_weights_of_the_zoo_are_gone_on_with(tiny, tmp_path):
    """A fresh machine has card and weights and no checkpoint: steps and curve go on, the rate is warmed up again."""
    recipe, run, card = tiny
    longer = Recipe(**vars(recipe) | {"steps": 150})
    watched = tmp_path / "watched.h5"
    fastmri.write_volume(watched, draw_volume("brain", 0, SMOKE, slices=1))
    changed = {"checkpoints": tmp_path, "start": "tiny", "go_on": True, "folder": run.folder, "also": str(watched)}
    on = Run(**vars(run) | changed)
    copy = {path.name: path.read_bytes() for path in run.folder.glob("tiny.*")}
    try:
        found = train(longer, on)
    finally:
        for name, stored in copy.items():
            (run.folder / name).write_bytes(stored)
    assert found["steps"] == 150 and found["restarts"] == [120]
    assert found["curve"][:2] == card["curve"] and found["ssim"] > card["ssim"] - 0.02
    assert card["also"] == [] and [step for step, *_ in found["also"]] == [step for step, _ in found["curve"][2:]]
    assert all(0.1 < score < 1 for _, *scores in found["also"] for score in scores)


def test_a_restart_runs_a_quarter_more_at_the_full_rate(tiny, tmp_path, capsys, monkeypatch):
    recipe, run, card = tiny
    monkeypatch.setattr(recipes, "shipped", lambda: {"tiny": recipe})
    shutil.copytree(run.folder, tmp_path / "zoo")
    options = ["--out", str(tmp_path / "zoo"), "--checkpoints", str(tmp_path), "--volumes", "2", "--restart"]
    for hours in ("1e-6", "1"):  # stopped at once, and gone on with
        assert main(["train", "tiny", *options, "--hours", hours, "--validate-every", "1"]) == 0
    found = zoo.card("tiny", tmp_path / "zoo")
    assert found["steps"] == 150 and found["restarts"] == [120] and found["full_rate_from"] == 120
    assert found["curve"][:2] == card["curve"]
    assert found["restart_gain"] == pytest.approx(found["ssim"] - card["ssim"], abs=2e-6)
    assert main(["train", "tiny", *options, "--fresh"]) == 2
    assert "--restart goes on" in capsys.readouterr().err


def test_a_restart_that_loses_leaves_the_weights_as_they_were(tiny, tmp_path, monkeypatch):
    recipe, run, card = tiny
    monkeypatch.setattr(recipes, "shipped", lambda: {"tiny": recipe})
    folder = tmp_path / "zoo"
    shutil.copytree(run.folder, folder)
    weights = (folder / "tiny.safetensors").read_bytes()
    options = ["--out", str(folder), "--checkpoints", str(tmp_path), "--volumes", "2", "--restart"]
    for hours in ("1e-6", "1"):  # killed on the way, too
        assert main(["train", "tiny", *options, "--learning-rate", "10", "--hours", hours]) == 0
    found = zoo.card("tiny", folder)
    assert found["restart_gain"] < 0 and found.pop("restart_command")
    assert found == card | {"restart_gain": found["restart_gain"]}
    assert (folder / "tiny.safetensors").read_bytes() == weights
    assert not list(tmp_path.glob("tiny-*.pt")), "the next restart begins at these weights"
    assert not list((tmp_path / "before").iterdir())


def test_a_restart_that_was_killed_at_its_end_is_decided_before_the_next(tiny, tmp_path, monkeypatch):
    """Its last validation stands in the zoo, worse than what was there, which must not be lost."""
    recipe, run, card = tiny
    monkeypatch.setattr(recipes, "shipped", lambda: {"tiny": recipe})
    folder = tmp_path / "zoo"
    shutil.copytree(run.folder, folder)
    weights = (folder / "tiny.safetensors").read_bytes()
    options = ["--out", str(folder), "--checkpoints", str(tmp_path), "--volumes", "2", "--restart"]
    with monkeypatch.context() as killed:
        killed.delattr("helpers.training.before_restart.better")
        with pytest.raises(AttributeError):
            main(["train", "tiny", *options, "--learning-rate", "10"])
    assert (folder / "tiny.safetensors").read_bytes() != weights
    assert main(["train", "tiny", *options]) == 0
    assert (folder / "tiny.safetensors").read_bytes() == weights and zoo.card("tiny", folder)["restart_gain"] < 0


def test_to_go_on_after_a_restart_is_none(tiny, tmp_path, monkeypatch):
    recipe, run, card = tiny
    monkeypatch.setattr(recipes, "shipped", lambda: {"tiny": recipe})
    folder = tmp_path / "zoo"
    shutil.copytree(run.folder, folder)
    options = ["--out", str(folder), "--checkpoints", str(tmp_path), "--volumes", "2"]
    assert main(["train", "tiny", *options, "--restart"]) == 0
    words = ["--from", "zoo", "--steps", "999", "--hours", "1e-6", "--validate-every", "1"]
    assert main(["train", "tiny", *options, *words]) == 0
    card = zoo.card("tiny", folder)
    assert card["full_rate_from"] == 120 and card["steps"] < card["planned_steps"] and not in_restart(card)


@pytest.mark.parametrize("kept", [{"a": 1}, {"recipe": {"unheard": 1}}])
def test_a_file_that_is_no_checkpoint_is_a_sentence(tiny, tmp_path, kept):
    recipe, run, _ = tiny
    torch.save(kept, checkpoint_of(recipe, tmp_path, False))
    with pytest.raises(BadInput, match="is no checkpoint"):
        train(recipe, Run(**vars(run) | {"checkpoints": tmp_path}))


def test_a_wider_network_starts_where_a_narrow_one_ended(tiny, tmp_path):
    recipe, run, card = tiny
    shutil.copytree(run.folder, tmp_path / "zoo")
    on = Run(folder=tmp_path / "zoo", checkpoints=tmp_path, start="tiny", validate_every=1)
    change = {"name": "other", "steps": 1}
    wide = Recipe(**vars(recipe) | change | {"architecture": TINY | {"channels": 4}})
    assert train(wide, on)["ssim"] == pytest.approx(card["ssim"], abs=0.02)
    (tmp_path / "other.pt").unlink()
    deep = Recipe(**vars(recipe) | change | {"architecture": TINY | {"pools": 1}})
    with pytest.raises(BadInput, match="no narrower form of this network"):
        train(deep, on)


def start(place, *more, steps=100):
    """The command in a process of its own."""
    options = ["--architecture", json.dumps(TINY), "--profile", "smoke", "--steps", str(steps), "--volumes", "2"]
    folders = ["--validate-every", "50", "--out", str(place), "--checkpoints", str(place), "--save-every", "0"]
    command = [sys.executable, "-m", "helpers", "train", "killed", *options, *folders, *more]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    place.mkdir(exist_ok=True)
    with (place / "said.txt").open("a") as said:
        return subprocess.Popen(command, stdout=said, stderr=said, env=environment)


@pytest.mark.slow
def test_killed_and_resumed_gives_the_same_weights_bit_for_bit(tmp_path):
    whole = start(tmp_path / "whole")
    checkpoint = tmp_path / "parts" / "killed.pt"
    for target, more in ((10, []), (60, ["--workers", "1"])):  # a worker changes nothing either
        process = start(tmp_path / "parts", *more)
        deadline = time.monotonic() + 60
        while not checkpoint.is_file() or torch.load(checkpoint)["progress"]["step"] < target:
            said = tmp_path / "parts" / "said.txt"
            assert process.poll() is None and time.monotonic() < deadline, said.read_text()
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert target <= torch.load(checkpoint)["progress"]["step"] < 100
    last = start(tmp_path / "parts")
    assert last.wait(60) == 0 and whole.wait(60) == 0, (tmp_path / "parts" / "said.txt").read_text()
    one, other = (torch.load(tmp_path / folder / "killed.pt") for folder in ("whole", "parts"))
    for part in ("network", "average"):
        assert all(torch.equal(one[part][key], other[part][key]) for key in one[part])
    assert one["progress"]["curve"] == other["progress"]["curve"]
    stored = [(tmp_path / folder / "killed.safetensors").read_bytes() for folder in ("whole", "parts")]
    assert stored[0] == stored[1]
    logs = [list(csv.reader((tmp_path / folder / "killed.csv").open())) for folder in ("whole", "parts")]
    assert [row[:3] for row in logs[0]] == [row[:3] for row in logs[1]]


@pytest.mark.slow
def test_two_processes_average_their_gradients(tmp_path):
    """One step under torchrun is the step that both examples together would make."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "helpers"]
    options = ["train", "shared", "--architecture", json.dumps(TINY), "--profile", "smoke", "--steps", "1"]
    folders = ["--volumes", "2", "--out", str(tmp_path), "--checkpoints", str(tmp_path)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run([*torchrun, *options, *folders], env=environment, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stderr
    assert zoo.card("shared", tmp_path)["slices_seen"] == 2
    moments = torch.load(tmp_path / "shared.pt")["optimizer"]["state"]

    torch.manual_seed(0)
    network, loss = networks.build(TINY), loss_function("ssim")
    drawn = Stream(Drawn(("knee",), SMOKE), batch=2).at(0)
    for rank in range(2):
        made = example(drawn, (0, 0, rank))
        image = center_crop(network(made.kspace, made.mask), tuple(made.target.shape[-2:]))
        (loss(image, made.target) / 2).backward()
    torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    for number, parameter in enumerate(network.parameters()):
        assert_close(moments[number]["exp_avg"], 0.1 * parameter.grad)  # Adam's first moment after one step


def test_what_is_trained_is_not_trained_again(tiny, tmp_path, capsys, monkeypatch):
    recipe, run, card = tiny
    monkeypatch.setattr(recipes, "shipped", lambda: {"tiny": recipe})
    options = ["--out", str(run.folder), "--checkpoints", str(tmp_path), "--json"]
    assert main(["train", "tiny", *options]) == 0
    assert json.loads(capsys.readouterr().out)["ssim"] == card["ssim"]
    assert main(["train", "tiny", *options, "--steps", "150"]) == 2
    assert "--from zoo" in capsys.readouterr().err


def test_the_recipes_of_the_zoo_can_be_built():
    found = recipes.shipped()
    assert {"unet-knee", "varnet-brain", "irim-knee"} <= found.keys()
    for recipe in found.values():
        networks.build(dict(recipe.architecture))
    sizes = {
        name: sum(p.numel() for p in networks.build(dict(each.architecture)).parameters())
        for name, each in found.items()
    }
    assert 2 * sum(sizes.values()) < 60e6, "half precision has two bytes a number, and the zoo 60 MB"
    for anatomy, network in itertools.product(("knee", "brain"), ("unet", "varnet")):
        small, middle, large = (sizes[f"{network}-{anatomy}{size}"] for size in ("-small", "", "-large"))
        assert small < middle < large
    assert np.all([recipe.profile == "laptop" and recipe.loss == "ssim+mse" for recipe in found.values()])
