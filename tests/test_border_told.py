"""The border to a reader's function: what it raises is told, and what it prints or changes is no result."""

import json
import os
import sys
import warnings

import numpy as np
import pytest
import torch
from made_reader import FUNCTION, GRID, IMAGE, MASK, Y, image

from helpers import methods
from helpers.__main__ import main
from helpers.attacks import Threat
from helpers.errors import BadInput, Terminated
from helpers.methods import own
from helpers.methods.border import guest


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
            scan = {"evaluate": "knee, slice 0: ", "attack": "knee.h5, slice 0: "}[command[0]]
            scan = scan if module == "reader_call" else ""
            assert sentence.startswith(scan + name) and words in sentence
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

    with pytest.raises(BadInput, match="mine failed with ValueError: what is wrong at .*test_border_told.py") as told:
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
