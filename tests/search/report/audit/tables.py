"""Tables of masks with a known truth."""

from dataclasses import replace

import numpy as np
from fullspectrum.search.report.audit.columns import Columns
from fullspectrum.search.report.audit.table import MaskTable, table_of


def table(group=(), scores=(), **columns) -> MaskTable:
    """A table of these columns; `objective` names the score that is judged."""
    objective = columns.pop("objective", None)
    lines = [f"line {number + 2}" for number in range(len(columns["accuracy"]))]
    found = table_of(Columns("table.csv", columns, lines), scores, group)
    return replace(found, objective=objective)


def confounded(masks: int, seed: int) -> dict[str, np.ndarray]:
    """Columns of a score that ranks masks by their density alone, which accuracy follows: independent given that."""
    generator = np.random.default_rng(seed)
    density = generator.normal(size=masks)
    score, accuracy = density + 0.5 * generator.normal(size=(2, masks))
    return {"accuracy": accuracy, "l2": score, "layer_density": density}


def planted(masks: int, seed: int, rho: float = 0.8) -> dict[str, np.ndarray]:
    """Columns of a score that correlates with accuracy, and of a density that has nothing to do with either."""
    generator = np.random.default_rng(seed)
    score, noise, density = generator.normal(size=(3, masks))
    return {"accuracy": rho * score + (1 - rho**2) ** 0.5 * noise, "l2": score, "layer_density": density}
