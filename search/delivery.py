"""A record on its way to MLflow, from its first event to its last."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from .console import warn
from .spool import Spool
from .uploader import Uploader

#: Seconds that the end of a record waits to be delivered.
PATIENCE = 60.0


@contextmanager
def delivered(
    spool: Path,
    tracking_uri: str,
    experiment: str,
    tags: Mapping[str, str],
    artifacts: str | None = None,
    later: str = "",
) -> Iterator[Spool]:
    """Yields the spool at a path, whose events are delivered in the background to an experiment (see `Uploader`).

    On leaving, what can be delivered is; what cannot stays in the file, and a warning says so, and what delivers it
    `later`, where anything does.
    """
    written = Spool(spool)
    uploader = Uploader(spool, tracking_uri, experiment, tags, artifacts).start()
    try:
        yield written
    finally:
        written.close()
        if not uploader.close(PATIENCE):
            warn(
                f"part of the record has not reached MLflow ({uploader.problem or 'it is slow'}); "
                f"it is kept in {spool}{later}"
            )
