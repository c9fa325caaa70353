"""What stands between the figures of a page: sentences with computed numbers, and the lines that were run."""

import inspect
import textwrap
from collections.abc import Callable

import pandas as pd
from IPython.display import Markdown, display

from helpers.findings import verdicts


def say(sentence: str) -> None:
    """Show a sentence with computed numbers in it; the sentence is Markdown."""
    display(Markdown(sentence))


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
