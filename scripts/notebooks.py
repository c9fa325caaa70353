"""What a committed notebook must not carry: outputs, run counts, paths of somebody's machine.

python scripts/notebooks.py            say what is wrong, exit code 1 if something is
python scripts/notebooks.py --strip    remove outputs, run counts and the metadata that tools leave behind
"""

import argparse
import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MACHINE = re.compile(r"(?<![\w.:/])(?:/(?:home|Users|root|work|tmp|mnt|data)/|[A-Z]:\\\\)")
KEPT = {"kernelspec", "language_info"}


def faults(notebook: dict) -> list[str]:
    """What is wrong with a notebook (nbformat JSON), one sentence each; none if it may be committed."""
    found = [f"metadata {key!r} left behind by a tool" for key in sorted(notebook["metadata"].keys() - KEPT)]
    for number, cell in enumerate(notebook["cells"]):
        source = "".join(cell["source"])
        if cell["cell_type"] == "code" and cell["outputs"]:
            found.append(f"cell {number} carries outputs")
        if cell["cell_type"] == "code" and cell["execution_count"] is not None:
            found.append(f"cell {number} carries a run count")
        if cell["metadata"].keys() - {"tags", "mystnb"}:
            found.append(f"cell {number} carries metadata of a tool: {', '.join(sorted(cell['metadata']))}")
        if MACHINE.search(source):
            found.append(f"cell {number} names a path of one machine")
    return found


def strip(notebook: dict) -> dict:
    """The same notebook without what a run or a tool has left in it."""
    cells = []
    for cell in notebook["cells"]:
        metadata = {key: value for key, value in cell["metadata"].items() if key in {"tags", "mystnb"}}
        empty = {"outputs": [], "execution_count": None} if cell["cell_type"] == "code" else {}
        cells.append({**cell, "metadata": metadata, **empty})
    metadata = {key: value for key, value in notebook["metadata"].items() if key in KEPT}
    return {**notebook, "metadata": metadata, "cells": cells}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--strip", action="store_true", help="repair the notebooks in place")
    options, wrong = parser.parse_args(), 0
    for path in sorted((ROOT / "book").glob("*.ipynb")):
        notebook = json.loads(path.read_text("utf8"))
        if options.strip:
            notebook = strip(notebook)
            path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", "utf8")
        for fault in faults(notebook):
            print(f"{path.relative_to(ROOT)}: {fault}", file=sys.stderr)
            wrong += 1
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
