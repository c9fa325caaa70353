"""One kind of error for what a user can get wrong, the end that the system asks for, and words on the way."""

import sys
from functools import cache


class BadInput(ValueError):
    """Input that cannot be used: one sentence that names it and says what to do.

    The command line prints the sentence on standard error and exits with code 2.
    """


class Terminated(SystemExit):
    """The system asks the process to end: no error, and not the end that some code called `sys.exit` for."""


@cache
def say_once(sentence: str) -> None:
    """Say a sentence on standard error, the first time only: every slice of a file would say it again."""
    print(sentence, file=sys.stderr)
