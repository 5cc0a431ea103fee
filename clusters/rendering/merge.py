"""The merge of `overrides` into a rendered document."""

from collections.abc import Mapping
from typing import Any

from ..errors import ClusterError
from ..validation import DocumentError, validate


def finished(target: str, document: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Return `document` with `overrides` merged in, checked by the target's schema.

    Raise ClusterError, in one line that names the place, for what the target would refuse.
    """
    result = merged(document, overrides)
    try:
        validate(target, result)
    except DocumentError as error:
        prefix = "overrides." if error.place and _stands(error.place, overrides) else ""
        raise ClusterError(f"{prefix}{error}") from None
    return result


def merged(document: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Return `document` with `overrides` merged in: table into table; a list or a value takes the place of the old."""
    result = dict(document)
    for key, value in overrides.items():
        old = result.get(key)
        result[key] = merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return result


def _stands(place: tuple[str | int, ...], overrides: Any) -> bool:
    """Return whether a place is one of those that overrides set."""
    for part in place:
        if isinstance(overrides, Mapping):
            if part not in overrides:
                return False
            overrides = overrides[part]
        elif not isinstance(overrides, list):
            return True
        elif isinstance(part, int) and part < len(overrides):
            overrides = overrides[part]
        else:
            return False
    return True
