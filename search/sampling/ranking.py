"""Allocations that rank the weights of all layers together."""

import numpy as np

from .share import Share


def global_ranking(share: Share) -> np.ndarray:
    """Return what each layer keeps where the source's own scores are ranked over the whole network."""
    scores = share.scores()
    return _densities([np.ravel(scores[name]) for name in share.shapes], share)


def lamp(share: Share) -> np.ndarray:
    """Return what each layer keeps where the LAMP scores of initial weights are ranked (Lee et al., ICLR 2021)."""
    weights = share.weights()
    return _densities([_lamp(np.ravel(weights[name])) for name in share.shapes], share)


def _densities(scores: list[np.ndarray], share: Share) -> np.ndarray:
    """Return each layer's part of the `share.kept` highest scores; ties are broken by layer and index."""
    sizes = share.sizes
    best = np.argsort(-np.concatenate(scores), kind="stable")[: share.kept]
    counts = np.bincount(np.repeat(np.arange(len(sizes)), sizes)[best], minlength=len(sizes))
    parts: np.ndarray = counts / sizes
    return parts


def _lamp(weights: np.ndarray) -> np.ndarray:
    """Return the LAMP scores of a layer's weights (Lee et al., ICLR 2021, equation 4).

    The square of a weight over the sum of the squares of those in its layer that are no smaller: what survives of the
    layer when the weight's turn comes to be removed.
    """
    squares = weights.astype(np.float64) ** 2
    order = np.argsort(-squares, kind="stable")
    surviving = np.cumsum(squares[order])
    scores = np.zeros_like(squares)
    # A layer that starts at zero scores zero.
    scores[order] = np.divide(squares[order], surviving, out=np.zeros_like(squares), where=surviving > 0)
    return scores
