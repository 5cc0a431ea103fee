"""The origin of a mask file, as its metadata describe it; malformed entries are left out."""

from ...models.errors import InputError
from ...models.masks import MaskSet
from ...models.tensorfile import parse_strict_json
from ..sampling.pattern import pattern_of
from ..sources import SOURCES


def settings_of(masks: MaskSet) -> dict[str, object]:
    """Return how the source of a mask file scored, as settings of [search]; what is malformed is left out.

    A file never makes another file be read: a warm start is not scored again.
    """
    metadata = masks.metadata
    settings: dict[str, object] = {}
    for name in ("images_per_class", "rounds", "round_iterations"):
        if number := _number(metadata.get(name, "")):
            settings[name] = number
    if metadata.get("source") in SOURCES:
        settings["sources"] = [metadata["source"]]
    if pattern := pattern_of(metadata):
        settings["pattern"] = str(pattern)
    try:
        dense = parse_strict_json(metadata.get("keep_dense", "[]"))
    except InputError:
        dense = []
    if isinstance(dense, list):
        settings["keep_dense"] = [name for name in masks if name in dense]
    return settings


def batch_seed_of(masks: MaskSet) -> int | None:
    """Return the batch seed by which the source of a mask file scored, 0 where none is given, None for no number."""
    return _number(masks.metadata.get("batch_seed", "0"))


def _number(text: str) -> int | None:
    """Return the whole number of at most 18 digits that `text` holds, else None: Python refuses to read thousands."""
    return int(text) if text.isdecimal() and len(text) <= 18 else None
