"""Checks by JSON Schema, and the schemas of facts."""

import functools
import json
from collections.abc import Iterable, Mapping
from importlib import resources
from typing import TYPE_CHECKING, Any

from ..errors import nearest
from .mistake import DocumentError

if TYPE_CHECKING:
    from jsonschema import ValidationError


@functools.cache
def facts(name: str) -> dict[str, Any]:
    """Return a schema of facts: names, types and limits of what a platform takes."""
    text = (resources.files(__package__) / "facts" / f"{name}.json").read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


def check_schema(document: Any, schema: Mapping[str, Any], place: Iterable[str | int] = ()) -> None:
    """Raise DocumentError for the first value of a document that its schema refuses; `place` is where it stands."""
    from jsonschema import Draft7Validator
    from jsonschema.exceptions import best_match

    error = best_match(Draft7Validator(schema).iter_errors(document))
    if error is not None:
        raise _mistake(error, tuple(place))


def _mistake(error: "ValidationError", place: tuple[str | int, ...]) -> DocumentError:
    where = (*place, *error.absolute_path)
    if error.validator == "additionalProperties" and isinstance(error.instance, Mapping):
        known = list(error.schema.get("properties", {}))
        unknown = next(name for name in error.instance if name not in known)
        return unknown_name((*where, unknown), known)
    if error.validator == "required":
        missing = next(name for name in error.validator_value if name not in error.instance)
        return DocumentError((*where, missing), "missing")
    given = json.dumps(error.instance, default=str)
    given = given if len(given) <= 60 else f"{given[:60]}…"
    if error.validator == "type":
        expected = error.validator_value
        listed = expected if isinstance(expected, str) else " or ".join(expected)
        return DocumentError(where, f"{given} is of the wrong type, expected {listed}")
    if error.validator == "enum":
        listed = ", ".join(map(str, error.validator_value))
        return DocumentError(
            where, f"{given}{nearest(error.instance, error.validator_value)}: expected one of {listed}"
        )
    return DocumentError(where, f"{given} does not fit {error.validator} {json.dumps(error.validator_value)[:60]}")


def unknown_name(place: tuple[str | int, ...], known: Iterable[str]) -> DocumentError:
    """Return the mistake of a name that is not known at its place."""
    names = sorted(known)
    listed = f"; known are {', '.join(names)}" if len(names) <= 12 else ""
    return DocumentError(place, f"unknown{nearest(place[-1], names)}{listed}")
