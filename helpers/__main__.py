"""Measure how robust a method is that reconstructs MR images from few measurements.

Tables go to standard output, words and progress to standard error. Exit code 2 and one sentence for bad input.
"""

import argparse
import ast
import errno
import importlib
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from helpers.errors import BadInput, Terminated

NO_MEMORY = "there is not enough memory for this; take smaller data, a smaller profile or one slice"
COMMANDS = Path(__file__).with_name("commands")


class Parser(argparse.ArgumentParser):
    """An argument parser that says what is wrong in one sentence."""

    def error(self, message: str) -> None:
        raise BadInput(f"{message}; see {self.prog} -h")


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The arguments; only the command that was asked for is imported, so that help comes at once."""
    chosen = next((argument for argument in argv if not argument.startswith("-")), None)
    raw = argparse.RawDescriptionHelpFormatter
    parser = Parser(prog="python -m helpers", description=__doc__, formatter_class=raw)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for path in sorted(COMMANDS.glob("[a-z]*.py")):
        words = ast.get_docstring(ast.parse(path.read_text("utf8"))) or ""
        command = commands.add_parser(
            path.stem, help=words.partition("\n")[0], description=words, formatter_class=raw, allow_abbrev=False
        )
        if path.stem == chosen:
            module = importlib.import_module(f"helpers.commands.{path.stem}")
            module.add_arguments(command)
            command.set_defaults(run=module.run)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0, 2 for bad input, 130 when interrupted."""
    for name in ("stdout", "stderr"):  # a stream that was closed before we began is none
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))
    try:
        args = parse(sys.argv[1:] if argv is None else argv)
        code = args.run(args)
        sys.stdout.flush()
        return code
    except BadInput as error:
        sentence = str(error)
    except BrokenPipeError:
        # whoever read has seen enough; without this the interpreter complains when it closes standard output
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130
    except SystemExit as stop:  # help, or the signal to terminate
        return stop.code
    except MemoryError:
        sentence = NO_MEMORY
    except RuntimeError as error:
        if "allocate memory" not in str(error) and type(error).__name__ != "OutOfMemoryError":  # both are torch's
            raise
        sentence = NO_MEMORY
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        advice = "make room and give the same command again" if full else "check the path and its permissions"
        sentence = f"{error.filename or 'the system'}: {error.strerror or error}; {advice}"
    print(" ".join(sentence.split()), file=sys.stderr)
    return 2


def terminate(number: int, frame: object) -> None:
    """What a signal to terminate does."""
    raise Terminated(128 + number)


if __name__ == "__main__":
    # a run that is terminated removes what it has half-written, as one that is interrupted does
    signal.signal(signal.SIGTERM, terminate)
    sys.exit(main())
