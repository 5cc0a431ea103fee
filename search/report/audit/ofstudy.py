"""The masks of a study as columns, and its audit."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from ...config.study import Study
from ...names import Metric
from ...protocol.network import NetworkListing, images_of
from ...protocol.outcome import Outcome
from ...scores.registry import SCORES
from ...store.records import FinalRecord, TrialRecord
from ..comparison import most_by_chance
from ..reached import reached, reached_at
from .columns import Columns
from .leftout import left_out
from .table import ACCURACY, COST, GATE, SOURCE, MaskTable, joined, table_of

#: The accuracies of a study that can be audited: after the warm-up (validation), or after full training (test).
Audited = Literal["warmup", "final"]

_DESCRIBED = {
    "warmup": "validation accuracy after {:,} iterations, of the warm-ups that came to their end",
    "final": "test accuracy after full training, of the masks that had one",
}

#: The split that each is measured on.
_SPLITS = {"warmup": "val", "final": "test"}

_ALLOCATION, _PRETRAINING, _LEFT_OUT = "allocation", "pretraining", "learned_loo"


def study_table(
    study: Study,
    trials: Sequence[TrialRecord],
    finals: Sequence[FinalRecord],
    audited: Audited | None = None,
    scores: Sequence[str] = (),
    group: Sequence[str] = (),
    network: NetworkListing | None = None,
) -> MaskTable:
    """Return the table of a study's trials that have a mask.

    `audited` is "warmup" unless the study has no warm-up. `scores` are those that are recorded unless named, and
    what a learned score that was fitted to the other trials says of each (`learned_loo`). `group` names columns among
    source, allocation and pretraining. `network` says what guessing may reach. Raises InputError as `table_of` does.
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
        chance=_chance(network, _SPLITS[audited], int(table.trained.sum())),
    )
    if not study.warmup.iterations:
        return table
    accuracies = np.array([reached(study, trial) for trial in trials], dtype=float)
    described = (
        f"validation accuracy after {reached_at(study):,} iterations, where early stopping has chosen nothing yet"
    )
    return replace(table, reached=accuracies, reached_described=described)


def _chance(network: NetworkListing | None, split: str, trained: int) -> float | None:
    """Return the accuracy that the best of `trained` masks may reach by guessing; None where the split is not known."""
    images = images_of(network)
    return most_by_chance(images[split], network["task"]["classes"], trained) if network and images else None


def _scores(study: Study, trials: Sequence[TrialRecord]) -> dict[str, list[float | None]]:
    own = [name for name in study.objectives if SCORES.is_users(name)]
    return {name: [trial.result.metrics.get(Metric.score(name)) for trial in trials] for name in (*SCORES, *own)}


def _finished(trial: TrialRecord) -> float | None:
    """Return the accuracy of a warm-up that came to its end: only those are of equal iterations."""
    return trial.result.accuracy if trial.outcome is Outcome.FINISHED else None
