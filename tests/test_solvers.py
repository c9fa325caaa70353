"""The sparsity solvers: proximal laws, closed forms, gaps that bound, and the same answer whichever way one asks."""

import warnings

import pytest
import sigpy
import torch
from made import coil_images, made_slices
from sigpy.mri import linop

from helpers import methods
from helpers.data import open_data
from helpers.data.scanner import draw_volume
from helpers.experiments import evaluate
from helpers.methods import l1, tuned, tv
from helpers.mri.fourier import ifft2c
from helpers.mri.masks import random_mask
from helpers.mri.noise import scale
from helpers.mri.rss import rss
from helpers.mri.sense import Sense
from helpers.profiles import profile
from helpers.sparsity import total_variation
from helpers.sparsity.proximal_gradient import DataTerm, soft_threshold, weight
from helpers.sparsity.wavelet import Wavelet

SOLVERS = [pytest.param(l1, {"name": "haar", "levels": 2}, id="wavelet"), pytest.param(tv, {}, id="tv")]
SOLVERS += [pytest.param(tv, {"isotropic": False}, id="tv-anisotropic")]


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, dtype=torch.complex128, generator=torch.Generator().manual_seed(seed))


def problem(shape=(24, 30), coils=4, seed=0, acceleration=2) -> tuple[Sense, torch.Tensor]:
    """Two ellipses behind smooth coils of unit norm, in double precision."""
    images = coil_images(coils, *shape, number=seed).to(torch.complex128)
    smooth = images / rss(images).clamp(min=1e-9)
    inside = rss(images) > 0
    maps = torch.where(inside, smooth, torch.full_like(smooth, coils**-0.5))
    sense = Sense(maps, random_mask(shape[1], acceleration, 0.2, seed))
    kspace = sense.forward(rss(images).to(torch.complex128)) + sense.mask * 0.02 * noise(coils, *shape, seed=seed)
    return sense, kspace


def unsampled(shape: tuple[int, int]) -> tuple[Sense, torch.Tensor]:
    """One ideal coil and all of k-space: A is unitary, so that the solution is one proximal step."""
    return Sense(torch.ones(1, *shape, dtype=torch.complex128), torch.ones(shape[1], dtype=torch.bool)), noise(
        1, *shape
    )


def test_soft_thresholding_is_the_proximal_step():
    z, threshold = noise(50), torch.tensor(0.7, dtype=torch.float64)
    x = soft_threshold(z, threshold)

    def cost(u):
        return (u - z).abs().square() / 2 + threshold * u.abs()

    for seed in range(1, 20):
        assert (cost(x) <= cost(x + 0.1 * noise(50, seed=seed)) + 1e-15).all()
    assert ((x == 0) == (z.abs() <= threshold)).all()
    # firmly nonexpansive
    other = noise(50, seed=99)
    moved = x - soft_threshold(other, threshold)
    assert moved.abs().square().sum() <= (moved.conj() * (z - other)).real.sum()
    assert soft_threshold(z, torch.zeros((), dtype=torch.float64)).equal(z)
    torch.testing.assert_close(x, torch.from_numpy(sigpy.thresh.soft_thresh(0.7, z.numpy())))


def test_the_gradient_of_total_variation_has_its_adjoint():
    planes, field = noise(3, 2, 7, 9).real, noise(3, 2, 2, 7, 9, seed=1).real
    products = [
        (total_variation.gradient(planes) * field).sum(),
        (planes * total_variation.gradient_adjoint(field)).sum(),
    ]
    torch.testing.assert_close(*products)
    # ||D||^2 <= 8, the step of the dual iteration
    for _ in range(100):
        planes = total_variation.gradient_adjoint(total_variation.gradient(planes))
        planes = planes / planes.norm()
    assert total_variation.gradient(planes).square().sum() <= 8


def test_total_variation_of_a_square():
    image = torch.zeros(16, 20, dtype=torch.complex128)
    image[4:9, 3:10] = 2j
    edges = 2 * (5 + 7) * 2
    corner = 2 * (2 - 2**0.5)  # isotropic: at the one corner where both differences meet
    torch.testing.assert_close(float(total_variation.total_variation(image, isotropic=False)), float(edges))
    torch.testing.assert_close(float(total_variation.total_variation(image)), edges - corner)


def test_sigpy_has_the_same_total_variation():
    x = noise(12, 15)
    theirs = abs(sigpy.linop.FiniteDifference((12, 15))(x.numpy())).sum()
    torch.testing.assert_close(float(total_variation.total_variation(x, isotropic=False)), float(theirs))


def test_the_proximal_step_of_total_variation_is_optimal():
    z, lam = noise(12, 10), torch.full((1, 1), 0.3, dtype=torch.float64)
    prox = total_variation.Prox(lam, z, inner=3000)
    step = torch.full((1, 1), 1.7, dtype=torch.float64)
    x = prox(z, step)
    cost = (x - z).abs().square().sum() / 2 + 1.7 * 0.3 * total_variation.total_variation(x)
    # the dual objective of the same field: equal at the optimum, and its field is feasible
    dual = (z.abs().square().sum() - x.abs().square().sum()) / 2
    assert total_variation.power(prox.field, True).max() <= 0.3**2 * (1 + 1e-12)
    torch.testing.assert_close(cost, dual, rtol=1e-8, atol=0)  # 3000 steps of an iteration of order 1/n^2


def test_a_constant_has_no_variation_and_stays():
    sense, _ = unsampled((8, 10))
    image = torch.full((8, 10), 3 - 2j, dtype=torch.complex128)
    torch.testing.assert_close(tv.solve(sense, sense.forward(image), 0.5, tol=1e-10).x, image)


def test_two_halves_come_closer():
    """TV of a piecewise constant: halves of height h over widths n/2 move toward each other by 2 lam / (n / 2)."""
    sense, _ = unsampled((6, 20))
    image = torch.zeros(6, 20, dtype=torch.complex128)
    image[:, 10:] = 1
    x = tv.solve(sense, sense.forward(image), 0.5, tol=1e-9).x
    moved = 2 * 0.5 / 10  # two edges, for the lines are periodic
    expected = torch.where(image.real > 0, 1 - moved, moved).to(x)
    torch.testing.assert_close(x, expected, rtol=0, atol=1e-4)  # a gap of 1e-9 leaves its root in the image


def test_all_of_kspace_and_one_coil_is_one_soft_threshold():
    sense, kspace = unsampled((16, 20))
    transform = Wavelet((16, 20), "haar", 1)
    expected = transform.adjoint(soft_threshold(transform.forward(sense.adjoint(kspace)), torch.tensor(0.8)))
    found = l1.solve(sense, kspace, 0.8, "haar", levels=1, tol=1e-12)
    torch.testing.assert_close(found.x, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("method, options", SOLVERS)
def test_without_penalty_or_data(method, options):
    sense, kspace = problem()
    assert method.solve(sense, torch.zeros_like(kspace), 0.1, **options).x.abs().max() == 0
    # above lam_max the l1 solution is zero, and TV's a constant
    x = method.solve(sense, kspace, 1e3, tol=1e-6, **options).x
    assert (x - x.mean()).abs().max() < 1e-3


@pytest.mark.parametrize("method, options", SOLVERS)
@pytest.mark.parametrize("lam", [0.003, 0.03, 0.3])
def test_the_gap_bounds_the_distance_to_the_minimum(method, options, lam):
    sense, kspace = problem()

    def cost(x):
        return method.objective(sense, kspace, lam, x, **options)

    best = method.solve(sense, kspace, lam, tol=1e-6, **options)
    assert best.gap <= 1e-6
    for tol in (0.3, 0.1, 1e-2, 1e-3, 1e-4):
        found = method.solve(sense, kspace, lam, tol=tol, **options)
        assert found.gap <= tol
        assert (cost(found.x) - cost(best.x)) / cost(found.x) <= found.gap


@pytest.mark.parametrize("source", ["knee", "brain", "stanford"])
def test_the_image_at_the_stop_is_that_of_the_minimum(source):
    """At the gap at which l1-wavelet stops, on drawn scans with the tuned weight, to a thousandth of its length."""
    item = draw_volume(source, 0, profile("smoke"), slices=1)[0]
    mask = evaluate.mask_of(item)
    y = (item.kspace * mask / scale(item.kspace * mask)).to(torch.complex128)
    sense, lam = Sense.estimated(y, mask), weight(tuned("wavelet", source)["lam"], y, mask)
    found, best = (l1.solve(sense, y, lam, tol=tol, cap=20_000) for tol in (l1.TOLERANCE, 1e-8))
    assert best.gap <= 1e-8 and (found.x - best.x).norm() < 1e-3 * best.x.norm()
    costs = [l1.objective(sense, y, lam, each.x) for each in (found, best)]
    assert 0 <= (costs[0] - costs[1]) / costs[0] <= found.gap <= l1.TOLERANCE


@pytest.mark.parametrize("method, options", SOLVERS)
def test_the_lower_bound_is_one_from_anywhere(method, options):
    """Weak duality: far from the solution the certificate is loose, but never wrong."""
    sense, kspace = problem()
    minimum = method.objective(sense, kspace, 0.03, method.solve(sense, kspace, 0.03, tol=1e-6, **options).x, **options)
    data = DataTerm(sense, kspace)
    lam = torch.full((1, 1), 0.03, dtype=torch.float64)
    for seed in range(5):
        x = data.b + 0.1 * seed * noise(24, 30, seed=seed)
        if method is l1:
            bound = l1.lower_bound(data, Wavelet((24, 30), "haar", 2), lam, x, sense.gram(x))
        else:
            prox = total_variation.Prox(lam, x, options.get("isotropic", True))
            prox(x, torch.ones_like(lam))
            bound = tv.lower_bound(data, prox, x, sense.gram(x))
        assert bound <= minimum


@pytest.mark.parametrize("method, options", SOLVERS)
def test_no_other_image_is_better(method, options):
    sense, kspace = problem()
    x = method.solve(sense, kspace, 0.03, tol=1e-6, **options).x
    cost = method.objective(sense, kspace, 0.03, x, **options)
    for seed in range(10):
        for size in (1e-3, 1e-2, 0.1):
            other = x + size * noise(24, 30, seed=seed)
            assert method.objective(sense, kspace, 0.03, other, **options) > cost * (1 - 1e-6)


def test_sigpy_finds_the_same_wavelet_image():
    sense, kspace = problem((32, 32))
    weights = sense.mask.expand(32, 32).numpy().astype(float)
    operator = linop.Sense(sense.maps.numpy(), weights=weights)
    transform = sigpy.linop.Wavelet((32, 32), wave_name="haar", level=1)
    prox = sigpy.prox.UnitaryTransform(sigpy.prox.L1Reg(transform.oshape, 0.03), transform)
    theirs = sigpy.app.LinearLeastSquares(
        operator, kspace.numpy(), proxg=prox, alpha=1, max_iter=800, show_pbar=False
    ).run()
    ours = l1.solve(sense, kspace, 0.03, "haar", tol=1e-7, levels=1).x
    costs = [l1.objective(sense, kspace, 0.03, x, "haar", levels=1) for x in (ours, torch.from_numpy(theirs))]
    torch.testing.assert_close(*costs, rtol=1e-6, atol=0)  # FISTA is at 1e-7 after 800 steps
    torch.testing.assert_close(ours, torch.from_numpy(theirs), rtol=0, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("source", ["knee", "brain"])
def test_l1_with_its_own_levels_is_no_worse_than_sigpys(source):
    """Which goes as deep as the image allows: with one level less ours lost .03 on knees. On training slices."""
    gains = []
    for item in open_data(source, profile=profile("laptop"), split="train", volumes=3, slices=1):
        mask, lam = evaluate.mask_of(item), methods.tuned("wavelet", source)["lam"]
        ours, theirs = (
            evaluate.measure(name, methods.load(name, item, lam=lam), item, mask)["ssim"]
            for name in ("wavelet", "sigpy-wavelet")
        )
        gains.append(ours - theirs)
    assert sum(gains) / len(gains) > -0.005, gains


def test_sigpy_finds_the_same_total_variation_image():
    sense, kspace = problem((32, 32))
    weights = sense.mask.expand(32, 32).numpy().astype(float)
    theirs = sigpy.mri.app.TotalVariationRecon(
        kspace.numpy(), sense.maps.numpy(), 0.03, weights=weights, sigma=0.1, tau=0.55, max_iter=3000, show_pbar=False
    ).run()
    ours = tv.solve(sense, kspace, 0.03, isotropic=False, tol=1e-6).x
    costs = [tv.objective(sense, kspace, 0.03, x, isotropic=False) for x in (ours, torch.from_numpy(theirs))]
    torch.testing.assert_close(*costs, rtol=1e-5, atol=0)


@pytest.mark.parametrize("method, options", SOLVERS)
def test_a_batch_is_its_items(method, options):
    """With a weight of its own for each, and each as it was when it got to its tolerance."""
    problems = [problem(seed=0), problem(seed=1)]
    lams = torch.tensor([0.01, 0.2], dtype=torch.float64)
    maps = torch.stack([sense.maps for sense, _ in problems])
    kspace = torch.stack([kspace for _, kspace in problems])
    mask, counts = problems[0][0].mask, []
    for tol, cap in ((None, 25), (1e-3, 2000)):
        together = method.solve(Sense(maps, mask), kspace, lams, tol=tol, cap=cap, **options)
        for i in range(2):
            alone = method.solve(Sense(maps[i], mask), kspace[i], float(lams[i]), tol=tol, cap=cap, **options)
            torch.testing.assert_close(together.x[i], alone.x, rtol=0, atol=1e-10)
            torch.testing.assert_close(together.gap[i], alone.gap, rtol=0, atol=1e-10, equal_nan=True)
            counts.append(alone.iterations)
    assert counts[2] != counts[3] and together.iterations == max(counts[2:]) and (together.gap <= 1e-3).all()


@pytest.mark.parametrize("method, options", SOLVERS)
def test_single_precision(method, options):
    sense, kspace = problem()
    single = Sense(sense.maps.to(torch.complex64), sense.mask)
    found = method.solve(single, kspace.to(torch.complex64), 0.03, tol=1e-3, **options)
    assert found.x.dtype == torch.complex64 and found.gap <= 1e-3
    double = method.solve(sense, kspace, 0.03, tol=1e-3, **options)
    assert double.iterations == found.iterations
    # the same iterations; restarts may fall differently where a product is zero to rounding
    assert (found.x - double.x).norm() < 1e-3 * double.x.norm()


@pytest.mark.parametrize("method, options", SOLVERS)
def test_a_cap_that_is_reached_warns(method, options):
    sense, kspace = problem()
    with pytest.warns(UserWarning, match="cap of 3 iterations"):
        assert method.solve(sense, kspace, 0.03, tol=1e-9, cap=3, **options).iterations == 3
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = method.solve(sense, kspace, 0.03, tol=None, cap=3, **options)
    assert found.iterations == 3 and found.gap.isnan()


@pytest.mark.parametrize("method, options", SOLVERS)
def test_gradients_through_the_iterations_are_finite_differences(method, options):
    sense, kspace = problem((10, 12), coils=2)
    kspace = kspace.requires_grad_()

    def loss(y):
        return method.solve(sense, y, 0.05, tol=None, cap=12, **options).x.abs().square().sum()

    (gradient,) = torch.autograd.grad(loss(kspace), kspace)
    assert gradient.isfinite().all()
    for seed in range(3):
        direction = noise(2, 10, 12, seed=seed)
        h = 1e-6
        with torch.no_grad():
            slope = (loss(kspace + h * direction) - loss(kspace - h * direction)) / (2 * h)
        along = (gradient.conj() * direction).real.sum()
        torch.testing.assert_close(along, slope, rtol=1e-5, atol=0)  # h^2 and rounding over h, both some 1e-8


@pytest.mark.parametrize("method", [l1, tv])
def test_reconstruct(method):
    """Units do not matter, the image is better than zero-filled, batches and gradients pass."""
    item = made_slices()[0]
    mask = random_mask(item.kspace.shape[-1], 2, 0.2, 0)
    kspace = item.kspace * mask
    image = method.reconstruct(kspace, mask, 0.3)
    assert image.shape == kspace.shape[-2:] and image.dtype == torch.float32
    torch.testing.assert_close(
        method.reconstruct(1e7 * kspace, mask, 0.3), 1e7 * image, rtol=1e-3, atol=1e-3 * 1e7 * float(image.max())
    )
    target = rss(ifft2c(item.kspace))
    assert (image - target).norm() < 0.9 * (rss(ifft2c(kspace)) - target).norm()
    both = method.reconstruct(torch.stack([kspace, 2 * kspace]), mask, 0.3)
    torch.testing.assert_close(both[1], 2 * both[0], rtol=1e-3, atol=1e-3 * float(image.max()))
    y = kspace.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(method.reconstruct(y, mask, 0.3, tol=None, cap=5).square().sum(), y)
    assert gradient.isfinite().all() and gradient.abs().max() > 0
