"""The chapters: clean in the repository, executed without a complaint, and executed again only when they have to be."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import execute
import notebooks
import pytest
import yaml

from helpers.experiments.notebooks import parameter_names


def notebook(*cells: dict, **metadata) -> dict:
    return {"cells": list(cells), "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def code(source: str, number: int = 0, outputs=(), count=None, **metadata) -> dict:
    common = {"cell_type": "code", "id": f"code-{number}", "source": source, "metadata": metadata}
    return {**common, "outputs": list(outputs), "execution_count": count}


def text(source: str, number: int = 0) -> dict:
    return {"cell_type": "markdown", "id": f"text-{number}", "metadata": {}, "source": source}


def chapters(root: Path) -> list[Path]:
    names = execute.chapters(yaml.safe_load((root / "_toc.yml").read_text("utf8")))
    return [root / f"{name}.ipynb" for name in names]


@pytest.mark.parametrize(
    "dirty",
    [
        notebook(code("1", outputs=[{"output_type": "stream", "name": "stdout", "text": "1"}])),
        notebook(code("1", count=3)),
        notebook(code("open('/home/somebody/scan.h5')")),
        notebook(text("see /Users/somebody/scan.h5")),
        notebook(code("1", papermill={"status": "completed"})),
        notebook(code("1"), widgets={}),
    ],
)
def test_what_a_run_or_a_tool_leaves_behind_is_a_fault(dirty):
    assert notebooks.faults(dirty)


def test_a_clean_notebook_has_no_fault_and_stripping_makes_one():
    clean = notebook(text("a/home/b and https://a.b/data/c"), code("1", tags=["parameters"]), kernelspec={})
    assert notebooks.faults(clean) == []
    assert notebooks.strip(clean) == clean
    dirty = notebook(code("1", outputs=[{}], count=3, papermill={}, tags=["x"]), widgets={}, kernelspec={})
    assert notebooks.strip(dirty) == notebook(code("1", tags=["x"]), kernelspec={})


def test_every_chapter_is_in_the_contents_and_has_parameters(root):
    assert sorted(chapters(root)) == sorted((root / "book").glob("*.ipynb"))
    for path in chapters(root):
        assert parameter_names(path), f"{path.name} has no cell tagged parameters"


def test_chapters_define_nothing_that_helpers_should_have(root):
    for path in chapters(root):
        for cell in json.loads(path.read_text("utf8"))["cells"]:
            lines = "".join(cell["source"]).splitlines()
            if cell["cell_type"] == "code":
                assert not [line for line in lines if line.startswith("class ")], path.name
                assert len(lines) <= 25, f"{path.name} has a cell of {len(lines)} lines"


COMPLAINT = re.compile("(?<!Deprecation)(?<!Future)Warning")  # but for what a library will do some day


def test_executed_chapters_said_nothing_on_standard_error(smoke, root):
    """The pages hide standard error, so a warning there would be seen by nobody."""
    for path in chapters(root):
        run = json.loads((smoke / "executed" / path.relative_to(root)).read_text("utf8"))
        assert not run["metadata"]["papermill"].get("exception")
        for cell in run["cells"]:
            for output in cell.get("outputs", []):
                said = "".join(output.get("text", "")) if output.get("name") == "stderr" else ""
                assert not COMPLAINT.search(said), f"{path.name}: {said}"


class Book:
    """A book of two chapters in a folder of its own, with the project's scripts and settings."""

    def __init__(self, folder: Path, root: Path):
        self.folder = folder
        for name in ("scripts", "_ext", "_static"):
            shutil.copytree(root / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("_config.yml", "references.bib", "requirements.lock"):
            shutil.copy(root / name, folder)
        (folder / "book").mkdir()
        (folder / "helpers").mkdir()
        (folder / "helpers" / "marker.py").write_text("")
        (folder / "_toc.yml").write_text("format: jb-book\nroot: book/one\nchapters:\n  - file: book/two\n")
        self.reset()

    def reset(self):
        self.write("one", "# One\n\nBy {cite:t}`lustig2007`.", 'data = ""', 'print("data:", data)')
        self.write("two", "# Two\n\nBy {cite:t}`lustig2007`.", 'profile = "laptop"', 'print("profile:", profile)')

    def write(self, name: str, words: str, parameter: str, source: str = "pass"):
        bibliography = text("```{bibliography}\n:filter: docname in docnames\n```", 2)
        cells = text(words, 1), code(parameter, 1, tags=["parameters"]), code(source, 2), bibliography
        (self.folder / "book" / f"{name}.ipynb").write_text(json.dumps(notebook(*cells)))

    def make(self, *arguments: str) -> tuple[int, dict[str, str], str]:
        """Exit code of scripts/book.py, what became of each chapter, and all that was said."""
        environment = {k: v for k, v in os.environ.items() if k != "BOOK_STATIC"}
        command = [sys.executable, self.folder / "scripts" / "book.py", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        states = {line.split()[0]: line.split()[1] for line in done.stdout.splitlines() if line.startswith("book/")}
        return done.returncode, states, done.stdout + done.stderr

    def page(self, path: str) -> str:
        return (self.folder / "_build" / path).read_text("utf8")


@pytest.fixture(scope="module")
def shared_book(tmp_path_factory, root) -> Book:
    return Book(tmp_path_factory.mktemp("book"), root)


@pytest.fixture
def book(shared_book) -> Book:
    shared_book.reset()
    return shared_book


FRESH, DONE = "fresh", "executed"


@pytest.mark.slow
def test_only_what_has_changed_is_run(book):
    status, states, said = book.make()
    assert (status, states) == (0, {"book/one": DONE, "book/two": DONE}), said
    assert said.splitlines()[-1] == str(book.folder / "_build" / "html" / "index.html")
    assert "profile: laptop" in book.page("html/book/two.html")

    assert book.make()[:2] == (0, {"book/one": FRESH, "book/two": FRESH})

    book.write("two", "# Two", 'profile = "laptop"', 'print("changed:", profile)')
    assert book.make()[:2] == (0, {"book/one": FRESH, "book/two": DONE})
    assert "changed: laptop" in book.page("html/book/two.html")

    (book.folder / "helpers" / "marker.py").write_text("changed = True\n")
    assert book.make()[:2] == (0, {"book/one": DONE, "book/two": DONE})


@pytest.mark.slow
def test_parameters_of_a_run_are_shown_and_have_a_folder_of_their_own(book):
    book.make()
    scans = book.folder / "scans"
    scans.mkdir(exist_ok=True)
    (scans / "a.h5").write_text("1")
    status, states, said = book.make("--data", str(scans), "--profile", "smoke")
    assert (status, states) == (0, {"book/one": DONE, "book/two": DONE}), said
    folder = Path(said.splitlines()[-1]).parent.relative_to(book.folder / "_build")
    assert str(folder).startswith("smoke-scans-")
    one, two = book.page(f"{folder}/book/one.html"), book.page(f"{folder}/book/two.html")
    assert f"data: {scans}" in one and "made with the parameters of the next cell" in one
    assert "profile: smoke" in two and str(scans) not in two  # a chapter gets no parameter that it does not have

    assert book.make()[:2] == (0, {"book/one": FRESH, "book/two": FRESH})
    assert "made with the parameters" not in book.page("html/book/one.html")
    (scans / "a.h5").write_text("22")
    states = book.make("--data", str(scans), "--profile", "smoke")[1]
    assert states == {"book/one": DONE, "book/two": FRESH}


@pytest.mark.slow
def test_what_is_wrong_fails_the_book_every_time(book):
    book.write("two", "# Two\n\nSee {ref}`nowhere`.", 'profile = "laptop"')
    for _ in range(2):  # Sphinx by itself is content the second time, since it reads only what has changed
        status, _, said = book.make()
        assert status == 1 and "nowhere" in said

    book.write("two", "# Two", 'profile = "laptop"', 'raise RuntimeError("no coil")')
    status, states, said = book.make()
    assert (status, states) == (1, {"book/one": FRESH, "book/two": "FAILED"})
    assert "no coil" in said and (book.folder / "_build/failed/book/two.ipynb").is_file()
    assert not list((book.folder / "_build").rglob("*.part*"))
    book.reset()
    assert book.make()[0] == 0


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [("--data", "no/such/folder"), ("--profile", "huge")])
def test_a_wrong_choice_is_one_sentence(book, arguments):
    status, states, said = book.make(*arguments)
    assert (status, states, len(said.splitlines())) == (2, {}, 1)
    assert arguments[1] in said
