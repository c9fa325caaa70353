"""Pin the newest versions that pyproject.toml admits: writes requirements.lock and environment.yml (`make lock`).

They are those of a throwaway environment, installed as the Makefile installs the real one. Versions only: no hashes,
no local suffix such as +cpu and no addresses, so that the file serves every platform.
"""

import importlib.metadata
import json
import re
import subprocess
import tempfile
import tomllib
import venv
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
CONDA = """# The set of requirements.lock for conda users; written by `make lock`. It takes two lines, since fastmri
# has to come without its torchvision:
#   conda env create -f environment.yml && conda activate robust-mri
#   pip install --no-deps fastmri=={fastmri} -e .
name: robust-mri
channels: [conda-forge, nodefaults]
dependencies:
  - python=3.11
  - pip
  - pip:
      - -c requirements.lock
"""


def normal(name: str) -> str:
    """The one spelling of a package's name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def direct_requirements() -> list[str]:
    """What pyproject.toml asks for, the tests' packages included, and setuptools, which builds the project."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf8"))
    asked = project["project"]["dependencies"] + project["project"]["optional-dependencies"]["test"]
    return asked + project["build-system"]["requires"]


def environment_file(versions: dict[str, str]) -> str:
    """Text of environment.yml: the direct requirements at the given versions."""
    names = sorted(normal(Requirement(text).name) for text in direct_requirements())
    pins = "".join(f"      - {name}=={versions[name]}\n" for name in names)
    return CONDA.format(fastmri=versions["fastmri"]) + pins


def needed_elsewhere(folder: Path) -> Iterator[str]:
    """What the packages of an environment need with another Python and not with its own."""
    for package in importlib.metadata.distributions(path=map(str, folder.glob("lib/python*/site-packages"))):
        for requirement in map(Requirement, package.requires or []):
            marker = requirement.marker
            if marker and not marker.evaluate({"extra": ""}):
                versions = ({"extra": "", "python_version": v, "python_full_version": f"{v}.0"} for v in PYTHONS)
                if any(map(marker.evaluate, versions)):
                    yield f"{requirement.name}{requirement.specifier}"


def resolved() -> dict[str, str]:
    """Versions of every package in a new environment that has what pyproject.toml asks for."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        pip = [Path(folder, "bin", "python"), "-m", "pip", "--disable-pip-version-check"]
        requirements = direct_requirements()
        torch = next(text for text in requirements if Requirement(text).name == "torch")
        for arguments in ([torch], requirements, ["--no-deps", "fastmri", "deepinv"]):
            subprocess.run([*pip, "install", "-qq", *arguments], check=True)
        if elsewhere := list(needed_elsewhere(Path(folder))):
            subprocess.run([*pip, "install", "-qq", *requirements, *elsewhere], check=True)
        listed = subprocess.run([*pip, "list", "--format=json"], check=True, capture_output=True, text=True).stdout
    return {normal(p["name"]): p["version"].partition("+")[0] for p in json.loads(listed)}


def main():
    versions = resolved()
    del versions["pip"]  # the environment's own
    pins = "".join(f"{name}=={version}\n" for name, version in sorted(versions.items()))
    (ROOT / "requirements.lock").write_text("# every package of the environment; written by `make lock`\n" + pins)
    (ROOT / "environment.yml").write_text(environment_file(versions))
    print(f"lock: {len(versions)} packages pinned")


if __name__ == "__main__":
    main()
