"""What a report shows: its figures, kept as PNG and PDF, and why a part of it is missing."""

from collections.abc import Callable

import matplotlib.pyplot as plt
import pandas as pd
from IPython.display import display
from matplotlib.figure import Figure

from helpers.figures.page import say
from helpers.findings.reported import Report


def part(
    report: Report, table: str, *draws: Callable[[pd.DataFrame], Figure | pd.DataFrame | str], called: str = ""
) -> None:
    """Show a part of a report: what is drawn of its table, or why there is none.

    draws: functions of the table that give a figure, which is kept as figures/CALLED.png and .pdf in the folder of the
    report, numbered from the second on; a table, left out where it is empty; or a sentence. called: by default as the
    table.
    """
    rows, name = report.table(table), called or table
    if len(rows) == 0:
        say(f"**Not measured**: {report.missing(table)}.")
        return
    number = 0
    for draw in draws:
        made = draw(rows)
        if isinstance(made, Figure):
            number += 1
            keep(report, made, name if number == 1 else f"{name}-{number}")
        if isinstance(made, str):
            say(made)
        elif not isinstance(made, pd.DataFrame) or len(made):
            display(made)
        plt.close("all")


def keep(report: Report, figure: Figure, name: str) -> None:
    """Write a figure into the folder of a report, as PNG and PDF; not where that is one of ours."""
    if report.shipped:
        return
    folder = report.folder / "figures"
    folder.mkdir(exist_ok=True)
    for ending in ("png", "pdf"):
        figure.savefig(folder / f"{name}.{ending}", dpi=160)
