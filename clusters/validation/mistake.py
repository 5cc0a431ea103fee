"""A mistake in a rendered document."""

from collections.abc import Iterable

from ..errors import ClusterError


class DocumentError(ClusterError):
    """What a target would refuse: the place in the document, and why."""

    def __init__(self, place: Iterable[str | int], reason: str) -> None:
        self.place = tuple(place)
        self.reason = reason
        where = ".".join(map(str, self.place))
        super().__init__(f"{where}: {reason}" if where else reason)
