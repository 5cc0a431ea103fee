"""Mask sources by name."""

from collections.abc import Callable

from ...models.errors import InputError, nearest
from .magnitude import Magnitude
from .random import Random
from .snip import Snip
from .source import Source

SOURCES: dict[str, Callable[[], Source]] = {
    "random": Random,
    "magnitude": Magnitude,
    "snip": Snip,
}

#: Sources that are named with something after a colon: what stands there, and what makes a source of it.
PREFIXES: dict[str, tuple[str, Callable[[str], Source]]] = {}

KNOWN = (*SOURCES, *(f"{prefix}:{what}" for prefix, (what, _) in PREFIXES.items()))


def source(name: str) -> Source:
    """The source called `name`. Raises InputError for a name that no source has."""
    if name in SOURCES:
        return SOURCES[name]()
    prefix, colon, rest = name.partition(":")
    if prefix in PREFIXES and colon and rest:
        return PREFIXES[prefix][1](rest)
    raise InputError(f"unknown source {name!r}{nearest(name, KNOWN)}; the sources are {', '.join(KNOWN)}")
