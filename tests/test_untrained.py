"""Fitting un-trained networks: gradients, data consistency, what is left out, when it stops, and warm starts."""

import warnings
from dataclasses import replace

import pytest
import torch
from made import coil_images
from torch.testing import assert_close

from helpers import methods
from helpers.data.scanner import draw_volume
from helpers.errors import BadInput
from helpers.experiments import evaluate
from helpers.mri import metrics
from helpers.mri.coils import espirit
from helpers.mri.fourier import fft2c, ifft2c
from helpers.mri.masks import held_out, random_mask
from helpers.mri.noise import scale
from helpers.mri.rss import rss
from helpers.profiles import profile
from helpers.untrained.fit import Fitting, fit
from helpers.untrained.generators import GENERATORS
from helpers.untrained.kept import kept
from helpers.untrained.precision import pays
from helpers.untrained.problem import OCCUPIED, Problem, Settings, occupied_rows
from helpers.untrained.recipes import FITS, PUBLISHED
from helpers.untrained.side_by_side import SideBySide

SMALL = Settings(options={"channels": 12, "layers": 4}, steps=40, precision="float32", crop=False)
COILS = replace(SMALL, maps=False, mu=None, consistency=0)


def scan(coils: int = 3, rows: int = 48, columns: int = 40, noise: float = 0.02, seed: int = 0):
    images = coil_images(coils, rows, columns, 0)
    generator = torch.Generator().manual_seed(seed)
    kspace = fft2c(images + noise * torch.randn(images.shape, dtype=images.dtype, generator=generator))
    mask = random_mask(columns, 3, 0.2)
    return kspace * mask, mask


def noise_image(*shape, seed=1):
    return torch.randn(shape, dtype=torch.complex64, generator=torch.Generator().manual_seed(seed))


# the problem that is solved


# virtual coils leave out a thousandth of the energy of the maps, so of an image some sqrt(1e-3)
@pytest.mark.parametrize(("settings", "tolerance"), [(replace(SMALL, mu=None), 0.03), (COILS, 1e-5)])
def test_the_gradient_is_that_of_the_residual_of_the_fitted_lines(settings, tolerance):
    kspace, mask = scan(coils=6)
    problem = Problem(kspace, mask, settings)
    fitted, _ = held_out(mask, settings.held)
    images = noise_image(*(() if settings.maps else (6,)), 48, 40).requires_grad_()
    maps = espirit(kspace, mask) if settings.maps else 1
    residual = fitted * (fft2c(maps * images) - kspace)
    (expected,) = torch.autograd.grad(residual.abs().square().sum() / 2, images)
    assert (problem.preconditioned(problem.slope(images.detach())) - expected).norm() < tolerance * expected.norm()


def test_the_preconditioned_gradient_solves_its_equation():
    kspace, mask = scan()
    image = noise_image(48, 40)
    plain, quick = (Problem(kspace, mask, replace(SMALL, mu=mu)) for mu in (None, 0.03))
    slope = quick.preconditioned(quick.slope(image))
    assert_close(
        quick.fitted.sense.gram(slope) + 0.03 * slope,
        plain.preconditioned(plain.slope(image)),
        rtol=0,
        atol=0.03 * plain.preconditioned(plain.slope(image)).norm().item(),  # the tolerance of its conjugate gradients
    )


def test_data_consistency_keeps_what_was_measured_and_nothing_else():
    """With w = 0 the measured entries of the coil images are y to the bit that a transform leaves, the others G's."""
    kspace, mask = scan()
    problem, images = Problem(kspace, mask, COILS), noise_image(3, 48, 40)
    found = fft2c(problem.consistent(images))
    assert_close(found * mask, kspace, rtol=0, atol=1e-5 * kspace.abs().max().item())
    assert_close(found * ~mask, fft2c(images) * ~mask, rtol=0, atol=1e-5 * kspace.abs().max().item())


def test_data_consistency_goes_from_y_to_the_generator():
    kspace, mask = scan()
    image = noise_image(48, 40)
    near, far = (Problem(kspace, mask, replace(SMALL, consistency=w)) for w in (1, 1e12))
    assert_close(far.consistent(image), image, rtol=1e-3, atol=1e-3)
    gram, b = near.all.sense.gram, near.all.b
    assert (gram(near.consistent(image)) - b).norm() < 0.05 * (gram(image) - b).norm()


def test_held_back_lines_are_outside_the_center_and_a_tenth():
    mask = random_mask(180, 4, 0.08)
    fitted, held = held_out(mask, 0.1, seed=3)
    assert torch.equal(fitted | held, mask) and not (fitted & held).any() and held.sum() == round(0.1 * 45)
    assert not held[90 - 7 : 90 + 7].any()
    assert not held_out(mask, 0)[1].any()
    everything = torch.ones(40, dtype=torch.bool)
    assert torch.equal(held_out(everything, 0.1)[0], everything)
    points = torch.zeros(20, 20, dtype=torch.bool)
    points[5:15, 5:15] = True
    points[0] = True
    assert held_out(points, 0.1)[1].sum() == 12 and held_out(points, 0.1)[1][0].sum() == 12


def test_rows_of_nothing_but_noise_are_left_out():
    images = torch.zeros(4, 96, 40, dtype=torch.complex64)
    images[:, 30:70] = coil_images(4, 40, 40, 0)
    holding = rss(images).amax(1).nonzero()
    kspace, mask = fft2c(images + 0.03 * noise_image(4, 96, 40)), random_mask(40, 3, 0.2)
    rows = occupied_rows(kspace * mask, mask)
    assert (rows.start, rows.stop) == (int(holding[0]), int(holding[-1]) + 1)
    assert OCCUPIED > 1 and occupied_rows(kspace, torch.ones(96, 40, dtype=torch.bool)) == slice(0, 96)
    found = fit(kspace * mask, mask, replace(SMALL, crop=True, steps=10)).image
    assert found.shape == (96, 40) and found[:20].std() < 1e-6 < found[:20].min()  # the noise that is expected there


# fits


@pytest.mark.parametrize(
    ("processor", "quick"),
    [
        ({"cpu_name": "Intel Xeon", "avx512_bf16": True, "amx_bf16": True}, True),
        ({"cpu_name": "Intel Xeon", "avx512_bf16": True, "amx_bf16": False}, False),
        ({"cpu_name": "AMD EPYC", "avx512_bf16": True, "amx_bf16": False}, True),
        ({"cpu_name": "AMD Ryzen", "avx512_bf16": False, "amx_bf16": False}, False),
        ({"architecture": "aarch64"}, False),
    ],
)
def test_convolutions_are_in_bfloat16_where_the_processor_multiplies_it_by_itself(processor, quick):
    assert pays(torch.device("cpu"), processor) == quick
    assert pays(torch.device("cuda"), processor)


@pytest.mark.parametrize("quick", [True, False])
def test_bfloat16_is_left_where_it_does_not_pay(monkeypatch, quick):
    monkeypatch.setattr("helpers.untrained.precision.pays", lambda device: quick)
    kspace, mask = scan()
    low, full = (fit(kspace, mask, replace(SMALL, precision=each, steps=3)).image for each in ("bfloat16", "float32"))
    assert torch.equal(low, full) != quick
    assert methods.depends("convdecoder")["precision"] == ("bfloat16" if quick else "float32")
    assert (low - full).norm() < 0.05 * full.norm()  # a product of numbers of 8 bits is off by 2**-8, three steps of it


def test_the_same_seed_gives_the_same_image_bit_for_bit(monkeypatch):
    monkeypatch.setattr("helpers.untrained.precision.pays", lambda device: True)
    kspace, mask = scan()
    for settings in (SMALL, replace(SMALL, precision="bfloat16"), COILS):
        one, two, other = (fit(kspace, mask, replace(settings, steps=12), seed=seed).image for seed in (0, 0, 1))
        assert torch.equal(one, two) and not torch.equal(one, other)


# with three coils at 3x, .86 and .75 of the error of doing nothing were seen
@pytest.mark.parametrize("settings", [replace(SMALL, rate=0.02), replace(COILS, rate=0.01)])
def test_a_fit_beats_the_zero_filled_image_and_its_loss_falls(settings):
    kspace, mask = scan()
    truth = rss(coil_images(3, 48, 40, 0))
    found = fit(kspace, mask, replace(settings, steps=300, options={"channels": 32, "layers": 4}))
    losses = [look["loss"] for look in found.trajectory]
    assert losses[-1] < 0.2 * losses[0]
    assert (found.image - truth).norm() < 0.9 * (rss(ifft2c(kspace)) - truth).norm()


def test_lines_that_the_scanner_left_at_zero_are_not_all_that_judges():
    """Of 40 columns half are zeros around the k-space: some seeds hold none but these."""
    kspace, mask = scan()
    kspace[..., :10], kspace[..., -10:] = 0, 0
    there = kspace.abs().sum((-3, -2)) > 0
    problem, without = Problem(kspace, mask, SMALL), 0
    for seed in range(40):
        held = held_out(mask, SMALL.held, seed)[1]
        fitted, judges = problem.split(seed)
        assert (judges & there).any() and torch.equal(fitted, mask & ~judges)
        assert torch.equal(judges, held) or not (held & there).any()
        without += not (held & there).any()
    assert without


def test_a_fit_that_has_given_up_is_kept_at_its_end(tmp_path, monkeypatch):
    kspace, mask = scan()
    settings = replace(SMALL, steps=400)
    with pytest.raises(KeyboardInterrupt), kept(tmp_path / "fits"):
        found = fit(kspace, mask, settings)
        raise KeyboardInterrupt  # on the way of the piece of work
    assert found.trajectory[-1]["step"] < settings.steps
    monkeypatch.setattr(Fitting, "step", lambda self: pytest.fail("it has ended"))
    with kept(tmp_path / "fits"):
        assert torch.equal(fit(kspace, mask, settings).image, found.image)


def test_the_image_that_explains_the_held_back_lines_best_is_kept():
    kspace, mask = scan(noise=0.3)
    found = fit(kspace, mask, replace(SMALL, steps=400, rate=0.02, mu=None))
    held = {look["step"]: look["held_loss"] for look in found.trajectory}
    assert held[found.best] == min(held.values())
    losses = [look["loss"] for look in found.trajectory]
    assert losses[-1] < losses[0]  # it goes on explaining what it is fitted to


def test_a_published_fit_keeps_the_lowest_training_loss():
    kspace, mask = scan()
    settings = replace(PUBLISHED, options={"channels": 12, "layers": 4}, steps=60, rate=0.05)
    found = fit(kspace, mask, settings)
    losses = [look["loss"] for look in found.trajectory]
    assert all(later <= earlier for earlier, later in zip(losses, losses[1:], strict=False))
    assert all(torch.isnan(torch.tensor(look["held_loss"])) for look in found.trajectory)


def test_data_consistency_is_with_the_data_that_were_given():
    """The published score of an attack put the clean samples back; here a change of one line must show in the image."""
    kspace, mask = scan()
    line = int(mask.nonzero()[-1])
    changed = kspace.clone()
    changed[:, :, line] *= -1
    one, other = (fit(each, mask, replace(COILS, steps=10)).image for each in (kspace, changed))
    assert (one - other).norm() > 0.5 * 2 * kspace[:, :, line].norm()


def test_a_warm_start_goes_on_where_a_fit_ended():
    kspace, mask = scan()
    first = fit(kspace, mask, replace(SMALL, steps=150))
    kept = {name: value.clone() for name, value in first.state["generator"].items()}
    nearby = kspace + 0.02 * kspace.norm() / mask.sum() ** 0.5 * fft2c(noise_image(3, 48, 40)) * mask / 44
    warm, cold = (fit(nearby, mask, replace(SMALL, steps=10, rate=0.002), start=start) for start in (first.state, None))
    assert warm.trajectory[-1]["loss"] < 0.3 * cold.trajectory[-1]["loss"]
    assert all(torch.equal(value, kept[name]) for name, value in first.state["generator"].items())


def test_a_limit_on_time_returns_the_best_so_far():
    kspace, mask = scan()
    with pytest.warns(UserWarning, match="stopped after 1e-09 s at step 10 of 40"):
        found = fit(kspace, mask, SMALL, seconds=1e-9)
    assert found.trajectory[-1]["step"] == 10 and torch.isfinite(found.image).all()


def test_a_bar_with_the_losses_is_on_standard_error(capsys):
    kspace, mask = scan()
    seen = []
    fit(
        kspace,
        mask,
        replace(SMALL, steps=20),
        progress=True,
        watch=lambda look, image: seen.append((look["step"], image)),
    )
    out, err = capsys.readouterr()
    assert not out and "held_loss=" in err
    assert [step for step, _ in seen] == [10, 20] and all(image.shape == (48, 40) for _, image in seen)


def test_several_seeds_are_averaged():
    kspace, mask = scan()
    options = {"steps": 10, "precision": "float32"}
    one, two, both = (
        methods.load("convdecoder", seed=seed, seeds=seeds, **options)(kspace, mask)
        for seed, seeds in ((0, 1), (1, 1), (0, 2))
    )
    assert_close(both, (one + two) / 2)


@pytest.mark.parametrize("name", GENERATORS)
def test_networks_side_by_side_are_the_networks(name):
    """To rounding in double precision, outputs and gradients, whatever the architecture."""
    options = {"channels": 6} | ({"scales": 3, "skips": (0, 2, 2)} if name == "dip" else {"layers": 4})
    torch.manual_seed(0)
    alone = [GENERATORS[name](4, (20, 17), **options).double() for _ in range(3)]
    together = SideBySide(alone)
    outputs = together()
    assert_close(outputs, torch.stack([network() for network in alone]))
    weight = torch.randn(outputs.shape, dtype=torch.double)
    (outputs * weight).sum().backward()
    for network, each in zip(alone, weight, strict=True):
        (network() * each).sum().backward()
    for n, parameters in enumerate(zip(*(network.parameters() for network in alone), strict=True)):
        # the bias before a batch norm has no effect, so that its gradient is rounding
        assert_close(together.weights[n].grad, torch.stack([each.grad for each in parameters]), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("settings", [SMALL, COILS, replace(COILS, held=0)])
def test_a_batch_of_fits_is_what_each_gives_alone(settings):
    """Slices and seeds differ. The Deep Decoder magnifies rounding least; other fits drift apart within a few steps."""
    settings = replace(settings, generator="deep-decoder", steps=20, rate=0.002)
    scans = [scan(seed=seed)[0] for seed in (0, 1, 1)]
    mask, seeds = scan()[1], (0, 0, 3)
    batch = fit(torch.stack(scans), mask, settings, seeds)
    for kspace, seed, image, coils, best in zip(scans, seeds, batch.image, batch.coils, batch.best, strict=True):
        alone = fit(kspace, mask, settings, seed)
        assert_close(image, alone.image, rtol=0, atol=1e-3 * float(alone.image.max()))
        assert_close(coils, alone.coils, rtol=0, atol=1e-3 * float(alone.image.max()))
        assert best == alone.best
    assert not batch.state and len(batch.trajectory) == 2


def test_a_batch_has_room_for_a_measurement_of_nothing_and_for_masks_of_points():
    kspace, mask = scan()
    points = mask.expand(48, 40).clone()
    points[::7, :10] = False
    settings = replace(SMALL, generator="deep-decoder", steps=10)
    batch = fit(torch.stack([kspace * points, 0 * kspace]), points, settings, (0, 1))
    alone = fit(kspace * points, points, settings, 0)
    assert_close(batch.image[0], alone.image, rtol=0, atol=1e-3 * float(alone.image.max()))
    assert not batch.image[1].any()


def test_fits_at_once_are_put_where_they_belong():
    kspace, mask = scan()
    both = torch.stack([kspace, scan(seed=1)[0]])
    one, all_at_once = (
        methods.load("deep-decoder", steps=10, seeds=2, precision="float32", at_once=size)(both, mask)
        for size in (1, 3)
    )
    assert_close(one, all_at_once, rtol=0, atol=0.02 * float(one.max()))
    assert (one[0] - one[1]).abs().max() > 0.05 * one.max()


@pytest.mark.parametrize("options", [{"seeds": 0}, {"steps": 0}, {"seconds": 0}, {"at_once": 0}])
def test_impossible_numbers(options):
    kspace, mask = scan()
    with pytest.raises(BadInput, match="at least 1 seed"):
        methods.load("dip", **options)(kspace, mask)
    with pytest.raises(BadInput, match="choose one of convdecoder"):
        fit(kspace, mask, replace(SMALL, generator="magic"))


def test_an_evolution_is_scored_look_by_look():
    item = draw_volume("knee", 0, profile("smoke"), slices=1, split="train")[0]
    mask = evaluate.mask_of(item)
    watch, frames = evaluate.evolution(item)
    found = fit(item.kspace * mask, mask, replace(SMALL, steps=20), watch=watch)
    assert [step for step, _ in frames] == [look["step"] for look in found.trajectory] == [10, 20]
    for look, (_, image) in zip(found.trajectory, frames, strict=True):
        assert look["ssim"] == metrics.scores(image, item.target)["ssim"]


@pytest.mark.slow
def test_the_tuned_fit_is_better_than_zero_filled_on_a_drawn_slice():
    item = draw_volume("knee", 0, profile("smoke"), slices=1, split="train")[0]
    mask = evaluate.mask_of(item)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scores = [
            metrics.scores(evaluate.reconstruct(methods.load(name), item, mask), item.target)["ssim"]
            for name in ("zero-filled", "convdecoder")
        ]
    assert scores[1] > scores[0] + 0.05
    assert set(FITS) >= {"convdecoder", "deep-decoder", "dip"}
    assert scale(item.kspace * mask) > 0


def test_fits_of_a_piece_of_work_are_kept_until_it_is_done(tmp_path, monkeypatch):
    """One that was killed goes on to the same image, to the bit; what was done is not done again."""
    kspace, mask = scan()
    monkeypatch.setattr("helpers.untrained.fit.SAVE_EVERY", 0)
    step, steps = Fitting.step, []

    def counted(self):
        steps.append(1)
        if len(steps) == 25:
            raise KeyboardInterrupt
        step(self)

    alone, folder = fit(kspace, mask, SMALL), tmp_path / "table.csv.fits" / "piece"
    monkeypatch.setattr(Fitting, "step", counted)
    with pytest.raises(KeyboardInterrupt), kept(folder):
        fit(kspace, mask, SMALL)
    with kept(folder):
        again = fit(kspace, mask, SMALL)
        assert len(steps) == 25 + SMALL.steps - 20, "from the last look before the kill"
        twice = fit(kspace, mask, SMALL)
        assert len(steps) == 25 + SMALL.steps - 20 and len(list(folder.iterdir())) == 1
        fit(kspace, mask, SMALL, seed=1)
        fit(2 * kspace, mask, replace(SMALL, steps=10))
        fit(kspace, mask, SMALL, stop=10)
        assert len(list(folder.iterdir())) == 4
    assert torch.equal(alone.image, again.image) and torch.equal(alone.image, twice.image)
    assert again.best == twice.best == alone.best and not folder.parent.exists()
