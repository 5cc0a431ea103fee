"""What a trial reports and writes of its best candidate."""

from typing import Any

from ...spectral.coordinate import Coordinate
from .candidate import Candidate


def candidate_metrics(candidate: Candidate) -> dict[str, float]:
    """The metrics of a candidate: the score that chose it, every objective, sparsities, what the guard measured."""
    connectivity = candidate.connectivity
    coverage = connectivity.shortcut_coverage
    return {
        "spectral/objective": candidate.score,
        **{f"spectral/{name}": value for name, value in candidate.scores.items()},
        "spectral/defined_layers": candidate.coordinate.defined_layers,
        "sparsity/global": candidate.masks.sparsity,
        "sparsity/effective": connectivity.effective_sparsity,
        "guard/dead_channels": connectivity.dead_channels,
        "guard/empty_channels": connectivity.empty_channels,
        **({} if coverage is None else {"guard/shortcut_coverage": coverage}),
    }


def coordinate_table(coordinate: Coordinate) -> dict[str, Any]:
    """The per-layer table as MLflow shows tables: pandas' split orientation."""
    table = coordinate.to_dict()
    columns = list(next(iter(table.values())))
    return {"columns": ["layer", *columns], "data": [[name, *row.values()] for name, row in table.items()]}
