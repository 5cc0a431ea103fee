"""Allocation: exact integer counts between the floors and the sizes."""

import itertools
import math
import re

import numpy as np
import optuna
import pytest
import torchvision
from fullspectrum.models.errors import InputError
from fullspectrum.models.layers import prunable
from fullspectrum.search.config.study import Study
from fullspectrum.search.config.studyfile import parse
from fullspectrum.search.guidance.space import suggest_mask
from fullspectrum.search.sampling.distribution import MaskDistribution
from fullspectrum.search.sampling.layers import AllocationError, budget
from fullspectrum.search.sampling.registry import ALLOCATIONS
from hypothesis import assume, given
from hypothesis import strategies as st

from ...shares import allocate

DIGITS = {
    "conv1": (32, 1, 3, 3),
    "conv2": (64, 32, 3, 3),
    "conv3": (128, 64, 3, 3),
    "fc1": (200, 2048),
    "fc2": (10, 200),
}

SIDES = st.integers(1, 24)
SHAPE = st.one_of(st.tuples(SIDES, SIDES), st.tuples(SIDES, SIDES, st.sampled_from([1, 3]), st.sampled_from([1, 3])))
SHAPES = st.lists(SHAPE, min_size=1, max_size=8).map(lambda shapes: {f"layer{i}": s for i, s in enumerate(shapes)})
THETA = st.floats(-5, 5)
SPARSITY = st.floats(0, 0.999)
FLOOR = st.sampled_from([0.0, 0.3, 1.0, 2.5])


def floors_of(shapes, min_kept_per_output: float) -> dict[str, int]:
    """The floors as the design words them: so many a output on average, never an empty layer, never above the size."""
    return {
        name: min(math.prod(shape), max(1, math.ceil(min_kept_per_output * shape[0]))) for name, shape in shapes.items()
    }


def scores_of(shapes, seed: int = 0) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    return {name: generator.random(shape) * generator.random() for name, shape in shapes.items()}


def budget_is_met(shapes, sparsity, floor) -> bool:
    return budget(shapes, sparsity) >= sum(floors_of(shapes, floor).values())


@given(SHAPES, SPARSITY)
def test_the_budget_removes_the_rounded_number(shapes, sparsity):
    total = sum(math.prod(shape) for shape in shapes.values())
    assert total - budget(shapes, sparsity) == round(sparsity * total)


@pytest.mark.parametrize("sparsity", [-0.1, 1.0, 1.5, math.nan])
def test_a_sparsity_outside_its_range_is_refused(sparsity):
    with pytest.raises(AllocationError, match=r"expected the fraction of weights removed, in \[0, 1\)"):
        budget(DIGITS, sparsity)


@pytest.mark.parametrize("base", ALLOCATIONS)
@given(shapes=SHAPES, sparsity=SPARSITY, thetas=st.lists(THETA, min_size=8, max_size=8), floor=FLOOR)
def test_counts_sum_to_the_budget_between_floors_and_sizes(base, shapes, sparsity, thetas, floor):
    assume(budget_is_met(shapes, sparsity, floor))
    theta = dict(zip(shapes, thetas, strict=False))
    counts = allocate(shapes, sparsity, base, theta, scores_of(shapes), floor)
    assert list(counts) == list(shapes)
    assert sum(counts.values()) == budget(shapes, sparsity)
    floors = floors_of(shapes, floor)
    for name, count in counts.items():
        assert type(count) is int
        assert floors[name] <= count <= math.prod(shapes[name])


@given(shapes=SHAPES, sparsity=SPARSITY, thetas=st.lists(THETA, min_size=8, max_size=8), delta=st.floats(0.01, 3))
def test_theta_never_lowers_the_count_of_its_own_layer(shapes, sparsity, thetas, delta):
    assume(budget_is_met(shapes, sparsity, 1.0))
    theta = dict(zip(shapes, thetas, strict=False))
    first = next(iter(shapes))
    raised = theta | {first: theta[first] + delta}
    assert allocate(shapes, sparsity, "erk", raised)[first] >= allocate(shapes, sparsity, "erk", theta)[first]


def test_theta_multiplies_the_density_by_its_exponential():
    shapes = {"a": (100, 1000), "b": (100, 1000)}
    counts = allocate(shapes, 0.9, "uniform", {"a": math.log(3)})
    # Shares 3 : 1 of 20,000.
    assert counts == {"a": 15_000, "b": 5_000}


def test_the_same_theta_everywhere_changes_nothing():
    assert allocate(DIGITS, 0.95, "erk", dict.fromkeys(DIGITS, 0.4)) == allocate(DIGITS, 0.95, "erk")


@given(st.integers(2, 7), st.integers(1, 12), st.integers(1, 12), SPARSITY, st.sampled_from(["uniform", "er", "erk"]))
def test_equal_layers_differ_by_at_most_one_and_the_first_get_more(layers, outputs, inputs, sparsity, base):
    shapes = {f"layer{i}": (outputs, inputs) for i in range(layers)}
    assume(budget_is_met(shapes, sparsity, 1.0))
    counts = list(allocate(shapes, sparsity, base).values())
    assert counts == sorted(counts, reverse=True)
    assert counts[0] - counts[-1] <= 1


@given(SHAPES, SPARSITY)
def test_uniform_keeps_the_same_fraction_of_every_layer(shapes, sparsity):
    assume(budget_is_met(shapes, sparsity, 0.0))
    counts = allocate(shapes, sparsity, "uniform", min_kept_per_output=0.0)
    kept, total = budget(shapes, sparsity), sum(math.prod(shape) for shape in shapes.values())
    # A floor of one weight takes from the others less than one weight a layer; rounding takes less than one more.
    for name, shape in shapes.items():
        assert abs(counts[name] - kept * math.prod(shape) / total) < 1 + len(shapes)


def test_uniform_is_exact_where_it_divides():
    shapes = {"a": (10, 100), "b": (20, 50), "c": (5, 20, 2, 5)}
    assert allocate(shapes, 0.75, "uniform") == {"a": 250, "b": 250, "c": 250}


def test_er_shares_are_the_sums_of_inputs_and_outputs():
    # Count = size x (in + out) / (in x out) = kernel x (in + out): 30 + 9 x 20 + 110 = 320 shares of a half.
    shapes = {"fc": (10, 20), "conv": (10, 10, 3, 3), "wide": (100, 10)}
    assert allocate(shapes, 1 - 160 / 2100, "er", min_kept_per_output=0.0) == {"fc": 15, "conv": 90, "wide": 55}


def test_erk_shares_are_the_sums_of_all_dimensions():
    # Count = sum of the dimensions: 30 + 26 + 110 + 24 = 190 shares of 2.
    shapes = {"fc": (10, 20), "conv": (10, 10, 3, 3), "wide": (100, 10), "long": (10, 10, 1, 3)}
    total = 200 + 900 + 1000 + 300
    assert allocate(shapes, 1 - 380 / total, "erk", min_kept_per_output=0.0) == {
        "fc": 60,
        "conv": 52,
        "wide": 220,
        "long": 48,
    }


def test_what_a_full_layer_cannot_hold_goes_to_the_others_in_proportion():
    # ER shares 4 e^5, 40 and 60: the first layer is full at 4, and the others share the 100 that are left.
    shapes = {"full": (2, 2), "a": (20, 20), "b": (30, 30)}
    kept = 4 + 100
    assert allocate(shapes, 1 - kept / 1304, "er", {"full": 5.0}, min_kept_per_output=0.0) == {
        "full": 4,
        "a": 40,
        "b": 60,
    }


def test_largest_remainders_are_rounded_up_and_ties_go_to_the_first():
    # Exact shares 1.5, 1.5, 3, 4 of 10 and then 11/3, 11/3, 11/3 of 11.
    shapes = {"a": (1, 15), "b": (1, 15), "c": (1, 30), "d": (1, 40)}
    assert allocate(shapes, 0.9, "uniform") == {"a": 2, "b": 1, "c": 3, "d": 4}
    thirds = {"a": (1, 11), "b": (1, 11), "c": (1, 11)}
    assert allocate(thirds, 22 / 33, "uniform") == {"a": 4, "b": 4, "c": 3}


def _erk_by_filling_layers_one_by_one(shapes, kept: int) -> dict[str, float]:
    """ERK as its authors compute it: whatever would be more than full is set dense, and the rest is scaled anew."""
    dense: set[str] = set()
    while True:
        left = kept - sum(math.prod(shapes[name]) for name in dense)
        scale = left / sum(sum(shape) for name, shape in shapes.items() if name not in dense)
        over = {name for name, s in shapes.items() if name not in dense and scale * sum(s) > math.prod(s)}
        if not over:
            return {n: math.prod(s) if n in dense else scale * sum(s) for n, s in shapes.items()}
        dense |= over


#: Published layer sparsities of random ERK masks on a ResNet-34 with a 7 x 7 stem and ten classes, sparsity 0.95.
PUBLISHED = {
    "layer1.0.conv1.weight": 0.7690,
    "layer2.0.conv2.weight": 0.8817,
    "layer2.0.downsample.0.weight": 0.0,
    "layer3.0.downsample.0.weight": 0.2315,
    "layer4.1.conv2.weight": 0.9715,
    "fc.weight": 0.0,
}


def test_erk_on_resnet34_is_that_of_its_authors_and_of_the_published_masks():
    model = torchvision.models.resnet34(num_classes=10)
    shapes = {name: tuple(weight.shape) for name, weight in prunable(model).items()}
    counts = allocate(shapes, 0.95, "erk")
    exact = _erk_by_filling_layers_one_by_one(shapes, budget(shapes, 0.95))
    assert all(abs(counts[name] - exact[name]) < 1 for name in shapes)
    for name, published in PUBLISHED.items():
        size = math.prod(shapes[name])
        sparsity = 1 - counts[name] / size
        # Each published weight was kept by a coin of its own: four standard deviations of the fraction, and the
        # fourth digit that was rounded. A full layer has none.
        assert abs(sparsity - published) <= 4 * math.sqrt(sparsity * (1 - sparsity) / size) + 5e-5
    assert counts["fc.weight"] == 5120
    assert counts["layer2.0.downsample.0.weight"] == 128 * 64


@given(SHAPES, st.floats(0, 0.9), st.integers(0, 100))
def test_global_keeps_what_a_ranking_of_all_weights_keeps(shapes, sparsity, seed):
    scores = scores_of(shapes, seed)
    kept = budget(shapes, sparsity)
    ranking = sorted(((-value, name) for name, values in scores.items() for value in values.flat))[:kept]
    by_hand = {name: sum(owner == name for _, owner in ranking) for name in shapes}
    # The ranking alone decides where it empties no layer.
    assume(min(by_hand.values()) > 0)
    assert allocate(shapes, sparsity, "global", scores=scores, min_kept_per_output=0.0) == by_hand


def test_global_ties_go_to_the_first_layer_and_index():
    shapes = {"a": (2, 3), "b": (2, 3)}
    scores = {"a": np.ones((2, 3)), "b": np.ones((2, 3))}
    assert allocate(shapes, 1 / 3, "global", scores=scores, min_kept_per_output=0.0) == {"a": 6, "b": 2}


def test_a_layer_that_the_ranking_empties_keeps_its_floor():
    shapes = {"a": (4, 10), "b": (4, 10)}
    scores = {"a": np.ones((4, 10)), "b": np.full((4, 10), 0.1)}
    assert allocate(shapes, 0.75, "global", scores=scores) == {"a": 16, "b": 4}


def test_global_without_scores_is_refused():
    with pytest.raises(AllocationError, match="ranks the scores of a source, but no scores were given"):
        allocate(DIGITS, 0.9, "global")


@pytest.mark.parametrize("base", ALLOCATIONS)
def test_sparsity_zero_keeps_every_weight(base):
    sizes = {name: math.prod(shape) for name, shape in DIGITS.items()}
    assert allocate(DIGITS, 0.0, base, {"conv1": -5.0}, scores_of(DIGITS)) == sizes


@given(SHAPES, st.sampled_from([0.5, 1.0, 2.5]))
def test_the_highest_sparsity_that_an_error_names_is_met_and_one_weight_more_is_not(shapes, floor):
    total = sum(math.prod(shape) for shape in shapes.values())
    least = sum(floors_of(shapes, floor).values())
    assume(least > 1)
    with pytest.raises(AllocationError) as caught:
        allocate(shapes, (total - least + 1) / total, min_kept_per_output=floor)
    named = float(re.search(r"the highest sparsity that can be met is (\S+)$", str(caught.value)).group(1))
    assert sum(allocate(shapes, named, min_kept_per_output=floor).values()) >= least
    # It is cut, not rounded, at the sixth digit.
    assert (total - least) / total - 1e-6 <= named <= (total - least) / total


def test_a_budget_below_the_floors_is_told_in_one_line():
    with pytest.raises(AllocationError) as caught:
        allocate(DIGITS, 0.9995)
    message = str(caught.value)
    assert "\n" not in message
    # 32 + 64 + 128 + 200 + 10 outputs.
    for part in ("sparsity 0.9995", "keeps 252 of 504,048", "need 434", "min_kept_per_output = 1", "is 0.999138"):
        assert part in message


def test_an_unknown_base_gets_the_nearest_name():
    with pytest.raises(InputError, match='unknown allocation "unifrom", did you mean "uniform"[?] .*global'):
        allocate(DIGITS, 0.9, "unifrom")


def test_an_impossible_budget_is_the_users_mistake():
    assert issubclass(AllocationError, InputError)


def test_the_floor_counts_the_outputs_that_are_told():
    shapes = {"rows": (40, 4), "fc": (10, 4)}
    assert allocate(shapes, 1 - 14 / 200, outputs={"rows": 4}) == {"rows": 4, "fc": 10}
    with pytest.raises(AllocationError, match="need 50"):
        allocate(shapes, 1 - 14 / 200)


@given(SHAPES, st.floats(0, 0.99))
def test_erk_is_that_of_its_authors_on_any_network(shapes, sparsity):
    # The published scaling has no floors, and no answer where everything is kept.
    assume(budget(shapes, sparsity) < sum(math.prod(shape) for shape in shapes.values()))
    exact = _erk_by_filling_layers_one_by_one(shapes, budget(shapes, sparsity))
    assume(min(exact.values()) >= 1)
    counts = allocate(shapes, sparsity, "erk", min_kept_per_output=0.0)
    assert all(abs(counts[name] - exact[name]) < 1 + 1e-6 for name in shapes)


LENET = {"fc1": (300, 784), "fc2": (100, 300), "fc3": (10, 100)}


@pytest.mark.parametrize(
    ("sparsity", "published"),
    [
        # The authors' formula n / (F n + 1), with the F that their bisection ends at: 6.17208557e-05, 9.15980756e-04.
        (0.9, {"fc1": 15157.818, "fc2": 10520.315, "fc3": 941.867}),
        (0.99, {"fc1": 1086.682, "fc2": 1053.392, "fc3": 521.926}),
    ],
)
def test_ideal_gas_quotas_are_those_of_their_authors(sparsity, published):
    counts = allocate(LENET, sparsity, "igq", min_kept_per_output=0.0)
    assert all(abs(counts[name] - published[name]) < 1 for name in LENET)


def test_ideal_gas_quotas_by_hand():
    # F = 1 / 200: layers of 100, 200 and 600 weights are compressed by 1.5, 2 and 4 to 200 / 3, 100 and 150.
    shapes = {"a": (10, 10), "b": (10, 20), "c": (20, 30)}
    counts = allocate(shapes, 1 - (200 / 3 + 250) / 900, "igq", min_kept_per_output=0.0)
    assert counts == {"a": 67, "b": 100, "c": 150}


@given(SHAPES, st.floats(0.05, 0.95))
def test_ideal_gas_quotas_compress_larger_layers_more_and_keep_no_fewer_of_them(shapes, sparsity):
    assume(budget_is_met(shapes, sparsity, 0.0))
    counts = allocate(shapes, sparsity, "igq", min_kept_per_output=0.0)
    by_size = sorted(shapes, key=lambda name: math.prod(shapes[name]))
    for smaller, larger in itertools.pairwise(by_size):
        one, other = math.prod(shapes[smaller]), math.prod(shapes[larger])
        # Each count is within a weight of the exact quota.
        assert counts[smaller] - 1 <= counts[larger] + 1
        assert (counts[smaller] + 1) / one >= (counts[larger] - 1) / other


def _lamp_scores_by_definition(weights: np.ndarray) -> np.ndarray:
    """Equation 4: the square over the sum of the squares from there on, in ascending order."""
    flat = np.abs(weights).ravel()
    order = sorted(range(flat.size), key=lambda index: flat[index])
    scores, from_there_on = np.empty(flat.size), 0.0
    for index in reversed(order):
        from_there_on += flat[index] ** 2
        scores[index] = flat[index] ** 2 / from_there_on
    return scores


def test_lamp_by_hand():
    # Squares 9, 4, 1 and 4, 4, 1: scores 1, 4/13, 1/14 and 1, 1/2, 1/9, whichever of the equal ones goes first.
    weights = {"a": np.array([[3.0, 2.0, 1.0]]), "b": np.array([[2.0, 2.0, 1.0]])}
    shapes = {"a": (1, 3), "b": (1, 3)}
    kept = {
        count: allocate(shapes, 1 - count / 6, "lamp", scores=weights, min_kept_per_output=0.0) for count in range(2, 7)
    }
    assert [tuple(counts.values()) for counts in kept.values()] == [(1, 1), (1, 2), (2, 2), (2, 3), (3, 3)]


@given(SHAPES, st.floats(0, 0.95), st.integers(0, 100))
def test_lamp_keeps_what_a_ranking_of_its_scores_keeps(shapes, sparsity, seed):
    assume(budget_is_met(shapes, sparsity, 0.0))
    weights = scores_of(shapes, seed)
    scores = {name: _lamp_scores_by_definition(values) for name, values in weights.items()}
    ranked = sorted((value, name) for name, values in scores.items() for value in values)[::-1]
    kept = budget(shapes, sparsity)
    # All first weights of layers score 1, and none can be told from another.
    assume(kept >= len(shapes) and (kept == len(ranked) or ranked[kept - 1][0] > ranked[kept][0] * (1 + 1e-9)))
    by_hand = {name: sum(owner == name for _, owner in ranked[:kept]) for name in shapes}
    assert allocate(shapes, sparsity, "lamp", scores=weights, min_kept_per_output=0.0) == by_hand


def test_lamp_does_not_know_the_scale_of_a_layer():
    weights = scores_of(DIGITS)
    scaled = weights | {"conv2": weights["conv2"] * 2.0**20, "fc2": weights["fc2"] * 2.0**-20}
    assert allocate(DIGITS, 0.99, "lamp", scores=weights) == allocate(DIGITS, 0.99, "lamp", scores=scaled)


def test_lamp_gives_a_layer_that_starts_at_zero_its_floor():
    shapes = {"a": (4, 10), "b": (4, 10)}
    scores = {"a": np.arange(1.0, 41).reshape(4, 10), "b": np.zeros((4, 10))}
    assert allocate(shapes, 0.75, "lamp", scores=scores) == {"a": 16, "b": 4}


@pytest.mark.parametrize("base", ALLOCATIONS)
def test_theta_on_top_of_any_base_is_proportional_to_its_exponential(base):
    shapes = {"a": (100, 1000), "b": (100, 1000)}
    generator = np.random.default_rng(0)
    scores = {name: generator.random(shape) for name, shape in shapes.items()}
    plain = allocate(shapes, 0.95, base, scores=scores)
    counts = allocate(shapes, 0.95, base, {"a": math.log(2)}, scores=scores)
    share = 2 * plain["a"] / (2 * plain["a"] + plain["b"])
    assert abs(counts["a"] - 10_000 * share) < 1


def searched(allocation) -> Study:
    settings = {"model": "digits_cnn", "data": "digits", "sparsity": 0.9, "search": {"allocation": allocation}}
    return parse(settings)


def test_a_searched_allocation_is_drawn_for_each_trial_and_recorded():
    study = searched({"choices": ["erk", "igq", "lamp"]})
    proposals = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    found = [suggest_mask(proposals.ask(), study, ["fc1.weight"]) for _ in range(20)]
    # Three choices, twenty draws: one of them misses by a chance of 3 (2/3) ** 20 < 0.001.
    assert {distribution.allocation for distribution in found} == {"erk", "igq", "lamp"}
    assert all(MaskDistribution.from_dict(d.to_dict()) == d for d in found)
    assert study.id != searched("erk").id


def test_a_fixed_allocation_stands_in_every_distribution_and_is_no_parameter_of_the_search():
    proposals = optuna.create_study()
    trial = proposals.ask()
    assert suggest_mask(trial, searched("igq"), ["fc1.weight"]).allocation == "igq"
    assert "allocation" not in trial.params


@pytest.mark.parametrize(
    ("allocation", "reason"),
    [
        ({"choices": ["erk", "ergk"]}, '"ergk"'),
        ({"low": 0.1, "high": 0.2}, "searched by { choices"),
        ("lampp", 'did you mean "lamp"'),
    ],
)
def test_an_allocation_that_there_is_not_is_told_in_one_line(allocation, reason):
    with pytest.raises(InputError) as caught:
        searched(allocation)
    assert reason in str(caught.value) and "\n" not in str(caught.value)
