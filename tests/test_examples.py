"""The examples of the chapter on your own method: each reconstructs, is short, and the first is the README's."""

import importlib.machinery
import shutil
import sys
import types
from contextlib import nullcontext

import pytest
import torch

from helpers import load, mask_of, methods, open_data, reconstruct, scores
from helpers.profiles import profile


class StandIn(importlib.machinery.ModuleSpec):
    """Finds torchvision, which breaks beside a CPU build of torch: modules whose names are classes without use."""

    def __init__(self):
        super().__init__("torchvision", None)

    def find_spec(self, name, path=None, target=None):
        return importlib.machinery.ModuleSpec(name, self, is_package=True) if name.startswith("torchvision") else None

    def create_module(self, spec):
        module = types.ModuleType(spec.name)
        module.__getattr__ = lambda name: type(name, (), {}) if not name.startswith("__") else _missing(name)
        return module

    def exec_module(self, module):
        pass


def _missing(name):
    raise AttributeError(name)


@pytest.fixture
def examples(root, monkeypatch):
    """The folder of the book in the path, as it is for whoever is in it."""
    monkeypatch.chdir(root / "book")
    monkeypatch.setattr(sys, "path", ["", *sys.path])


@pytest.fixture(scope="module")
def item():
    return open_data("knee", profile=profile("smoke"), split="validation", volumes=1, slices=1)[0]


def ssim(name, item) -> float:
    return scores(reconstruct(load(name, source="knee"), item, mask_of(item)), item.target)["ssim"]


@pytest.mark.parametrize("name", ["descent", "bart_pics", "deepinv_tv"])
def test_an_example_is_better_than_zero_filled(examples, item, name, monkeypatch):
    if name == "bart_pics" and not shutil.which("bart"):
        pytest.skip("BART is not installed")
    if name == "deepinv_tv":
        pytest.importorskip("einops")
        monkeypatch.setattr(sys, "meta_path", [StandIn(), *sys.meta_path])
    assert ssim(f"examples.{name}:reconstruct", item) > ssim("zero-filled", item) + 0.01


def test_a_window_leaves_less_noise_and_less_detail(examples, item):
    assert 0.8 * ssim("zero-filled", item) < ssim("examples.hann:reconstruct", item) < ssim("wavelet", item)


def test_gradients_pass_where_the_chapter_says_so(examples, item):
    for name, passes in (("hann", False), ("descent", True)):
        kspace = (mask_of(item) * item.kspace).requires_grad_()
        with nullcontext() if passes else pytest.warns(UserWarning, match="works without a gradient"):
            image = methods.load(f"examples.{name}:reconstruct")(kspace, mask_of(item))
        assert image.requires_grad == passes
        if passes:
            (gradient,) = torch.autograd.grad(image.sum(), kspace)
            assert torch.isfinite(gradient).all() and gradient.abs().max() > 0


def test_examples_are_short_and_the_readme_has_the_first(root):
    for path in (root / "book" / "examples").glob("*.py"):
        lines = [
            line for line in path.read_text().splitlines() if line and not line.startswith(('"""', "import", "from"))
        ]
        assert len(lines) <= 20, path
    body = (root / "book" / "examples" / "hann.py").read_text().partition("    kspace = ")[2]
    assert body in (root / "README.md").read_text()
