"""What a sampler is shown of a study in memory."""

import optuna
import pytest
from fullspectrum.search.guidance.sampled import BEST, LATEST, SampledStudy
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.trial import TrialState

ENDS = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)


def sampled_study(window: bool, trials: int) -> SampledStudy:
    """Return a study of `trials` running trials."""
    made = SampledStudy(1, window)
    for _ in range(trials):
        made.ask(optuna.samplers.RandomSampler(seed=0), {}).suggest_float("x", 0, 1)
    return made


def shown(made: SampledStudy) -> list[int]:
    return [trial.number for trial in made.study.get_trials(deepcopy=False)]


@given(data=st.data())
@settings(max_examples=20, deadline=None)
def test_a_window_shows_what_runs_and_of_what_taught_something_the_best_and_the_latest_in_any_order_of_ends(data):
    trials = BEST + LATEST + 60
    made = sampled_study(True, trials)
    values = data.draw(st.permutations(range(trials)))
    ends = data.draw(st.lists(st.sampled_from((None, *ENDS)), min_size=trials, max_size=trials))
    for number in data.draw(st.permutations(range(trials))):
        if ends[number] is not None:
            complete = ends[number] is TrialState.COMPLETE
            made.end(number, ends[number], [float(values[number])] if complete else None, {})
    taught = [number for number in range(trials) if ends[number] in (TrialState.COMPLETE, TrialState.PRUNED)]
    best = sorted((n for n in taught if ends[n] is TrialState.COMPLETE), key=lambda number: -values[number])[:BEST]
    running = [number for number in range(trials) if ends[number] is None]
    assert shown(made) == sorted({*running, *best, *taught[-LATEST:]})


def test_without_a_window_every_trial_is_shown():
    made = sampled_study(False, 150)
    for number in range(0, 150, 2):
        made.end(number, ENDS[number % 3], [float(number)] if number % 3 == 0 else None, {})
    assert shown(made) == list(range(150))


@pytest.mark.parametrize("window", [True, False])
def test_trials_are_shown_by_state(window):
    made = sampled_study(window, 4)
    made.end(1, TrialState.COMPLETE, [1.0], {})
    made.end(2, TrialState.PRUNED, None, {5: 0.5})
    found = {state: [trial.number for trial in made.study.get_trials(states=[state])] for state in TrialState}
    assert found == {
        TrialState.RUNNING: [0, 3],
        TrialState.COMPLETE: [1],
        TrialState.PRUNED: [2],
        TrialState.FAIL: [],
        TrialState.WAITING: [],
    }
    assert made.study.get_trials()[2].intermediate_values == {5: 0.5}


def test_what_a_caller_gets_as_a_copy_is_one():
    made = sampled_study(True, 1)
    made.study.get_trials(deepcopy=True)[0].params["x"] = 7
    assert made.study.get_trials(deepcopy=False)[0].params["x"] <= 1


def test_trials_that_are_alike_share_their_distributions():
    made = sampled_study(False, 3)
    first, second = made.asked(0), made.asked(1)
    assert first.distributions is second.distributions
    assert made.get_trial(made.add(second)).distributions is first.distributions
