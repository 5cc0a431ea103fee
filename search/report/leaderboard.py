"""The leaderboard of a study: its best masks beside the baselines, and how far its objective can be trusted."""

from dataclasses import dataclass
from typing import Any

from ...spectral.objectives import OBJECTIVES
from ..protocol.label import BASELINES
from ..protocol.outcome import Outcome
from ..store.ledger import FinalRecord, Ledger, TrialRecord


@dataclass(frozen=True)
class Row:
    """One line: a trial (with its final training, if it had one) or a baseline."""

    label: str
    source: str
    scores: dict[str, float]
    """What the record holds under `spectral/`: the objectives by name, and as "objective" the study's own."""
    accuracy_warmup: float | None
    accuracy_val: float | None
    accuracy_final: float | None
    digest: str

    def values(self) -> dict[str, Any]:
        """The row as it is recorded, by the names of the record."""
        return {
            "mask": self.label,
            "source": self.source,
            **{f"spectral/{name}": self.scores.get(name) for name in ("objective", *OBJECTIVES)},
            "accuracy/warmup": self.accuracy_warmup,
            "accuracy/val_final": self.accuracy_val,
            "accuracy/final": self.accuracy_final,
            "digest": self.digest,
        }


def leaderboard(ledger: Ledger) -> list[Row]:
    """The rows of a study, best first.

    Trials that were trained in full come first, by validation accuracy after full training; then those that warmed up,
    by iterations and accuracy; then the others, by the study's objective; then those that diverged or failed. Test
    accuracy decides nothing. Baselines come last.
    """
    finals = {record.label: record for record in ledger.finals()}
    trials = [trial for trial in ledger.trials() if "digest" in trial.result]
    rows = [_trial_row(trial, finals.get(trial.label)) for trial in sorted(trials, key=lambda t: _rank(t, finals))]
    baselines = [record for label, record in finals.items() if label in BASELINES and record.accuracy_val is not None]
    return rows + [
        Row(record.label, "", {}, None, record.accuracy_val, record.accuracy_final, "") for record in baselines
    ]


def _rank(trial: TrialRecord, finals: dict[str, FinalRecord]) -> tuple:
    result, final = trial.result, finals.get(trial.label)
    return (
        trial.outcome in (Outcome.DIVERGED, Outcome.FAILED),
        -(final.accuracy_val if final and final.accuracy_val is not None else -1),
        -result.get("training/iterations", 0),
        -result.get("accuracy/val", -1),
        -result["spectral/objective"],
        trial.number,
    )


def _trial_row(trial: TrialRecord, final: FinalRecord | None) -> Row:
    return Row(
        trial.label,
        trial.distribution.source,
        {name.removeprefix("spectral/"): x for name, x in trial.result.items() if name.startswith("spectral/")},
        trial.result.get("accuracy/val"),
        final.accuracy_val if final else None,
        final.accuracy_final if final else None,
        trial.result["digest"],
    )


def split_table(rows: list[Row]) -> dict[str, Any]:
    """The leaderboard as MLflow shows tables: pandas' split orientation."""
    values = [row.values() for row in rows]
    return {"columns": list(values[0]) if values else [], "data": [list(row.values()) for row in values]}
