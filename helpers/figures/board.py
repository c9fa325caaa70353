"""The leaderboard: a table that sorts itself when a heading is clicked, without kernel and network."""

import html
from collections.abc import Sequence
from itertools import product
from math import isfinite

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn  # noqa: F401  whose color map vlag, blue over white to red, matplotlib then knows
from IPython.display import HTML
from matplotlib.figure import Figure

from helpers.figures.look import COLORS, color
from helpers.findings.cards import MEASURES

LEAST = 6  # methods of which a rank correlation is told: of five, chance alone gives .9 or more in one of ten

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


def agreement(found: pd.DataFrame, size: float = 0.62) -> Figure:
    """How alike any two measures order the methods: rank correlations, with all turned so that more is better.

    found: of `findings.ranks.board`, of which only what has a rank counts. Pairs of fewer than LEAST methods have the
    number of these in the place of a correlation.
    """
    wide = found[found["rank"].notna()].pivot(index="method", columns="measure", values="mean")
    wide = wide[[key for key in MEASURES if key in wide]]
    turned = wide * [1 if MEASURES[key].more else -1 for key in wide]
    both = turned.notna().astype(int)
    counts, alike = (both.T @ both).to_numpy(), turned.corr("spearman").to_numpy()
    alike = np.where(counts < LEAST, np.nan, alike)
    words = [MEASURES[key].words for key in wide]
    figure, axes = plt.subplots(figsize=(size * len(words) + 3.6, size * len(words) + 2.2))
    drawn = axes.imshow(alike, "vlag", vmin=-1, vmax=1)
    for row, column in product(range(len(words)), repeat=2):
        value, n = alike[row, column], counts[row, column]
        words_of = f"{value:.1f}" if isfinite(value) else f"n={n}"
        axes.text(column, row, words_of, ha="center", va="center", fontsize=10 if isfinite(value) else 8)
    axes.set_xticks(range(len(words)), words, rotation=45, ha="right", fontsize=11)
    axes.set_yticks(range(len(words)), words, fontsize=11)
    axes.grid(visible=False)
    figure.colorbar(drawn, ax=axes, shrink=0.7, label=f"rank correlation over {LEAST} methods or more")
    return figure
