"""A table of masks: what they came to, and everything by which they could have been chosen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ....models.errors import InputError
from .columns import Columns, Numbers, Words

#: The columns with a meaning of their own.
ACCURACY, SOURCE, GATE, COST = "accuracy", "source", "gate", "cost"

#: The scores that know of layer sparsities alone: what is left of another score once these are given?
CONTROLS = ("layer_density", "log_density")

#: Columns that number masks and rank none.
_NAMES = {"mask", "trial", "run", "seed"}

_DECISIONS = ("passed", "control", "stopped")

#: Fewest rows of a table in which anything can be ranked.
_LEAST_ROWS = 3


@dataclass(frozen=True)
class MaskTable:
    """A row for each mask, from a study or from a file."""

    name: str
    """The study or the file."""
    masks: Words
    """The name of each mask."""
    accuracy: Numbers
    """The audited accuracy, all after equally long trainings; nan where there is none."""
    scores: Mapping[str, Numbers]
    controls: Mapping[str, Numbers]
    """The scores of layer sparsities alone, whether or not they are audited themselves."""
    groups: Words
    """Labels within which masks are compared; "" where all are."""
    sources: Words | None = None
    alike: Words | None = None
    """Labels of the masks that are of one kind, which is a source unless more is known."""
    gated: Words | None = None
    """Labels within which the gate compared scores; where None, these are `groups`."""
    gates: Words | None = None
    """The gate's decisions: passed, control, stopped, or "" where there was none."""
    costs: Numbers | None = None
    """Optimizer steps that each mask needed in all."""
    reached: Numbers | None = None
    """Accuracies at a point that every mask reached which trained at all; where None, `accuracy` is."""
    objective: str | None = None
    """The score that the verdict is on; where None, the one that ranks best."""
    quantile: float = 0.5
    """The fraction of masks that a gate lets pass."""
    described: str = "accuracy"
    """What the audited accuracy is."""
    reached_described: str = "accuracy"
    """What the accuracy is that every trained mask reached."""
    chance: float | None = None
    """The accuracy that the best of so many masks may reach by guessing; None where that is not known."""
    ignored: tuple[str, ...] = ()
    """Columns that are no scores."""

    @cached_property
    def trained(self) -> np.ndarray:
        """Which masks have an accuracy, as booleans."""
        known: np.ndarray = ~np.isnan(self.accuracy)
        return known

    @property
    def learned(self) -> bool:
        """Whether a mask trained better than guessing could be; also where that is not known."""
        return self.chance is None or not self.trained.any() or float(np.nanmax(self.accuracy)) > self.chance

    @property
    def judged_within(self) -> Words:
        """Labels within which the gate is judged: those within which it chose, so that like is compared with like."""
        return self.groups if self.gated is None else self.gated

    @cached_property
    def trainings(self) -> int:
        """The masks with an accuracy that have another to be compared with."""
        return int(comparable(self.groups, self.trained).sum())


def comparable(groups: Words, usable: np.ndarray) -> np.ndarray:
    """Return which of the `usable` rows share their group with another of them, as booleans."""
    _, codes = np.unique(groups, return_inverse=True)
    return usable & (np.bincount(codes, usable)[codes] > 1)


def table_of(
    columns: Columns,
    scores: Sequence[str] = (),
    group: Sequence[str] = (),
    accuracy: str = ACCURACY,
    source: str = SOURCE,
) -> MaskTable:
    """Return the table of `columns`, with those of `scores`; without, every other column of numbers is a score.

    Masks are compared within equal values of the columns of `group`. `accuracy` and `source` name the columns that hold
    them. Raises InputError for a column that is missing, for text in a column of numbers, and for an unknown decision
    of the gate.
    """
    columns.check([accuracy, *scores, *group, *([source] if source != SOURCE else [])])
    own = {accuracy, ACCURACY, source, GATE, COST, *group}
    chosen = list(scores) or [
        name for name in columns.cells if name not in own | _NAMES and columns.holds_numbers(name)
    ]
    # Accuracies first: a mistake there is the worst.
    accuracies = _finite(columns, accuracy)
    groups = joined(columns, group)
    sources = columns.words(source) if source in columns.cells else None
    named = next((name for name in ("mask", "trial", "run") if name in columns.cells), None)
    return MaskTable(
        columns.name,
        columns.words(named) if named else np.array(columns.rows, dtype=str),
        accuracies,
        {name: columns.numbers(name) for name in dict.fromkeys(chosen)},
        {name: columns.numbers(name) for name in CONTROLS if name in columns.cells and columns.holds_numbers(name)},
        groups,
        sources,
        None if sources is None else joined(columns, [*group, source]),
        gates=_gates(columns),
        costs=_finite(columns, COST) if COST in columns.cells else None,
        ignored=tuple(name for name in columns.cells if name not in {*own, *chosen, *CONTROLS}),
    )


def check_table(table: MaskTable, named: Sequence[str]) -> None:
    """Raise InputError where nothing in `table` can be ranked, or nothing by one of the scores `named`."""
    trained = table.trained
    if trained.sum() < _LEAST_ROWS:
        raise InputError(f"{table.name} has {trained.sum()} rows with an accuracy; expected {_LEAST_ROWS} or more")
    if not table.trainings:
        raise InputError(f"{table.name} has no two rows of one group; leave a column of --group out")
    if _alike(table.accuracy, table.groups):
        within = " within each group" if len(set(table.groups)) > 1 else ""
        raise InputError(f"{table.name}: all accuracies are alike{within}, so that nothing can be ranked")
    if not table.scores:
        raise InputError(f"{table.name} has no column of numbers beside the accuracy; expected one for each score")
    alike = [name for name, values in table.scores.items() if _alike(values[trained], table.groups[trained])]
    wrong = [name for name in named if name in alike] or (alike if len(alike) == len(table.scores) else [])
    if wrong:
        raise InputError(
            f'{table.name}: the column "{wrong[0]}" is constant where masks are compared; it ranks nothing'
        )


def _alike(values: Numbers, groups: Words) -> bool:
    """Return whether no two known values of one group differ."""
    known = ~np.isnan(values)
    return len({*zip(groups[known], values[known], strict=True)}) == len({*groups[known]})


def joined(columns: Columns, names: Sequence[str]) -> Words:
    """Return one label for each row, of its values in several columns."""
    rows = zip(*(columns.words(name) for name in names), strict=True) if names else [()] * len(columns.rows)
    return np.array([", ".join(row) for row in rows], dtype=str)


def _finite(columns: Columns, name: str) -> Numbers:
    values = columns.numbers(name)
    if (places := np.flatnonzero(np.isinf(values))).size:
        row = columns.rows[places[0]]
        raise InputError(
            f'{columns.name}, {row}: the column "{name}" holds {values[places[0]]}; expected a finite number'
        )
    return values


def _gates(columns: Columns) -> Words | None:
    if GATE not in columns.cells:
        return None
    gates = columns.words(GATE)
    for row, gate in zip(columns.rows, gates, strict=True):
        if gate not in ("", *_DECISIONS):
            raise InputError(
                f'{columns.name}, {row}: unknown decision "{gate}" in the column "{GATE}" '
                f"(known: {', '.join(_DECISIONS)})"
            )
    return gates if any(gates) else None
