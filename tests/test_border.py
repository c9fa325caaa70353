"""The border to a reader's function: it cannot spoil our data, and what it returns is the image."""

import warnings
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_reader import GRID, ITEM, MASK, Y, image

from helpers import methods
from helpers.attacks import Threat
from helpers.attacks.known import attacks_on
from helpers.attacks.threat import NoGradient
from helpers.attacks.worst import worst
from helpers.errors import BadInput
from helpers.experiments import evaluate
from helpers.methods import own


def everywhere(function, like=Y):
    """The image of a function by each way that it goes: bordered, through `evaluate`, and through an attack."""
    whole = replace(ITEM, target=None, kspace=like)
    threat = Threat(function, like, MASK, 0.1, like[0].abs())
    return (
        own.method(function, "mine")(like, MASK),
        evaluate.reconstruct(function, whole, MASK),
        threat.images(torch.zeros_like(like)),
    )


RETURNS = {
    "tensor": lambda found: found,
    "double": lambda found: found.double(),
    "half": lambda found: (found / found.max()).half(),
    "bfloat16": lambda found: found.bfloat16(),
    "integers": lambda found: (1000 * found / found.max()).to(torch.int16),
    "bytes": lambda found: (255 * found / found.max()).to(torch.uint8),
    "array": lambda found: found.numpy(),
    "long double": lambda found: found.numpy().astype(np.longdouble),
    "unsigned": lambda found: (1000 * found / found.max()).numpy().astype(np.uint16),
    "big-endian": lambda found: found.numpy().astype(">f4"),
    "big-endian double": lambda found: found.numpy().astype(">f8"),
    "flipped there and back": lambda found: found.numpy()[::-1, ::-1].copy()[::-1, ::-1],
    "by columns": lambda found: np.asfortranarray(found.numpy()),
    "every other": lambda found: np.repeat(found.numpy(), 2, 1)[:, ::2],
    "read-only": lambda found: np.broadcast_to(found.numpy()[:1], found.shape),
    "expanded": lambda found: found[:1].expand(found.shape),
    "transposed twice": lambda found: found.T.contiguous().T,
    "a parameter": lambda found: torch.nn.Parameter(found),
    "with a gradient": lambda found: found * torch.ones(1, requires_grad=True),
    "conjugated": lambda found: torch.complex(torch.zeros_like(found), -found).conj().imag,
    "matrix": lambda found: np.asmatrix(found.numpy()),
    "masked, nothing masked": lambda found: np.ma.masked_array(found.numpy()),
    "a table": lambda found: __import__("pandas").DataFrame(found.numpy()),
}


@pytest.mark.parametrize("kind", RETURNS)
def test_every_kind_of_return_is_the_image_of_the_function_by_hand(kind):
    def function(kspace, mask):
        return RETURNS[kind](image(kspace, mask))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        by_hand = function(Y.clone(), MASK.clone())
        expected = by_hand.detach() if isinstance(by_hand, torch.Tensor) else np.array(by_hand, np.float64)
        expected = torch.as_tensor(expected).to(torch.float32)
        for found in everywhere(function):
            assert torch.equal(found, expected) and found.dtype == torch.float32 and not found.requires_grad
        row = evaluate.measure("mine", function, ITEM, MASK)
        (same,) = evaluate.rows({"mine": own.method(function, "mine")}, [ITEM])
    timing = ("seconds",)
    assert {key: row[key] for key in row if key not in timing} == {key: same[key] for key in row if key not in timing}
    assert row["ssim"] == evaluate.metrics.scores(ITEM.crop(expected), ITEM.target, ITEM.peak)["ssim"]


def test_an_object_that_ends_the_process_when_asked_for_its_numbers_is_a_sentence(capfd):
    class Lazy:
        def __array__(self, dtype=None, copy=None):
            print("computed late")
            raise SystemExit(0)

    with pytest.raises(BadInput, match="it returned a Lazy"):
        own.method(lambda kspace, mask: Lazy(), "mine")(Y, MASK)
    out, err = capfd.readouterr()
    assert not out and err == "computed late\n"


def test_a_double_measurement_gives_a_double_image():
    for found in everywhere(lambda kspace, mask: image(kspace, mask).float(), Y.to(torch.complex128)):
        assert found.dtype == torch.float64


REFUSED = {
    "None": (lambda found: None, "it returned None"),
    "a string": (lambda found: "image", "it returned a str"),
    "a list": (lambda found: found.tolist(), "it returned a list"),
    "ragged": (lambda found: [[1], [1, 2]], "it returned a list"),
    "a pair": (lambda found: (found, found), "it returned a tuple"),
    "a generator": (lambda found: (row for row in found), "it returned a generator"),
    "objects": (lambda found: found.numpy().astype(object), "ndarray of object"),
    "strings": (lambda found: found.numpy().astype(str), "ndarray of <U"),
    "times": (lambda found: np.zeros(GRID, "M8[s]"), "datetime64"),
    "a record": (lambda found: np.zeros(GRID, [("x", "f4")]), "a ndarray of [("),
    "sparse": (lambda found: found.to_sparse(), "sparse_coo"),
    "meta": (lambda found: found.to("meta"), "on meta"),
    "masked": (lambda found: np.ma.masked_less(found.numpy(), 1e9), "a MaskedArray"),
    "truth values": (lambda found: found > 1, "truth values"),
    "truth values, array": (lambda found: found.numpy() > 1, "truth values"),
    "complex": (lambda found: found + 0j, "magnitude"),
    "complex array": (lambda found: found.numpy() + 0j, "magnitude"),
    "NaN": (lambda found: found.index_fill(0, torch.tensor([0]), torch.nan), f"NaN or infinite in {GRID[1]} pixels"),
    "infinite": (lambda found: found.numpy() / np.float32(0), "NaN or infinite"),
    "too large": (lambda found: found.double() + 1e300, "NaN or infinite"),
    "a number": (lambda found: found.mean(), "this one is of ()"),
    "a number of numpy": (lambda found: np.float32(3), "this one is of ()"),
    "a batch": (lambda found: found[None], f"{GRID}, the grid of the k-space, this one is of (1, 128, 72)"),
    "a channel": (lambda found: found[..., None], "this one is of (128, 72, 1)"),
    "a crop": (lambda found: found[32:96, 4:68], "this one is of (64, 64)"),
    "transposed": (lambda found: found.T, "this one is of (72, 128)"),
    "coils": (lambda found: Y.abs(), "this one is of (4, 128, 72)"),
    "empty": (lambda found: found[:0], "this one is of (0, 72)"),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_no_image_is_told_alike_everywhere(kind):
    make, words = REFUSED[kind]

    def function(kspace, mask):
        return make(image(kspace, mask).detach())

    threat = Threat(function, Y, MASK, 0.1, Y[0].abs())
    ways = {
        "mine": lambda: own.method(function, "mine")(Y, MASK),
        "a method": lambda: evaluate.reconstruct(function, ITEM, MASK),
        "a method ": lambda: threat.loss(torch.zeros_like(Y)),
        "a  method": lambda: threat.slope(torch.zeros_like(Y)),
    }
    for name, way in ways.items():
        with pytest.raises(BadInput) as told:
            way()
        sentence = str(told.value)
        assert sentence.startswith(f"{' '.join(name.split())} must return") and words in sentence
        assert ". " not in sentence and "\n" not in sentence


FUZZ = settings(deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
TYPES = "f2 f4 f8 g i1 i2 i4 i8 u1 u2 u4 u8 ? c8 c16 O S3 U3 M8[s]".split()


@pytest.mark.filterwarnings("ignore")
@settings(FUZZ, max_examples=150)
@given(data=st.data())
def test_fuzz_of_returns(data):
    """Any type, byte order, strides, shape, value and container: the right image, or one sentence."""
    grid = (5, 4)
    shape = data.draw(st.sampled_from([grid] * 6 + [grid[::-1], (1, *grid), (*grid, 1), (4, 4), (), (0, 4), (20,)]))
    values = np.random.default_rng(data.draw(st.integers(0, 9))).integers(0, 100, shape).astype(float)
    if values.size and data.draw(st.integers(0, 4)) == 0:
        values.flat[0] = data.draw(st.sampled_from([np.nan, np.inf, -np.inf, 1e39, -5.0, 1e-46]))
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        array = values.astype(
            np.dtype(data.draw(st.sampled_from(TYPES))).newbyteorder(data.draw(st.sampled_from("<>")))
        )
    number = array.dtype.kind in "iuf"
    expected = torch.tensor(array.astype(np.float64)).to(torch.float32) if number else None
    fits = number and array.shape == grid and bool(expected.isfinite().all())
    for axis in data.draw(st.sets(st.sampled_from(range(array.ndim)))) if array.ndim else ():
        array = np.flip(np.flip(array, axis).copy(), axis)  # a negative stride
    if data.draw(st.booleans()):
        array = np.asfortranarray(array)
    array.flags.writeable = data.draw(st.booleans())
    box = data.draw(st.sampled_from(["array"] * 3 + ["tensor", "parameter", "list", "masked", "matrix", "sparse"]))
    returned = array
    if box in ("tensor", "parameter", "sparse") and number and array.dtype.kind != "g":
        returned = torch.tensor(array.astype(array.dtype.newbyteorder("=")).astype(np.float64))
        returned = {"parameter": torch.nn.Parameter, "sparse": torch.Tensor.to_sparse}.get(box, lambda same: same)(
            returned
        )
        fits &= not returned.is_sparse
    elif box == "list":
        returned, fits = array.tolist(), False
    elif box == "masked":
        hidden = data.draw(st.booleans()) and array.size > 0
        returned = np.ma.masked_array(array, np.full(array.shape, hidden))
        fits &= not hidden
    elif box == "matrix" and array.ndim == 2:
        returned = np.asmatrix(array)
    try:
        found = own.method(lambda kspace, mask: returned, "mine")(
            torch.ones(2, *grid, dtype=torch.complex64), torch.ones(4, dtype=torch.bool)
        )
    except BadInput as error:
        assert not fits and str(error).startswith("mine must return") and ". " not in str(error)
    else:
        assert fits and torch.equal(found, expected)


def test_what_a_function_does_to_what_it_gets_stays_its_own():
    def spoils(kspace, mask):
        found = image(kspace, mask)
        kspace.numpy()[:] = 1
        kspace.unsqueeze_(0)
        mask[:] = True
        return found

    y, mask = Y.clone(), MASK.clone()
    item = replace(ITEM, kspace=ITEM.kspace.clone())
    threat = Threat(spoils, y, mask, 0.1, y[0].abs())
    row = evaluate.measure("mine", spoils, item, mask)
    assert torch.equal(own.method(spoils, "mine")(y, mask), image(Y, MASK))
    assert torch.equal(threat.images(0 * y), image(Y, MASK))
    assert torch.equal(y, Y) and torch.equal(mask, MASK) and torch.equal(item.kspace, ITEM.kspace)
    kept = evaluate.measure("mine", image, ITEM, MASK)
    assert {**row, "seconds": 0} == {**kept, "seconds": 0}


def test_a_buffer_that_is_used_again_changes_no_image_that_was_returned():
    buffer = np.empty(GRID, np.float32)

    def function(kspace, mask):
        buffer[:] = image(kspace, mask)
        return buffer

    for way in (
        own.method(function, "mine"),
        lambda y, mask: evaluate.reconstruct(function, replace(ITEM, kspace=y, target=None), mask),
    ):
        first, second = way(Y, MASK), way(2 * Y, MASK)
        assert torch.equal(2 * first, second)


def test_the_gradient_of_a_function_in_torch_is_its_own_also_where_it_works_in_place():
    def in_place(kspace, mask):
        kspace.mul_(2)
        kspace[..., ~mask] = 0
        return kspace.abs().square().sum(0)

    def plain(kspace, mask):
        return (2 * kspace * mask).abs().square().sum(0)

    e = torch.randn(Y.shape, dtype=Y.dtype, generator=torch.Generator().manual_seed(0))
    threats = [Threat(each, Y, MASK, 0.1, Y[0].abs()) for each in (plain, in_place, own.method(in_place, "mine"))]
    loss, gradient = threats[0].slope(e)
    assert gradient.norm() > 0
    for threat in threats[1:]:
        assert all(torch.equal(*pair) for pair in zip(threat.slope(e), (loss, gradient), strict=True))


def test_no_attack_is_moved_by_work_in_place(reader):
    """Bit for bit what is found on a twin that works on copies of its own."""
    reader("""
import numpy as np

def transform(k):
    k = np.fft.ifftshift(k, axes=(-2, -1))
    return np.sqrt((np.abs(np.fft.fftshift(np.fft.ifft2(k, norm="ortho"), axes=(-2, -1))) ** 2).sum(0))

def plain(kspace, mask):
    a = kspace.numpy()
    top = np.abs(a).max()
    return transform(a / top) * top

def in_place(kspace, mask):
    a = kspace.numpy()
    top = np.abs(a).max()
    a /= top
    mask[:] = True
    return transform(a) * top
""")
    results = []
    for name in ("reader:plain", "reader:in_place"):
        threat = Threat(methods.load(name), Y.clone(), MASK.clone(), 0.05, ITEM.target)
        with (
            pytest.warns(UserWarning, match="without a gradient: it is attacked without one"),
            pytest.raises(NoGradient),
        ):
            threat.slope(threat.noise(0)[0])
        attacks = {
            key: each for key, each in attacks_on(name, ITEM, evaluations=6).items() if key in ("noise", "black box")
        }
        attack, found, image = worst(partial(methods.load, name), threat, attacks)
        assert torch.equal(threat.kspace, Y) and torch.equal(threat.mask, MASK)
        results.append((attack, found.e, found.loss, found.curve, image))
    assert results[0][0] == results[1][0] == "black box" and results[0][2] > threat.loss(threat.noise(0)[0])
    assert all(torch.equal(*pair) for pair in zip(results[0][1:], results[1][1:], strict=True))


def test_what_passes_no_gradient_is_known_as_such():
    """Numpy, a graph that ends, and a graph of its own parameters alone."""
    weight = torch.ones(1, requires_grad=True)
    functions = [
        lambda kspace, mask: kspace.numpy().real.sum(0),
        lambda kspace, mask: kspace.detach().abs().sum(0),
        lambda kspace, mask: weight * kspace.detach().abs().sum(0),
        torch.no_grad()(image),
        torch.inference_mode()(image),
    ]
    for function in functions:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with pytest.raises(NoGradient):
                Threat(own.method(function, "mine"), Y, MASK, 0.1, Y[0].abs()).slope(0 * Y)
        assert torch.isfinite(own.method(function, "mine")(Y, MASK)).all()


def test_a_function_may_fit_by_gradients_of_its_own():
    """Also where an attack reconstructs without any."""

    def function(kspace, mask):
        x = torch.zeros(GRID, requires_grad=True)
        (slope,) = torch.autograd.grad((x - image(kspace, mask)).square().sum() / 2, x)
        return -slope

    with torch.no_grad():
        assert torch.equal(own.method(function, "mine")(Y, MASK), image(Y, MASK))


def test_a_gradient_that_is_none_is_told():
    def root(kspace, mask):
        return (kspace * mask).abs().square().sum(0).sqrt()  # of zeros

    def overwritten(kspace, mask):
        found = kspace.abs()
        root = found.sqrt()
        root.mul_(2)
        return root.square().sum(0)

    for function, words in ((root, "NaN or infinite"), (overwritten, "failed with RuntimeError: one of the variables")):
        with pytest.raises(BadInput, match=words) as told:
            Threat(own.method(function, "mine"), Y, MASK, 0.1, Y[0].abs()).slope(torch.ones_like(Y))
        assert not isinstance(told.value, NoGradient) and ". " not in str(told.value)
