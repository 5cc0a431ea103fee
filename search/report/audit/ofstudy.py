"""The masks of a study as columns, and its audit."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from ...config.study import Study
from ...names import Metric
from ...protocol.outcome import Outcome
from ...scores.registry import SCORES
from ...store.records import FinalRecord, TrialRecord
from .columns import Columns, Numbers
from .leftout import left_out
from .table import ACCURACY, COST, GATE, SOURCE, MaskTable, joined, table_of

#: The accuracies of a study that can be audited: after the warm-up (validation), or after full training (test).
Audited = Literal["warmup", "final"]

_DESCRIBED = {
    "warmup": "validation accuracy after {:,} iterations, of the warm-ups that came to their end",
    "final": "test accuracy after full training, of the masks that had one",
}

_ALLOCATION, _PRETRAINING, _LEFT_OUT = "allocation", "pretraining", "learned_loo"


def study_table(
    study: Study,
    trials: Sequence[TrialRecord],
    finals: Sequence[FinalRecord],
    audited: Audited | None = None,
    scores: Sequence[str] = (),
    group: Sequence[str] = (),
) -> MaskTable:
    """Return the table of a study's trials that have a mask.

    `audited` is "warmup" unless the study has no warm-up. `scores` are those that are recorded unless named, and
    what a learned score that was fitted to the other trials says of each (`learned_loo`). `group` names columns among
    source, allocation and pretraining. Raises InputError as `table_of` does.
    """
    trials = [trial for trial in trials if trial.result.digest is not None]
    audited = audited or ("warmup" if study.warmup.iterations else "final")
    found = _scores(study, trials) | {_LEFT_OUT: left_out(study, trials)}
    # A score that no trial has was not there when the study ran.
    recorded = {name: cells for name, cells in found.items() if any(cell is not None for cell in cells)}
    ends = {record.label: record.accuracy_final for record in finals}
    cells: dict[str, Sequence[str | float | None]] = {
        "mask": [trial.label for trial in trials],
        SOURCE: [trial.distribution.source for trial in trials],
        _ALLOCATION: [trial.distribution.allocation for trial in trials],
        _PRETRAINING: [str(trial.distribution.pretraining) for trial in trials],
        GATE: [trial.result.gate for trial in trials],
        COST: [trial.result.metrics.get(Metric.COST) for trial in trials],
        ACCURACY: [_finished(trial) if audited == "warmup" else ends.get(trial.label) for trial in trials],
        **recorded,
    }
    columns = Columns(f"study {study.id}", cells, [trial.label for trial in trials])
    table = table_of(columns, list(scores) or list(recorded), group)
    kinds = dict.fromkeys((*group, SOURCE, _ALLOCATION, _PRETRAINING))
    alike = joined(columns, list(kinds))
    table = replace(
        table,
        ignored=(),
        alike=alike,
        gated=alike if study.gate.within == "group" else None,
        objective=scores[0] if scores else study.score if study.score in recorded else None,
        quantile=study.gate.quantile if study.gate.quantile < 1 else table.quantile,
        described=_DESCRIBED[audited].format(study.warmup.iterations),
    )
    if not study.warmup.iterations:
        return table
    at, reached = _reached(study, trials)
    described = f"validation accuracy after {at:,} iterations, where early stopping has chosen nothing yet"
    return replace(table, reached=reached, reached_described=described)


def _scores(study: Study, trials: Sequence[TrialRecord]) -> dict[str, list[float | None]]:
    own = [name for name in study.objectives if SCORES.is_users(name)]
    return {name: [trial.result.metrics.get(Metric.score(name)) for trial in trials] for name in (*SCORES, *own)}


def _finished(trial: TrialRecord) -> float | None:
    """Return the accuracy of a warm-up that came to its end: only those are of equal iterations."""
    return trial.result.accuracy if trial.outcome is Outcome.FINISHED else None


def _reached(study: Study, trials: Sequence[TrialRecord]) -> tuple[int, Numbers]:
    """Return the iterations that every trained mask reached, and the accuracies there: early stopping chose nothing."""
    rungs = study.warmup.rungs
    if not rungs:
        return study.warmup.iterations, np.array([_finished(trial) for trial in trials], dtype=float)
    # The ledger may hold measurements of a trial that trained on before the gate's decision reached it.
    measured = [trial.measured.get(rungs[0]) if trial.result.iterations >= rungs[0] else None for trial in trials]
    return rungs[0], np.array([each.accuracy if each else None for each in measured], dtype=float)
