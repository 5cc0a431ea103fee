"""Ideal Gas Quotas, an allocation by the sizes of the layers and the budget."""

import numpy as np

from .share import Share


def ideal_gas_quotas(share: Share) -> np.ndarray:
    """Return densities 1 / (F n + 1) of layers of n weights, with the F that keeps `share.kept` weights in all.

    Ideal Gas Quotas of Vysogorets and Kempe ("Connectivity Matters", JMLR 2023): each layer is a cylinder of gas as
    long as its weights are many and of unit volume, and all are compressed by the same force F.
    """
    sizes = share.sizes
    # A layer keeps less than 1 / F, all layers less than their number / F.
    low, high = 0.0, len(sizes) / max(share.kept, 1)
    for _ in range(200):
        force = (low + high) / 2
        if (sizes / (force * sizes + 1)).sum() > share.kept:
            low = force
        else:
            high = force
    return 1 / (high * sizes + 1)
