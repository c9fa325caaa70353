"""Laws of the factors: the usual level changes nothing, and each other one changes what it says and nothing else."""

from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn.functional import avg_pool2d
from torch.testing import assert_close

from helpers import findings
from helpers.__main__ import main
from helpers.data.fastmri import write_volume
from helpers.data.scanner import draw_volume
from helpers.errors import BadInput
from helpers.experiments import factors
from helpers.mri.fourier import center_crop, ifft2c
from helpers.mri.noise import noise_level, recorded
from helpers.mri.rss import rss
from helpers.profiles import profile
from helpers.shifts import signal, subject
from helpers.shifts.factors import FACTORS, in_words
from helpers.shifts.lines import measured


@pytest.fixture(scope="module", params=["knee", "brain"])
def item(request):
    """A knee whose outer lines the scanner left at zero, and a brain that has all of them."""
    return next(
        each
        for seed in range(9)
        for each in draw_volume(request.param, seed, profile("smoke"), slices=1)
        if (request.param == "brain") == bool(each.kspace.any(-2).all())
    )


def images(item):
    return rss(ifft2c(item.kspace))


def blurred(image):
    return avg_pool2d(image[None], 7, 1, 3, count_include_pad=False)[0]


def whole(item):
    return torch.ones(item.kspace.shape[-1], dtype=torch.bool)


@pytest.mark.parametrize("name", FACTORS)
def test_the_usual_level_is_the_scan_itself_to_the_bit(item, name):
    factor = FACTORS[name]
    assert factor.usual in factor.levels and len(factor.levels) >= 4
    changed, mask = factor.change(item, factor.usual, 0)
    assert torch.equal(changed.kspace, item.kspace) and torch.equal(changed.target, item.target)
    assert torch.equal(mask, measured(item))


@pytest.mark.parametrize("name", FACTORS)
def test_every_other_level_is_another_measurement_and_repeats(item, name):
    factor = FACTORS[name]
    usual, mask = factor.change(item, factor.usual, 0)
    for level in set(factor.levels) - {factor.usual}:
        (changed, other), (again, same) = (factor.change(item, level, 0) for _ in range(2))
        assert torch.equal(changed.kspace, again.kspace) and torch.equal(other, same)
        now, before = changed.kspace * other, usual.kspace * mask
        assert now.shape != before.shape or not torch.equal(now, before)
        assert changed.target.shape == tuple(2 * round(float(n) / 2) for n in changed.target.shape)
        if now.shape == before.shape:  # no line is measured that the scanner left at zero
            assert not (recorded(now).any((0, 1)) & ~item.kspace.any(0).any(0)).any()


def test_noise_is_so_many_times_as_strong(item):
    before = noise_level(item.kspace, whole(item))
    for factor in (2, 8):
        changed = signal.noisier(item, factor)
        assert float(noise_level(changed.kspace, whole(item)) / before) == pytest.approx(factor, rel=0.1)
        made = center_crop(rss(ifft2c(changed.kspace)), tuple(item.target.shape))
        assert float(changed.target.square().mean() / made.square().mean()) == pytest.approx(1, abs=0.02)
        air = torch.ones_like(item.target, dtype=torch.bool)
        air[8:-8, 8:-8] = False  # the border of an image holds grain and floor alone
        grain = [float((each - blurred(each))[air].std()) for each in (item.target, changed.target)]
        assert grain[1] == pytest.approx(grain[0], rel=0.05)
        assert item.snr is None or changed.snr == item.snr / factor
    with pytest.raises(BadInput, match="1 or more, not 0.5"):
        signal.noisier(item, 0.5)


def test_fewer_coils_and_a_smaller_matrix_have_the_references_that_they_give(item):
    for changed in (signal.with_coils(item, 0.5), signal.of_matrix(item, 0.6)):
        assert_close(changed.target, center_crop(images(changed), tuple(changed.target.shape)), rtol=1e-5, atol=0)
    assert len(signal.with_coils(item, 0.5).kspace) == len(item.kspace) // 2
    half = signal.of_matrix(item, 0.5)
    assert half.target.shape == tuple(n // 2 for n in item.target.shape)
    # orthonormal transforms: a quarter of the pixels, of twice the brightness
    assert float(half.target.mean() / item.target.mean()) == pytest.approx(2, rel=0.1)  # noise and edges are less
    for share in (0, 1.5, float("nan")):
        for change in (signal.with_coils, signal.of_matrix):
            with pytest.raises(BadInput, match="at most 1"):
                change(item, share)


def test_the_readout_is_longer_or_shorter_and_the_image_the_same(item):
    """A shorter one loses what lies outside; back at its length the inside is what it was."""
    for times in (1, 1.25, 1.5, 3):
        changed = signal.oversampled(item, times)
        assert changed.kspace.shape[-2] == 2 * round(times * item.target.shape[0] / 2)
        assert_close(item.crop(images(changed)), item.target, rtol=1e-4, atol=1e-6 * float(item.target.max()))
    longer = signal.oversampled(item, 3)
    assert float(noise_level(longer.kspace, whole(item)) / noise_level(item.kspace, whole(item))) == pytest.approx(
        1, rel=0.1
    )
    there_and_back = signal.oversampled(signal.oversampled(item, 3), 2)
    assert_close(there_and_back.kspace, item.kspace, rtol=0, atol=1e-6 * float(item.kspace.abs().max()))
    with pytest.raises(BadInput, match="1 or more times"):
        signal.oversampled(item, 0.9)


@pytest.mark.parametrize(("there", "high"), [(33, 33), (65, 33), (64, 33), (66, 33), (65, 32), (64, 31)])
def test_an_odd_number_of_rows_moves_no_image(item, there, high):
    scan = replace(item, kspace=item.kspace[:, :there])
    scan = replace(scan, target=center_crop(images(scan), (high, high)).contiguous())
    for times in (1, 1.25, 2, 3):
        changed = signal.oversampled(scan, times)
        assert changed.kspace.shape[-2] >= high
        assert_close(scan.crop(images(changed)), scan.target, rtol=1e-4, atol=1e-5 * float(scan.target.max()))


def test_a_field_turns_phases_alone_where_all_lines_are_there(item):
    changed = subject.off_resonance(item, 2)
    if item.anatomy == "brain":
        assert_close(images(changed), images(item), rtol=1e-4, atol=1e-6 * float(item.target.max()))
    turned = (ifft2c(changed.kspace)[0] * ifft2c(item.kspace)[0].conj()).angle()
    assert float(turned.max() - turned.min()) > 6  # more than one turn, wrapped


def test_contrast_leaves_the_noise_and_orders_brightness(item):
    dark = subject.contrasted(item, 2)
    assert float(noise_level(dark.kspace, whole(item)) / noise_level(item.kspace, whole(item))) == pytest.approx(
        1, rel=0.1
    )
    bright, dim = (item.target > item.target.quantile(q) for q in (0.98, 0.7))
    middle = dim & ~bright
    share = [float(each.target[middle].mean() / each.target[bright].mean()) for each in (item, dark)]
    assert share[1] < 0.8 * share[0]


def test_motion_grows_with_its_extent_and_the_pose_of_the_center_is_the_reference(item):
    changes = [subject.moved(item, extent).kspace - item.kspace for extent in (0.25, 0.5, 1)]
    assert 0 < float(changes[0].norm()) < float(changes[1].norm()) < float(changes[2].norm())
    assert not any(change[..., change.shape[-1] // 2].any() for change in changes)
    assert torch.equal(subject.moved(item, 1).target, item.target)


def test_a_spark_is_one_measured_entry_in_all_coils(item):
    mask = measured(item)
    change = subject.spiked(item, mask, 0.1).kspace - item.kspace
    (place,) = (change.abs().sum(0) > 0).nonzero()
    assert mask[place[1]] and item.kspace[:, place[0], place[1]].any()
    assert_close(
        change[:, place[0], place[1]].abs(), (0.1 * item.kspace.abs().max()).expand(len(change)), rtol=1e-3, atol=0
    )


def test_rows_keep_whose_slice_it_is_and_tell_what_is_lost(item):
    rows = pd.DataFrame(factors.rows(item, "acceleration", "zero-filled"))
    assert list(rows["level"]) == ["2", "3", "4", "6", "8"]
    assert rows["identity"].unique().tolist() == [item.identity]
    usual = rows[rows["level"] == "4"].iloc[0]
    assert usual["drop"] == 0 and list(rows["drop"]) == pytest.approx(list(usual["ssim"] - rows["ssim"]))
    assert list(rows["acceleration"]) == pytest.approx([2, 3, 4, 6, 8], rel=0.03)
    with pytest.raises(BadInput, match="no factor 'weather'"):
        list(factors.rows(item, "weather", "zero-filled"))


def test_a_level_that_a_slice_cannot_have_is_left_out(item):
    """An eighth of so few columns is less than one of their center."""
    narrow = replace(item, kspace=center_crop(item.kspace, (item.kspace.shape[-2], 8)))
    narrow = replace(narrow, target=center_crop(images(narrow), (item.target.shape[0], 8)))
    assert [row["level"] for row in factors.rows(narrow, "center", "zero-filled")] == ["0.02", "0.04", "0.08", "0.16"]
    assert [row["level"] for row in factors.rows(narrow, "mask", "zero-filled")][:1] == ["random"]


def test_a_share_that_so_few_coils_do_not_have_is_no_level(item, tmp_path, monkeypatch, capsys):
    """Three quarters of two coils would be the scan itself, and a quarter a half."""
    levels = {1: [], 2: ["1", "0.5"], 3: ["1", "0.75", "0.25"], 4: ["1", "0.75", "0.5", "0.25"]}
    for coils, wanted in levels.items():
        few = replace(item, kspace=item.kspace[:coils])
        few = replace(few, target=center_crop(images(few), tuple(item.target.shape)))
        rows = list(factors.rows(few, "coils", "zero-filled"))
        assert [row["level"] for row in rows] == wanted
        assert all(row["drop"] for row in rows[1:])
    few = replace(item, kspace=item.kspace[:1], target=center_crop(images(item), tuple(item.target.shape)))
    write_volume(tmp_path / "one.h5", [few])
    monkeypatch.chdir(tmp_path)
    command = ["factors", "--data", "one.h5", "--volumes", "1", "--methods", "zero-filled", "--acquisition", ""]
    assert main([*command, "--factors", "coils"]) == 2
    assert "can be measured on these slices" in capsys.readouterr().err.splitlines()[-1]
    assert main([*command, "--factors", "coils", "noise"]) == 0
    assert " noise " in capsys.readouterr().out


@pytest.mark.parametrize("name", ["laptop", "paper"])
def test_drawn_scans_have_all_shares_of_their_coils(item, name):
    coils = torch.zeros(profile(name).coils, *item.kspace.shape[1:], dtype=item.kspace.dtype)
    for share in FACTORS["coils"].levels:
        assert len(signal.with_coils(replace(item, kspace=coils), share).kspace) == round(share * len(coils))


def test_who_loses_more_is_told_where_the_most_is_lost():
    """Planted: noise costs the network .1 and the solver .02 at its worst level, and motion both the same."""
    chance, made = np.random.default_rng(0), []
    costs = {"noise": {"unet": 0.1, "wavelet": 0.02}, "motion": {"unet": 0.05, "wavelet": 0.05}}
    for factor, volume, name in product(costs, range(10), ("unet", "wavelet")):
        levels = FACTORS[factor].levels
        for number, level in enumerate(levels):
            drop = costs[factor][name] * number / (len(levels) - 1)
            score = 0.8 - drop + 0.002 * chance.standard_normal()
            row = {"factor": factor, "level": in_words(level), "method": name, "volume": f"v{volume}", "drop": drop}
            made.append(row | {"ssim": score})
    lost = findings.factors.lost(pd.DataFrame(made))
    assert list(lost) == [f"{FACTORS[name].words}: {in_words(FACTORS[name].levels[-1])}" for name in costs]
    found = findings.factors.judged(lost)["unet loses more than wavelet"]
    assert found.iloc[0].endswith(": supported") and found.iloc[1].endswith(": undecided")
    assert findings.factors.costs(lost).iloc[0]["unet"].startswith(("0.10", "0.099", "0.098"))


def test_the_command_goes_on_and_takes_a_readers_method(tmp_path, monkeypatch, capsys):
    (tmp_path / "factored.py").write_text(
        "import numpy as np\n\n"
        "def blurred(kspace, mask):\n"
        "    images = np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(kspace, (-2, -1)), norm='ortho'), (-2, -1))\n"
        "    return np.sqrt((abs(images) ** 2).sum(-3))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    command = ["factors", "--profile", "smoke", "--volumes", "2", "--methods", "factored:blurred", "--table", "t.csv"]
    assert main([*command, "--factors", "noise"]) == 0
    first = (tmp_path / "t.csv").read_text()
    assert main([*command, "--factors", "noise", "coils"]) == 0
    both = pd.read_csv("t.csv", dtype={"level": str})
    assert set(both["factor"]) == {"noise", "coils"} and len(both) == 16
    assert all(line in (tmp_path / "t.csv").read_text() for line in first.splitlines())
    assert main([*command, "--factors", "noise", "--seed", "1"]) == 2
    assert "seed" in capsys.readouterr().err
