"""N:M patterns: exact in every group, the best of each at temperature 0, uniform at infinity."""

import itertools
import math

import numpy as np
import pytest
import torch
from fullspectrum.models.errors import InputError
from fullspectrum.search.sampling.draw import sample_pattern
from fullspectrum.search.sampling.pattern import LONGEST, Pattern, pattern_of
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2

TEMPERATURES = st.one_of(st.sampled_from([0.0, 1.0, math.inf]), st.floats(1e-3, 1e3))
PATTERNS = st.integers(2, 9).flatmap(lambda length: st.builds(Pattern, st.integers(1, length - 1), st.just(length)))
#: Chance of a false alarm of a test of chance.
ALARM = 1e-6


@st.composite
def layers(draw):
    """Return a pattern and scores of a layer that can have it; many of them are equal, or 0."""
    pattern, outputs, groups = draw(PATTERNS), draw(st.integers(1, 4)), draw(st.integers(1, 5))
    size = outputs * groups * pattern.length
    values = draw(st.lists(st.sampled_from([0.0, 0.5, 1.0, 2.0, 3.0, 1e6]), min_size=size, max_size=size))
    shape = (outputs, groups, pattern.length) if draw(st.booleans()) else (outputs, groups * pattern.length)
    return pattern, np.array(values).reshape(shape)


def groups_of(mask, pattern):
    return mask.reshape(-1, pattern.length)


@given(layers(), TEMPERATURES, st.integers(0, 2**63 - 1))
def test_every_group_keeps_exactly_n_and_the_layer_as_many_as_counted(layer, temperature, seed):
    pattern, scores = layer
    mask = sample_pattern("fc.weight", scores, pattern, temperature, seed)
    assert mask.dtype == bool and mask.shape == scores.shape
    assert (groups_of(mask, pattern).sum(axis=1) == pattern.kept).all()
    assert pattern.holds(mask)
    assert mask.sum() == pattern.counts({"fc.weight": scores.shape}, ())["fc.weight"]


@given(layers(), st.integers(0, 100))
def test_temperature_zero_keeps_the_best_of_each_group_by_score_and_then_by_index(layer, seed):
    pattern, scores = layer
    mask = sample_pattern("fc.weight", scores, pattern, 0.0, seed)
    for kept, values in zip(groups_of(mask, pattern), scores.reshape(-1, pattern.length), strict=True):
        best = sorted(range(pattern.length), key=lambda i: (-values[i], i))[: pattern.kept]
        assert np.flatnonzero(kept).tolist() == sorted(best)


@given(layers(), TEMPERATURES, st.integers(0, 2**63 - 1))
def test_a_draw_is_a_function_of_its_arguments_and_of_the_layers_name(layer, temperature, seed):
    pattern, scores = layer
    before = scores.copy()
    one, other = (sample_pattern("fc.weight", scores, pattern, temperature, seed) for _ in range(2))
    assert np.array_equal(one, other) and np.array_equal(scores, before)


def test_layers_and_seeds_draw_for_themselves():
    pattern, scores = Pattern(2, 4), np.ones((64, 64))
    masks = [sample_pattern(name, scores, pattern, math.inf, seed) for name in ("a", "b") for seed in (0, 1)]
    # Equal groups have the chance 1/6: of 1,024 groups fewer than 6 standard deviations more are equal.
    bound = 1024 / 6 + 6 * math.sqrt(1024 * 5 / 36)
    for one, other in itertools.combinations(masks, 2):
        assert (one.reshape(-1, 4) == other.reshape(-1, 4)).all(axis=1).sum() < bound


@pytest.mark.parametrize("pattern", [Pattern(2, 4), Pattern(1, 3), Pattern(3, 5)], ids=str)
def test_at_infinity_every_choice_within_a_group_is_as_likely(pattern):
    number = 6000
    scores = np.random.default_rng(0).random((number, pattern.length))
    mask = sample_pattern("fc.weight", scores, pattern, math.inf, 7)
    choices = list(itertools.combinations(range(pattern.length), pattern.kept))
    found = dict.fromkeys(choices, 0)
    for kept in mask:
        found[tuple(np.flatnonzero(kept).tolist())] += 1
    expected = number / len(choices)
    statistic = sum((count - expected) ** 2 / expected for count in found.values())
    assert statistic < chi2.isf(ALARM, len(choices) - 1)


def test_at_temperature_one_a_single_weight_is_kept_in_proportion_to_its_score():
    number, weights = 6000, np.array([1.0, 2.0, 5.0])
    mask = sample_pattern("fc.weight", np.tile(weights, (number, 1)), Pattern(1, 3), 1.0, 3)
    expected = number * weights / weights.sum()
    statistic = ((mask.sum(axis=0) - expected) ** 2 / expected).sum()
    assert statistic < chi2.isf(ALARM, 2)


def test_a_weight_of_score_0_comes_after_all_others():
    scores = np.tile([0.0, 1e-300, 0.0, 1.0], (500, 1))
    mask = sample_pattern("fc.weight", scores, Pattern(2, 4), 5.0, 0)
    assert mask[:, [1, 3]].all()


def test_layers_without_the_pattern_are_named_with_the_reason():
    shapes = {"conv.weight": (8, 3, 3, 3), "fc.weight": (10, 8), "table.weight": (12, 8), "up.weight": (4, 4, 2, 2)}
    pattern = Pattern(2, 4)
    without = pattern.without(shapes, ("table.weight", "up.weight"))
    assert without == {
        "conv.weight": "27 inputs",
        "table.weight": "its first axis is the input",
        "up.weight": "its first axis is the input",
    }
    assert pattern.counts(shapes, without) == {"conv.weight": 216, "fc.weight": 40, "table.weight": 96, "up.weight": 64}


@pytest.mark.parametrize("text", ["2:4", "1:2", "7:8", f"1:{LONGEST}"])
def test_a_pattern_is_read_and_written(text):
    assert str(Pattern.parse(text)) == text


@pytest.mark.parametrize(
    "text", ["", "2", "2:", ":4", "4:4", "5:4", "0:4", "-1:4", "2:4 ", "2 : 4", "a:b", f"1:{LONGEST + 1}", "١:٤"]
)
def test_what_is_no_pattern_is_refused_in_one_line(text):
    with pytest.raises(InputError, match=r'is no pattern N:M, as "2:4" is') as caught:
        Pattern.parse(text)
    assert "\n" not in str(caught.value)


def test_a_mask_file_that_names_no_pattern_has_none():
    assert pattern_of({}) is None and pattern_of({"pattern": "9" * 5000}) is None
    assert pattern_of({"pattern": "2:4"}) == Pattern(2, 4)


def test_one_weight_too_many_is_no_pattern():
    pattern, scores = Pattern(2, 4), np.random.default_rng(0).random((4, 8))
    mask = sample_pattern("fc.weight", scores, pattern, 0.0, 0)
    for place in np.flatnonzero(~mask):
        more = mask.copy()
        more.flat[place] = True
        assert not pattern.holds(more)
    assert not pattern.holds(np.ones((4, 6), bool))


def test_two_of_four_is_what_semi_structured_tensors_of_torch_hold():
    # to_sparse_semi_structured itself needs a GPU; this is the conversion behind it, and back.
    from torch.sparse._semi_structured_conversions import (
        sparse_semi_structured_from_dense_cutlass,
        sparse_semi_structured_to_dense_cutlass,
    )

    weight = torch.randn(32, 64, generator=torch.Generator().manual_seed(0)).half()
    mask = sample_pattern("fc.weight", weight.abs().double().numpy(), Pattern(2, 4), 1.0, 0)
    masked = weight * torch.tensor(mask)
    packed, meta = sparse_semi_structured_from_dense_cutlass(masked)
    assert packed.shape == (32, 32)
    assert torch.equal(sparse_semi_structured_to_dense_cutlass(packed, meta), masked)
    # The same number of weights, not in the pattern, is not held.
    rolled = weight * torch.tensor(np.sort(mask, axis=1))
    packed, meta = sparse_semi_structured_from_dense_cutlass(rolled)
    assert not torch.equal(sparse_semi_structured_to_dense_cutlass(packed, meta), rolled)
