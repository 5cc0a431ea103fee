"""A record on its way to MLflow, from its first event to its last."""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..console import warn
from ..process.heartbeat import SpoolState
from .destination import Destination
from .spool import Spool
from .uploader import Uploader, refused_file

#: Seconds that the end of a record waits to be delivered.
DELIVERY_TIMEOUT = 60.0


@dataclass(frozen=True)
class Delivery:
    """A spool that is being delivered."""

    spool: Spool
    uploader: Uploader

    @property
    def state(self) -> SpoolState:
        """What has not reached MLflow yet, and why."""
        return SpoolState(depth=self.uploader.depth, problem=self.uploader.problem)


@contextmanager
def delivered(
    spool: Path,
    destination: Destination,
    on_runs: Callable[[Mapping[str, str]], None] | None = None,
    remaining: Callable[[], float] = lambda: math.inf,
) -> Iterator[Delivery]:
    """Yield the delivery of the spool at a path, in the background, to its destination (see `Uploader`).

    On leaving, the events that can be delivered within a minute, and within `remaining()` seconds, are; the others stay
    in the file, and a warning says so. `record.json` beside the spool holds the destination for `fullspectrum sync`.
    Raise InputError where another process delivers this spool.
    """
    uploader = Uploader(spool, destination, on_runs)
    spool.parent.mkdir(parents=True, exist_ok=True)
    # Somebody may be running `fullspectrum sync`.
    uploader.start(wait=DELIVERY_TIMEOUT)
    try:
        # Opened second: whoever holds the spool may be writing the line that opening it would cut off.
        with closing(Spool(spool)) as written:
            yield Delivery(written, uploader)
    finally:
        if not uploader.close(DELIVERY_TIMEOUT, remaining):
            warn(
                f"part of the record has not reached MLflow ({uploader.problem or 'it is slow'}); "
                f"it is kept in {spool} until fullspectrum sync delivers it"
            )
        if uploader.refused:
            warn(f"MLflow refused {uploader.refused} events of the record; {refused_file(spool)} holds them and why")
