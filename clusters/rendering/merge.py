"""The merge of `overrides` into a rendered document."""

from collections.abc import Mapping
from typing import Any


def merged(document: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Return `document` with `overrides` merged in: table into table; a list or a value takes the place of the old."""
    result = dict(document)
    for key, value in overrides.items():
        old = result.get(key)
        result[key] = merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return result
