"""How one score ranks the accuracies: raw, given layer sparsities, within sources, and without each source."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from ...files import JsonObject
from .columns import Numbers, Words
from .correlations import correlate
from .interval import Estimate
from .ranks import spearman
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


def associate(table: MaskTable) -> dict[str, Association]:
    """Return how each score of `table` ranks its accuracies, by its name, with bootstrap intervals.

    A score is looked at on the masks that have an accuracy, the score and all controls.
    """
    together: dict[bytes, list[str]] = {}
    for name, score in table.scores.items():
        known = ~np.isnan(np.array([table.accuracy, score, *table.controls.values()])).any(axis=0)
        together.setdefault(comparable(table.groups, known).tobytes(), []).append(name)
    found: dict[str, Association] = {}
    for which, names in together.items():
        found |= _on(table, names, np.frombuffer(which, dtype=bool))
    return {name: found[name] for name in table.scores}


def _on(table: MaskTable, names: list[str], usable: np.ndarray) -> dict[str, Association]:
    """Return how the scores called `names` rank the accuracies of the `usable` masks."""
    count = int(usable.sum())
    if not count:
        return {name: Association(0, Estimate(math.nan)) for name in names}
    accuracy, groups = table.accuracy[usable], table.groups[usable]
    scores = {name: table.scores[name][usable] for name in names}
    found = correlate(accuracy, scores, {name: values[usable] for name, values in table.controls.items()}, groups)
    within = {} if table.alike is None else _within(accuracy, scores, table.alike[usable], groups)
    labels = (table.groups if table.sources is None else table.sources)[usable]
    return {
        name: Association(
            count,
            found[name].raw,
            found[name].given,
            found[name].leads.get(CONTROLS[0]),
            within.get(name),
            _without(accuracy, score, labels, groups),
        )
        for name, score in scores.items()
    }


def _within(accuracy: Numbers, scores: Mapping[str, Numbers], alike: Words, groups: Words) -> dict[str, Estimate]:
    """Return the correlations within the masks of one kind; none where groups are of one kind each, or masks are."""
    usable = comparable(alike, np.ones(len(alike), dtype=bool))
    if len({*alike}) == len({*groups}) or not usable.any():
        return {}
    scores = {name: score[usable] for name, score in scores.items()}
    found = correlate(accuracy[usable], scores, {}, alike[usable])
    return {name: each.raw for name, each in found.items()}


def _without(accuracy: Numbers, score: Numbers, labels: Words, groups: Words) -> dict[str, float]:
    """Return the correlation without the masks of each label in turn; none where there is but one."""
    names = sorted({*labels} - {""})
    if len(names) < 2:
        return {}
    found = {}
    for name in names:
        rest = comparable(groups, labels != name)
        found[name] = spearman(accuracy[rest], score[rest], groups[rest]) if rest.any() else math.nan
    return found
