"""Sweeps: one notebook over a grid of parameters, a row and an executed copy a run, and a page of all side by side."""

import ast
import hashlib
import html
import json
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import chdir
from itertools import product
from pathlib import Path

import pandas as pd

from helpers import methods
from helpers.data.slice import checksum
from helpers.errors import BadInput
from helpers.experiments import notebooks
from helpers.experiments.provenance import contents

KEYS = ["run"]
NAMED = "named"  # the column of `named`
TRIES = 3  # of a run whose kernel dies
FAILED, DONE = "failed", "done"

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><style>
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 1.5rem; color: #1a1a1a; background: #fff; }}
.scroll {{ overflow-x: auto; }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; }}
th, td {{ padding: .3em .8em; text-align: right; border-bottom: 1px solid #ddd; white-space: nowrap; }}
td.words {{ white-space: normal; text-align: left; }}
.failed {{ color: #a11; }}
.runs {{ display: flex; gap: 1rem; overflow-x: auto; }}
.runs figure {{ margin: 0; flex: none; width: min(26rem, 85vw); }}
.runs img {{ width: 100%; height: auto; }}
figcaption {{ font-size: .9em; }}
</style></head><body>
<h1>{title}</h1>
<p>{told}</p>
<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>
{body}
</tbody></table></div>
{figures}
</body></html>
"""


def values(name: str, text: str) -> list:
    """What stands behind `name=`: values with commas between, numbers and other Python literals as such, else words.

    BadInput for literals that no notebook takes as parameters.
    """
    try:
        found = ast.literal_eval(f"[{text}]")
    except (ValueError, SyntaxError):
        found = [_literal(part) for part in text.split(",")]
    try:
        json.dumps(found)
    except TypeError as error:
        raise BadInput(f"-p {name}={text} holds what is no number, word, list or truth value") from error
    return found


def _literal(text: str) -> object:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def grid(notebook: Path, given: Mapping[str, Sequence]) -> list[dict]:
    """All combinations of the values of each parameter, each once; BadInput for a name that it does not have."""
    known = notebooks.parameter_names(notebook)
    if unknown := [name for name in given if name not in known]:
        raise BadInput(f"{notebook} has no parameter {unknown[0]!r}; it has {', '.join(known) or 'none'}")
    runs = [dict(zip(given, chosen, strict=True)) for chosen in product(*given.values())]
    return list({key(each): each for each in runs}.values())


def key(parameters: Mapping) -> str:
    """The name of a run: the same for the same parameters."""
    return hashlib.sha256(json.dumps(parameters, sort_keys=True).encode()).hexdigest()[:12]


def digest(notebook: Path) -> str:
    return hashlib.sha256(notebook.read_bytes()).hexdigest()[:12]


def named(notebook: Path, parameters: Mapping) -> str:
    """Digits that change where files, folders of scans and methods do that parameters name; "" where there are none.

    As the notebook reads them, which runs in its own folder.
    """
    words = [one for value in parameters.values() for one in (value if isinstance(value, list) else [value])]
    words = [one for one in words if isinstance(one, str)]
    with chdir(notebook.parent):
        found = {one: what for one in words if (what := contents(one) or methods.depends(one, words))}
    return checksum(json.dumps(found, sort_keys=True)) if found else ""


def run(notebook: Path, folder: Path, parameters: dict, marks: str) -> list[dict]:
    """Execute one run; its row, with the numbers that the notebook told, or what went wrong.

    marks: what `named` gave for its parameters before it began. The executed copy is written aside, then renamed:
    folder/runs/KEY.ipynb, or, with its traceback, that of a run that failed: folder/failed/KEY.ipynb. A kernel that
    dies is given TRIES tries.
    """
    name, start = key(parameters), time.monotonic()
    done, failed = folder / "runs" / f"{name}.ipynb", folder / "failed" / f"{name}.ipynb"
    for path in (done, failed):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
    part, log = folder / "runs" / f"{name}.part.ipynb", folder / "runs" / f"{name}.log"
    row = {"run": name, NAMED: marks} | {name: _cell(value) for name, value in parameters.items()}
    wrong = ""
    for _ in range(TRIES):
        try:
            notebooks.run(notebook, part, log, parameters)
            os.replace(part, done)
            log.unlink(missing_ok=True)
            told = notebooks.numbers(done)
            return [row | {"state": DONE, "seconds": time.monotonic() - start, "message": ""} | told]
        except Exception as error:  # whatever it was, the other runs go on, and the traceback stays in the notebook
            lines = [line for line in str(error).strip().splitlines() if line.strip()]
            wrong = lines[-1].strip() if lines else type(error).__name__
            if type(error).__name__ != "DeadKernelError":
                break
    if part.exists():
        os.replace(part, failed)
    if log.exists() and not log.stat().st_size:
        log.unlink()
    return [row | {"state": FAILED, "seconds": time.monotonic() - start, "message": wrong}]


def _cell(value: object) -> object:
    return value if isinstance(value, int | float | str) and not isinstance(value, bool) else repr(value)


def page(notebook: Path, folder: Path, rows: pd.DataFrame) -> str:
    """The text of a page that shows all runs side by side, and needs no network: a table, and every picture of each."""
    columns = [name for name in rows if name not in ("run", "message", NAMED)]
    head = "".join(f"<th>{html.escape(name)}</th>" for name in [*columns, "notebook"])
    body, shown = [], []
    for row in rows.to_dict("records"):
        at = "runs" if row["state"] == DONE else "failed"
        link = f'<a href="{at}/{row["run"]}.ipynb">{row["run"]}</a>'
        cells = "".join(f"<td>{html.escape(_words(row[name]))}</td>" for name in columns) + f"<td>{link}</td>"
        more = f'<td class="words">{html.escape(str(row["message"]))}</td>' if row["state"] == FAILED else ""
        body.append(f'<tr class="{row["state"]}">{cells}{more}</tr>')
        path = folder / at / f"{row['run']}.ipynb"
        if path.is_file():
            shown.append((_told(row, columns), notebooks.pictures(path)))
    count = max((len(pictures) for _, pictures in shown), default=0)
    figures = "\n".join(_beside(number, shown) for number in range(count))
    failed = int((rows["state"] == FAILED).sum())
    told = f"{len(rows)} runs of {notebook.name}, {failed} failed. Pictures of one number stand side by side."
    return PAGE.format(
        title=html.escape(f"Sweep of {notebook.stem}"),
        told=html.escape(told),
        head=head,
        body="\n".join(body),
        figures=figures,
    )


def _beside(number: int, shown: Iterable[tuple[str, list[str]]]) -> str:
    figures = "".join(
        f'<figure><img loading="lazy" src="data:image/png;base64,{pictures[number]}" alt="picture {number + 1}, '
        f'{html.escape(words)}"><figcaption>{html.escape(words)}</figcaption></figure>'
        for words, pictures in shown
        if number < len(pictures)
    )
    return f'<h2>Picture {number + 1}</h2><div class="runs">{figures}</div>'


def _told(row: Mapping, columns: Sequence[str]) -> str:
    """What tells a run from the others: its parameters."""
    return ", ".join(f"{name} {_words(row[name])}" for name in columns[: columns.index("state")])


def _words(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
