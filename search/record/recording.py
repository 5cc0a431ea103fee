"""The record of a study while it runs."""

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping

from ..config.study import Study
from ..files import Home, StudyFolder
from ..names import Tag
from ..protocol.events import Summary
from .delivery import Delivery, delivered
from .destination import Destination
from .recorder import Recorder
from .server import tracking_server
from .view import leaderboard_view


def destination_of(study: Study, home: Home) -> Destination:
    """Return where the record of a study goes. Raises InputError where that is no tracking server."""
    tags = {Tag.STUDY: study.id, Tag.NOTE: f"{study.model} on {study.data}", **leaderboard_view(study)}
    experiment = f"{study.model} {study.data} {study.sparsity:g} {study.id}".replace("/", "_")
    return Destination(home, study.id, experiment, tracking_server(home, study.tracking.mlflow), tags)


@contextlib.contextmanager
def recording(
    study: Study,
    destination: Destination,
    folder: StudyFolder,
    on_runs: Callable[[Mapping[str, str]], None],
    remaining: Callable[[], float] = lambda: math.inf,
) -> Iterator[tuple[Recorder, Delivery]]:
    """Yield the recorder of a study, and the delivery of what it records to MLflow.

    `on_runs` is called with the MLflow ids of runs by their keys. Whatever ends the study, its run is closed, and what
    can be delivered in the `remaining()` seconds is.
    """
    with delivered(folder.spool, destination, on_runs, remaining=remaining) as delivery:
        recorder = Recorder(study, folder, delivery.spool)
        try:
            yield recorder, delivery
        except BaseException as error:
            with contextlib.suppress(OSError):
                recorder.study_ended(Summary("KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED"))
            raise
