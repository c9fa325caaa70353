"""The gradient through an un-trained fit: that of fits solved anew; and the attack that climbs it by fresh fits."""

from dataclasses import replace
from functools import partial

import pytest
import torch
from made import coil_images
from torch import nn
from torch.testing import assert_close

from helpers.attacks import Threat
from helpers.attacks import fresh_fits as attack
from helpers.attacks.fresh_fits import Known, fresh_fits, fresh_fits_by
from helpers.attacks.threat import length
from helpers.data.scanner import draw_volume
from helpers.errors import BadInput
from helpers.experiments import evaluate
from helpers.mri.fourier import fft2c, ifft2c
from helpers.mri.masks import random_mask
from helpers.profiles import profile
from helpers.untrained import generators
from helpers.untrained.fit import Fitting, fit
from helpers.untrained.implicit_gradient import derivative, implicit_gradient
from helpers.untrained.problem import Problem, Settings

SMALL = Settings(options={"channels": 12, "layers": 4}, steps=40, precision="float32")
EPS = 0.03


class Linear(nn.Module):
    """A generator that is linear in its weights, for which Gauss-Newton leaves out nothing."""

    def __init__(self, outputs: int, size: tuple[int, int], count: int = 12):
        super().__init__()
        coarse = torch.randn(count, outputs, 5, 4)
        self.register_buffer("basis", nn.functional.interpolate(coarse, size, mode="bilinear"))
        self.weights = nn.Parameter(torch.randn(count))

    def forward(self):
        return torch.einsum("n,nkyx->kyx", self.weights, self.basis)


class Solved:
    """A toy in double precision: min over theta of ||A G(theta) - y - dy||^2, preconditioned, solved to rounding."""

    def __init__(self):
        images = coil_images(3, 32, 24).to(torch.complex128)
        noise = torch.randn(images.shape, dtype=images.dtype, generator=torch.Generator().manual_seed(0))
        mask = random_mask(24, 2, 0.3)
        settings = Settings("linear", held=0.2, crop=False, precision="float32")
        self.problem = Problem(mask * fft2c(images + 0.02 * noise), mask, settings)
        self.fitting = Fitting(self.problem)
        self.fitting.generator.double()
        self.fitting.step()  # for the moments of Adam
        basis = self.fitting.generator.basis / self.fitting.scale
        self.basis = torch.complex(basis[:, 0], basis[:, 1])
        self.target = torch.linspace(0, 2, 32 * 24, dtype=torch.float64).reshape(32, 24)
        gram, solve = self.problem.all.sense.gram, partial(self.problem.preconditioned, term=self.problem.all)
        self.solve = lambda image: solve(image, tolerance=1e-12)
        columns = torch.stack([self.solve(gram(each)) for each in self.basis])
        self.normal = torch.einsum("myx,nyx->mn", self.basis.conj(), columns).real

    def loss(self, image):
        return (image - self.target).square().sum()

    def weights(self, dy):
        right = self.solve(self.problem.all.b + self.adjoint(dy))
        return torch.linalg.solve(self.normal, torch.einsum("nyx,yx->n", self.basis.conj(), right).real)

    def adjoint(self, dy):
        return (self.problem.maps.conj() * ifft2c(self.problem.mask * dy)).sum(-3)

    def climbed(self, dy, late):
        """The loss of the final image less `late` times the held-out loss, refitted to y + dy."""
        problem, held = self.problem, self.problem.held
        generated = torch.einsum("n,nyx->yx", self.weights(dy).to(self.basis.dtype), self.basis)
        x = problem.regularized(problem.all.b + self.adjoint(dy) + problem.w * generated, 1e-12)
        residual = held.sense.mask * (fft2c(problem.maps * generated) - problem.kspace - dy)
        return self.loss(problem.magnitude(x)) - late * residual.abs().square().sum() / held.energy


@pytest.fixture
def solved(monkeypatch):
    monkeypatch.setitem(generators.GENERATORS, "linear", Linear)
    return Solved()


@pytest.mark.parametrize("late", [0.0, 300.0])
def test_the_gradient_is_that_of_fits_solved_anew(solved, late):
    """Along any direction, to 1e-6: what differences in double precision leave."""
    weights = solved.weights(0 * solved.problem.kspace)
    with torch.no_grad():
        solved.fitting.generator.weights.copy_(weights)
        generated = solved.fitting.image()
    g = implicit_gradient(solved.fitting, generated, solved.loss, late, damping=0, steps=30, tolerance=1e-10)
    assert not (g * ~solved.problem.mask).any()
    h = 1e-4
    for seed in range(3):
        dy = torch.randn(g.shape, dtype=g.dtype, generator=torch.Generator().manual_seed(seed))
        dy = dy * solved.problem.mask
        ends = [solved.climbed(sign * h * dy, late) for sign in (1, -1)]
        along = (g.conj() * dy).real.sum()
        assert along == pytest.approx(
            float(ends[0] - ends[1]) / (2 * h), rel=1e-6, abs=1e-6 * float(g.norm() * dy.norm())
        )


def test_the_path_through_the_network_counts(solved):
    """Damped beyond measure the weights are held, and what is left is the gradient of the last step alone."""
    with torch.no_grad():
        solved.fitting.generator.weights.copy_(solved.weights(0 * solved.problem.kspace))
        generated = solved.fitting.image()
    slope = partial(implicit_gradient, solved.fitting, generated, solved.loss)
    free, held = slope(damping=1e-6, tolerance=1e-8), slope(damping=1e9, tolerance=1e-8)
    problem = solved.problem
    y = problem.kspace.clone().requires_grad_()
    x = problem.regularized(solved.adjoint(y) + problem.w * generated, 1e-12)
    (last,) = torch.autograd.grad(solved.loss(problem.magnitude(x)), y)
    assert (held - last).norm() < 1e-6 * last.norm()
    assert (free - held).norm() > 1e-3 * held.norm()
    assert (slope(damping=1e-6) - free).norm() < 0.01 * free.norm()  # what the tolerance costs


def small(seed: int = 0):
    images = coil_images(3, 32, 24)
    noise = torch.randn(images.shape, dtype=images.dtype, generator=torch.Generator().manual_seed(seed))
    mask = random_mask(24, 2, 0.3)
    return mask * fft2c(images + 0.02 * noise), mask


@pytest.mark.parametrize("name", generators.GENERATORS)
def test_the_derivative_of_a_generator_and_its_transpose(name):
    options = {"channels": 6} | ({"scales": 3, "skips": (0, 2, 2)} if name == "dip" else {"layers": 3})
    kspace, mask = small()
    problem = Problem(kspace.to(torch.complex128), mask, Settings(name, options, crop=False, precision="float32"))
    fitting = Fitting(problem)
    fitting.generator.double().to(memory_format=torch.contiguous_format)  # which vectors of torch ask for
    J, J_transposed = derivative(fitting)
    parameters = list(fitting.generator.parameters())
    start = nn.utils.parameters_to_vector(parameters).detach()
    draw = torch.Generator().manual_seed(0)
    v = torch.randn(start.shape, dtype=start.dtype, generator=draw)
    u = torch.randn((32, 24), dtype=torch.complex128, generator=draw)
    ends = []
    with torch.no_grad():
        for h in (1e-7, -1e-7):
            nn.utils.vector_to_parameters(start + h * v, parameters)
            ends.append(fitting.image())
    moved = J(v)
    assert (moved - (ends[0] - ends[1]) / 2e-7).norm() < 1e-4 * moved.norm()  # but for a few kinks of the ReLU
    assert_close((moved.conj() * u).real.sum(), J_transposed(u) @ v)


def test_a_stop_that_is_held_gives_what_stood_there():
    kspace, mask = small()
    free = fit(kspace, mask, SMALL)
    again = fit(kspace, mask, SMALL, stop=free.best)
    assert torch.equal(free.image, again.image) and again.trajectory[-1]["step"] == again.best == free.best
    late = fit(kspace, mask, SMALL, stop=30)
    assert late.best == 30 and not torch.equal(late.image, fit(kspace, mask, SMALL, stop=20).image)


def test_fits_of_another_form_have_no_gradient():
    kspace, mask = small()
    for change in ({"maps": False, "mu": None}, {"consistency": 0}):
        found = fit(kspace, mask, replace(SMALL, steps=10, **change))
        with pytest.raises(BadInput, match="in the SENSE form, with data consistency"):
            implicit_gradient(Fitting(found.problem, 0, found.state), found.generated, torch.sum)


@pytest.fixture(scope="module")
def item():
    return draw_volume("knee", 0, profile("smoke"), slices=1)[0]


def threat(item, settings, score="nmse"):
    mask = evaluate.mask_of(item)

    def method(kspace, mask):
        slices = kspace.reshape(-1, *kspace.shape[-3:])
        return torch.stack([fit(each, mask, settings).image for each in slices]).unflatten(0, kspace.shape[:-3] or (1,))

    return Threat(
        lambda kspace, mask: method(kspace, mask) if kspace.ndim > 3 else method(kspace, mask)[0],
        item.kspace * mask,
        mask,
        EPS,
        item.target,
        score=score,
    )


def test_the_attack_beats_noise_with_all_its_strength(item):
    settings = replace(SMALL, options={"channels": 16, "layers": 4})
    rules = threat(item, settings)
    found = fresh_fits(rules, item, settings, steps=2)
    assert float(found.e.norm() / rules.kspace.norm()) == pytest.approx(EPS, rel=1e-5)
    assert not (found.e * ~rules.mask).any()
    assert found.loss > rules.loss(rules.noise(0)[0])
    assert_close(found.loss, rules.loss(found.e))  # that of the method, whose seed is none of the search
    # the clean fit, two starts, two steps, and the method's own of the two finalists
    assert found.curve.shape == (4,) and found.gradient_norms.shape == (2,) and found.evaluations == 7
    assert (found.curve.diff() >= 0).all() and (found.gradient_norms > 0).all()


def test_every_score_is_climbed_in_its_turn_and_judges_all_iterates(item):
    """What the first climbs alone it climbs here, bit for bit; and nothing is worse by a score than what is its own."""
    settings = replace(SMALL, steps=20)
    rules = {score: threat(item, settings, score) for score in ("nmse", "ssim")}
    starts = [Known(seed * rules["nmse"].noise(seed)[0]) for seed in (1, 2)]  # stretched, whatever their strength
    both = fresh_fits_by(rules, item, settings, steps=1, starts=starts)
    alone = fresh_fits(rules["nmse"], item, settings, steps=1, starts=starts)
    assert torch.equal(both["nmse"].curve, alone.curve)
    assert torch.equal(both["nmse"].gradient_norms, alone.gradient_norms)
    for score, found in both.items():
        assert_close(found.loss, rules[score].loss(found.e), rtol=0, atol=0)
        assert float(length(found.e) / rules[score].radius) == pytest.approx(1, rel=1e-5)
        assert found.gradient_norms.shape == (1,) and found.evaluations in (6, 7, 8)
        assert all(found.loss >= rules[score].loss(other.e) for other in both.values())
    assert [found.curve.shape for found in both.values()] == [(3,), (4,)]  # each to the end of its own ascent


def test_a_start_that_was_fitted_costs_nothing_and_counts(item):
    settings = replace(SMALL, steps=20)
    rules = threat(item, settings)
    e = rules.noise(0)[0]
    start = Known(e, fit(rules.kspace + e, rules.mask, settings))
    found = fresh_fits(rules, item, settings, steps=0, starts=[start])
    assert torch.equal(found.e, e) and found.evaluations == 0 and found.curve.shape == (0,)
    assert_close(found.loss, rules.loss(e), rtol=0, atol=0)
    weak = Known(e / 2, start.fitted)  # of another strength, where its fit says nothing
    found = fresh_fits(rules, item, settings, steps=0, starts=[weak])
    assert_close(found.e, e)
    assert found.evaluations == 2
    more = fresh_fits(rules, item, settings, steps=1, starts=[start])
    assert more.loss >= rules.loss(e) and more.evaluations == 2


def test_an_attack_on_the_stop_lets_no_fit_end_early(item, monkeypatch):
    """Else a fit whose held-out loss only grows keeps its first look."""
    stops, settings = [], replace(SMALL, steps=60)
    monkeypatch.setattr(attack, "fit", lambda *a, stop: stops.append((found := fit(*a, stop=stop)).best) or found)
    rules = threat(item, settings)
    starts = [Known(rules.noise(0)[0])]
    for late in (0.0, 0.3):
        stops.clear()
        fresh_fits(rules, item, settings, steps=1, late=late, starts=starts)
        assert (stops == [30, 30]) if late else len(stops) == 2


def test_a_measurement_of_zeros_is_no_trace(item):
    rules = threat(replace(item, kspace=0 * item.kspace), SMALL)
    found = fresh_fits(rules, item, SMALL, steps=1)
    assert not found.e.any()


@pytest.mark.parametrize(("score", "late"), [("nmse", 0.0), ("ssim", 0.3)])
def test_the_same_seed_finds_the_same(item, score, late):
    settings = replace(SMALL, steps=20)
    rules = threat(item, settings, score)
    how = {"steps": 1, "late": late, "starts": [Known(rules.noise(0)[0])]}
    one, two, other = (fresh_fits(rules, item, settings, seed, **how) for seed in (0, 0, 1))
    assert torch.equal(one.e, two.e) and not torch.equal(one.e, other.e)
    assert torch.equal(one.loss, two.loss)


@pytest.mark.slow
def test_a_longer_fit_is_harmed_whatever_its_seed(item):
    """By .0372 for .0222 of noise and .0218 of nothing, as was seen; shorter fits are chaos."""
    settings = Settings(steps=60)
    rules = threat(item, settings)
    found = fresh_fits(rules, item, settings, steps=2)
    others = torch.stack([rules.loss(e) for e in (0 * found.e, rules.noise(0)[0])])
    assert found.loss > 1.3 * others.max()
