"""The audit of a table of masks: which score was worth trusting."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from ...files import JsonObject
from ...names import Metric
from .association import Association, associate
from .best import BestMask, best_mask
from .contrast import Contrast
from .gate import GateSample, Worth, benefit, gate_sample, worth
from .power import Power, power
from .table import MaskTable

#: Fewest trained masks of which a verdict speaks.
FEWEST = 8


@dataclass(frozen=True)
class Audit:
    """What a table says of its scores."""

    table: MaskTable
    associations: Mapping[str, Association]
    """By score, the one that ranks best, whichever way, first; those that rank nothing last."""
    worths: Mapping[str, Worth]
    """By score; without those that leave nothing to choose."""
    sample: GateSample
    """The masks that `worths` are of."""
    gate: Contrast | None
    """Masks that passed the gate beside its control group; None where there is nothing to compare."""
    best: BestMask | None

    @property
    def trainings(self) -> int:
        """The masks with an accuracy that have another to be compared with."""
        return self.table.trainings

    @property
    def groups(self) -> int:
        """The groups within which masks are compared, those without a training apart."""
        return len({*self.table.groups[self.table.trained]})

    @property
    def judged(self) -> str | None:
        """The score that the verdict is on: the objective; of a table without one, that which ranks best."""
        return self.table.objective or next(iter(self.associations), None)

    @property
    def choices(self) -> int:
        """The scores among which the judged one was chosen for its correlation."""
        return 1 if self.table.objective else len(self.associations)

    @cached_property
    def power(self) -> Power:
        """What so many trainings can show of one correlation."""
        return power(self.trainings, self.groups)

    @property
    def metrics(self) -> dict[str, float]:
        """The numbers of the record, by their names; none where there are too few trainings."""
        if self.trainings < FEWEST:
            return {}
        found: dict[str, float] = {Metric.AUDIT_TRAININGS: self.trainings}
        for name, association in self.associations.items():
            found[Metric.rho(name)] = association.raw.value
            found |= {Metric.rho_given(name, control): e.value for control, e in association.given.items()}
            if association.within:
                found[Metric.rho_within_sources(name)] = association.within.value
        for name, each in self.worths.items():
            found[Metric.gain(name)] = each.gain
        if self.gate:
            found |= {Metric.GATE_BENEFIT: self.gate.difference, Metric.GATE_BENEFIT_ERROR: self.gate.error}
        return {name: value for name, value in found.items() if math.isfinite(value)}

    def to_dict(self) -> JsonObject:
        """Return plain values; numbers that are not defined are nan."""
        table = self.table
        return {
            "table": table.name,
            "accuracy": table.described,
            "masks": len(table.masks),
            "trainings": self.trainings,
            "groups": self.groups,
            "objective": table.objective,
            "judged": self.judged,
            "power": self.power.to_dict(),
            "scores": {name: association.to_dict() for name, association in self.associations.items()},
            "gate": {
                "accuracy": table.reached_described,
                "quantile": table.quantile,
                "passed_over_control": self.gate.to_dict() if self.gate else None,
                "sample": self.sample.described,
                "sample_is_fair": self.sample.fair,
                "scores": {name: each.to_dict() for name, each in self.worths.items()},
            },
            "best": self.best.to_dict() if self.best else None,
            "ignored_columns": list(table.ignored),
        }


def audit(table: MaskTable) -> Audit:
    """Return the audit of `table`."""
    associations = dict(sorted(associate(table).items(), key=lambda item: -_strength(item[1])))
    sample = gate_sample(table)
    worths = {name: worth(table, name, sample) for name in associations}
    return Audit(
        table,
        associations,
        {name: each for name, each in worths.items() if each},
        sample,
        benefit(table),
        best_mask(table),
    )


def _strength(association: Association) -> float:
    """Return how strongly a score ranks, whichever way; below 0 where it ranks nothing."""
    rho = association.raw.value
    return -1.0 if math.isnan(rho) else abs(rho)
