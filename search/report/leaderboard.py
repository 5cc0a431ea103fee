"""The leaderboard of a study: its masks, best first, and the baselines."""

from dataclasses import dataclass, field
from typing import Self

from ..files import JsonObject
from ..names import Metric
from ..protocol.label import BASELINES, Label
from ..protocol.outcome import Outcome
from ..scores.registry import SCORES
from ..store.ledger import Ledger
from ..store.records import FinalRecord, TrialRecord


@dataclass(frozen=True)
class Row:
    """One line: a trial (with its full training, if it had one) or a baseline."""

    label: Label
    source: str = ""
    """The trial's source; empty for a baseline."""
    scores: dict[str, float] = field(default_factory=dict)
    """The scores of a trial's mask by name, the study's own as "objective"."""
    accuracy_warmup: float | None = None
    accuracy_val: float | None = None
    accuracy_final: float | None = None
    digest: str | None = None
    """Digest of a trial's mask; None for a baseline."""
    number: int | None = None
    """The trial's number; None for a baseline."""
    cost: int | None = None
    """All optimizer steps behind its last accuracy, from the initial weights on; None where that is not known."""

    @property
    def is_baseline(self) -> bool:
        """Whether it is a baseline's, and no trial's."""
        return self.number is None

    def values(self) -> JsonObject:
        """Return the row as it is recorded, by the names of the record."""
        return {
            "mask": self.label,
            "source": self.source,
            **{Metric.score(name): self.scores.get(name) for name in ("objective", *SCORES)},
            Metric.ACCURACY_WARMUP: self.accuracy_warmup,
            Metric.ACCURACY_VAL_FINAL: self.accuracy_val,
            Metric.ACCURACY_FINAL: self.accuracy_final,
            Metric.COST: self.cost,
            "digest": self.digest or "",
        }

    @classmethod
    def from_values(cls, values: JsonObject) -> Self:
        """Return the row of `values`, as it was recorded; what is not there is not known."""
        label = Label(values["mask"])
        scores = {name: values.get(Metric.score(name)) for name in ("objective", *SCORES)}
        return cls(
            label,
            values.get("source", ""),
            {name: value for name, value in scores.items() if value is not None},
            values.get(Metric.ACCURACY_WARMUP),
            values.get(Metric.ACCURACY_VAL_FINAL),
            values.get(Metric.ACCURACY_FINAL),
            values.get("digest") or None,
            label.number,
            values.get(Metric.COST),
        )


def leaderboard(ledger: Ledger) -> list[Row]:
    """Return the rows of a study, best first.

    Trials that were trained in full come first, by validation accuracy after full training; then those that warmed up,
    by iterations and accuracy; then the others, by the study's objective; then those that diverged or failed. Test
    accuracy decides nothing. Baselines come last, in an order of their own.
    """
    finals = {record.label: record for record in ledger.finals()}
    trials = [trial for trial in ledger.trials() if trial.result.digest is not None]
    trials.sort(key=lambda trial: _rank(trial, finals.get(trial.label)))
    trained = {label: record for label, record in finals.items() if record.accuracy_val is not None}
    baselines = [trained[label] for label in BASELINES if label in trained]
    return [_trial_row(trial, finals.get(trial.label)) for trial in trials] + [
        Row(record.label, accuracy_val=record.accuracy_val, accuracy_final=record.accuracy_final, cost=record.cost)
        for record in baselines
    ]


def winner_of(ledger: Ledger) -> Label | None:
    """Return the best trial of those that were trained in full; None where none was."""
    rows = leaderboard(ledger)
    return next((row.label for row in rows if not row.is_baseline and row.accuracy_final is not None), None)


def _rank(trial: TrialRecord, final: FinalRecord | None) -> tuple[bool | float, ...]:
    result = trial.result
    return (
        trial.outcome in (Outcome.DIVERGED, Outcome.FAILED),
        -(final.accuracy_val if final and final.accuracy_val is not None else -1.0),
        -result.iterations,
        -(result.accuracy if result.accuracy is not None else -1.0),
        -(result.objective or 0.0),
        trial.number,
    )


def _trial_row(trial: TrialRecord, final: FinalRecord | None) -> Row:
    return Row(
        trial.label,
        trial.distribution.source,
        trial.result.scores,
        trial.result.accuracy,
        final.accuracy_val if final else None,
        final.accuracy_final if final else None,
        trial.result.digest,
        trial.number,
        final.cost if final and final.accuracy_val is not None else trial.result.cost,
    )


def split_table(rows: list[Row]) -> JsonObject:
    """Return the leaderboard as MLflow shows tables, in pandas' split orientation."""
    values = [row.values() for row in rows]
    return {"columns": list(values[0]) if values else [], "data": [list(row.values()) for row in values]}


def rows_of_table(table: JsonObject) -> list[Row]:
    """Return the rows of `split_table`."""
    return [Row.from_values(dict(zip(table["columns"], values, strict=True))) for values in table["data"]]
