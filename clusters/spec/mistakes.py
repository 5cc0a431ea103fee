"""A mistake in a cluster file, in one line."""

import re

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from ..errors import nearest
from .cluster import Cluster
from .section import Section, section_of


def one_line(error: ValidationError) -> str:
    """Return the first mistake of a cluster's settings: which setting, what was given, what was expected."""
    first = error.errors()[0]
    name = ".".join(map(str, first["loc"]))
    field, parent = _place(first["loc"])
    if first["type"] == "extra_forbidden":
        known = list(parent.model_fields)
        return f"unknown setting {name!r}{nearest(first['loc'][-1], known)}; the settings there are {', '.join(known)}"
    if first["type"] == "missing":
        return f"the setting {name!r} is missing" + (f": {field.description}" if field else "")
    reason = first["msg"].removeprefix("Value error, ")
    if first["type"] == "value_error":
        return f"{name}: {reason}" if name else reason
    if first["type"] == "literal_error":
        reason += nearest(first["input"], re.findall("'([^']+)'", first["ctx"]["expected"]))
    if first["loc"][0] == "secrets":
        # What was given may be the secret itself.
        return f"{name}: expected env:NAME or file:PATH, which say where the secret is on this machine"
    if first["type"] in ("string_pattern_mismatch", "string_too_long") and field:
        return f"{name} = {first['input']!r}: expected {field.description}"
    given = f"{name} = {first['input']!r}: {reason[0].lower()}{reason[1:]}"
    return f"{given} ({field.description})" if field else given


def _place(location: tuple[str | int, ...]) -> tuple[FieldInfo | None, type[Section]]:
    """Return the field of a setting, and the table that it stands in."""
    field: FieldInfo | None = None
    parent: type[Section] = Cluster
    section: type[Section] | None = Cluster
    for part in location:
        if section is None or isinstance(part, int):
            continue
        parent, field = section, section.model_fields.get(part)
        section = section_of(field.annotation) if field else None
    return field, parent
