"""The options of sbatch: which there are, what each is given, and which a search cannot do with."""

import re
from collections.abc import Mapping
from typing import Any

from ..errors import nearest
from .mistake import DocumentError
from .schema import facts

#: Options that a search has a use of its own for, and why.
_OURS = {
    "array": "a search is one job",
    "chdir": "a search runs where its study file is",
    "error": "its log is where `clusters logs` finds it",
    "help": "it submits nothing",
    "job-name": "`clusters` finds a search by its name",
    "open-mode": "a log goes on where a job begins again",
    "output": "its log is where `clusters logs` finds it",
    "parsable": "the answer of sbatch is read as it is",
    "test-only": "it submits nothing",
    "usage": "it submits nothing",
    "version": "it submits nothing",
    "wait": "`launch` follows a job by itself",
    "wrap": "a search has a script of its own",
}


def check_options(options: Mapping[str, Any]) -> None:
    """Raise DocumentError for an option that sbatch does not know or a search cannot do with, and for a wrong value."""
    known: dict[str, str] = facts("sbatch")
    for name, value in options.items():
        if name not in known:
            raise DocumentError(
                [name], f"unknown option of sbatch{nearest(name, known) or '; it is written without its --'}"
            )
        if name in _OURS:
            raise DocumentError([name], f"cannot be chosen: {_OURS[name]}; leave it out")
        if isinstance(value, bool):
            # `false` leaves an option out, whether it takes a value or not.
            if value and known[name] == "value":
                raise DocumentError([name], f"true is no value of --{name}; expected a string or a number")
        elif known[name] == "flag":
            raise DocumentError([name], f"--{name} takes no value, but {value!r} was given; expected true or false")
        else:
            check_text(name, value)


def check_text(name: str, value: Any) -> str:
    """Return the value of an option as sbatch reads it, the parts of a list between commas; raise DocumentError."""
    if isinstance(value, list) and value and all(isinstance(part, str) for part in value):
        value = ",".join(value)
    if not isinstance(value, str | int | float):
        raise DocumentError([name], f"{value!r}: expected a string, a number, true, false, or a list of strings")
    text = str(value)
    if not text or re.search(r'["\\\x00-\x1f\x7f]', text):
        raise DocumentError([name], f"{text!r}: expected one line of text without double quotes and backslashes")
    return text
