"""Whose turn it is when trials are scored apart from their training."""

from collections.abc import Callable, Mapping

from ..config.study import Study
from ..protocol.proposal import Proposal, Stage
from ..sources import source_called
from .opentrial import OpenTrial
from .referee import Referee


class Turns:
    """Which part of which open trial is handed out next, the lowest number first.

    At most `search.max_concurrent` trials train. As many others may be open with `resources.scoring_cpus`: those that
    are scored, and those that wait for the gate or for a worker. A training never waits for a scoring that has not
    begun, and a scoring is not begun where it would take the cores of a training (`scoring_slots`).

    Trials of a source that trains are not taken apart: its rounds need what a training needs. So are all trials without
    `resources.scoring_cpus`, and every proposal is handed out at once.
    """

    def __init__(
        self,
        study: Study,
        trials: Mapping[int, OpenTrial],
        referee: Referee,
        scoring_slots: Callable[[], int] | None = None,
    ) -> None:
        self._most = study.search.max_concurrent
        self._apart = study.resources.scoring_cpus is not None
        self._trials = trials
        self._referee = referee
        self._slots = scoring_slots or (lambda: self._most)
        self._whole = {name for name in study.search.sources if self._apart and source_called(name).trains}

    def stage(self, proposal: Proposal, opened: OpenTrial) -> Stage:
        """Return the part of a trial that comes next."""
        if not self._apart or proposal.distribution.source in self._whole:
            return Stage.WHOLE
        return Stage.SCORING if opened.digest is None else Stage.TRAINING

    def next(self) -> int | None:
        """Return the number of the trial that is to be handed out now; None where none is."""
        ready = self._ready()
        return min(ready) if ready and (not self._apart or self._training < self._most) else self._to_score()

    def _to_score(self) -> int | None:
        return min((number for number, one in self._trials.items() if one.waits is Stage.SCORING), default=None)

    def _ready(self) -> list[int]:
        """Return the trials that wait for nothing but a worker to train in."""
        return [
            number
            for number, one in self._trials.items()
            if one.waits is Stage.WHOLE or (one.waits is Stage.TRAINING and self._passed(number))
        ]

    def _passed(self, number: int) -> bool:
        return self._referee.clearance(number) > 0

    @property
    def _training(self) -> int:
        return sum(one.running and one.stage is not Stage.SCORING for one in self._trials.values())

    @property
    def _scoring(self) -> int:
        return sum(one.running and one.stage is Stage.SCORING for one in self._trials.values())

    @property
    def may_score(self) -> bool:
        """Whether another trial may be proposed that begins with its scoring."""
        if not self._apart:
            return True
        # Where every core may be needed for trainings, one trial is scored while there are none.
        idle = not self._training and not self._ready()
        return self._scoring < max(self._slots(), int(idle))

    @property
    def may_open(self) -> bool:
        """Whether a trial may be proposed that is new."""
        waiting = (one for one in self._trials.values() if one.end is None)
        others = sum(not one.running or one.stage is Stage.SCORING for one in waiting)
        return not self._apart or others < self._most
