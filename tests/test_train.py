"""Training: examples that follow from the step alone, a loss that falls, and the same weights after a kill."""

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

from helpers import networks, physics, recipes, zoo
from helpers.__main__ import main
from helpers.data import fastmri
from helpers.data.scanner import draw_volume
from helpers.errors import BadInput
from helpers.fourier import center_crop, fft2c, ifft2c
from helpers.profiles import PROFILES
from helpers.recipes import Recipe, learning_rate, loss_function
from helpers.train import Run, last_quarter_gain, locked, train
from helpers.training_data import BLOCK, Drawn, Files, Stream, band, blocks_of, compressed, example, flipped

TINY = {"network": "unet", "channels": 2, "pools": 2}
SMOKE = PROFILES["smoke"]


def complex_noise(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.complex128, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def blocks():
    """Two blocks of the stream, drawn once."""
    return Stream(Drawn(("knee", "brain"), SMOKE, vary=False), blocks=2).at(0)


# the measurement under which a network learns


@pytest.mark.parametrize("shape", [(12, 10), (11, 10), (12, 9)])
def test_flipped_is_the_mirrored_image(shape):
    image = complex_noise(3, *shape)
    for axis in (-2, -1):
        mirrored = ifft2c(flipped(fft2c(image), axis))
        turned = image.flip(axis)
        assert_close(mirrored, turned if shape[axis] % 2 else turned.roll(1, axis))


def test_band_is_exact_for_column_masks():
    image, mask = complex_noise(3, 32, 10), torch.rand(10, generator=torch.Generator().manual_seed(0)) < 0.5
    part = ifft2c(band(fft2c(image) * mask, 12, -5))
    assert_close(part, ifft2c(fft2c(image[:, 16 - 5 - 6 : 16 - 5 + 6]) * mask))


def test_compression_keeps_the_energy_that_there_is():
    mixing = complex_noise(8, 3)
    kspace = torch.einsum("cv,bvyx->bcyx", mixing, complex_noise(2, 3, 6, 5, seed=1))
    virtual = compressed(kspace, 3)
    assert virtual.shape == (2, 3, 6, 5)
    assert_close(physics.rss(virtual), physics.rss(kspace))  # rank three: three virtual coils lose nothing


def test_an_example_is_a_measurement_and_its_reference(blocks):
    heights = set()
    for step in range(12):
        made = example(blocks, (0, step, 0), batch=2, cropped=step < 8)
        assert made.kspace.dtype == torch.complex64 and made.target.dtype == torch.float32
        assert not made.kspace[..., ~made.mask].any()
        assert_close(physics.scale(made.kspace), torch.ones(2, 1, 1))
        full = made.kspace.shape[-2]
        assert made.target.shape == (2, min(64, full), 64)
        heights.add(full)
    assert 128 in heights and len(heights) > 2


def test_an_unmasked_example_reconstructs_to_its_target(blocks, monkeypatch):
    monkeypatch.setattr("helpers.masks.mask", lambda kind, shape, *_: torch.ones(shape[1], dtype=torch.bool))
    made = example(blocks, (0, 0, 0))
    image = physics.rss(ifft2c(made.kspace))
    assert_close(center_crop(image, tuple(made.target.shape[-2:])), made.target)


def test_examples_follow_from_the_step_alone(blocks):
    first, again, other = (example(blocks, (0, step, 0)) for step in (5, 5, 6))
    assert torch.equal(first.kspace, again.kspace) and torch.equal(first.mask, again.mask)
    assert first.kspace.shape != other.kspace.shape or not torch.equal(first.kspace, other.kspace)


def test_the_stream_is_the_same_from_wherever_it_starts():
    source = Drawn(("knee",), SMOKE)
    on = Stream(source, blocks=2, reuse=1)
    seen = [[item.id for block in on.at(step) for item in block] for step in (0, BLOCK - 1, BLOCK)]
    assert seen[0] == seen[1] != seen[2]
    assert seen[0][BLOCK:] == seen[2][:BLOCK]
    later = Stream(source, blocks=2, reuse=1).at(BLOCK)
    assert [item.id for block in later for item in block] == seen[2]
    assert all(torch.equal(a.kspace, b.kspace) for a, b in zip(on.at(BLOCK)[1], later[1]))


def test_blocks_vary_and_share_one_shape_within():
    source = Drawn(("knee", "brain"), SMOKE)
    sizes = set()
    for block in range(24):
        parts = source.parts(block)
        (size,) = {(part.args[2].kspace, part.keywords["coils"], part.args[0]) for part in parts}
        sizes.add(size)
        assert {part.keywords["split"] for part in parts} == {"train"}
    assert len({kspace for kspace, _, _ in sizes}) > 2 and len({coils for _, coils, _ in sizes}) > 2
    seeds = [part.args[1] for block in range(24) for part in source.parts(block)]
    assert len(set(seeds)) == len(seeds)


def test_a_folder_is_trained_on_in_a_new_order_every_time_round(tmp_path):
    for name in ("a", "b", "c"):
        made = draw_volume("knee", ord(name), SMOKE, slices=2)
        fastmri.write_volume(tmp_path / "multicoil_train" / f"{name}.h5", made)
    source = blocks_of([str(tmp_path)], SMOKE, 0, True)
    assert isinstance(source, Files)
    orders = [[part().pop().volume for k in range(3) for part in source.parts(3 * turn + k)[:1]] for turn in range(4)]
    assert all(sorted(order) == ["a", "b", "c"] for order in orders) and len(set(map(tuple, orders))) > 1
    with pytest.raises(BadInput, match="one folder"):
        blocks_of(["knee", str(tmp_path)], SMOKE, 0, True)


# the loop


@pytest.mark.parametrize("name", recipes.LOSSES)
def test_losses_are_zero_at_the_target_and_have_its_slope(name):
    target = torch.rand(2, 12, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    loss = loss_function(name)
    if name == "ssim":
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


def test_last_quarter_gain_is_read_off_the_curve():
    assert last_quarter_gain([[25, 0.5], [75, 0.7], [100, 0.71]]) == pytest.approx(0.01)
    assert last_quarter_gain([[100, 0.7]]) is None


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


# the command


def test_what_is_trained_is_not_trained_again(tiny, tmp_path, capsys, monkeypatch):
    recipe, run, card = tiny
    monkeypatch.setattr(recipes, "shipped", lambda: {"tiny": recipe})
    options = ["--out", str(run.folder), "--checkpoints", str(tmp_path), "--json"]
    assert main(["train", "tiny", *options]) == 0
    assert json.loads(capsys.readouterr().out)["ssim"] == card["ssim"]
    assert main(["train", "tiny", *options, "--steps", "150"]) == 2
    assert "--from zoo" in capsys.readouterr().err


@pytest.mark.slow
def test_a_queue_trains_the_others_where_one_fails(tmp_path):
    (tmp_path / "broken.pt").write_bytes(b"no checkpoint")
    options = ["--architecture", json.dumps(TINY), "--profile", "smoke", "--steps", "3", "--volumes", "2", "--json"]
    folders = ["--out", str(tmp_path), "--checkpoints", str(tmp_path), "--jobs", "2"]
    command = [sys.executable, "-m", "helpers", "train", "one", "broken", "two", *options, *folders]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110)
    assert done.returncode == 2
    assert [json.loads(line)["name"] for line in done.stdout.splitlines()] == ["one", "two"]
    assert "broken: FAILED" in done.stderr and "is no checkpoint" in done.stderr
    assert "two: done" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "name a network"),
        (["nothing"], "there is no recipe 'nothing'"),
        (["mine", "--architecture", "[1]"], "JSON object"),
        (["mine", "--architecture", '{"network": "unet"}', "--steps", "0"], "positive"),
        (["mine", "--architecture", '{"network": "unet"}', "--profile", "huge"], "no profile 'huge'"),
        (["../mine", "--architecture", '{"network": "unet"}'], "no name for a network"),
        (["mine", "--architecture", '{"network": "x"}', "--hours", "1"], "there is no network 'x'"),
        (["mine", "--architecture", '{"network": "unet"}', "--data", "nowhere"], "does not exist"),
        (["mine", "--architecture", '{"network": "unet"}', "--jobs", "0"], "at least 1"),
        (["mine", "--architecture", '{"network": "unet"}', "--device", "quantum"], "no device"),
    ],
)
def test_bad_arguments_are_one_sentence(arguments, sentence, tmp_path, capsys):
    options = ["--out", str(tmp_path), "--checkpoints", str(tmp_path)]
    assert main(["train", *arguments, *options]) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert sentence in said[-1] and "Traceback" not in said[-1]


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
    assert np.all([recipe.profile == "laptop" and recipe.loss == "ssim" for recipe in found.values()])
