"""One kind of error for everything a user can get wrong, and the end that the system asks for."""


class BadInput(ValueError):
    """Input that cannot be used: one sentence that names it and says what to do.

    The command line prints the sentence on standard error and exits with code 2.
    """


class Terminated(SystemExit):
    """The system asks the process to end: no error, and not the end that some code called `sys.exit` for."""
