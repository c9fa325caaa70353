"""Laws of artificial features: what a coil model can produce, what is changed, and that many at once are as one."""

import pytest
import torch

from helpers import methods
from helpers.data.scanner import draw_volume
from helpers.errors import BadInput
from helpers.experiments import evaluate
from helpers.experiments.heat_maps import Seen
from helpers.features.artificial import SHAPES, Feature, Scan, together
from helpers.mri.noise import noise_level, recorded
from helpers.profiles import profile


@pytest.fixture(scope="module")
def scan():
    return Scan.of(draw_volume("knee", 0, profile("smoke"), slices=1)[0])


@pytest.fixture(scope="module")
def whole():
    """A scan that has recorded all lines: where not all are, a feature is as blurred as all else."""
    item = next(
        each
        for seed in range(9)
        for each in draw_volume("brain", seed, profile("smoke"), slices=1)
        if each.kspace.any(-2).all()
    )
    return Scan.of(item)


PLACES = [(10, 20), (30, 40)]


def test_a_feature_without_contrast_changes_nothing_to_the_bit(scan):
    assert scan.with_feature(Feature(contrast=0.0), PLACES) is scan.item


def test_a_coil_model_can_produce_the_corrected_feature_and_not_the_published_one(scan):
    for contrast in (1.0, -0.5):
        assert scan.outside(scan.maps * scan.added(Feature(contrast=contrast), PLACES)) < 1e-6
    assert scan.outside(scan.constant(Feature(), PLACES)) > 0.1


def test_the_reference_gains_the_feature_in_its_window_and_nothing_elsewhere(whole):
    feature = Feature(size=4)
    gained = whole.with_feature(feature, PLACES).target - whole.item.target
    inside = torch.zeros_like(gained, dtype=torch.bool)
    for row, column in PLACES:
        inside[row : row + 4, column : column + 4] = True
    assert float(gained[~inside].abs().max()) < 1e-5 * whole.peak
    filled = whole.with_feature(feature, PLACES).target[inside]
    assert float(filled.mean()) == pytest.approx(whole.peak, rel=0.02) and float(filled.std()) < 0.02 * whole.peak


def test_dark_features_are_black(whole):
    dark = whole.with_feature(Feature(contrast=-1.0), PLACES).target
    for row, column in PLACES:
        assert float(dark[row : row + 3, column : column + 3].max()) < 0.1 * whole.peak


def test_lines_that_the_scanner_left_at_zero_stay_so_and_the_noise_is_what_it_was(scan):
    """A feature in lines without noise let estimates of the noise fall a thousandfold."""
    item = scan.item
    assert not item.kspace.any(-2).all()
    for changed in (scan.with_feature(Feature(), PLACES), scan.as_published(Feature(), PLACES)):
        assert torch.equal(recorded(changed.kspace).any((0, 1)), recorded(item.kspace).any((0, 1)))
        whole = torch.ones(item.kspace.shape[-1], dtype=torch.bool)
        now, before = noise_level(changed.kspace, whole), noise_level(item.kspace, whole)
        assert float(now) == pytest.approx(float(before), rel=0.05)


@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_lie_in_their_windows_and_are_alike_from_both_sides(shape):
    for size in (1, 2, 3, 6):
        stamp = Feature(size=size, shape=shape).stamp()
        assert stamp.shape == (size, size) and 0 < stamp.sum() <= size**2
        assert torch.equal(stamp, stamp.flip(0)) and torch.equal(stamp, stamp.flip(1))
    with pytest.raises(BadInput, match="1 pixel or more"):
        Feature(size=0, shape=shape).stamp()


@pytest.mark.parametrize("band", [1, 5, 16, 99])
def test_every_place_is_in_one_group_and_a_group_has_one_in_each_band(band):
    groups = list(together((30, 21), band))
    places = [place for group in groups for place in group]
    assert len(places) == len(set(places)) == 30 * 21
    for group in groups:
        rows = [row for row, _ in group]
        assert all(b - a == band for a, b in zip(rows, rows[1:]))


@pytest.mark.parametrize("name", ["zero-filled", "sense"])
def test_many_features_at_once_are_shown_as_one_at_a_time(scan, name):
    """These two see rows apart from each other but for the scale and the coil maps."""
    seen, feature = Seen.of(scan, methods.load(name, source="knee"), evaluate.mask_of(scan.item)), Feature()
    group = list(together(scan.places(3), 16))[37]
    at_once = seen.shown(feature, group)["error"]
    for found, place in zip(at_once, group, strict=True):
        assert float(found) == pytest.approx(float(seen.shown(feature, [place])["error"]), rel=0.05, abs=1e-4)


def test_a_heat_map_has_every_place_once(scan):
    seen = Seen.of(scan, methods.load("zero-filled"), evaluate.mask_of(scan.item))
    whole = seen.heat_map(Feature(), band=20)
    assert whole["error"].shape == scan.places(3) and not whole["error"].isnan().any()
    coarse = seen.heat_map(Feature(), band=20, stride=5)
    assert torch.allclose(coarse["error"], whole["error"][::5, ::5], rtol=0.1, atol=1e-4)
