"""What a mask costs: parameters, floating point operations, bytes, and measured latency."""

from typing import TYPE_CHECKING

from ..lazy import lazily

if TYPE_CHECKING:
    from .counter import CostCounter
    from .latency import Latency, measure_latency
    from .maskcost import LayerCost, MaskCost, layer_cost

__all__ = ["CostCounter", "Latency", "LayerCost", "MaskCost", "layer_cost", "measure_latency"]

__getattr__ = lazily(
    __name__,
    {
        "CostCounter": ".counter",
        "Latency": ".latency",
        "measure_latency": ".latency",
        "LayerCost": ".maskcost",
        "MaskCost": ".maskcost",
        "layer_cost": ".maskcost",
    },
)
