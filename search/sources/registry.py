"""Mask sources by name."""

from collections.abc import Callable

from ...models.errors import InputError, nearest
from .ascent import Ascent
from .biregular import Biregular
from .file import MaskFile
from .grasp import GraSP
from .iterative_snip import IterativeSnip
from .magnitude import Magnitude
from .random import Random
from .snip import Snip
from .source import Source
from .synflow import SynFlow


def _ascent(start: str) -> Ascent:
    if start.partition(":")[0] == "ascent":
        raise InputError(f"unknown source 'ascent:{start}'; ascent starts from another source, as in ascent:snip")
    return Ascent(start, source(start))


SOURCES: dict[str, Callable[[], Source]] = {
    "random": Random,
    "magnitude": Magnitude,
    "snip": Snip,
    "iterative-snip": IterativeSnip,
    "grasp": GraSP,
    "synflow": SynFlow,
    "biregular": Biregular,
    "ascent": lambda: _ascent("random"),
}

#: Sources that are named with something after a colon: what stands there, and what makes a source of it.
PREFIXES: dict[str, tuple[str, Callable[[str], Source]]] = {
    "file": ("PATH", MaskFile),
    "ascent": ("SOURCE", _ascent),
}

KNOWN = (*SOURCES, *(f"{prefix}:{what}" for prefix, (what, _) in PREFIXES.items()))


def source(name: str) -> Source:
    """The source called `name`. Raises InputError for a name that no source has."""
    if name in SOURCES:
        return SOURCES[name]()
    prefix, colon, rest = name.partition(":")
    if prefix in PREFIXES and colon and rest:
        return PREFIXES[prefix][1](rest)
    raise InputError(f"unknown source {name!r}{nearest(name, KNOWN)}; the sources are {', '.join(KNOWN)}")
