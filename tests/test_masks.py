"""Masks hit the acceleration that was asked for, are full in the center, and come back from their seed."""

import pytest
import torch

from helpers.errors import BadInput
from helpers.mri import masks

WIDTHS = [38, 45, 160, 180, 256, 368]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("acceleration", [1, 2, 4, 8])
def test_random_lines_are_counted_exactly(width, acceleration):
    drawn = masks.random_mask(width, acceleration, 0.04, seed=3)
    assert drawn.dtype == torch.bool and drawn.shape == (width,)
    assert int(drawn.sum()) == round(width / acceleration)
    assert masks.center_lines(drawn) >= round(width * 0.04)


def test_random_lines_favor_no_place():
    drawn = torch.stack([masks.random_mask(100, 4, 0.08, seed=seed) for seed in range(2000)]).double().mean(0)
    outside = torch.cat((drawn[:46], drawn[54:]))
    assert drawn[46:54].eq(1).all()
    # 17 of 92 lines: a mean of .185 with a standard error of .0087; five of them hold for all 92 lines
    assert (outside - 17 / 92).abs().max() < 5 * 0.0087


@pytest.mark.parametrize("width", WIDTHS)
def test_equispaced_lines_are_equispaced(width):
    center = torch.zeros(width, dtype=torch.bool)
    lines = round(width * 0.08)
    center[width // 2 - lines // 2 : width // 2 - lines // 2 + lines] = True
    drawn = masks.equispaced_mask(width, 4, 0.08, seed=1)
    places = drawn.nonzero().squeeze(1)
    assert drawn[center].all()
    left, right = (places[side] for side in (places < width // 2 - lines, places > width // 2 + lines))
    spacings = set(torch.cat((left.diff(), right.diff())).tolist())
    assert len(spacings) == 1, spacings
    # both sides belong to one comb, the center's lines added
    assert len(set((torch.cat((left, right)) % spacings.pop()).tolist())) == 1
    # half a step of spacing (5 or 6) at 17 % of the lines, and one line of 38
    assert 3.4 < masks.realized_acceleration(drawn) < 4.6


@pytest.mark.parametrize(("shape", "acceleration"), [((64, 48), 4), ((45, 38), 8), ((64, 64), 2)])
def test_poisson_discs_hit_their_acceleration(shape, acceleration):
    drawn = masks.poisson_mask(shape, acceleration, 0.1, seed=2)
    assert drawn.shape == shape
    assert masks.realized_acceleration(drawn) == pytest.approx(acceleration, rel=0.02)
    assert masks.center_block(drawn) >= tuple(round(size * 0.1) for size in shape)


@pytest.mark.parametrize("kind", masks.KINDS)
def test_the_seed_decides(kind):
    first, again, other = (masks.mask(kind, (48, 40), 4, 0.08, seed) for seed in (5, 5, 7))
    assert torch.equal(first, again) and not torch.equal(first, other)
    before = torch.get_rng_state()
    masks.mask(kind, (48, 40), 4, 0.08, 1)
    assert torch.equal(before, torch.get_rng_state())


def test_volumes_have_masks_of_their_own():
    seeds = {masks.volume_seed(f"file{number}", seed) for number in range(50) for seed in range(4)}
    assert len(seeds) == 200
    assert masks.volume_seed("file1000769", 0) == 3984972130  # crc32 of "0:file1000769": the same everywhere


@pytest.mark.parametrize("width", [21, 22])
@pytest.mark.parametrize("lines", [1, 2, 5, 6])
def test_a_line_beside_the_center_fools_nobody(width, lines):
    drawn = torch.zeros(width, dtype=torch.bool)
    start = width // 2 - lines // 2
    drawn[start : start + lines] = True
    assert masks.center_lines(drawn) == lines
    for chance in (start - 1, start + lines):
        beside = drawn.clone()
        beside[chance] = True
        assert masks.center_lines(beside) in (lines, lines + 1)
        far = chance - 3 if chance < start else chance + 3
        beside[min(far, chance) : max(far, chance) + 1] = True
        assert masks.center_lines(beside) in (lines, lines + 1)


def test_no_center_without_the_zero_frequency():
    drawn = torch.ones(10, dtype=torch.bool)
    drawn[5] = False
    assert masks.center_lines(drawn) == 0
    assert masks.center_lines(torch.ones(9, dtype=torch.bool)) == 9


def test_center_of_a_mask_in_two_dimensions():
    drawn = torch.zeros(40, 30, dtype=torch.bool)
    drawn[20 - 6 : 20 + 6, 15 - 4 : 15 + 5] = True
    drawn[20] = True  # a long thin row of chance is no better center
    assert masks.center_block(drawn) == (12, 9)
    assert masks.center_block(masks.random_mask(180, seed=1).expand(320, 180)) == (
        320,
        masks.center_lines(masks.random_mask(180, seed=1)),
    )
    assert masks.center_block(torch.zeros(4, 4, dtype=torch.bool)) == (0, 0)


@pytest.mark.parametrize(
    ("kind", "acceleration", "center", "said"),
    [
        ("random", 0.5, 0.08, "1 or more"),
        ("random", float("nan"), 0.08, "1 or more"),
        ("random", 4, 0.3, "does not fit"),
        ("random", 4, -0.1, "between 0 and 1"),
        ("equispaced", 4, 1.5, "between 0 and 1"),
        ("random", 1000, 0, "leaves nothing"),
        ("poisson", 4, 0.6, "does not fit"),
        ("poisson", 1.5, 0.08, "2 or more"),
        ("poisson", 30, 0.18, "no Poisson mask"),
        ("spiral", 4, 0.08, "random, equispaced, poisson"),
    ],
)
def test_impossible_masks(kind, acceleration, center, said):
    with pytest.raises(BadInput, match=said):
        masks.mask(kind, (40, 40), acceleration, center)


@pytest.mark.parametrize(
    "wrong",
    [torch.zeros(40, dtype=torch.bool), torch.ones(39, dtype=torch.bool), torch.ones(40), torch.ones(40, 1) > 0],
)
def test_masks_that_do_not_fit(wrong):
    with pytest.raises(BadInput, match="mask"):
        masks.fitting(wrong, (32, 40))


def test_a_mask_that_measures_nothing_has_no_acceleration():
    with pytest.raises(BadInput, match="measures nothing"):
        masks.realized_acceleration(torch.zeros(8, dtype=torch.bool))


def test_a_seed_whose_poisson_discs_jump_over_the_acceleration_has_a_mask_all_the_same():
    assert masks.realized_acceleration(masks.poisson_mask((160, 160), 4, 0.08, 13)) == pytest.approx(4, rel=0.02)
