"""The border to a reader's function: it cannot spoil our data, what it returns is the image, what it raises is told."""

import json
import os
import sys
import warnings
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers import methods
from helpers.__main__ import main
from helpers.attacks import Threat
from helpers.attacks.known import attacks_on
from helpers.attacks.threat import NoGradient
from helpers.attacks.worst import worst
from helpers.data import fastmri
from helpers.data.scanner import draw_volume
from helpers.errors import BadInput, Terminated
from helpers.experiments import evaluate
from helpers.methods import own
from helpers.methods.border import guest
from helpers.profiles import profile

(ITEM,) = draw_volume("knee", 0, profile("smoke"), slices=1)
MASK = evaluate.mask_of(ITEM)
Y = MASK * ITEM.kspace
GRID = tuple(Y.shape[-2:])
FUNCTION = "\ndef reconstruct(kspace, mask):\n    "
IMAGE = "return kspace.detach().abs().sum(0)\n"


def image(kspace, mask):
    """What all functions here give, in one way or another: no good image, but of an odd value in every pixel."""
    return kspace.abs().sum(0)


@pytest.fixture
def reader(tmp_path, monkeypatch):
    """A folder with a scan, and a way to write a module into it: its source to MODULE:FUNCTION."""
    fastmri.write_volume(tmp_path / "knee.h5", [ITEM])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", *sys.path])

    def write(source: str, name: str = "reader", function: str = "reconstruct") -> str:
        (tmp_path / f"{name}.py").write_text(source)
        sys.modules.pop(name, None)
        return f"{name}:{function}"

    yield write
    for name in [each for each, module in sys.modules.items() if str(tmp_path) in str(getattr(module, "__file__", ""))]:
        del sys.modules[name]


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


def told(capsys, *arguments) -> str:
    """The one sentence of a command that ends with exit code 2 and prints no result."""
    assert main(list(map(str, arguments))) == 2
    out, err = capsys.readouterr()
    sentence = err.strip().splitlines()[-1]
    assert not out and "Traceback" not in err and ". " not in sentence
    return sentence


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "line, words",
    [
        ("import sys; sys.exit(0)", "SystemExit: 0 at "),
        ("import sys; sys.exit('no weights. Bye.')", "SystemExit: no weights at "),
        ("import argparse; argparse.ArgumentParser().parse_args(['--strange'])", "SystemExit: 2 at "),
        ("exit(3)", "SystemExit"),
        ("raise MemoryError", "MemoryError at "),
        ("raise RuntimeError('a\\nb\\n\\nc. d')", "RuntimeError: a b c at "),
        ("raise type('Odd', (Exception,), {'__str__': lambda self: 1 / 0})", "Odd at "),
        ("raise GeneratorExit", "GeneratorExit at "),
        ("raise StopIteration", "StopIteration at "),
        ("raise type('Own', (BaseException,), {})('x')", "Own: x at "),
        ("f = lambda: f(); f()", "RecursionError"),
        ("import nowhere_at_all", "ModuleNotFoundError: No module named 'nowhere_at_all' at "),
        ("import torch; torch.zeros(3) @ torch.zeros(4)", "RuntimeError"),
        ("assert False", "AssertionError at "),
    ],
)
def test_what_it_raises_is_told_with_the_line(reader, capsys, line, words):
    """On import and in a call."""
    lines = {"reader_import": f"\n{line}{FUNCTION}{IMAGE}", "reader_call": f"{FUNCTION}{line}\n    {IMAGE}"}
    places = {"reader_import": 2, "reader_call": 3}
    for module, source in lines.items():
        name = reader(source.replace("f = lambda: f(); f()", "g = lambda: g(); globals().update(g=g); g()"), module)
        for command in (
            ["evaluate", name, "--data", "knee.h5", "--json"],
            ["attack", "knee.h5", "--method", name, "--eps", "0.1"],
        ):
            sentence = told(capsys, *command)
            assert sentence.startswith(name) and words in sentence
            assert f"{module}.py:{places[module]}" in sentence
            assert ("cannot be imported" if "import" in module else "failed with") in sentence


def test_a_file_that_is_not_python_is_told(reader, capsys):
    assert "SyntaxError" in told(capsys, "evaluate", reader("def reconstruct(:\n"), "--data", "knee.h5")
    (sys.modules.pop("reader", None), open("reader.py", "wb").write(b"\0\xff"))
    assert "cannot be imported" in told(capsys, "evaluate", "reader:reconstruct", "--data", "knee.h5")


@pytest.mark.parametrize("stop, code", [(KeyboardInterrupt, 130), (Terminated, 143)])
def test_ctrl_c_and_the_signal_to_terminate_pass(reader, monkeypatch, stop, code):
    name = reader(f"class stop:\n    now = None{FUNCTION}raise stop.now\n")
    methods.load(name)
    sys.modules["reader"].stop.now = stop(143) if code == 143 else stop
    assert main(["evaluate", name, "--data", "knee.h5"]) == code


def test_a_real_error_is_told_once_and_not_as_one_of_gradients():
    calls = []

    def function(kspace, mask):
        calls.append(kspace.requires_grad)
        raise ValueError("what is wrong")

    with pytest.raises(BadInput, match="mine failed with ValueError: what is wrong at .*test_border.py") as told:
        Threat(own.method(function, "mine"), Y, MASK, 0.1, Y[0].abs()).slope(0 * Y)
    assert calls == [True, False] and isinstance(told.value.__cause__, ValueError)
    assert told.value.__context__ is told.value.__cause__ and told.value.__cause__.__context__ is None


@pytest.mark.parametrize(
    "source, name, words",
    [
        ("def one(kspace):\n    return kspace\n", "one", "as reconstruct(kspace, mask): too many positional"),
        ("def three(a, b, c):\n    return a\n", "three", "missing a required argument: 'c'"),
        ("def named(a, b, *, c):\n    return a\n", "named", "missing a required argument: 'c'"),
        ("class Net:\n    pass\n", "Net", "reader:Net cannot be called as"),
        ("import torch\nnet = torch.nn.Linear(3, 3)\n", "net", "net failed with TypeError"),
        ("number = 3\n", "number", "is not a function"),
        ("", "", "cannot be imported"),
        ("async def later(kspace, mask):\n    return kspace\n", "later", "it returned a coroutine"),
        ("def rows(kspace, mask):\n    yield kspace\n", "rows", "it returned a generator"),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore")
def test_what_cannot_be_called_is_told(reader, capsys, source, name, words):
    assert words in told(capsys, "evaluate", reader(source, function=name), "--data", "knee.h5")


@pytest.mark.parametrize(
    "name", [":", ":f", "a:", "math:sqrt", "sys:exit", "os.path:join", ".a:f", "a b:c", "a:b:c", "é:ü"]
)
def test_odd_names_are_told(reader, capsys, name):
    assert told(capsys, "evaluate", name, "--data", "knee.h5")


def test_whatever_can_be_called_is_a_method(reader):
    reader(
        "import torch\nfrom functools import partial\n"
        "def scaled(kspace, mask, by=1):\n    return by * kspace.abs().sum(0)\n"
        "twice = partial(scaled, by=2)\n"
        "class Net(torch.nn.Module):\n    def forward(self, kspace, mask):\n        return scaled(kspace, mask)\n"
        "    @classmethod\n    def made(cls, kspace, mask):\n        return cls()(kspace, mask)\n"
        "net = Net()\n"
    )
    for name, factor in {"scaled": 1, "twice": 2, "net": 1, "net.forward": 1, "Net.made": 1}.items():
        assert torch.equal(methods.load(f"reader:{name}")(Y, MASK), factor * image(Y, MASK))


PRINTS = """
import ctypes, os, subprocess, sys

def say(words):
    print(words)
    sys.__stdout__.write(words + "\\n")
    os.write(1, words.encode() + b"\\n")
    subprocess.run(["echo", words])
    ctypes.CDLL(None).puts(words.encode())

say("on import")

def reconstruct(kspace, mask):
    say("in a call")
    return kspace.abs().sum(0)
"""


def test_what_it_prints_is_no_result(reader, capfd):
    name = reader(PRINTS)
    commands = [
        ["evaluate", name, "--data", "knee.h5", "--json"],
        ["reconstruct", "knee.h5", "--method", name, "--json"],
    ]
    capfd.readouterr()
    for command in commands:
        assert main(command) == 0
        out, err = capfd.readouterr()
        assert len([json.loads(line) for line in out.splitlines()]) == 1
        assert err.count("on import") == err.count("in a call") == 5
        sys.modules.pop("reader")


def test_what_its_gradient_prints_is_no_result(capfd):
    class Doubled(torch.autograd.Function):
        @staticmethod
        def forward(context, x):
            return 2 * x

        @staticmethod
        def backward(context, gradient):
            print("in the gradient")
            return 2 * gradient

    def function(kspace, mask):
        return Doubled.apply(image(kspace, mask))

    _, gradient = Threat(own.method(function, "mine"), Y, MASK, 0.1, Y[0].abs()).slope(Y)
    out, err = capfd.readouterr()
    assert gradient.norm() > 0 and not out and err == "in the gradient\n"


CHANGES = {
    "grad": ("torch.set_grad_enabled(False)", torch.is_grad_enabled),
    "dtype": ("torch.set_default_dtype(torch.float64)", torch.get_default_dtype),
    "device": ("torch.set_default_device('meta')", torch.get_default_device),
    "precision": ("torch.set_float32_matmul_precision('medium')", torch.get_float32_matmul_precision),
    "threads": ("torch.set_num_threads(2)", torch.get_num_threads),
    "autocast": ("torch.autocast('cpu', torch.bfloat16).__enter__()", lambda: torch.is_autocast_enabled("cpu")),
    "nested autocast": (
        "torch.autocast('cpu', torch.bfloat16).__enter__()",
        lambda: (torch.autocast_increment_nesting(), torch.autocast_decrement_nesting())[1],
    ),
    "anomaly": ("torch.autograd.set_detect_anomaly(True)", torch.is_anomaly_enabled),
    "numpy": ("np.seterr(all='raise')", np.geterr),
    "warnings": ("warnings.simplefilter('error')", lambda: list(warnings.filters)),
    "folder": ("os.makedirs('elsewhere', exist_ok=True); os.chdir('elsewhere')", os.getcwd),
    "stdout": ("sys.stdout = None", lambda: sys.stdout),
}


@pytest.mark.parametrize("change", CHANGES)
def test_it_changes_no_number_of_others(reader, change):
    line, read = CHANGES[change]
    head = "import os, sys, warnings\nimport numpy as np\nimport torch\n"
    before, ours = read(), methods.load("varnet-knee")(Y, MASK)
    for source in (f"{head}{line}{FUNCTION}{IMAGE}", f"{head}{FUNCTION}{line}\n    return np.zeros({GRID})\n"):
        method = methods.load(reader(source))
        assert read() == before
        method(Y, MASK)
        assert read() == before
        assert torch.equal(methods.load("varnet-knee")(Y, MASK), ours)
    with pytest.raises(BadInput), guest("it failed with"):
        exec(f"{head}{line}\nraise ValueError")
    assert read() == before


def test_the_checksum_is_that_of_all_its_source(reader, tmp_path):
    """The file, files beside it that it imports, and the package; not others, nor the order in which they are found."""
    import hashlib

    name = reader(
        "import beside\ndef reconstruct(kspace, mask):\n    from later import x\n    return kspace.abs().sum(0)\n"
    )
    for each in ("beside", "later", "other"):
        reader("x = 1\n", each)
    (tmp_path / "package" / "inner").mkdir(parents=True)
    for path in ("package/__init__.py", "package/net.py", "package/inner/deep.py"):
        (tmp_path / path).write_text("def reconstruct(kspace, mask):\n    return kspace.abs().sum(0)\n")
    names = [name, "package:reconstruct", "package.net:reconstruct"]
    before = {each: methods.depends(each) for each in names}
    assert before == {each: methods.depends(each) for each in names}
    for path, moved in {"reader": [0], "beside": [0], "later": [0], "other": [], "package/inner/deep": [1, 2]}.items():
        file = tmp_path / f"{path}.py"
        kept = file.read_text()
        file.write_text(kept + "# another\n")
        assert [each for each in names if methods.depends(each) != before[each]] == [names[number] for number in moved]
        file.write_text(kept)
    reader("x = 1\n", "alone")
    assert own.checksum("alone:x") == hashlib.sha256(b"x = 1\n").hexdigest()
    assert own.checksum("sys:exit") is own.checksum("nowhere_at_all:x") is None
    assert own.checksum("json:dumps") and own.checksum("skimage.metrics:mean_squared_error")
