"""List the methods: name, family, and what each one is.

Example: python -m helpers methods --json
"""

import argparse
import inspect

from helpers import methods
from helpers.commands import show


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")


def run(args: argparse.Namespace) -> int:
    show(({"method": name, "family": methods.family(name), "what": what(name)} for name in methods.names()), args.json)
    return 0


def what(name: str) -> str:
    """The first line of what is written about a method."""
    return (inspect.getdoc(methods.load(name).func) or "").partition("\n")[0]
