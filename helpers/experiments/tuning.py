"""Choosing a regularization weight: the one with the best mean SSIM on a source's training slices."""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from helpers import methods
from helpers.data.slice import Slice
from helpers.experiments import evaluate
from helpers.files import written_aside
from helpers.sparsity.proximal_gradient import GRID

TUNED = Path(methods.__file__).with_name("tuned.json")


def sweep(method: str, slices: Sequence[Slice], grid: Iterable[float] = GRID, seed: int = 0) -> Iterator[dict]:
    """Scores of a method with every weight of the grid on every slice: one row each, as it comes.

    method: one with a parameter `lam`, a multiple of the noise level (see `proximal_gradient.weight`); rows carry `lam`
    beside what `evaluate.measure` gives. Each slice is measured under its volume's own mask (4x random lines).
    """
    for item in tqdm(slices, desc=f"tuning {method}"):
        mask = evaluate.mask_of(item, seed=seed)
        for lam in grid:
            row = evaluate.measure(method, methods.load(method, source=item.source, lam=lam), item, mask)
            yield {**row, "lam": lam}


def best(rows: pd.DataFrame) -> dict:
    """The weight with the best mean SSIM, and how flat the optimum is: lam, ssim, and the weights within .002."""
    means = rows.groupby("lam")["ssim"].mean()
    near = means.index[means > means.max() - 0.002]
    return {
        "lam": float(means.idxmax()),
        "ssim": round(float(means.max()), 5),
        "within_0.002": [float(near.min()), float(near.max())],
        "n": int(rows.groupby(["volume", "slice"]).ngroups),
    }


def remember(method: str, source: str, found: dict, path: Path = TUNED) -> None:
    """Keep what was found where `methods.tuned` looks it up; what is there for other methods and sources stays."""
    values = json.loads(path.read_text("utf8")) if path.is_file() else {}
    values.setdefault(method, {})[source] = found
    with written_aside(path) as part:
        part.write_text(json.dumps(values, indent=2, sort_keys=True) + "\n", "utf8")
