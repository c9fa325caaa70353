"""Running a notebook with papermill: what may be set in it, in a kernel of its own, and what it tells."""

import ast
import json
import os
import tempfile
import uuid
from pathlib import Path


def parameter_names(notebook: Path) -> list[str]:
    """The variables assigned in the cell tagged `parameters`: what a run may set, in their order."""
    names = []
    for cell in json.loads(notebook.read_text("utf8"))["cells"]:
        if "parameters" in cell["metadata"].get("tags", []):
            for statement in ast.parse("".join(cell["source"])).body:
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
