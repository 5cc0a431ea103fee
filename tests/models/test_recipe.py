"""A recipe: the learning rate at every iteration, against torch's own schedulers, and what is out of range."""

import math
import warnings

import pytest
import torch
from fullspectrum.models.errors import InputError
from fullspectrum.models.recipe import SCHEDULES, Recipe
from hypothesis import given
from hypothesis import strategies as st
from torch.optim import lr_scheduler

TOTALS = [1, 2, 3, 10, 47, 200]


def rates(recipe: Recipe, total: int) -> list[float]:
    return [recipe.learning_rate_at(iteration, total) for iteration in range(total)]


def rates_of_torch(scheduler, rate: float, total: int, **settings) -> list[float]:
    """The learning rates that a scheduler of torch gives its optimizer."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=rate)
    found, schedule = [], scheduler(optimizer, **settings)
    for _ in range(total):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        with warnings.catch_warnings(action="ignore"):
            # One step further than a schedule is long.
            if len(found) < total:
                schedule.step()
    return found


@pytest.mark.parametrize("total", TOTALS)
def test_the_cosine_is_that_of_torch(total):
    expected = rates_of_torch(lr_scheduler.CosineAnnealingLR, 0.2, total, T_max=total)
    assert rates(Recipe(learning_rate=0.2), total) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("total", TOTALS)
def test_one_cycle_is_that_of_torch(total):
    expected = rates_of_torch(lr_scheduler.OneCycleLR, 0.2, total, max_lr=0.2, total_steps=total, cycle_momentum=False)
    assert rates(Recipe(learning_rate=0.2, schedule="one-cycle"), total) == pytest.approx(expected, rel=1e-9)


def test_one_cycle_starts_at_a_25th_peaks_at_30_percent_and_ends_near_zero():
    found = rates(Recipe(learning_rate=0.5, schedule="one-cycle"), 100)
    assert found[0] == pytest.approx(0.5 / 25)
    assert max(found) == found[29] == 0.5
    assert found[-1] == pytest.approx(0.5 / 25 / 1e4)


@pytest.mark.parametrize("total", [10, 30, 48, 200])
def test_steps_are_those_of_torch_at_whole_iterations(total):
    recipe = Recipe(learning_rate=0.2, schedule="step", milestones=(0.1, 0.5, 0.9), step_factor=0.2)
    # The first iteration that is not before the fraction; in integers, because 0.1 * 30 is more than 3.
    whole = [-(-tenths * total // 10) for tenths in (1, 5, 9)]
    expected = rates_of_torch(lr_scheduler.MultiStepLR, 0.2, total, milestones=whole, gamma=0.2)
    assert rates(recipe, total) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("total", [10, 40, 200])
def test_the_ramp_is_that_of_torch(total):
    recipe = Recipe(learning_rate=0.2, schedule="constant", ramp_up=0.2)
    length = total // 5
    expected = rates_of_torch(
        lr_scheduler.LinearLR, 0.2, total, start_factor=1 / length, total_iters=max(1, length - 1)
    )
    assert rates(recipe, total) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_the_ramp_multiplies_every_schedule_and_is_over_after_its_fraction(schedule):
    plain, ramped = (rates(Recipe(schedule=schedule, ramp_up=fraction), 100) for fraction in (0.0, 0.25))
    assert [b / a for a, b in zip(plain[:25], ramped[:25], strict=True)] == pytest.approx(
        [i / 25 for i in range(1, 26)]
    )
    assert ramped[25:] == plain[25:]


@given(
    st.sampled_from(SCHEDULES),
    st.integers(1, 500),
    st.floats(0, 1, exclude_max=True),
    st.lists(st.floats(0, 1, exclude_min=True, exclude_max=True)),
)
def test_the_learning_rate_is_positive_and_never_above_its_peak(schedule, total, ramp_up, milestones):
    found = rates(Recipe(learning_rate=0.3, schedule=schedule, ramp_up=ramp_up, milestones=tuple(milestones)), total)
    assert all(0 <= rate <= 0.3 for rate in found)
    assert found[0] > 0


def test_the_cosine_falls_from_the_learning_rate_to_zero_and_a_constant_stays():
    assert Recipe(learning_rate=0.2).learning_rate_at(0, 100) == 0.2
    assert abs(Recipe(learning_rate=0.2).learning_rate_at(50, 100) - 0.1) < 1e-15
    assert Recipe(learning_rate=0.2).learning_rate_at(100, 100) == 0
    assert Recipe(learning_rate=0.2, schedule="constant").learning_rate_at(99, 100) == 0.2


def test_nesterov_without_momentum_is_plain_descent():
    parameters = [torch.nn.Parameter(torch.zeros(1))]
    assert Recipe(nesterov=True).build_optimizer(parameters).defaults["nesterov"]
    assert not Recipe(nesterov=True, momentum=0).build_optimizer(parameters).defaults["nesterov"]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"optimizer": "sdg"}, 'did you mean "sgd"'),
        ({"schedule": "linear"}, "known: cosine, constant, one-cycle, step"),
        ({"learning_rate": 0}, "learning_rate"),
        ({"learning_rate": math.nan}, "learning_rate"),
        ({"momentum": 1}, r"momentum must lie in \[0, 1\)"),
        ({"weight_decay": -1}, r"weight_decay must lie in \[0, inf\)"),
        ({"weight_decay": math.inf}, "weight_decay"),
        ({"label_smoothing": 1}, "label_smoothing"),
        ({"batch_size": 0}, "batch_size"),
        ({"milestones": (0.5, 1)}, "milestones must be fractions"),
        ({"milestones": (0.0,)}, "milestones"),
        ({"step_factor": 0}, "step_factor"),
        ({"step_factor": 1}, "step_factor"),
        ({"ramp_up": 1}, "ramp_up"),
        ({"ramp_up": math.nan}, "ramp_up"),
        ({"gradient_clip": -1}, "gradient_clip"),
        ({"ema": 1}, "ema"),
    ],
)
def test_recipes_out_of_range_are_refused(setting, message):
    with pytest.raises(InputError, match=message):
        Recipe(**setting)
