"""The report of a trial's best candidate, and its table of coordinates."""

from dataclasses import asdict

from ...models.cost import LayerCost
from ...spectral.coordinate import Coordinate
from ..files import JsonObject
from ..names import Metric
from ..protocol.report import Scored, finite
from .candidate import Candidate


def scored(candidate: Candidate, coordinate: Coordinate, network: LayerCost | None, steps: int) -> Scored:
    """Return the report of a candidate with its `coordinate`: its scores, sparsities, and what the guard measured.

    `network` is what the network costs under the mask, and `steps` the number of optimizer steps that the mask needed.
    """
    connectivity = candidate.connectivity
    metrics = {
        Metric.OBJECTIVE: candidate.score,
        **{Metric.score(name): value for name, value in candidate.scores.items()},
        Metric.DEFINED_LAYERS: coordinate.defined_layers,
        Metric.SPARSITY: candidate.masks.sparsity,
        Metric.EFFECTIVE_SPARSITY: connectivity.effective_sparsity,
        Metric.DEAD_CHANNELS: connectivity.dead_channels,
        Metric.EMPTY_CHANNELS: connectivity.empty_channels,
        Metric.SHORTCUT_COVERAGE: connectivity.shortcut_coverage,
        Metric.COST: steps,
        **({Metric.cost(name): value for name, value in asdict(network).items()} if network else {}),
    }
    return Scored(finite({name: value for name, value in metrics.items() if value is not None}), candidate.digest)


def coordinate_table(coordinate: Coordinate) -> JsonObject:
    """Return the per-layer table as MLflow shows tables: pandas' split orientation, the variant in each row."""
    table = coordinate.to_dict()
    columns = list(next(iter(table.values())))
    return {
        "columns": ["layer", *columns, "variant"],
        "data": [[name, *row.values(), coordinate.variant] for name, row in table.items()],
    }
