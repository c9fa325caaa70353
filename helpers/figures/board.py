"""The leaderboard: a table that sorts itself when a heading is clicked, without kernel and network."""

import html
from collections.abc import Sequence
from math import isfinite

import matplotlib.pyplot as plt
import pandas as pd
from IPython.display import HTML
from matplotlib.figure import Figure

from helpers.figures.look import COLORS, color
from helpers.findings.cards import MEASURES

QUALITY = "ssim knee"  # against which robustness is shown
COLUMNS = 3

STYLE = """
.board-scroll { overflow-x: auto; }
table.board { border-collapse: collapse; font-size: .85rem; line-height: 1.3; font-variant-numeric: tabular-nums; }
table.board th, table.board td { padding: .35em .6em; text-align: left; vertical-align: top;
  border-bottom: 1px solid rgba(128, 128, 128, .35); white-space: nowrap; }
table.board th[scope=row] { position: sticky; left: 0; background: var(--pst-color-background, #fff); }
table.board button { all: unset; cursor: pointer; white-space: normal; display: block; min-width: 5.2em;
  max-width: 8em; font-weight: 600; }
table.board button:focus-visible { outline: 2px solid currentColor; outline-offset: 2px; }
table.board th[aria-sort] button::after { content: " \\25B2"; }
table.board th[aria-sort=descending] button::after { content: " \\25BC"; }
table.board small { display: block; opacity: .75; }
table.board thead small { white-space: normal; max-width: 8em; font-weight: 400; }
table.board .rank { display: inline-block; min-width: 1.5em; margin-left: .5em; text-align: center;
  border: 1px solid currentColor; border-radius: .8em; font-size: .75rem; }
table.board .dot { display: inline-block; width: .7em; height: .7em; border-radius: 50%; margin-right: .5em; }
"""

SCRIPT = """
(() => {
  const table = document.currentScript.parentElement.querySelector("table.board");
  const body = table.tBodies[0], heads = [...table.tHead.rows[0].cells];
  const value = (row, place) => {
    const text = row.cells[place].dataset.value;
    return place === 0 ? text : text === "" ? NaN : Number(text);
  };
  heads.forEach((head, place) => head.querySelector("button").addEventListener("click", () => {
    const first = head.dataset.first, now = head.getAttribute("aria-sort");
    const down = now ? now === "ascending" : first === "descending";
    heads.forEach(each => each.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const rows = [...body.rows].sort((a, b) => {
      const [x, y] = [value(a, place), value(b, place)];
      if (place === 0) return down ? y.localeCompare(x) : x.localeCompare(y);
      if (isNaN(x) || isNaN(y)) return isNaN(x) - isNaN(y);
      return down ? y - x : x - y;
    });
    body.append(...rows);
  }));
})();
"""


def board(found: pd.DataFrame, methods: Sequence[str], about: dict[str, str] | None = None) -> HTML:
    """The leaderboard: a row a method, a column a measure with its interval, its volumes and, round, its rank.

    found: of `findings.ranks.board`; methods: the order of the rows; about: by method, a sentence, shown when it is
    pointed at. A click on a heading, or Enter, sorts by it, the best first, and turns the order when it is repeated.
    """
    known, about = found.set_index(["method", "measure"]), about or {}
    keys = [key for key in MEASURES if key in set(found["measure"])]
    heads = [_head("method", "", "ascending")]
    for key in keys:
        measure = MEASURES[key]
        heads.append(
            _head(measure.words, f"{measure.unit}, {measure.better}", "descending" if measure.more else "ascending")
        )
    rows = []
    for name in methods:
        hue = color(name) if any(each in name for each in COLORS) else "currentColor"
        dot = f'<span class="dot" style="background: {hue}"></span>'
        said = html.escape(about.get(name, ""), quote=True)
        cells = [f'<th scope="row" data-value="{html.escape(name)}" title="{said}">{dot}{html.escape(name)}</th>']
        cells += [_cell(known.loc[name, key] if (name, key) in known.index else None) for key in keys]
        rows.append(f"<tr>{''.join(cells)}</tr>")
    table = f'<table class="board"><thead><tr>{"".join(heads)}</tr></thead><tbody>{"".join(rows)}</tbody></table>'
    return HTML(f'<div class="board-scroll"><style>{STYLE}</style>{table}<script>{SCRIPT}</script></div>')


def _head(words: str, unit: str, first: str) -> str:
    below = f"<small>{html.escape(unit)}</small>" if unit else ""
    return f'<th scope="col" data-first="{first}"><button type="button">{html.escape(words)}</button>{below}</th>'


def _cell(row: pd.Series | None) -> str:
    if row is None:
        return '<td data-value="">&ndash;</td>'
    ends, rank = f"{row['low']:.3f} to {row['high']:.3f}, " if isfinite(row["low"]) else "", ""
    known = f"{ends}n = {row['volumes']:.0f}"
    if isfinite(row["rank"]):
        rank = f'<span class="rank" title="rank">{row["rank"]:.0f}</span>'
    return f'<td data-value="{row["mean"]:.6g}">{row["mean"]:.3f}{rank}<small>{known}</small></td>'


def against_quality(found: pd.DataFrame, size: float = 2.9) -> Figure:
    """Every measure of robustness against quality: a point a method with both intervals, a pair of axes a measure.

    found: of `findings.ranks.board`. Hollow points have no rank: few volumes, or an attack that no audit carries.
    """
    known = found.set_index(["measure", "method"])
    keys = [key for key in MEASURES if key in known.index and not MEASURES[key].more and key != "time"]
    quality, lines = known.loc[QUALITY], -(-len(keys) // COLUMNS)
    figure, grid = plt.subplots(lines, COLUMNS, figsize=(size * COLUMNS, size * lines), sharex=True, squeeze=False)
    for axes in grid.flat[len(keys) :]:
        axes.set_axis_off()
    for axes, key in zip(grid.flat, keys, strict=False):
        rows = known.loc[key]
        for name in [name for name in rows.index if name in quality.index]:
            x, y = quality.loc[name], rows.loc[name]
            ends = [[[each["mean"] - each["low"]], [each["high"] - each["mean"]]] for each in (x, y)]
            hollow = {} if isfinite(y["rank"]) else {"markerfacecolor": "none"}
            axes.errorbar(x["mean"], y["mean"], ends[1], ends[0], "o", color=color(name), label=name, lw=1, **hollow)
        axes.set_title(MEASURES[key].words, fontsize=11)
        axes.set_ylabel(f"{MEASURES[key].unit}, less is better", fontsize=10)
        axes.set_xlabel(f"{MEASURES[QUALITY].unit} on {MEASURES[QUALITY].words}", fontsize=10)
    shown = dict(pair for axes in grid.flat for pair in zip(*axes.get_legend_handles_labels()[::-1]))
    figure.legend(shown.values(), shown, loc="outside lower center", ncols=len(shown), fontsize=11)
    return figure
