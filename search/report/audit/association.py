"""How one score ranks the accuracies: raw, given layer sparsities, within sources, and without each source."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from ...files import JsonObject
from .columns import Numbers, Words
from .interval import Estimate, estimates
from .ranks import RankedColumn, correlation, partial, spearman
from .table import CONTROLS, MaskTable, comparable


@dataclass(frozen=True)
class Association:
    """Spearman's rank correlations of one score with accuracy."""

    count: int
    """Masks with all that this takes: an accuracy, the score, and the controls."""
    raw: Estimate
    given: Mapping[str, Estimate] = field(default_factory=dict)
    """Partial correlations given each control by its name, on the same masks."""
    lead: Estimate | None = None
    """The correlation less that of layer density, both raw, on the same masks."""
    within: Estimate | None = None
    """The correlation of ranks taken within the masks of one kind; None where all are of one, or each is."""
    without: Mapping[str, float] = field(default_factory=dict)
    """The raw correlation with the masks of one source, or group, left out, by its name."""

    @property
    def carrier(self) -> str | None:
        """The source without which the correlation is the weakest, or turns; None where nothing can be left out."""
        known = {
            name: rho * math.copysign(1, self.raw.value) for name, rho in self.without.items() if not math.isnan(rho)
        }
        return min(known, key=lambda name: known[name]) if known else None

    def to_dict(self) -> JsonObject:
        """Return plain values."""
        known = [rho for rho in self.without.values() if not math.isnan(rho)]
        return {
            "trainings": self.count,
            "rho": self.raw.to_dict(),
            "given": {name: estimate.to_dict() for name, estimate in self.given.items()},
            "lead_over_layer_density": self.lead.to_dict() if self.lead else None,
            "within_sources": self.within.to_dict() if self.within else None,
            "without_one_source": {
                "lowest": min(known, default=None),
                "highest": max(known, default=None),
                "carrier": self.carrier,
                "each": dict(self.without),
            },
        }


def associate(table: MaskTable, name: str) -> Association:
    """Return how the score called `name` ranks the accuracies of `table`, with bootstrap intervals."""
    score, controls = table.scores[name], {key: values for key, values in table.controls.items() if key != name}
    known = [table.accuracy, score, *controls.values()]
    usable = comparable(table.groups, ~np.isnan(known).any(axis=0))
    count = int(usable.sum())
    if not count:
        return Association(0, Estimate(math.nan))
    groups, accuracy, score = table.groups[usable], table.accuracy[usable], score[usable]
    controls = {key: values[usable] for key, values in controls.items()}
    raw, *others = estimates(_correlations(accuracy, score, list(controls.values()), groups), groups)
    given, leads = others[: len(controls)], others[len(controls) :]
    return Association(
        count,
        raw,
        dict(zip(controls, given, strict=True)),
        dict(zip(controls, leads, strict=True)).get(CONTROLS[0]),
        None if table.alike is None else _within(accuracy, score, table.alike[usable], groups),
        _without(accuracy, score, _left_out(table)[usable], groups),
    )


def _correlations(
    accuracy: Numbers, score: Numbers, controls: list[Numbers], groups: Words
) -> Callable[[np.ndarray], np.ndarray]:
    """Return the function of resamples that gives the raw correlation, that given each control, and its leads.

    A lead is the correlation of the score less that of a control.
    """
    columns = [RankedColumn(values, groups) for values in (accuracy, score, *controls)]

    def statistic(rows: np.ndarray) -> np.ndarray:
        accuracies, scores, *others = (column.of(rows) for column in columns)
        raw = correlation(accuracies, scores)
        of_controls = [correlation(accuracies, other) for other in others]
        given = [
            partial(raw, of_control, correlation(scores, other))
            for of_control, other in zip(of_controls, others, strict=True)
        ]
        return np.array([raw, *given, *(raw - of_control for of_control in of_controls)])

    return statistic


def _within(accuracy: Numbers, score: Numbers, alike: Words, groups: Words) -> Estimate | None:
    if len(set(alike)) == len(set(groups)):
        return None
    usable = comparable(alike, np.ones(len(alike), dtype=bool))
    if not usable.any():
        return None
    (estimate,) = estimates(_correlations(accuracy[usable], score[usable], [], alike[usable]), alike[usable])
    return estimate


def _left_out(table: MaskTable) -> Words:
    """Return the labels that are left out one at a time: sources; where there are none, groups."""
    return table.groups if table.sources is None else table.sources


def _without(accuracy: Numbers, score: Numbers, labels: Words, groups: Words) -> dict[str, float]:
    names = sorted({*labels} - {""})
    if len(names) < 2:
        return {}
    found = {}
    for name in names:
        rest = comparable(groups, labels != name)
        found[name] = spearman(accuracy[rest], score[rest], groups[rest]) if rest.any() else math.nan
    return found
