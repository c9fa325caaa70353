"""Laws of every method there is: units, batches, shapes, masks, seeds; and the registry that names them."""

import json

import pytest
import torch
from made import coil_images

from helpers import methods
from helpers.data.scanner import draw_volume
from helpers.errors import BadInput
from helpers.experiments.evaluate import reconstruct
from helpers.methods.border import called
from helpers.mri.fourier import fft2c
from helpers.mri.masks import poisson_mask, random_mask
from helpers.mri.rss import rss
from helpers.networks import zoo
from helpers.profiles import profile
from helpers.untrained.recipes import FITS

NAMES = methods.names()
# as many steps whatever the input: a law should hold to rounding, not to the tolerance of a stopping rule
STEPS = {
    "wavelet": {"tol": None, "cap": 30},
    "tv": {"tol": None, "cap": 30},
    **{f"l1-{name}": {"tol": None, "cap": 30} for name in methods.BASES},
    "sigpy-wavelet": {"iterations": 20},
    "sigpy-tv": {"iterations": 20},
    **{name: {"steps": 2, "precision": "float32"} for name in FITS},
}


PUBLISHED = [name for name, settings in FITS.items() if settings.held == 0]  # take hours


def scan(coils: int = 3, rows: int = 48, columns: int = 40, number: int = 0) -> torch.Tensor:
    images = coil_images(coils, rows, columns, number)
    generator = torch.Generator().manual_seed(number)
    return fft2c(images + 0.01 * torch.randn(images.shape, dtype=images.dtype, generator=generator))


def loaded(name: str) -> methods.Method:
    return methods.load(name, source="knee", **STEPS.get(name, {}))


@pytest.mark.parametrize("name", ["unet-knee", "varnet-knee", "irim-knee"])
def test_weights_that_are_no_numbers_give_a_sentence_and_no_black_image(name):
    mask, network = random_mask(40, 3, 0.2), zoo.load(name)
    next(network.parameters()).fill_(torch.nan)
    with pytest.raises(BadInput, match="finite"):
        called(network, scan() * mask, mask)


@pytest.mark.parametrize("name", NAMES)
def test_units_go_in_and_come_out(name):
    mask = random_mask(40, 3, 0.2)
    kspace, method = scan() * mask, loaded(name)
    image = method(kspace, mask)
    # rounding in float32, carried along by a hundred iterations; a fit magnifies it: 1.0000001 moves dip by 9e-5
    close = (1e-3 if name in FITS else 1e-4) * image.max().item()
    for unit in (1e7, 1e-7):
        torch.testing.assert_close(method(kspace * unit, mask) / unit, image, rtol=0, atol=close)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(3, 48, 40), (1, 48, 40), (3, 45, 38), (2, 38, 45)])
def test_a_real_finite_image_of_the_full_grid(name, shape):
    mask = random_mask(shape[-1], 2, 0.2)
    kspace = scan(*shape) * mask
    before = kspace.clone()
    image = loaded(name)(kspace, mask)
    assert image.shape == shape[1:] and image.dtype == torch.float32
    assert torch.isfinite(image).all() and (image >= 0).all() and image.max() > 0
    assert torch.equal(kspace, before)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_in_nothing_out(name):
    mask = random_mask(40, 3, 0.2)
    image = loaded(name)(torch.zeros(3, 48, 40, dtype=torch.complex64), mask)
    # networks divide by a deviation that is kept from being zero by the smallest of numbers, or by its root
    assert image.abs().max() <= (1e-17 if methods.family(name) == "network" else 0)


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_is_its_slices(name):
    mask, method = random_mask(40, 3, 0.2), loaded(name)
    batch = torch.stack([scan(number=0), 1e5 * scan(number=1)]) * mask
    for image, kspace in zip(method(batch, mask), batch, strict=True):
        alone = method(kspace, mask)
        # sums of a batch are rounded otherwise
        torch.testing.assert_close(image, alone, rtol=0, atol=1e-4 * alone.max().item())


@pytest.mark.parametrize("name", NAMES)
def test_a_mask_may_have_two_dimensions(name):
    # to the minimum, where there is one: under a mask of points the solvers take another way there
    options = {"tol": 1e-4} if name in ("wavelet", "tv") or name.startswith("l1-") else STEPS.get(name, {})
    columns, method = random_mask(40, 3, 0.2), methods.load(name, source="knee", **options)
    kspace = scan()
    image = method(kspace * columns, columns)
    torch.testing.assert_close(
        method(kspace * columns, columns.expand(48, 40)), image, rtol=0, atol=1e-3 * image.max().item()
    )
    points = poisson_mask((48, 40), 3, 0.2)
    assert torch.isfinite(method(kspace * points, points)).all()


@pytest.mark.parametrize("name", NAMES)
def test_the_same_twice(name):
    mask, method = random_mask(40, 3, 0.2), loaded(name)
    assert torch.equal(method(scan() * mask, mask), method(scan() * mask, mask))


@pytest.mark.parametrize("name", NAMES)
def test_masks_that_do_not_fit(name):
    for wrong in (torch.zeros(40, dtype=torch.bool), torch.ones(39, dtype=torch.bool)):
        with pytest.raises(BadInput, match="mask"):
            loaded(name)(scan(), wrong)


@pytest.mark.parametrize("name", [name for name in methods.REGISTRY if name not in ("zero-filled", *PUBLISHED)])
def test_better_than_nothing(name):
    """At 2x, three coils, 40 columns: SENSE and wavelets keep about .7 of the error of doing nothing.

    k-space as a basis keeps .9, all that the coils give: its penalty has no reason to fill what was not measured.
    """
    mask = random_mask(40, 2, 0.2)
    target = scan()
    truth = methods.load("zero-filled")(target, torch.ones(40, dtype=torch.bool))
    error, nothing = (
        (methods.load(each, source="knee")(target * mask, mask) - truth).norm() for each in (name, "zero-filled")
    )
    assert error < (1 if name == "l1-fourier" else 0.8) * nothing


@pytest.mark.parametrize("name", zoo.names())
def test_a_network_is_better_than_nothing_on_what_it_was_trained_for(name):
    for source in zoo.card(name)["data"]:
        item = draw_volume(source, 0, profile("laptop"), slices=1, split="validation")[0]
        mask = random_mask(item.kspace.shape[-1], 4, 0.08)
        method, nothing = methods.load(name), methods.load("zero-filled")
        errors = [(reconstruct(each, item, mask) - item.target).norm() for each in (method, nothing)]
        assert errors[0] < 0.8 * errors[1]


def test_an_architecture_stands_for_the_network_of_that_anatomy(monkeypatch):
    monkeypatch.setattr(zoo, "names", lambda: ["unet-knee", "unet-brain"])
    found = [methods.load("unet", source=source).keywords["name"] for source in ("knee", "stanford", "brain")]
    assert found == ["unet-knee", "unet-knee", "unet-brain"]
    assert methods.family("unet") == "network"
    with pytest.raises(BadInput, match="varnet-knee"):
        methods.load("varnet", source="knee")


def test_families():
    assert {methods.family(name) for name in NAMES} == {"linear", "sparsity", "un-trained", "network"}
    assert methods.family("my_package:reconstruct") == "own"


def test_weights_are_data():
    values = json.loads(methods.TUNED.read_text())
    for name in ("wavelet", "tv"):
        for source in ("knee", "brain", "stanford"):
            assert methods.tuned(name, source) == values[name][source]
            assert methods.load(name, source=source).keywords["lam"] == values[name][source]["lam"] > 0
    assert methods.tuned("sigpy-tv", "knee") == methods.tuned("tv", "knee")
    assert methods.load("wavelet", lam=0.5).keywords["lam"] == 0.5


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: methods.load("magic"), "zero-filled, sense, wavelet"),
        (lambda: methods.load("sense", lam=1), "no option 'lam'; its options: mu, tolerance"),
        (lambda: methods.load("zero-filled", mu=1), "its options: none"),
        (lambda: methods.load("wavelet", source="liver"), "brain, knee, stanford"),
        (lambda: methods.tuned("sense", "knee"), "these have: wavelet, tv"),
        (lambda: methods.tuned("magic", "knee"), "no method 'magic'"),
    ],
)
def test_bad_names_are_answered_with_the_choices(call, said):
    with pytest.raises(BadInput, match=said):
        call()


def test_the_gradient_of_silent_pixels_is_zero():
    """Where no coil sees anything the root has no slope; an attack must not turn that into a NaN."""
    images = torch.zeros(3, 4, 4, dtype=torch.complex64)
    images[:, 0, 0] = 1j
    (gradient,) = torch.autograd.grad(rss(images.requires_grad_()).sum(), images)
    assert torch.isfinite(torch.view_as_real(gradient)).all() and gradient[:, 0, 0].abs().min() > 0
