"""One kind of error for everything a user can get wrong, and one way to say what was decided for them."""

import sys
from functools import cache


class BadInput(ValueError):
    """Input that cannot be used: one sentence that names it and says what to do.

    The command line prints the sentence on standard error and exits with code 2.
    """


@cache
def say_once(sentence: str) -> None:
    """Say a sentence on standard error, the first time only: every slice of a file would say it again."""
    print(sentence, file=sys.stderr)
