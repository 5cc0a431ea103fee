"""Masks that change while a network trains: what moves, where to, and what becomes of the weights."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from fullspectrum.models.data import Data
from fullspectrum.models.errors import InputError
from fullspectrum.models.maskrules.gradual import Gradual
from fullspectrum.models.maskrules.lrrewinding import LearningRateRewinding
from fullspectrum.models.maskrules.registry import RULES
from fullspectrum.models.maskrules.rigl import RigL
from fullspectrum.models.maskrules.rule import Fixed, Layer, MaskRule
from fullspectrum.models.maskrules.schedule import Schedule
from fullspectrum.models.maskrules.set import SET
from fullspectrum.models.masks import MaskSet
from fullspectrum.models.testing import MaskRuleContract
from fullspectrum.models.training import MaskedTraining, Recipe
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

OFTEN = Schedule(every=3, fraction=0.5, until=0.9)
MOVING = [RigL, SET]
REMOVING = [Gradual, LearningRateRewinding]


class TestSET(MaskRuleContract):
    @pytest.fixture
    def rule(self):
        return SET(OFTEN)


class TestRigL(MaskRuleContract):
    @pytest.fixture
    def rule(self):
        return RigL(OFTEN)


class TestGradual(MaskRuleContract):
    @pytest.fixture
    def rule(self):
        return Gradual(OFTEN)


class TestLearningRateRewinding(MaskRuleContract):
    @pytest.fixture
    def rule(self):
        return LearningRateRewinding(OFTEN)


SHAPES = {"1.weight": (16, 64), "3.weight": (10, 16)}
MASKS = MaskSet({name: np.random.default_rng(1).random(shape) < 0.3 for name, shape in SHAPES.items()}, {"study": "a"})
SGD = Recipe(learning_rate=0.05, batch_size=8)


def training(rule: MaskRule, recipe: Recipe = SGD, total: int = 20, masks: MaskSet | None = MASKS) -> MaskedTraining:
    images = np.random.default_rng(0).integers(0, 256, (44, 1, 8, 8), dtype=np.uint8)
    part = images, np.arange(44) % 10
    data = Data.from_arrays("noise", {"train": part, "val": part, "test": part})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10))
    return MaskedTraining(model, masks, data, recipe, total, 0, rule=rule)


def before_and_after_an_update(rule: MaskRule, recipe: Recipe = SGD) -> tuple[MaskedTraining, MaskedTraining]:
    """Two trainings after the step of the first update, without it and with it."""
    without, run = training(Fixed(), recipe), training(rule, recipe)
    for each in (without, run):
        each.run(3)
    assert run.masks != MASKS == without.masks
    return without, run


def layer(mask, weight, gradient) -> Layer:
    mask = torch.as_tensor(mask)
    return Layer(mask, torch.as_tensor(weight) * mask, torch.as_tensor(gradient), int(mask.sum()))


@st.composite
def layers(draw) -> Layer:
    """Small layers with few different values, so that ties are many."""
    shape = draw(st.sampled_from([(1,), (7,), (4, 5), (3, 2, 2, 2)]))
    size = math.prod(shape)
    mask = draw(st.lists(st.booleans(), min_size=size, max_size=size))
    values = st.lists(st.sampled_from([-2.0, -1.0, 0.0, 1.0, 2.0]), min_size=size, max_size=size)
    return layer(
        torch.tensor(mask).view(shape), torch.tensor(draw(values)).view(shape), torch.tensor(draw(values)).view(shape)
    )


@pytest.mark.parametrize("kind", MOVING)
@given(layer=layers(), fraction=st.floats(0.01, 0.99), iteration=st.integers(1, 99), seed=st.integers(0, 99))
def test_counts_are_exact_whatever_the_layer(kind, layer, fraction, iteration, seed):
    schedule = Schedule(1, fraction, 1.0)
    generator = torch.Generator().manual_seed(seed)
    new = kind(schedule).update({"w": layer}, iteration, 100, generator)["w"]
    assert new.dtype == torch.bool and new.shape == layer.mask.shape and int(new.sum()) == layer.count
    moved = int(schedule.fraction_at(iteration, 100) * layer.count)
    assert int((new & ~layer.mask).sum()) <= moved


@given(layer=layers(), fraction=st.floats(0.01, 0.99))
def test_rigl_drops_the_smallest_weights_and_grows_the_largest_gradients_ties_by_index(layer, fraction):
    new = RigL(Schedule(1, fraction, 1.0)).update({"w": layer}, 1, 10**9, torch.Generator())["w"].flatten().tolist()
    mask, weight, gradient = (tensor.flatten().tolist() for tensor in (layer.mask, layer.weight, layer.gradient))
    moved = int(fraction * layer.count)
    kept = sorted((i for i, on in enumerate(mask) if on), key=lambda i: (-abs(weight[i]), i))[: layer.count - moved]
    rest = sorted((i for i in range(len(mask)) if i not in kept), key=lambda i: (-abs(gradient[i]), i))[:moved]
    assert [i for i, on in enumerate(new) if on] == sorted(kept + rest)


@pytest.mark.parametrize("kind", MOVING)
def test_how_weights_lie_in_memory_does_not_matter(kind):
    generator = torch.Generator().manual_seed(0)
    weight, gradient = torch.randint(-2, 3, (2, 6, 4, 3, 3), generator=generator).float()
    plain = layer(torch.rand(weight.shape, generator=generator) < 0.5, weight, gradient)
    tensors = (plain.mask, plain.weight, plain.gradient)
    # As on a GPU.
    last = Layer(*(tensor.contiguous(memory_format=torch.channels_last) for tensor in tensors), plain.count)
    both = [kind(OFTEN).update({"w": each}, 1, 100, torch.Generator().manual_seed(1))["w"] for each in (plain, last)]
    assert torch.equal(*both) and not torch.equal(both[0], plain.mask)


def test_set_grows_uniformly():
    mask = torch.arange(100) < 50
    moved = layer(mask, torch.arange(100.0, 0.0, -1.0), torch.zeros(100))
    updates, grown = 2000, torch.zeros(100)
    for seed in range(updates):
        generator = torch.Generator().manual_seed(seed)
        # 10 of the 50 kept weights are dropped, and grown among these 10 and the 50 removed ones.
        grown += SET(Schedule(1, 0.2, 1.0)).update({"w": moved}, 1, 10**9, generator)["w"]
    assert (grown[:40] == updates).all()
    # Each of 60 is grown with probability 1/6, independently from update to update: binomial; 5 standard deviations are
    # passed by one of the 60 in 3e5 runs.
    assert (grown[40:] - updates / 6).abs().max() < 5 * math.sqrt(updates * 5 / 36)


@pytest.mark.parametrize("recipe", [SGD, replace(SGD, gradient_clip=0.01), replace(SGD, nesterov=True, weight_decay=0)])
def test_rigl_grows_by_the_gradients_of_the_step_before_clipped_or_not(recipe):
    _, run = before_and_after_an_update(RigL(OFTEN), recipe)
    cut = training(RigL(OFTEN), recipe)
    cut.run(2)
    # The third step by hand: its gradient depends on the weights of now and its batch alone.
    images, labels = next(cut._batches)
    cut.model.zero_grad()
    nn.functional.cross_entropy(cut.model(images), labels).backward()
    for name, start in MASKS.items():
        grown = run.masks[name] & ~start
        rest = ~run.masks[name] & ~start
        gradient = cut.model.get_parameter(name).grad.abs().numpy()
        assert grown.any() and gradient[grown].min() >= gradient[rest].max()


@pytest.mark.parametrize("recipe", [SGD, Recipe(optimizer="adamw", learning_rate=0.01, batch_size=8)])
@pytest.mark.parametrize("kind", MOVING)
def test_regrown_weights_start_at_zero_without_the_optimizers_memory(kind, recipe):
    without, run = before_and_after_an_update(kind(OFTEN), recipe)
    for name, mask in run.masks.items():
        regrown, stayed = torch.tensor(mask & ~MASKS[name]), torch.tensor(mask & MASKS[name])
        assert regrown.any()
        weights, plain = run.model.get_parameter(name), without.model.get_parameter(name)
        assert torch.count_nonzero(weights[regrown]) == 0 and torch.equal(weights[stayed], plain[stayed])
        moments = ["momentum_buffer"] if recipe.optimizer == "sgd" else ["exp_avg", "exp_avg_sq"]
        for moment in moments:
            own, other = run._optimizer.state[weights][moment], without._optimizer.state[plain][moment]
            # The optimizer had seen the dense gradient of the weights that were removed.
            assert torch.count_nonzero(other[regrown]) > 0
            assert torch.count_nonzero(own[regrown]) == 0 and torch.equal(own[stayed], other[stayed])


def test_the_average_of_a_regrown_weight_starts_at_zero_and_follows_it():
    run = training(RigL(OFTEN), replace(SGD, ema=0.9))
    run.run(3)
    regrown = torch.tensor(run.masks["1.weight"] & ~MASKS["1.weight"])
    assert torch.count_nonzero(run.measured_state()["1.weight"][regrown]) == 0
    run.run(1)
    weights, averages = run.model.state_dict()["1.weight"][regrown], run.measured_state()["1.weight"][regrown]
    # The decay after 3 updates is (1 + 3) / (10 + 3).
    torch.testing.assert_close(averages, weights * 9 / 13)


def test_a_fixed_mask_is_bit_for_bit_the_default():
    plain, fixed = training(None), training(Fixed())
    assert plain.run(20) == fixed.run(20)
    assert fixed.masks == MASKS
    assert all(torch.equal(tensor, plain.model.state_dict()[name]) for name, tensor in fixed.model.state_dict().items())


def test_masks_of_now_have_the_metadata_of_those_at_the_start():
    run = training(RigL(OFTEN))
    run.run(20)
    assert run.masks.metadata == {"study": "a"} and run.masks != MASKS


def test_a_dense_training_has_no_masks_to_change():
    run = training(RigL(OFTEN), masks=None)
    run.run(20)
    assert run.masks is None


def test_updates_come_at_the_papers_times_and_move_less_and_less():
    schedule = Schedule()
    assert [i for i in range(1, 1001) if schedule.due(i, 1000)] == [100, 200, 300, 400, 500, 600, 700]
    # Half a cosine from 0.3 to 0 at three quarters of the training (Evci et al., ICML 2020, section 3).
    assert schedule.fraction_at(0, 1000) == 0.3
    assert schedule.fraction_at(375, 1000) == pytest.approx(0.15)
    assert schedule.fraction_at(750, 1000) == pytest.approx(0)


@pytest.mark.parametrize("values", [(0, 0.3, 0.75), (100, 0.0, 0.75), (100, 1.0, 0.75), (100, 0.3, 0), (100, 0.3, 1.1)])
def test_schedules_out_of_range_are_refused(values):
    with pytest.raises(InputError, match="schedule needs"):
        Schedule(*values)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("fixed", Fixed),
        ("set", SET),
        ("rigl", RigL),
        ("gradual", Gradual),
        ("lr-rewinding", LearningRateRewinding),
    ],
)
def test_a_recipe_names_its_rule_and_settles_its_schedule(name, kind):
    rule = Recipe(mask=name, mask_every=5, mask_fraction=0.2, mask_until=0.5).build_mask_rule()
    assert type(rule) is kind and rule.schedule == Schedule(5, 0.2, 0.5)


def test_an_unknown_rule_is_refused_with_the_nearest():
    with pytest.raises(InputError, match='unknown mask rule "rigel", did you mean "rigl"'):
        Recipe(mask="rigel")


def test_a_users_rule_is_found_by_module_and_class(user_module):
    name = user_module("from fullspectrum.models.maskrules.rigl import RigL\nclass Own(RigL):\n    pass")
    assert type(Recipe(mask=f"{name}:Own").build_mask_rule()).__name__ == "Own"
    assert list(RULES) == ["fixed", "set", "rigl", "gradual", "lr-rewinding"]


def broken(change) -> MaskRule:
    class Broken(MaskRule):
        def update(self, layers, iteration, total_iterations, generator):
            return change({name: layer.mask.clone() for name, layer in layers.items()})

    return Broken(OFTEN)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda masks: {name: mask & False for name, mask in masks.items()},
            "keep 3.. weights of 1.weight, but keeps 0",
        ),
        (
            lambda masks: {name: mask.float() for name, mask in masks.items()},
            "booleans of shape .* returned torch.float",
        ),
        (lambda masks: {name: mask.flatten() for name, mask in masks.items()}, "booleans of shape"),
        (lambda masks: {"1.weight": masks["1.weight"]}, "returned none of 3.weight"),
    ],
)
def test_a_rule_that_breaks_the_counts_is_refused_in_one_line(change, message):
    with pytest.raises(InputError, match=f"the mask rule Broken must .*{message}") as caught:
        training(broken(change)).run(3)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("other", [RigL(OFTEN), SET(Schedule(3, 0.5, 0.8))])
def test_the_state_of_another_rule_is_refused(other):
    state = training(SET(OFTEN)).state_dict()
    with pytest.raises(InputError, match="its rule is SET"):
        training(other).load_state_dict(state)


def steps(count: int, schedule: Schedule, total: int) -> list[int]:
    """The iterations of the updates, `count` of them."""
    due = [iteration for iteration in range(1, total + 1) if schedule.due(iteration, total)]
    assert len(due) == count
    return due


def test_gradual_follows_the_cubic_of_zhu_and_gupta():
    size, kept, total = 1000, 40, 1000
    schedule = Schedule(every=100, until=0.75)
    found = [Gradual(schedule).count(kept, size, t, total) for t in steps(7, schedule, total)]
    # Equation 1 with s_i = 0 and t_0 = 0: s_t = s_f + (s_i - s_f) (1 - (t - t_0) / (n dt))^3.
    sparsities = [0.96 - 0.96 * (1 - t / 700) ** 3 for t in range(100, 701, 100)]
    assert found == [size - round(size * sparsity) for sparsity in sparsities]
    assert found == [645, 390, 219, 116, 62, 43, 40]


def test_learning_rate_rewinding_removes_the_same_fraction_in_every_round():
    schedule = Schedule(every=5, until=1.0)
    # 20 % of the weights that are left, as in the paper.
    found = [LearningRateRewinding(schedule).count(5120, 10_000, t, 20) for t in steps(3, schedule, 20)]
    assert found == [8000, 6400, 5120]


@pytest.mark.parametrize("kind", REMOVING)
@given(
    sizes=st.tuples(st.integers(0, 200), st.integers(1, 200)).map(sorted),
    every=st.integers(1, 30),
    until=st.floats(0.01, 1.0),
    total=st.integers(1, 100),
)
def test_counts_fall_from_all_to_those_of_the_given_mask_and_only_at_updates(kind, sizes, every, until, total):
    kept, size = sizes
    rule = kind(Schedule(every, until=until))
    counts = [rule.count(kept, size, iteration, total) for iteration in range(total + 1)]
    due = [iteration for iteration in range(1, total + 1) if rule.due(iteration, total)]
    assert counts[0] == size and counts[-1] == (kept if due else size)
    for iteration in range(1, total + 1):
        before, now = counts[iteration - 1 : iteration + 1]
        assert kept <= now <= before and (now == before or iteration in due)
    # Not before the last update, unless the layer is too small for so many steps.
    assert all(counts[iteration] == kept for iteration in range(due[-1], total + 1)) if due else True


@pytest.mark.parametrize("kind", REMOVING)
def test_the_smallest_weights_go_and_none_comes_back(kind):
    run, without = training(kind(OFTEN)), None
    assert run.masks.sparsity == 0
    for iteration in range(1, 21):
        before = run.masks
        if run._rule.due(iteration, 20):
            # The same step, without the update.
            without = training(kind(OFTEN))
            without.load_state_dict(run.state_dict())
            without._change_masks = lambda gradients: None
            without.run(1)
        run.run(1)
        for name, mask in run.masks.items():
            gone = before[name] & ~mask
            assert not (mask & ~before[name]).any()
            if run._rule.due(iteration, 20):
                magnitudes = without.model.get_parameter(name).detach().abs().numpy()
                assert gone.any() and magnitudes[gone].max() <= magnitudes[mask].min()
            else:
                assert not gone.any()
    assert run.masks.layer_sparsity == MASKS.layer_sparsity and run.masks != MASKS


@pytest.mark.parametrize(
    "recipe",
    [
        SGD,
        replace(SGD, schedule="one-cycle"),
        replace(SGD, schedule="step", ramp_up=0.5),
        replace(SGD, schedule="constant"),
    ],
)
def test_the_learning_rate_begins_anew_in_every_round_and_runs_to_the_end_in_the_last(recipe):
    run, rates = training(LearningRateRewinding(Schedule(every=4, until=0.5)), recipe), []
    for _ in range(20):
        run.run(1)
        rates.append(run._optimizer.param_groups[0]["lr"])
    # Updates after 4 and 8 steps: two rounds, and the run after the last update.
    expected = [recipe.learning_rate_at(i, 4) for i in range(4)] * 2 + [
        recipe.learning_rate_at(i, 12) for i in range(12)
    ]
    assert rates == expected


@pytest.mark.parametrize(("rule", "masks"), [(Gradual(OFTEN), MASKS), (LearningRateRewinding(OFTEN), None)])
def test_no_other_training_begins_its_learning_rate_anew(rule, masks):
    run, rates = training(rule, masks=masks), []
    for _ in range(20):
        run.run(1)
        rates.append(run._optimizer.param_groups[0]["lr"])
    assert rates == [SGD.learning_rate_at(i, 20) for i in range(20)]


def test_a_weight_that_happens_to_be_zero_is_removed_after_no_other():
    mask = torch.tensor([False, True, False, True, True])
    given = Layer(mask, torch.tensor([0.0, 0.0, 0.0, 2.0, 1.0]), torch.zeros(5), 3)
    assert torch.equal(Gradual(OFTEN).update({"w": given}, 3, 20, torch.Generator())["w"], mask)


@pytest.mark.parametrize("kind", REMOVING)
def test_a_rule_that_would_stay_dense_is_refused_in_one_line_with_the_way_out(kind):
    with pytest.raises(InputError) as caught:
        training(kind(Schedule(every=15)))
    message = str(caught.value)
    assert "\n" not in message and kind.__name__ in message
    for part in ("mask_every = 15", "mask_until = 0.75", "20 iterations", "set mask_every to 14 at most"):
        assert part in message
    training(kind(Schedule(every=14))).run(20)


def test_no_update_can_be_due_in_a_single_iteration():
    with pytest.raises(InputError, match="make no update in them; train for longer$"):
        training(Gradual(Schedule(every=1)), total=1)


def test_a_rule_without_an_update_does_no_harm_where_nothing_is_to_be_removed():
    whole = MaskSet({name: np.ones(shape, bool) for name, shape in SHAPES.items()})
    for rule, masks in ((Gradual(Schedule(every=50)), whole), (RigL(Schedule(every=50)), MASKS)):
        run = training(rule, masks=masks)
        assert not run.masks_change
        run.run(20)
        assert run.masks == masks


@pytest.mark.parametrize(("rule", "masks"), [(Fixed(), MASKS), (RigL(OFTEN), None), (RigL(OFTEN), MASKS)])
def test_it_is_known_whether_masks_will_change(rule, masks):
    assert training(rule, masks=masks).masks_change == (masks is MASKS and isinstance(rule, RigL))
