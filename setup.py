"""What pyproject.toml cannot say: a wheel holds the networks of the zoo, the tables of results/ and the book, too."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent


class WithShipped(build_py):
    """Copies the folders zoo, results and book into helpers/shipped, where `helpers.places` looks for them."""

    def run(self):
        super().run()
        if not self.editable_mode:
            for name in ("zoo", "results", "book"):
                shutil.copytree(ROOT / name, Path(self.build_lib, "helpers", "shipped", name), dirs_exist_ok=True)


setup(cmdclass={"build_py": WithShipped})
