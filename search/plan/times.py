"""How long the parts of a trial take: measured here, or read from the ledger of a study."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...models.errors import InputError
from ..config.study import Study
from ..files import StudyFolder
from ..names import Seconds
from ..sources import source_called
from ..store.records import TrialRecord


@dataclass(frozen=True)
class Times:
    """The seconds of the parts of trials."""

    scoring: Mapping[str, Sequence[float]]
    """Of each measured trial, by source: its scores, without the training of a source that trains, and its candidates;
    not empty."""
    iteration: float
    """Of one optimizer step, > 0."""
    validation: float
    """Of one measurement on the validation split."""
    trial_bytes: float
    """Bytes that a trial leaves: its mask and the tables of its candidates."""
    origin: str
    """Where they were measured."""

    def scoring_of(self, source: str) -> Sequence[float]:
        """Return the measured seconds of a source; of one that was not measured, those of all."""
        return self.scoring.get(source) or [one for each in self.scoring.values() for one in each]

    @classmethod
    def of_study(cls, study: Study, folder: StudyFolder, trials: Sequence[TrialRecord]) -> "Times":
        """Return the times of a study that has run, with its files in `folder`.

        Only trials of a first attempt count: another may have gone on from a checkpoint. Raises InputError where none
        was timed that trained.
        """
        first = [one for one in trials if one.proposal.attempt == 1 and one.result.seconds.get(Seconds.SCORING)]
        trained = [one for one in first if one.result.seconds.get(Seconds.TRAINING) and one.result.iterations]
        if not trained:
            raise InputError(
                f"study {study.id} has no trial that was timed and trained; let it run for some trials, or "
                "measure here with --measure 3"
            )
        scoring: dict[str, list[float]] = {}
        for one in first:
            source, seconds = one.distribution.source, one.result.seconds
            # The rounds of a source that trains are reckoned by their steps.
            own = 0.0 if source_called(source).trains else seconds.get(Seconds.SOURCE, 0.0)
            scoring.setdefault(source, []).append(own + seconds[Seconds.SCORING])
        iteration = [one.result.seconds[Seconds.TRAINING] / one.result.iterations for one in trained]
        validation = [
            one.result.seconds.get(Seconds.VALIDATION, 0.0)
            / sum(report <= one.result.iterations for report in study.warmup.reports)
            for one in trained
        ]
        sizes = [file.stat().st_size for one in first for file in folder.trial(one.number).glob("*")]
        return cls(
            scoring,
            statistics.median(iteration),
            statistics.median(validation),
            sum(sizes) / len(first),
            f"{len(first)} trials of study {study.id}, {len(trained)} of which trained",
        )
