"""What stands between the figures of a page: sentences with computed numbers, and the lines that were run."""

import inspect
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from IPython.display import Markdown, display

from helpers import methods
from helpers.data import DRAWN, open_data
from helpers.errors import BadInput
from helpers.experiments import evaluate, pathologies
from helpers.figures.images import images
from helpers.findings import verdicts
from helpers.mri.fourier import center_crop
from helpers.profiles import Profile


def say(sentence: str, **numbers: float) -> None:
    """Show a sentence with computed numbers in it; the sentence is Markdown.

    numbers: by name, what a sweep keeps of this run, see `experiments.sweeps`.
    """
    told = {"metadata": {"numbers": {name: float(value) for name, value in numbers.items()}}} if numbers else {}
    display(Markdown(sentence), **told)


def referenced(data: str, size: Profile, names: Sequence[str] = (), instead: str = "", whole: bool = False) -> str:
    """The data of a chapter that needs references: `data`, or drawn ones where `data` have none, which is said.

    data: what the reader gave; size: how much of it the chapter looks at; names: methods whose images of the reader's
    first slice are shown then; instead: the drawn source that takes its place, "" for the chapter's own; whole: the
    chapter draws masks, too, so that scans that were measured under one of their own do not serve.
    """
    slices = [] if data in ("", *DRAWN) else evaluate.chapter_slices(data, size)
    if not slices or any(item.whole if whole else item.target is not None for item in slices):
        return data
    item = slices[0]
    volumes = list(dict.fromkeys(each.volume for each in slices))
    if any(item.target is not None for item in slices):
        why = "measured under a mask of its own**, so that no other can be drawn."
        why = f"{', '.join(volumes)} {'were each' if len(volumes) > 1 else 'was'} {why}"
    else:
        why = (
            f"{', '.join(volumes)} hold{'' if len(volumes) > 1 else 's'} no reference**, so that nothing can be scored."
        )
    say(
        f"**{why}" + (" What the methods make of them:" if names else " This chapter is shown on drawn slices instead.")
    )
    if names:
        shape, found = open_data(data).image_shape(0), {}
        for name in names:
            image = evaluate.reconstruct(methods.load(name, item), item, item.mask)
            found[name] = center_crop(image, shape)
        display(images(found, columns=len(found)))
        plt.close("all")
        say("The rest of the chapter is shown on drawn slices instead.")
    return instead


def annotated(data: str, size: Profile, boxes: Path | None = None) -> str:
    """The data of a chapter that needs annotated findings: `data`, or "" where they have none, which is said.

    boxes: a table of findings in place of those beside the files of `data`.
    """
    try:
        if data:
            pathologies.places(data, size, 1, boxes)
    except BadInput as error:
        say(f"**{str(error).capitalize()}.** This chapter is shown on drawn slices instead.")
        return ""
    return data


def claims(table: pd.DataFrame) -> None:
    """Show a table of claims, and below it how it was tested and what would hold without the correction."""
    display(table)
    say(verdicts.sentence(table))


def code(function: Callable) -> str:
    """The source of a function without its docstring."""
    lines = textwrap.dedent(inspect.getsource(function))
    if function.__doc__:
        start = lines.index('"""')
        end = lines.index('"""', start + 3) + 3
        lines = lines[:start].rstrip() + lines[end:]
    return lines.strip()


def listing(*functions: Callable) -> None:
    """Show the lines of `helpers` that carry an equation out: what runs is what is shown."""
    say("\n\n".join(f"`{f.__module__}.{f.__qualname__}`\n\n```python\n{code(f)}\n```" for f in functions))
