"""The list of settings that a user reads, and the line about one that cannot be used."""

import json
import re
from collections.abc import Iterator
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from ...models.errors import nearest
from .named import Named
from .searchable import Choices, Range, Section
from .study import Study

#: The tables that a searched setting can be.
_FORMS: dict[str, type[Section]] = {"range": Range, "choices": Choices}


def describe_settings(section: type[Section] = Study, prefix: str = "") -> Iterator[str]:
    """Yield a line for each setting: its name, its help text, the words that it takes, and its default."""
    for name, field in section.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            yield f"\n[{name}]  {field.description}"
            yield from describe_settings(field.annotation, f"{name}.")
            continue
        notes = [" | ".join(words)] if (words := _words(field.annotation, *field.metadata)) else []
        notes.append("required" if field.is_required() else f"default {_toml(field.default)}")
        yield f"  {prefix}{name}: {field.description} ({'; '.join(notes)})"


def _words(annotation: Any, *metadata: Any) -> tuple[str, ...]:
    """Return the words that a setting of words takes, of a searched one its fixed form; none for other settings."""
    if registered := [each.registry.known for each in metadata if isinstance(each, Named)]:
        return registered[0]
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    if get_origin(annotation) in (Annotated, Union, UnionType):
        return _words(*get_args(annotation)[: None if get_origin(annotation) is Annotated else 1])
    return ()


def _toml(value: Any) -> str:
    if isinstance(value, Section):
        return "{ " + ", ".join(f"{key} = {_toml(item)}" for key, item in value.model_dump().items()) + " }"
    return "none" if value is None else json.dumps(value)


def one_line(error: ValidationError) -> str:
    """Return the first mistake of a study's settings: which setting, what was given, what was expected."""
    errors = error.errors()
    # A setting may have several forms; the error of the form that looked at the values is meant: a list for a list.
    alike = [each for each in errors if each["loc"][:1] == errors[0]["loc"][:1]]
    first = max(alike, key=lambda each: (len(each["loc"]), each["type"] == "too_short"))
    names, field, parent = _place(first["loc"])
    name = ".".join(names)
    if first["type"] == "extra_forbidden":
        known = list(parent.model_fields)
        return f"unknown setting {name!r}{nearest(names[-1], known)}; the settings there are {', '.join(known)}"
    if first["type"] == "missing":
        return f"the setting {name!r} is missing" + (f": {field.description}" if field else "")
    reason = first["msg"].removeprefix("Value error, ")
    if first["type"] == "value_error":
        return f"{name}: {reason}" if name else reason
    if first["type"] == "literal_error":
        reason += nearest(first["input"], re.findall("'([^']+)'", first["ctx"]["expected"]))
    given = f"{name} = {first['input']!r}: {reason[0].lower()}{reason[1:]}"
    return f"{given} ({field.description})" if field else given


def _place(location: tuple[str | int, ...]) -> tuple[list[str], FieldInfo | None, type[Section]]:
    """Return the names on the way to a setting, its field (of a searched one, its own), and the table it stands in."""
    names: list[str] = []
    field: FieldInfo | None = None
    parent: type[Section] = Study
    section: type[Section] | None = Study
    for part in location:
        if section is None:
            # Pydantic names the form of a setting after the setting; only the tables have settings of their own.
            section = _FORMS.get(str(part))
            continue
        names.append(str(part))
        parent, known = section, section.model_fields.get(str(part))
        if parent not in (Range, Choices):
            field = known
        inner = known.annotation if known else None
        section = inner if isinstance(inner, type) and issubclass(inner, Section) else None
    return names, field, parent
