"""The best mask of a table, and what it cost."""

from dataclasses import asdict, dataclass

import numpy as np

from ...files import JsonObject
from .table import MaskTable


@dataclass(frozen=True)
class BestMask:
    """The mask with the highest audited accuracy."""

    mask: str
    accuracy: float
    place: int
    """Its place among the masks of the table, from 1, in their order."""
    masks: int
    """All masks of the table."""
    cost: float | None
    """Optimizer steps that it needed in all; None where costs are not known."""

    def to_dict(self) -> JsonObject:
        """Return plain values."""
        return asdict(self)


def best_mask(table: MaskTable) -> BestMask | None:
    """Return the best mask, the first of several; None where none trained, and where there are several groups."""
    if not table.trained.any() or len(set(table.groups)) > 1:
        return None
    place = int(np.nanargmax(table.accuracy))
    cost = None if table.costs is None or np.isnan(table.costs[place]) else float(table.costs[place])
    return BestMask(str(table.masks[place]), float(table.accuracy[place]), place + 1, len(table.masks), cost)
