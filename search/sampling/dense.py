"""Prunable parameters that the study keeps whole."""

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from ...models.errors import InputError, nearest


def kept_dense(names: Sequence[str], patterns: Iterable[str]) -> frozenset[str]:
    """Return those of the prunable parameters `names` that a pattern of `search.keep_dense` matches.

    A pattern is a parameter's name, with or without its ".weight", or has wildcards (*, ?, [...]). Raise InputError
    for a pattern that matches no parameter, and where no parameter is left to be pruned.
    """
    short = {name: name.removesuffix(".weight") for name in names}
    dense: set[str] = set()
    for pattern in patterns:
        matched = {name for name in names if fnmatchcase(name, pattern) or fnmatchcase(short[name], pattern)}
        if not matched:
            raise InputError(
                f"keep_dense: {pattern!r} matches no prunable parameter{nearest(pattern, short.values())}; "
                f"they are {_listed(list(short.values()))}"
            )
        dense |= matched
    if len(dense) == len(names):
        raise InputError("keep_dense matches every prunable parameter; nothing is left to be pruned")
    return frozenset(dense)


def _listed(names: Sequence[str], most: int = 8) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
