"""Removal in rounds: exact counts, scores by hand, and the weights that are left on top."""

import numpy as np
import pytest
import torch
from fullspectrum.search.sources import Setting, synflow
from fullspectrum.search.sources import iterative_snip as iterative
from fullspectrum.search.sources.rounds import remove_in_rounds, schedule
from hypothesis import given
from hypothesis import strategies as st
from torch import nn


def nearest(density: float, size: int) -> int:
    return round(density * size)


def setting(sizes: list[int], kept: int, rounds: int, sparsity: float | None = None) -> Setting:
    """Linear layers of one output and `sizes` weights; no data, because nobody looks at them."""
    layers = nn.Sequential(*(nn.Linear(size, 1) for size in sizes))
    return Setting(layers, None, kept, rounds=rounds, sparsity=sparsity)


def removed_in_rounds(given: Setting, saliencies: list[list[float]]) -> np.ndarray:
    """The scores for saliencies that are the same whatever was removed, one list over all weights for each round."""
    scores = remove_in_rounds(
        given,
        given.weights,
        lambda number: {n: torch.from_numpy(v) for n, v in given.split(np.array(saliencies[number], float)).items()},
        nearest,
    )
    return np.concatenate([values.ravel() for values in scores.values()])


def best(scores: np.ndarray, kept: int) -> list[int]:
    """The `kept` highest, ties broken by index."""
    return sorted(np.argsort(-scores, kind="stable")[:kept].tolist())


def test_counts_are_those_of_an_exponential_schedule():
    assert schedule(setting([1024], 1, 10), nearest) == [512, 256, 128, 64, 32, 16, 8, 4, 2, 1]
    assert schedule(setting([700, 300], 10, 4), nearest) == [316, 100, 32, 10]
    assert schedule(setting([10], 10, 3), nearest) == [10, 10, 10]
    assert schedule(setting([10], 4, 1), nearest) == [4]


def test_rounding_is_that_of_each_published_code():
    # 270,896 * 0.1 ** 0.01 = 264,729.7 and 0.1 ** 0.99 = 0.102329, of which 27,720.7 are kept.
    wanted = setting([270_896], 27_090, 100, sparsity=0.9)
    assert [schedule(wanted, synflow._kept)[k] for k in (0, 98, 99)] == [264_730, 27_721, 27_090]
    assert [schedule(wanted, iterative._kept)[k] for k in (0, 98, 99)] == [264_729, 27_720, 27_090]


@given(st.integers(1, 3000), st.integers(-5, 4000), st.integers(1, 40))
def test_counts_never_rise_and_end_at_the_budget_as_far_as_there_are_weights(size, kept, rounds):
    for rounded in (nearest, synflow._kept, iterative._kept):
        counts = schedule(setting([size], kept, rounds), rounded)
        assert len(counts) == rounds and counts[-1] == min(max(kept, 1), size)
        assert counts == sorted(counts, reverse=True) and counts[0] <= size


def test_scores_tell_how_nearly_a_weight_stayed():
    # 4, 2 and 1 are kept; the lowest of them score 5, 7 and 8.
    scores = removed_in_rounds(setting([5, 3], 1, 3), [[8, 7, 6, 5, 4, 3, 2, 1]] * 3)
    expected = [8 / 8, 7 / 8, 6 / 7 / 2, 5 / 7 / 2, 4 / 5 / 4, 3 / 5 / 4, 2 / 5 / 4, 1 / 5 / 4]
    np.testing.assert_allclose(scores, expected, rtol=1e-15)


def test_a_removed_weight_stays_removed_and_is_zero_from_then_on():
    given = setting([4], 1, 2)
    seen = []

    def saliency(number: int) -> dict[str, torch.Tensor]:
        (weight,) = given.weights.values()
        seen.append(weight.detach().clone())
        # In the second round what was removed would be the best.
        return {"0.weight": torch.tensor([[4.0, 3.0, 2.0, 1.0], [1.0, 2.0, 8.0, 9.0]][number]).reshape(1, 4)}

    scores = remove_in_rounds(given, given.weights, saliency, nearest)["0.weight"]
    assert best(scores.ravel(), 1) == [1]
    assert seen[0].count_nonzero() == 4
    assert torch.equal(seen[1], seen[0] * torch.tensor([1, 1, 0, 0]))


def test_ties_are_broken_by_layer_and_index():
    scores = removed_in_rounds(setting([3, 5], 4, 3), [[1.0] * 8] * 3)
    assert np.flatnonzero(scores >= 1).tolist() == best(scores, 4) == [0, 1, 2, 3]


def test_where_nothing_is_salient_exactly_the_budget_is_left():
    scores = removed_in_rounds(setting([8], 3, 2), [[0.0] * 8] * 2)
    assert np.flatnonzero(scores >= 1).tolist() == best(scores, 3) == [0, 1, 2]


@pytest.mark.parametrize("scale", [5e-324, 1e-300, 1e300])
def test_scores_are_finite_whatever_the_scale(scale):
    scores = removed_in_rounds(setting([4], 2, 2), [[scale, 0.0, 1.0, 1e300]] * 2)
    assert np.isfinite(scores).all()
    assert best(scores, 2) == np.flatnonzero(scores >= 1).tolist()


@given(st.data())
def test_the_highest_scores_are_the_weights_that_are_left(data):
    size, rounds = data.draw(st.integers(1, 12)), data.draw(st.integers(1, 5))
    kept = data.draw(st.integers(1, size))
    # Small integers, so that there are ties and zeros.
    values = st.lists(st.integers(0, 3), min_size=size, max_size=size)
    saliencies = [data.draw(values) for _ in range(rounds)]
    wanted = setting([size], kept, rounds)
    left = list(range(size))
    for saliency, count in zip(saliencies, schedule(wanted, nearest), strict=True):
        left = sorted(sorted(left, key=lambda index: (-saliency[index], index))[:count])
    scores = removed_in_rounds(wanted, saliencies)
    assert np.isfinite(scores).all() and (scores >= 0).all()
    assert np.flatnonzero(scores >= 1).tolist() == best(scores, kept) == left
