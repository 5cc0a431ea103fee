"""Layers of several draws put together, at exact counts."""

import numpy as np
import pytest
from fullspectrum.search.worker.composition import at_counts

SCORES = np.array([[3.0, 1.0, 4.0], [1.0, 5.0, 9.0]])


@pytest.mark.parametrize(
    ("mask", "count", "expected"),
    [
        # Of equals the first is kept, and the first is added.
        ([[1, 1, 1], [1, 0, 0]], 3, [[1, 1, 1], [0, 0, 0]]),
        ([[0, 0, 0], [0, 1, 1]], 5, [[1, 1, 1], [0, 1, 1]]),
        ([[1, 1, 0], [0, 0, 0]], 1, [[1, 0, 0], [0, 0, 0]]),
        ([[0, 1, 0], [0, 0, 0]], 3, [[0, 1, 0], [0, 1, 1]]),
        ([[0, 1, 0], [1, 0, 0]], 2, [[0, 1, 0], [1, 0, 0]]),
        ([[1, 1, 1], [1, 1, 1]], 0, [[0, 0, 0], [0, 0, 0]]),
    ],
)
def test_the_lowest_scores_go_and_the_highest_come_until_the_count_is_exact(mask, count, expected):
    found = at_counts({"layer": np.array(mask, dtype=bool)}, {"layer": count}, {"layer": SCORES})
    assert found["layer"].astype(int).tolist() == expected


def test_a_layer_that_is_kept_whole_needs_no_scores():
    whole = {"dense": np.ones((2, 2), dtype=bool)}
    assert at_counts(whole, {"dense": 4}, {})["dense"].all()
