"""What the ledger holds of a trial and of a full training."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from optuna.trial import FrozenTrial

from ..files import JsonObject
from ..names import Attribute, Metric
from ..protocol.label import Label
from ..protocol.outcome import Outcome
from ..protocol.proposal import Proposal, Values
from ..protocol.report import Ended, Measured, Scored
from ..protocol.result import TrialResult
from ..protocol.training import Entry, TrainingEnd
from ..sampling.distribution import MaskDistribution

_TRAINING, _REASON, _OF = "training", "reason", "of"


@dataclass(frozen=True)
class TrialRecord:
    """What the ledger holds of one trial."""

    proposal: Proposal
    """The proposal of its last attempt."""
    outcome: Outcome | None = None
    """None while the trial has not ended."""
    result: TrialResult = field(default_factory=TrialResult)
    """What counts of its reports; empty while it has not ended."""
    scored: Scored | None = None
    """Its first result; None while that is not known."""
    measured: Mapping[int, Measured] = field(default_factory=dict)
    """The measurements of its warm-up, by iteration."""
    end: Ended | None = None
    """How it reported its end, where gate or rungs have still to decide whether it got so far."""
    lost: int = 0
    """Times that its worker died where it was when that happened last."""
    ended_at: datetime | None = None
    """When it ended."""

    @property
    def number(self) -> int:
        """The trial's number, from 0."""
        return self.proposal.number

    @property
    def distribution(self) -> MaskDistribution:
        """What its candidates are drawn from."""
        return self.proposal.distribution

    @property
    def training(self) -> Values:
        """Values of the searched training settings."""
        return self.proposal.training

    @property
    def label(self) -> Label:
        """The name of the trial, and of its full training."""
        return Label.of_trial(self.number)

    @classmethod
    def of(cls, trial: FrozenTrial) -> "TrialRecord":
        """Return the record of one of Optuna's trials."""
        kept = trial.user_attrs
        outcome, scored, end = (kept.get(key) for key in (Attribute.OUTCOME, Attribute.SCORED, Attribute.END))
        return cls(
            Proposal.from_dict(kept),
            Outcome(outcome) if outcome else None,
            TrialResult.from_dict(kept.get(Attribute.RESULT, {})),
            Scored.from_dict(scored) if scored else None,
            {
                int(key.removeprefix(Attribute.MEASURED)): Measured.from_dict(value)
                for key, value in kept.items()
                if key.startswith(Attribute.MEASURED)
            },
            Ended.from_dict(end) if end else None,
            kept.get(Attribute.LOST, 0),
            trial.datetime_complete,
        )


@dataclass(frozen=True)
class FinalRecord:
    """The full training of one mask or baseline, as it ended."""

    label: Label
    end: TrainingEnd
    training: Values = field(default_factory=dict)
    """Values of the searched training settings."""
    of: Label | None = None
    """The trial whose mask it checks, or whose cost it has; None where there is none."""
    cost: int | None = None
    """Optimizer steps that it needed in all; None where that is not known."""

    @property
    def outcome(self) -> Outcome:
        """How it ended."""
        return self.end.outcome

    @property
    def accuracy_val(self) -> float | None:
        """Validation accuracy, in [0, 1]; None where the training diverged or failed."""
        return self.end.accuracy_val

    @property
    def accuracy_final(self) -> float | None:
        """Test accuracy, in [0, 1]; None where the training diverged or failed."""
        return self.end.accuracy_final

    def settles(self, label: Label, of: Label | None) -> bool:
        """Return whether that training needs no other: a failed one is retried, and each winner has its own checks."""
        return (self.label, self.of) == (label, of) and self.outcome is not Outcome.FAILED

    @classmethod
    def of_entry(cls, entry: Entry, end: TrainingEnd) -> "FinalRecord":
        """Return the record of an entry whose training ended."""
        return cls(entry.label, end, entry.training, entry.of, entry.cost_of(end))

    def to_attributes(self) -> JsonObject:
        """Return the record as it is kept, but for the validation accuracy, which is the value of Optuna's trial."""
        known = {
            Metric.ITERATIONS: self.end.iteration,
            Metric.COST: self.cost,
            _REASON: self.end.reason,
            _OF: self.of,
        }
        result = {_TRAINING: dict(self.training)} | {key: value for key, value in known.items() if value is not None}
        return {
            Attribute.LABEL: self.label,
            Attribute.OUTCOME: self.outcome.value,
            Attribute.ACCURACY_FINAL: self.accuracy_final,
            Attribute.RESULT: result,
        }

    @classmethod
    def of_trial(cls, trial: FrozenTrial) -> "FinalRecord":
        """Return the record of one of Optuna's trials."""
        kept, result = trial.user_attrs, trial.user_attrs[Attribute.RESULT]
        end = TrainingEnd(
            Outcome(kept[Attribute.OUTCOME]),
            result.get(Metric.ITERATIONS),
            trial.value,
            kept[Attribute.ACCURACY_FINAL],
            result.get(_REASON),
        )
        of = result.get(_OF)
        label, of = Label(kept[Attribute.LABEL]), Label(of) if of else None
        return cls(label, end, result[_TRAINING], of, result.get(Metric.COST))
