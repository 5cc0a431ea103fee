"""The list of a cluster's settings that a user reads."""

import json
from collections.abc import Iterator
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from .cluster import Cluster
from .section import Section, section_of


def describe_settings(section: type[Section] = Cluster, prefix: str = "") -> Iterator[str]:
    """Yield a line for each setting: its name, its help text, the words that it takes, and its default."""
    for name, field in section.model_fields.items():
        table = section_of(field.annotation)
        if table is None:
            yield f"  {prefix}{name}: {field.description} ({_notes(field)})"
            continue
        heading = f"[[{name}]]" if get_origin(field.annotation) is list else f"[{name}]"
        yield f"\n{heading}  {field.description}"
        yield from describe_settings(table, f"{name}.")


def _notes(field: FieldInfo) -> str:
    words = [" | ".join(_words(field.annotation))] if _words(field.annotation) else []
    # `none` says that nothing is set; a table of one's own names is empty.
    default = "required" if field.is_required() else f"default {_toml(field.default)}"
    return "; ".join([*words, default])


def _words(annotation: Any) -> tuple[str, ...]:
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    if get_origin(annotation) in (Annotated, Union, UnionType):
        return _words(get_args(annotation)[0])
    return ()


def _toml(value: Any) -> str:
    return "none" if value is None else json.dumps(value)
