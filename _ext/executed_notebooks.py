"""Render the executed copy of a notebook in place of its clean source (Sphinx extension).

`scripts/book.py` writes `<executed_dir>/<docname>.ipynb`. When Sphinx reads a page, the text of its source is replaced
by that copy. What is wrong with a copy is a warning, so that a build with warnings as errors cannot publish it:

executed.missing   there is no copy: the page has no outputs
executed.stale     the copy was made from other cells
executed.failed    the run stopped with an exception
executed.injected  the copy was run with other parameters than the page shows (unless `executed_parameters` is set:
                   then the page shows them, under a sentence that says so)
"""

import json
from pathlib import Path

from docutils import nodes
from sphinx.util import logging

log = logging.getLogger(__name__)

PAPERMILL = {"injected-parameters", "papermill-error-cell-tag"}
NOTE = """```{note}
This page was made with the parameters of the next cell, in place of the defaults above.
```"""


def tags(cell: dict) -> list:
    """The tags of a cell, to read and to append to."""
    return cell.setdefault("metadata", {}).setdefault("tags", [])


def cells(notebook: dict) -> list[tuple[str, str]]:
    """What the author wrote: kind and source of every cell that papermill did not add."""
    return [(c["cell_type"], "".join(c["source"])) for c in notebook["cells"] if not PAPERMILL & set(tags(c))]


def prepare(notebook: dict, show_parameters: bool) -> dict:
    """The executed copy as a page: papermill's own cells and metadata removed or explained."""
    page = []
    for cell in notebook["cells"]:
        cell["metadata"].pop("papermill", None)
        if "injected-parameters" in tags(cell) and show_parameters:
            page.append({"cell_type": "markdown", "metadata": {}, "source": NOTE, "id": "parameters-of-this-run"})
        elif PAPERMILL & set(tags(cell)):
            tags(cell).append("remove-cell")
        page.append(cell)
    return {**notebook, "cells": page}


def swap(app, docname, source):
    """Replace source[0], the text that Sphinx has read, by the executed copy of the page."""
    if Path(app.env.doc2path(docname)).suffix != ".ipynb":
        return

    def warn(kind, text):
        log.warning("%s: %s", docname, text, location=docname, type="executed", subtype=kind)

    copy = Path(app.config.executed_dir or Path(app.srcdir, "_build/executed"), docname + ".ipynb")
    app.env.note_dependency(str(copy))  # before the test: a copy that appears later makes Sphinx read the page again
    if not copy.is_file():
        return warn("missing", "this chapter has not been executed: run `make book`")
    notebook = json.loads(copy.read_text("utf8"))
    if cells(notebook) != cells(json.loads(source[0])):
        warn("stale", "the executed copy was made from other cells: run `make book`")
    if (notebook["metadata"].get("papermill") or {}).get("exception"):
        warn("failed", "the run stopped with an exception")
    injected = any("injected-parameters" in tags(cell) for cell in notebook["cells"])
    if injected and not app.config.executed_parameters:
        warn("injected", "executed with other parameters than those that the page shows")
    source[0] = json.dumps(prepare(notebook, app.config.executed_parameters))


def without_thebe(app, pagename, templatename, context, doctree):
    """Drop sphinx-thebe's scripts: they name a remote host, and declare a constant twice (a console error)."""
    context["script_files"] = [
        script
        for script in context.get("script_files", [])
        if "thebe" not in f"{getattr(script, 'filename', script)}{getattr(script, 'attributes', {}).get('body', '')}"
    ]


def describe_figures(app, doctree):
    """A screen reader would read out the file name of a figure that its cell does not describe (mystnb: image: alt)."""
    for image in doctree.findall(nodes.image):
        image.setdefault("alt", "Figure drawn by the cell above")


def setup(app):
    app.add_config_value("executed_dir", "", "env")
    app.add_config_value("executed_parameters", False, "env")
    app.connect("source-read", swap)
    app.connect("doctree-read", describe_figures)
    app.connect("html-page-context", without_thebe, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
