"""One kind of error for everything a user can get wrong."""


class BadInput(ValueError):
    """Input that cannot be used: one sentence that names it and says what to do.

    The command line prints the sentence on standard error and exits with code 2.
    """
