"""The learned score of each mask of a study by a ranking that is fitted to all others."""

from collections.abc import Sequence

import numpy as np

from ...config.study import Study
from ...names import Metric
from ...protocol.outcome import Outcome
from ...scores.fitting import Examples, leave_one_out
from ...scores.learned import Learned, shipped
from ...scores.registry import LEARNED, all_scores
from ...store.records import TrialRecord
from .audit import FEWEST


def left_out(study: Study, trials: Sequence[TrialRecord]) -> list[float | None]:
    """Return the leave-one-out values of the learned score: of each trial that finished its warm-up, else None.

    None for all where fewer than `FEWEST` did. Values are comparable within a group of trials.
    """
    done = [index for index, trial in enumerate(trials) if trial.outcome is Outcome.FINISHED]
    found: list[float | None] = [None] * len(trials)
    if len(done) < FEWEST:
        return found
    learned = all_scores(study.objectives, study.reference, study.aggregate)[LEARNED]
    assert isinstance(learned, Learned)
    scores = {
        name: np.array([trials[index].result.metrics.get(Metric.score(name), np.nan) for index in done])
        for name in learned.parts
    }
    merits = np.array([trials[index].result.accuracy for index in done], dtype=float)
    groups = np.array([str(trials[index].distribution.group) for index in done])
    for index, value in zip(done, leave_one_out(Examples(scores, merits, groups), shipped()).tolist(), strict=True):
        found[index] = value if np.isfinite(value) else None
    return found
