"""The names of what is reported and recorded."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

#: Prefixes of the reported values that are metrics of the record.
METRICS = ("spectral/", "sparsity/", "guard/", "accuracy/", "training/")


def reported(result: Mapping[str, Any]) -> dict[str, Any]:
    """What a trial itself reported in a Tune result: finite metrics, outcome, reason, the mask's digest."""
    kept = {key: result[key] for key in ("outcome", "reason", "digest") if key in result}
    for key, value in result.items():
        if key.startswith(METRICS) and isinstance(value, int | float | np.number) and math.isfinite(value):
            kept[key] = value.item() if isinstance(value, np.number) else value
    return kept
