"""What a user can get wrong."""

import contextlib
import difflib
import os
from collections.abc import Iterable, Iterator

#: What a user's code may raise: a script that is imported as a module may end with `SystemExit`.
FAILURES = (Exception, SystemExit)


class InputError(ValueError):
    """A user's mistake in one clear line: what was given, what was expected and the way out."""


@contextlib.contextmanager
def naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """Put `path` in front of the message of an `InputError` that leaves the block."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ', did you mean "x"?' for the known name closest to `name`, or an empty string when none is close."""
    close = difflib.get_close_matches(str(name), list(known), n=1)
    return f', did you mean "{close[0]}"?' if close else ""


def first_line(error: BaseException) -> str:
    """Return the type and the first line of an exception's message, without a full stop, for use in an `InputError`."""
    lines = str(error).strip().rstrip(".").splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
