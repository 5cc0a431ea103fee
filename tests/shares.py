"""Allocations whose scores are all that there is to be ranked."""

from collections.abc import Collection, Mapping

import numpy as np
from fullspectrum.search.sampling.allocation import allocate as allocate_layers
from fullspectrum.search.sampling.layers import Layers, Shapes


def allocate(
    shapes: Shapes,
    sparsity: float,
    base: str = "erk",
    theta: Mapping[str, float] | None = None,
    scores: Mapping[str, np.ndarray] | None = None,
    min_kept_per_output: float = 1.0,
    outputs: Mapping[str, int] | None = None,
    dense: Collection[str] = (),
) -> dict[str, int]:
    """Return the kept weights of layers of these shapes; `scores` are those of a source, and the weights."""
    layers = Layers(shapes, min_kept_per_output, outputs or {}, dense)
    ranked = {} if scores is None else {"scores": lambda: scores, "weights": lambda: scores}
    return allocate_layers(layers, sparsity, base, theta, **ranked)
