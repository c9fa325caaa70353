"""The small studies: maps that move, one perturbation for many, turned patients."""

from dataclasses import replace

import pytest
import torch

from helpers.attacks import Threat
from helpers.data.scanner import draw_volume
from helpers.errors import BadInput
from helpers.experiments import evaluate, small_studies
from helpers.methods import load
from helpers.profiles import profile


@pytest.fixture(scope="module")
def item():
    return draw_volume("knee", 0, profile("smoke"), slices=1)[0]


def test_maps_move_with_the_measurement(item):
    mask = evaluate.mask_of(item)
    y = item.kspace * mask
    noise = Threat(load("zero-filled"), y, mask, 0.05, item.target).noise(0)[0]
    found = small_studies.through_maps(item, mask, {"nothing": 0 * y, "noise": noise})
    assert (found.loc["nothing"] < 1e-3).all() and (found.loc["noise"] > 0.001).all()


def test_one_for_many_does_more_than_noise_on_what_it_has_seen(item):
    others = [draw_volume("knee", seed, profile("smoke"), slices=1)[0] for seed in (1, 2)]
    rows = small_studies.one_for_many("unet", [item, others[0]], [others[1]], 0.05).set_index("volume")
    assert list(rows["where"]) == ["seen", "seen", "unseen"]
    seen = rows[rows["where"] == "seen"].mean(numeric_only=True)
    assert seen["universal"] > seen["noise"] > 0.9 * seen["clean"]
    narrow = replace(others[1], kspace=others[1].kspace[..., 2:-2])
    with pytest.raises(BadInput, match="of one shape, and "):
        small_studies.one_for_many("unet", [item], [narrow], 0.05)


def test_a_patient_turned_by_nothing_is_the_same(item):
    same, moved = small_studies.turned(item, 0.0), small_studies.turned(item, 5.0)
    torch.testing.assert_close(same.kspace, item.kspace, rtol=0, atol=1e-5 * float(item.kspace.abs().max()))
    torch.testing.assert_close(same.target, item.target, rtol=1e-3, atol=1e-3 * float(item.target.max()))
    assert (moved.target - item.target).norm() > 0.1 * item.target.norm()
    rows = small_studies.by_angle(item, ["zero-filled"], (0, 5), evaluate.mask_of(item))
    assert list(rows["angle"]) == [0, 5] and rows["ssim"].between(0, 1).all()
    masked = replace(item, mask=evaluate.mask_of(item))
    assert small_studies.turned(masked, 0) is masked
    with pytest.raises(BadInput, match="measured under a mask"):
        small_studies.turned(masked, 5.0)
