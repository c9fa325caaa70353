"""Laws of artificial features: what a coil model can produce, what is changed, and that many at once are as one."""

from dataclasses import replace

import pandas as pd
import pytest
import torch

from helpers import methods
from helpers.attacks.exact import LinearSense
from helpers.data.scanner import draw_volume
from helpers.errors import BadInput
from helpers.experiments import detection, evaluate, heat_maps
from helpers.experiments.evaluate import reconstruct
from helpers.experiments.heat_maps import Seen
from helpers.features.artificial import SHAPES, Feature, Scan, together
from helpers.features.closed_form import ClosedForm
from helpers.methods import load
from helpers.methods.sense import MU
from helpers.mri.metrics import object_mask
from helpers.mri.noise import noise_level, recorded
from helpers.mri.sense import Sense
from helpers.profiles import profile
from helpers.shifts import signal
from helpers.shifts.lines import measured


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
    seen, feature = Seen.of(scan, methods.load(name, source="knee"), measured(scan.item)), Feature()
    group = list(together(scan.places(3), 16))[37]
    at_once = seen.shown(feature, group)["error"]
    for found, place in zip(at_once, group, strict=True):
        assert float(found) == pytest.approx(float(seen.shown(feature, [place])["error"]), rel=0.05, abs=1e-4)


def test_sense_in_closed_form_is_what_the_solver_gives_for_one_feature_at_a_time(whole):
    """With the maps of the clean scan, where features in other rows are not seen at all: to 1e-5 of the maximum."""
    item, feature = whole.item, Feature()
    mask = measured(item)
    y = mask * item.kspace
    closed = ClosedForm.of(y, mask)
    solver = LinearSense(closed.sense, MU)
    among_others = Seen.of(whole, closed, mask)
    alone = Seen.of(whole, lambda kspace, mask: solver(kspace).abs(), mask)
    group = list(together(whole.places(3), heat_maps.BANDS[heat_maps.CLOSED_FORM]))[20]
    at_once = among_others.shown(feature, group)
    for number in range(0, len(group), 7):
        one = alone.shown(feature, [group[number]])
        for name in ("error", "contrast"):
            assert float(at_once[name][number]) == pytest.approx(float(one[name][0]), abs=1e-5)
    with pytest.raises(BadInput, match="mask of points"):
        ClosedForm(Sense(closed.sense.maps, torch.ones(item.kspace.shape[-2:], dtype=torch.bool)))


@pytest.mark.parametrize("stride", [1, 5])
def test_a_heat_map_has_every_place_once_whatever_its_pieces(scan, stride):
    seen, shape = Seen.of(scan, methods.load("zero-filled"), measured(scan.item)), tuple(scan.item.target.shape)
    pieces = heat_maps.firsts(shape, "unet", stride)
    rows = pd.DataFrame(
        row for first in reversed(pieces) for row in heat_maps.lines(seen, "unet", stride, first, {"volume": "one"})
    )
    found = heat_maps.heat_map(rows)
    assert found.shape == tuple(len(range(0, n, stride)) for n in scan.places(3)) and not found.isnan().any()
    for row, column in [(0, 0), (3, 5), (found.shape[0] - 1, found.shape[1] - 1)]:
        alone = seen.shown(Feature(), [(row * stride, column * stride)])["error"]
        assert float(found[row, column]) == pytest.approx(float(alone[0]), rel=0.1, abs=2e-4)
    if stride == 1:
        assert heat_maps.heat_map(rows[rows["row"] != 3])[3].isnan().all()


def test_stored_errors_are_what_they_were_to_half_a_part_in_a_thousand():
    """From those that a picture shows on; what is no line is told."""
    errors = torch.logspace(-4, 2, 100)
    torch.testing.assert_close(heat_maps.read(heat_maps.stored(errors)), errors, rtol=5e-4, atol=0)
    assert heat_maps.read(heat_maps.stored(torch.tensor([torch.nan, 0.0]))).isnan().tolist() == [True, False]
    for text in ("6799 123", "YWFh", "!"):
        with pytest.raises(BadInput, match="measure it again"):
            heat_maps.read(text)


def test_a_feature_as_published_is_scored_as_the_notebooks_do(scan):
    """Both images have mean 0 and deviation 1, and every coil has the same constant in the window."""
    seen = heat_maps.seen(scan.item, "published", "unet")
    feature, places = Feature(), [(10, 20)]
    item = scan.as_published(feature, places)
    image, target = (evaluate.reconstruct(seen.method, item, seen.mask), item.target)
    normal = [(each - each.mean()) / each.std() for each in (image, target)]
    wrong = (normal[0] - normal[1])[10:13, 20:23].square().mean()
    assert float(seen.shown(feature, places)["error"][0]) == pytest.approx(float(wrong), rel=1e-5)
    with pytest.raises(BadInput, match="no heat map of tv"):
        heat_maps.seen(scan.item, "published", "tv")


def test_random_places_show_how_far_maps_are_to_be_trusted(scan):
    seen = heat_maps.seen(scan.item, "corrected", "sense")
    rows = list(heat_maps.checked(seen, "sense", 0, {}, count=3))
    assert all(row["at_once"] == pytest.approx(row["alone"], abs=1e-5) and row["features"] > 10 for row in rows)
    assert rows == list(heat_maps.checked(seen, "sense", 0, {}, count=3))


def test_the_threshold_lets_as_many_empty_places_through_as_it_says(scan):
    """On places and draws of noise that have not set it: a mean over features, each far from exact."""
    item, mask, method, rates = scan.item, measured(scan.item), load("zero-filled"), []

    def images(first):
        draws = [signal.noisier(item, detection.TWICE, first + number) for number in range(4)]
        return torch.stack([reconstruct(method, draw, mask) for draw in draws])

    for feature in (Feature(1, 1.0), Feature(2, 0.5), Feature(4, -0.5), Feature(4, 1.0)):
        threshold, others, outputs = detection.threshold(scan, feature, images(0)), images(10), []
        for group in range(50, 80):
            places = detection.scattered(item, feature.size, group)
            for finding in detection.marked(scan.with_feature(feature, places), item, feature, places):
                outputs.append(finding.signal.norm() * finding.shown(others))
        rates.append(float((torch.cat(outputs) > threshold).float().mean()))
    assert detection.FALSE / 2 < sum(rates) / len(rates) < 2 * detection.FALSE


def test_the_deviation_is_of_noise_that_scans_with_and_without_a_feature_do_not_share(scan, monkeypatch):
    drawn, put = [], Scan.with_feature
    monkeypatch.setattr(detection, "detectability", lambda present, absent: drawn.append((present, absent)) or 0.0)
    # in the truth alone, so that equal draws of noise give equal numbers
    monkeypatch.setattr(Scan, "with_feature", lambda *given: replace(put(*given), kspace=scan.item.kspace))
    list(detection.rows(scan.item, "zero-filled", {}, which=[Feature(4, 1.0)]))
    assert drawn and all((len(a), len(b)) == (detection.DRAWS, detection.EMPTY) for a, b in drawn)
    assert all(set(a.tolist()).isdisjoint(b.tolist()) for a, b in drawn)


def test_a_larger_and_brighter_feature_is_not_missed(scan):
    faint, plain = Feature(1, 0.25), Feature(8, 1.0)
    small, large = detection.rows(scan.item, "zero-filled", {}, which=[faint, plain])
    assert 0 <= large["misses"] <= small["misses"] <= 1 and large["misses"] < 0.05
    assert large["detectability"] > small["detectability"] > 0
    assert 0.3 < large["contrast"] < 1.1 and large["places"] >= 2 * detection.GROUPS
    inside = object_mask(scan.item.target.numpy())
    with pytest.raises(BadInput, match="less than 20 pixels"):
        detection.scattered(scan.item, detection.BAND, 0)
    for row, column in detection.scattered(scan.item, 8, 0):
        assert inside[row : row + 8, column : column + 8].all()
