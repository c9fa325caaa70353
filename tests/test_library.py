"""The package as a library: what is at hand, and the lines of the README."""

import ast
import re
import subprocess
import sys

import pytest

import helpers
from helpers.figures import reference


def test_ten_things_are_at_hand_and_documented():
    assert len(helpers.__all__) == 10
    for name in helpers.__all__:
        assert getattr(helpers, name).__doc__ and name in dir(helpers)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        helpers.nothing  # noqa: B018


def test_signatures_of_the_page_are_python(monkeypatch):
    """With defaults that are words, and empty ones."""
    said = []
    monkeypatch.setattr(reference, "say", said.append)
    reference.things()
    signatures = re.findall(r"^```text\n(\w+\(.*)\n```|^\*\*\S+\*\*`(.*)`", "\n".join(said), re.M)
    assert len(signatures) > len(helpers.__all__)
    for thing, method in signatures:
        assert ast.parse(f"def f{(thing or method)[(thing or method).index('(') :]}: pass")
    assert any("origin: str = ''" in thing for thing, _ in signatures)


def test_the_package_is_imported_at_once():
    """Without torch, which takes seconds: nothing of it is needed for `python -m helpers -h`."""
    program = "import sys, helpers; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_lines_of_the_readme_run(root, capsys):
    text = (root / "README.md").read_text("utf8")
    lines = re.search(r"## As a library.*?```python\n(.*?)```", text, re.S)[1]
    exec(compile(lines, "README.md", "exec"), {})
    clean, attacked = map(float, capsys.readouterr().out.split())
    assert attacked < clean - 0.02
    assert all(f"`{name}`" in text for name in helpers.__all__)
