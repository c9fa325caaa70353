"""Choosing a regularization weight, or the settings of an un-trained fit, by mean SSIM on training slices."""

import json
import sys
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from helpers import methods
from helpers.data import DRAWN
from helpers.data.slice import Slice
from helpers.experiments import evaluate
from helpers.files import written_aside
from helpers.profiles import PROFILES
from helpers.sparsity.proximal_gradient import GRID
from helpers.untrained.recipes import FITS

AROUND = {"steps": (300, 600, 1200), "mu": (0.01, 0.03, 0.1), "consistency": (30, 65, 130, 260)}


def sweep(
    method: str, slices: Sequence[Slice], grid: Iterable[float] = GRID, seed: int = 0, have: Container[tuple] = ()
) -> Iterator[dict]:
    """Scores of a method with every weight of the grid on every slice: one row each, as it comes.

    method: one with a parameter `lam`, a multiple of the noise level (see `proximal_gradient.weight`); rows carry `lam`
    beside what `evaluate.measure` gives. Each slice is measured under its volume's own mask (4x random lines).
    have: (identity, lam) of rows that are there already.
    """
    for item in tqdm(slices, desc=f"tuning {method}", disable=len(slices) < 2):
        mask = evaluate.mask_of(item, seed=seed)
        for lam in grid:
            if (item.identity, lam) in have:
                continue
            row = evaluate.measure(method, methods.load(method, item, lam=lam), item, mask)
            yield {**row, "lam": lam}


def around(method: str, slices: Sequence[Slice], grid: Mapping = AROUND, seed: int = 0) -> Iterator[list[dict]]:
    """Scores of an un-trained network with each setting in turn at other values than its own: a slice at a time.

    grid: values by setting, see `untrained.problem.Settings`; rows carry `setting` and `value` beside what
    `evaluate.measure` gives. The network as it is stands among the rows of every setting.
    """
    own = {name: getattr(FITS[method], name) for name in grid}
    for item in tqdm(slices, desc=f"tuning {method}", disable=len(slices) < 2):
        mask = evaluate.mask_of(item, seed=seed)
        usual = evaluate.measure(method, methods.load(method, item), item, mask)
        rows = []
        for setting, values in grid.items():
            for value in sorted({*values, own[setting]}):
                changed = methods.load(method, item, **{setting: value})
                row = usual if value == own[setting] else evaluate.measure(method, changed, item, mask)
                rows.append({**row, "setting": setting, "value": value})
        yield rows


def best(rows: pd.DataFrame) -> dict:
    """The weight with the best mean SSIM, and how flat the optimum is: lam, ssim, and the weights within .002."""
    means = rows.groupby("lam")["ssim"].mean()
    near = means.index[means > means.max() - 0.002]
    return {
        "lam": float(means.idxmax()),
        "ssim": round(float(means.max()), 5),
        "within_0.002": [float(near.min()), float(near.max())],
        "n": int(rows["identity"].nunique()),
    }


def remember(method: str, source: str, found: dict, path: Path) -> None:
    """Keep what was found where `methods.tuned` looks it up; what is there for other methods and sources stays.

    path: `methods.TUNED` for drawn sources, `methods.READERS` for others. What was found on larger drawn slices stays,
    too, which is said.
    """
    values = json.loads(path.read_text("utf8")) if path.is_file() else {}
    there, sizes = values.get(method, {}).get(source), list(PROFILES)
    if there and source in DRAWN and sizes.index(found["profile"]) < sizes.index(there["profile"]):
        words = f"{path} keeps the weight {there['lam']:g} of {method} on {source}, which was found on larger slices"
        print(f"{words} ({there['profile']})", file=sys.stderr)
        return
    values.setdefault(method, {})[source] = found
    with written_aside(path) as part:
        part.write_text(json.dumps(values, indent=2, sort_keys=True) + "\n", "utf8")
