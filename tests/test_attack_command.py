"""`attack` at the command line, and the score that a method which remembers cannot cheat."""

import json
from functools import partial

import pytest
import torch

from helpers import methods
from helpers.__main__ import main
from helpers.attacks import Threat
from helpers.attacks.known import attacks_on
from helpers.attacks.noise import noise
from helpers.attacks.pgd import pgd
from helpers.attacks.threat import realized
from helpers.attacks.worst import worst
from helpers.data import fastmri
from helpers.data.scanner import draw_volume
from helpers.errors import BadInput
from helpers.experiments import evaluate
from helpers.profiles import profile
from helpers.untrained.recipes import FITS

METHODS = ["zero-filled", "sense", "wavelet", "tv", "sigpy-sense", "unet-knee", "varnet-knee", "irim-knee"]
METHODS += [pytest.param("deep-decoder", marks=pytest.mark.slow)]


@pytest.fixture(scope="module")
def knee(tmp_path_factory):
    path = tmp_path_factory.mktemp("attack") / "knee.h5"
    fastmri.write_volume(path, draw_volume("knee", 0, profile("smoke"), slices=1))
    return path


@pytest.mark.parametrize("method", METHODS)
def test_every_family_is_attacked_by_the_same_rules(knee, method, capsys):
    short = ["--fit-steps", "100", "--refits", "1"] if method in FITS else []  # a fit to its end takes minutes
    assert main(["attack", str(knee), "--method", method, "--eps", "0.02", "--steps", "5", *short, "--json"]) == 0
    row = json.loads(capsys.readouterr().out)
    assert row["eps"] == pytest.approx(0.02, rel=1e-4) and row["off_mask"] == 0
    assert row["ssim"] <= row["ssim_noise"] <= row["ssim_clean"] + 0.01
    assert row["attack"] != "noise" and row["noise_levels"] > 0 and row["distance_to_clean"] > 0


@pytest.mark.parametrize("method", [name for name in FITS if name != "dip-first"])  # whose step takes seconds
def test_so_is_every_un_trained_fit(knee, method, capsys):
    """After one step each: a method of its own, badly fitted, under the same rules as the fit to its end."""
    arguments = ["attack", str(knee), "--method", method, "--eps", "0.02", "--fit-steps", "1", "--refits", "1"]
    assert main([*arguments, "--json"]) == 0
    row = json.loads(capsys.readouterr().out)
    assert row["eps"] == pytest.approx(0.02, rel=1e-4) and row["off_mask"] == 0 and row["distance_to_clean"] > 0


@pytest.mark.parametrize("method", ["sense", pytest.param("varnet-brain", marks=pytest.mark.slow)])
def test_a_real_brain_is_attacked_by_the_same_rules(real, method, capsys):
    arguments = [str(real / "brain_pvdamp_8ch.h5"), "--method", method, "--eps", "0.02", "--steps", "2", "--json"]
    assert main(["attack", *arguments]) == 0
    row = json.loads(capsys.readouterr().out)
    assert row["eps"] == pytest.approx(0.02, rel=1e-4) and row["off_mask"] == 0 and row["ssim"] < row["ssim_noise"]


def test_a_method_that_remembers_is_caught():
    """It reconstructs what is new to it, and gives the image of old for a measurement close to one it has seen."""
    item = draw_volume("knee", 0, profile("smoke"), slices=1)[0]
    mask = evaluate.mask_of(item)
    y = item.kspace * mask

    def make(memory=None):
        honest, memory = methods.load("zero-filled"), []

        def method(kspace, mask):
            for old, image in memory:
                if (kspace - old).norm() < 0.5 * old.norm():
                    return image
            memory.append((kspace.detach(), honest(kspace, mask)))
            return memory[-1][1]

        return method

    cheat = make()
    cheat(y, mask)
    threat = Threat(cheat, y, mask, 0.3, item.target)
    with pytest.raises(BadInput, match="made anew"):
        worst(make, threat, {"noise": noise})


def test_a_fit_is_scored_to_the_last_bit_of_what_the_attack_saw():
    """Fits magnify rounding: what was tried is what is scored, unchanged, so that no tolerance is needed."""
    item = draw_volume("knee", 0, profile("smoke"), slices=1)[0]
    mask = evaluate.mask_of(item)
    make = partial(methods.load, "convdecoder", steps=30)
    threat = Threat(make(), item.kspace * mask, mask, 0.05, item.target)
    attacks = attacks_on("convdecoder", item, steps=2, fit_steps=30, refits=1)
    assert worst(make, threat, attacks, agree=0)[0] in attacks


def test_the_worst_is_the_worst_and_says_who_found_it():
    item = draw_volume("knee", 0, profile("smoke"), slices=1)[0]
    mask = evaluate.mask_of(item)
    threat = Threat(methods.load("sense"), item.kspace * mask, mask, 0.05, item.target)
    attacks = {"noise": noise, "pgd": lambda threat: pgd(threat, steps=5)}
    name, found, image = worst(lambda: methods.load("sense"), threat, attacks)
    assert name == "pgd" and found.loss > noise(threat).loss and torch.equal(threat.distance(image), found.loss)
    blind = methods.load("sigpy-sense")
    name, found, _ = worst(lambda: blind, Threat(blind, item.kspace * mask, mask, 0.05, item.target), attacks)
    assert name == "noise" and torch.isfinite(found.loss)
    with pytest.raises(BadInput, match="no attack without a gradient"):
        worst(lambda: blind, Threat(blind, item.kspace * mask, mask, 0.05, item.target), {"pgd": pgd})


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--method", "magic", "--eps", "0.1"], "no method 'magic'"),
        (["--method", "sense", "--eps", "0"], "must be a number above 0"),
        (["--method", "sense", "--eps", "0.1", "--steps", "0"], "at least 1"),
        (["--method", "sense"], "--eps"),
        (["--method", "sense", "--eps", "0.1", "--fit-steps", "5"], "no option 'steps'"),
    ],
)
def test_bad_arguments_are_one_sentence(knee, arguments, sentence, capsys):
    assert main(["attack", str(knee), *arguments]) == 2
    assert sentence in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.slow
def test_the_seed_of_the_search_is_not_that_of_the_fit(knee, capsys):
    """Another seed of starts and noise does not make an honest fit look like a method that remembers."""
    arguments = ["attack", str(knee), "--method", "convdecoder", "--eps", "0.02", "--fit-steps", "20", "--seed", "1"]
    assert main([*arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["seed"] == 1


def test_a_joint_attack_on_a_short_fit_has_its_strength():
    item = draw_volume("knee", 0, profile("smoke"), slices=1)[0]
    mask = evaluate.mask_of(item)
    threat = Threat(partial(methods.load("convdecoder", steps=1)), item.kspace * mask, mask, 0.05, item.target)
    found = attacks_on("convdecoder", item, fit_steps=1)["joint"](threat)
    assert realized(found.e, threat.kspace) == pytest.approx(0.05, rel=1e-4)


def test_every_slice_has_noise_of_its_own(knee):
    """One draw for all would make their mean as uncertain as one of them, whatever an interval over volumes says."""
    first, second = (draw_volume("knee", seed, profile("smoke"), slices=1)[0] for seed in (0, 1))
    draws = []
    for item in (first, second, first):
        mask = torch.ones(item.kspace.shape[-1], dtype=torch.bool)
        draws.append(
            attacks_on("sense", item, item.seed(0))["noise"](
                Threat(lambda y, m: y[0].abs(), first.kspace, mask, 0.1, first.target)
            ).e
        )
    assert torch.equal(draws[0], draws[2]) and not torch.allclose(draws[0], draws[1])
