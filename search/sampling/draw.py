"""Drawing a mask from scores: Gumbel top-k without replacement."""

import math
from collections.abc import Mapping

import numpy as np

from ...models.seeds import derive
from .pattern import Pattern


def sample(
    scores: Mapping[str, np.ndarray], counts: Mapping[str, int], temperature: float, seed: int
) -> dict[str, np.ndarray]:
    """Return one mask set: in each layer `counts[name]` weights, drawn without replacement.

    The probabilities are softmax(log score / temperature), by perturbing log score / temperature with Gumbel noise and
    keeping the largest (Kool et al., ICML 2019). Temperature 0 keeps the highest scores, infinity draws uniformly.
    Weights of score 0 come after all others. The draw is a pure function of the arguments: each layer has a generator
    of its own, seeded by name, so that its draw does not depend on the other layers.

    Scores are >= 0, of the parameters' shapes; masks are boolean arrays of the same shapes, True = kept.
    """
    return {name: sample_layer(name, scores[name], count, temperature, seed) for name, count in counts.items()}


def sample_layer(name: str, scores: np.ndarray, count: int, temperature: float, seed: int) -> np.ndarray:
    """Return the mask of one layer, as in `sample`."""
    return top_k(_keys(name, scores, temperature, seed), count).reshape(scores.shape)


def sample_pattern(name: str, scores: np.ndarray, pattern: Pattern, temperature: float, seed: int) -> np.ndarray:
    """Return the mask of one layer that has an N:M pattern: in each group N weights, drawn as in `sample`."""
    return pattern.top(_keys(name, scores, temperature, seed).reshape(scores.shape))


def _keys(name: str, scores: np.ndarray, temperature: float, seed: int) -> np.ndarray:
    """Return the numbers (1-d) whose largest are kept: log score / temperature with Gumbel noise."""
    flat = np.ravel(scores)
    if temperature == 0:
        # Not the logarithm, which rounds neighbouring scores to ties.
        return flat
    keys = np.random.default_rng(derive(seed, "draw", name)).gumbel(size=flat.size)
    if not math.isinf(temperature):
        with np.errstate(divide="ignore"):
            keys += np.log(flat) / temperature
    return keys


def top_k(keys: np.ndarray, count: int) -> np.ndarray:
    """Return a boolean mask of the `count` largest of 1-d `keys`: exactly `count`, as ties are broken by index."""
    mask = np.zeros(keys.size, dtype=bool)
    if count <= 0:
        return mask
    threshold = np.partition(keys, keys.size - count)[keys.size - count]
    mask[keys > threshold] = True
    mask[np.flatnonzero(keys == threshold)[: count - int(mask.sum())]] = True
    return mask
