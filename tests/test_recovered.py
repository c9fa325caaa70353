"""Laws of what is shown of a finding: contrast, matched filter, and the least that hides or invents one."""

import math

import pytest
import torch

from helpers.attacks.threat import realized
from helpers.data.slice import Box
from helpers.errors import BadInput
from helpers.features.goal import LARGEST, NEAR, SMALLEST, Goal, least
from helpers.features.recovered import Finding, detectability

BOX = Box(3, 5, 4, 2, "Meniscus Tear")


@pytest.fixture
def pair():
    """A target with and without a finding in BOX."""
    chance = torch.Generator().manual_seed(0)
    without = 1 + torch.rand(16, 16, generator=chance)
    target = without.clone()
    target[5:7, 3:7] += torch.rand(2, 4, generator=chance)
    return target, without


def test_all_of_a_finding_is_one_and_none_of_it_is_zero(pair):
    target, without = pair
    finding = Finding.of(BOX, target, without)
    for share in (0.0, 0.3, 1.0, 1.5):
        assert float(finding.shown(without + share * (target - without))) == pytest.approx(share, abs=1e-6)
    assert finding.error(target) == 0 and finding.error(0 * target) == 1
    assert finding.shown(torch.stack([target, without])).tolist() == pytest.approx([1, 0], abs=1e-6)


def test_what_is_outside_of_the_box_does_not_count(pair):
    target, without = pair
    elsewhere = target.clone()
    elsewhere[0, 0] = elsewhere[7, 3] = elsewhere[5, 7] = 99.0
    finding = Finding.of(BOX, target, without)
    assert float(finding.shown(elsewhere)) == pytest.approx(1) and finding.error(elsewhere) == 0


def test_where_nobody_knows_what_it_would_be_without_the_mean_of_the_box_stands_in(pair):
    target, _ = pair
    finding = Finding.of(BOX, target)
    gray = target.clone()
    gray[5:7, 3:7] = target[5:7, 3:7].mean()
    assert float(finding.shown(gray)) == pytest.approx(0, abs=1e-6)
    # a brighter or darker image shows neither more nor less of it
    assert float(finding.shown(target + 1)) == pytest.approx(float(finding.shown(target)), abs=1e-5)
    with pytest.raises(BadInput, match="shows nothing"):
        Finding.of(BOX, gray, gray)


def test_detectability_is_that_of_two_normal_distributions_also_from_few_draws():
    """Hedges' factor: the mean over many small samples is the d' that they were drawn with, 2."""
    chance = torch.Generator().manual_seed(1)
    drawn = torch.randn(4000, 2, 4, generator=chance, dtype=torch.double)
    found = torch.tensor([detectability(2 + present, absent) for present, absent in drawn])
    assert float(found.mean()) == pytest.approx(2, abs=3 * float(found.std()) / 4000**0.5)
    assert detectability(torch.ones(3), torch.zeros(3)) == math.inf
    with pytest.raises(BadInput, match="two draws"):
        detectability(torch.ones(1), torch.zeros(1))


def linear(kspace, mask):
    """The real part of one coil's k-space taken for an image: perturbations add to it as they are."""
    return kspace.real[..., 0, :, :]


def goal(finding, target, name, method=linear):
    kspace = target[None].to(torch.cfloat)
    return Goal(method, kspace, torch.ones(16, dtype=torch.bool), 0.01, target, finding=finding, goal=name)


@pytest.mark.parametrize("name", ["hide", "invent"])
def test_of_a_linear_method_the_least_that_does_it_is_known(pair, name):
    """c moves by <T, e> / <T, T>, most by e along T: half of T does it."""
    target, without = pair
    finding = Finding.of(BOX, target, without)
    threat = goal(finding, target if name == "hide" else without, name)
    needed = 0.5 * float(finding.signal.norm() / threat.kspace.norm())
    assert SMALLEST < needed < LARGEST
    found = least(lambda: linear, threat)
    assert needed < found.eps < 1.02 * NEAR * needed
    assert realized(found.e, threat.kspace) == pytest.approx(found.eps, rel=1e-5)
    assert (found.shown < 0.5) == (name == "hide")
    assert found.shown == pytest.approx(float(finding.shown(linear(threat.kspace + found.e, None))))


def test_what_is_hidden_already_needs_nothing_and_what_cannot_be_is_said_to(pair):
    target, without = pair
    finding = Finding.of(BOX, target, without)
    found = least(lambda: linear, goal(finding, without, "hide"))
    assert found.eps == 0 and not found.e.any() and found.shown == pytest.approx(0, abs=1e-6)

    def deaf(kspace, mask):
        return target + 0 * linear(kspace, mask)

    found = least(lambda: deaf, goal(finding, target, "hide", deaf))
    assert found.eps == math.inf and found.shown == pytest.approx(1)
    with pytest.raises(BadInput, match="no goal 'move'"):
        goal(finding, target, "move")


def test_it_is_scored_by_the_method_made_anew(pair):
    """A method that shows its gradient to the attack and another image to the reader is not hidden from."""
    target, without = pair
    finding = Finding.of(BOX, target, without)
    found = least(lambda: lambda kspace, mask: target.clone(), goal(finding, target, "hide"))
    assert found.eps == math.inf and found.shown == pytest.approx(1)
