"""What a mask set costs."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from .csr import csr_bytes


@dataclass(frozen=True)
class LayerCost:
    """What is stored and computed of weights, with the removed ones (`dense`) and without."""

    parameters: int
    """Weights that are kept."""
    parameters_dense: int
    bytes_csr: int
    """Of compressed sparse rows with int64 indices."""
    bytes_dense: int
    flops: int | None
    """Floating point operations of a forward pass on one input that multiplies with no removed weight; two for each
    multiply-add. None where the network is not known."""
    flops_dense: int | None

    def __add__(self, other: "LayerCost") -> "LayerCost":
        """Return what both cost together."""
        return LayerCost(
            self.parameters + other.parameters,
            self.parameters_dense + other.parameters_dense,
            self.bytes_csr + other.bytes_csr,
            self.bytes_dense + other.bytes_dense,
            _sum(self.flops, other.flops),
            _sum(self.flops_dense, other.flops_dense),
        )


def layer_cost(mask: np.ndarray, value_bytes: int = 4, flops: int | None = None, dense: int | None = None) -> LayerCost:
    """Return what a layer costs whose weights take `value_bytes` each; its operations are given, or not known."""
    kept = int(np.count_nonzero(mask))
    return LayerCost(kept, mask.size, csr_bytes(mask, value_bytes), mask.size * value_bytes, flops, dense)


@dataclass(frozen=True)
class MaskCost:
    """What a mask set costs, by layer, and the `rest` of the network, which has no mask; None: it is not known."""

    layers: Mapping[str, LayerCost]
    rest: LayerCost | None = None

    @property
    def masked(self) -> LayerCost:
        """What all masked layers cost together."""
        first, *others = self.layers.values()
        return sum(others, start=first)

    @property
    def network(self) -> LayerCost | None:
        """What the whole network costs; None where it is not known."""
        return None if self.rest is None else self.masked + self.rest

    def to_dict(self) -> dict[str, Any]:
        """Return it as nested plain values: of the masked layers together, of the network, of each layer."""
        return {
            **asdict(self.masked),
            "network": asdict(self.network) if self.network else None,
            "layers": {name: asdict(layer) for name, layer in self.layers.items()},
        }


def _sum(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one + other
