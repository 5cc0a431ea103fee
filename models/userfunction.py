"""What a user names as `module:attribute`: a function or a class of his own."""

import importlib
import os
import sys
from collections.abc import Callable
from typing import Any

from .errors import FAILURES, InputError, first_line, nearest


def resolve(reference: str) -> Callable[..., Any]:
    """Import what `module:attribute` names; the working directory is importable, and stays so.

    Raises `InputError`, naming the reference, when the module fails to import or holds nothing callable of that name.
    """
    module_name, _, attribute = reference.partition(":")
    # In front, as `python -m` does; for good, because the function may import its neighbours when it is called.
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    importlib.invalidate_caches()
    try:
        module = importlib.import_module(module_name)
    except FAILURES as error:
        raise InputError(f'cannot import "{module_name}" of "{reference}" ({first_line(error)})') from error
    try:
        function: object = getattr(module, attribute)
    except AttributeError as error:
        public = [name for name in vars(module) if not name.startswith("_")]
        raise InputError(f'"{reference}": {module_name} has no "{attribute}"{nearest(attribute, public)}') from error
    if not callable(function):
        raise InputError(f'"{reference}" is no function but a {type(function).__name__}')
    return function


def call(reference: str, **arguments: object) -> Any:
    """Call the function that `reference` names. Raises `InputError`, naming it, when it fails."""
    function = resolve(reference)
    try:
        return function(**arguments)
    except FAILURES as error:
        given = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
        raise InputError(f'"{reference}" failed, called with ({given}): {first_line(error)}') from error
