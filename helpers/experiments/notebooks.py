"""Running a notebook with papermill: what may be set in it, in a kernel of its own, and what it tells."""

import ast
import html
import json
import os
import tempfile
import uuid
from pathlib import Path

from helpers.errors import BadInput

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><style>
body {{ font: 16px/1.55 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #1a1a1a;
  background: #fff; }}
h1, h2 {{ line-height: 1.25; }} h2 {{ margin-top: 2.2em; }}
img {{ max-width: 100%; height: auto; }}
.jp-OutputArea-output, .output_html, .output_subarea {{ overflow-x: auto; }}
table {{ border-collapse: collapse; font-size: .88em; font-variant-numeric: tabular-nums; margin: 1em 0; }}
th, td {{ padding: .3em .7em; text-align: left; vertical-align: top; border-bottom: 1px solid #ddd; }}
code {{ font-size: .9em; overflow-wrap: anywhere; }}
a.anchor-link {{ display: none; }}
</style></head><body>
{body}
</body></html>
"""


def parameter_names(notebook: Path) -> list[str]:
    """The variables assigned in the cell tagged `parameters`: what a run may set, in their order.

    BadInput for what is no notebook.
    """
    try:
        cells = json.loads(notebook.read_text("utf8"))["cells"]
        sources = ["".join(cell["source"]) for cell in cells if "parameters" in cell["metadata"].get("tags", [])]
        statements = [statement for source in sources for statement in ast.parse(source).body]
    except (ValueError, LookupError, TypeError, AttributeError, SyntaxError, RecursionError) as error:
        raise BadInput(f"{notebook} is no notebook whose parameters can be read") from error
    names = []
    for statement in statements:
        targets = getattr(statement, "targets", None) or [getattr(statement, "target", None)]
        names += [target.id for target in targets if isinstance(target, ast.Name)]
    return names


def run(notebook: Path, output: Path, log: Path, parameters: dict) -> None:
    """Execute one notebook in its own folder, in a kernel that shares nothing with its neighbors.

    output: the executed copy, which papermill writes cell by cell; log: what the kernel says about itself. Raises what
    papermill raises where a cell fails; the copy then holds the traceback.
    """
    import papermill  # imported here: who has nothing to run need not wait for it
    from jupyter_client import AsyncKernelManager

    class KernelManager(AsyncKernelManager):
        """Unix sockets under a name of their own: parallel kernels race for TCP ports (papermill issue 511)."""

        def __init__(self, **options):
            if os.name != "nt":
                options |= {"transport": "ipc", "ip": f"{tempfile.gettempdir()}/book-{uuid.uuid4().hex[:12]}"}
            super().__init__(**options)

        async def start_kernel(self, **options):
            with log.open("w") as file:  # the reason of a crash, for one
                await super().start_kernel(stderr=file, **options)

    papermill.execute_notebook(
        str(notebook),
        str(output),
        parameters=parameters or None,  # an empty dictionary would leave an empty cell on the page
        cwd=str(notebook.parent),
        kernel_name="python3",
        language="python",
        progress_bar=False,
        start_timeout=180,
        kernel_manager_class=KernelManager,
    )


def numbers(executed: Path) -> dict[str, float]:
    """The numbers that an executed notebook tells by `figures.say(..., name=number)`, the last of each name."""
    found = {}
    for cell in json.loads(executed.read_text("utf8"))["cells"]:
        for output in cell.get("outputs", []):
            found |= output.get("metadata", {}).get("numbers", {})
    return found


def pictures(executed: Path) -> list[str]:
    """The PNG pictures of an executed notebook, in base64."""
    cells = json.loads(executed.read_text("utf8"))["cells"]
    found = [output.get("data", {}).get("image/png") for cell in cells for output in cell.get("outputs", [])]
    return ["".join(each).replace("\n", "") for each in found if each]


def page(executed: Path, title: str) -> str:
    """An executed notebook as a page of HTML without its code, which needs no network: pictures lie in it."""
    from nbconvert import HTMLExporter  # imported here: few commands need it

    exporter = HTMLExporter(template_name="basic", exclude_input=True, exclude_input_prompt=True)
    exporter.exclude_output_prompt = True
    body, _ = exporter.from_filename(str(executed))
    return PAGE.format(title=html.escape(title), body=body)
