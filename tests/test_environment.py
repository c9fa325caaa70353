"""pyproject.toml, requirements.lock and environment.yml say the same, and it is what is installed."""

import importlib.metadata
import re
import subprocess
import sys
import tomllib

import lock
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

LEFT_OUT = {
    "fastmri": {"torchvision", "pytorch-lightning"},
    "deepinv": {"torchvision"},
}  # installed with --no-deps on purpose


@pytest.fixture(scope="module")
def locked(root) -> dict[str, str]:
    lines = (root / "requirements.lock").read_text("utf8").splitlines()
    pins = [line.split("==") for line in lines if not line.startswith("#")]
    assert all(len(pin) == 2 for pin in pins)
    assert [name for name, _ in pins] == sorted({canonicalize_name(name) for name, _ in pins})
    return dict(pins)


@pytest.fixture(scope="module")
def direct() -> list[Requirement]:
    return [Requirement(text) for text in lock.direct_requirements()]


def unmet(requirement: Requirement, versions: dict[str, str]) -> bool:
    """Whether a set of versions lacks a package, or has one that the requirement does not admit."""
    version = versions.get(canonicalize_name(requirement.name))
    return version is None or not requirement.specifier.contains(version, prereleases=True)


def has(name: str) -> bool:
    """Whether a package is installed here; some are pinned for another version of Python alone."""
    return any(importlib.metadata.distributions(name=name))


def applies(requirement: Requirement, extras: set[str]) -> bool:
    """Whether a requirement counts on this machine, for a package asked for with these extras."""
    marker = requirement.marker
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in extras | {""})


def test_lock_pins_every_direct_requirement(locked, direct):
    assert not [str(requirement) for requirement in direct if unmet(requirement, locked)]
    assert "fastmri" in locked


def test_a_drift_is_seen(locked, direct):
    older = {**locked, "sphinx": "7.3.0"}
    assert [r.name for r in direct if unmet(r, older)] == ["sphinx"]
    missing = {name: version for name, version in locked.items() if name != "papermill"}
    assert [r.name for r in direct if unmet(r, missing)] == ["papermill"]


def test_lock_serves_every_platform(locked, root):
    for name, version in locked.items():
        assert str(Version(version)) and Version(version).local is None, f"{name} is pinned to one build: {version}"
    text = (root / "requirements.lock").read_text("utf8")
    assert not re.search(r"://|--|@|sha256", text)


def test_lock_has_no_package_that_breaks_the_environment(locked):
    bad = {name for name in locked if name.startswith(("nvidia", "triton", "cuda", "torchvision"))}
    assert not bad


def test_environment_file_is_that_of_the_lock(locked, root):
    text = (root / "environment.yml").read_text("utf8")
    assert text == lock.environment_file(locked), "run `make lock`"
    environment = yaml.safe_load(text)
    pip = environment["dependencies"][-1]["pip"]
    assert pip[0] == "-c requirements.lock"
    assert dict(line.split("==") for line in pip[1:]).items() <= locked.items()
    project = tomllib.loads((root / "pyproject.toml").read_text("utf8"))["project"]
    python = environment["dependencies"][0].removeprefix("python=")
    assert Requirement(f"python{project['requires-python']}").specifier.contains(python)


def test_installed_is_what_is_locked(locked, direct):
    installed = {canonicalize_name(d.name): Version(d.version).public for d in importlib.metadata.distributions()}
    # a package may be pinned for another Python alone; what the project itself asks for has to be here
    both = locked.keys() & installed.keys()
    assert {name: installed[name] for name in both} == {name: locked[name] for name in both}
    assert {canonicalize_name(requirement.name) for requirement in direct} <= both


def test_lock_is_closed(locked):
    """Whatever a locked package needs is locked at a version that it admits, but for what one platform alone needs."""
    installed = [name for name in locked if has(name)]
    asked: dict[str, set[str]] = {}
    for name in installed:
        for text in importlib.metadata.requires(name) or []:
            requirement = Requirement(text)
            if applies(requirement, asked.get(name, set())):
                asked.setdefault(canonicalize_name(requirement.name), set()).update(requirement.extras)
    open_ends = [
        f"{name} needs {requirement}"
        for name in installed
        for requirement in map(Requirement, importlib.metadata.requires(name) or [])
        if applies(requirement, asked.get(name, set()))
        and not re.search("platform|os_name", str(requirement.marker))
        and requirement.name not in LEFT_OUT.get(name, set())
        and unmet(requirement, locked)
    ]
    assert not open_ends


def test_fastmri_imports_without_torchvision():
    assert "torchvision" not in {d.name for d in importlib.metadata.distributions()}
    code = "import fastmri, fastmri.data.subsample, fastmri.data.transforms, fastmri.evaluate"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_make_clean_leaves_what_was_tuned_and_trained(root, tmp_path):
    (tmp_path / "Makefile").write_bytes((root / "Makefile").read_bytes())
    for name in ("html/index.html", "smoke/html/index.html", "kept/tuned.json", "kept/training/one.pt"):
        (tmp_path / "_build" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "_build" / name).touch()
    for _ in range(2):  # also where there is nothing to forget
        subprocess.run(["make", "-C", str(tmp_path), "clean"], check=True, capture_output=True)
        assert sorted(each.name for each in tmp_path.rglob("*") if each.is_file()) == [
            "Makefile",
            "one.pt",
            "tuned.json",
        ]
