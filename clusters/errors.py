"""What can go wrong with a cluster, in one line."""

import difflib
from collections.abc import Iterable


class ClusterError(ValueError):
    """A cluster that cannot be used or reached, or a Ray that does not start here: what was found, and the way out."""


def nearest(name: object, known: Iterable[str]) -> str:
    """Return ', did you mean "x"?' for the known name closest to `name`, or an empty string when none is close."""
    close = difflib.get_close_matches(str(name), list(known), n=1)
    return f', did you mean "{close[0]}"?' if close else ""
