"""What a guided study proposes, and that it proposes the same after it was rebuilt from the record."""

import copy
import math
import warnings

import numpy as np
import optuna
import pytest
from fullspectrum.search.guidance.guided import GuidedStudy
from fullspectrum.search.samplers.registry import SAMPLERS
from optuna.distributions import CategoricalDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import StudyDirection
from optuna.trial import TrialState

SOURCES = ["random", "magnitude", "snip"]
THETAS = [f"theta/{number}" for number in range(4)]


def suggest(trial) -> dict:
    """A space as that of a study: what is asked depends on the source."""
    source = trial.suggest_categorical("source", SOURCES)
    for name in THETAS:
        trial.suggest_float(name, -0.5, 0.5)
    if source != "random":
        trial.suggest_float("temperature", 0.05, 2.0, log=True)
    if source == "snip":
        trial.suggest_int("batch_seed", 0, 3)
    return dict(trial.params)


def source_of(sampler: str, number: int) -> dict[str, str]:
    return {"source": SOURCES[number % 3]} if sampler in ("cmaes", "qmc") else {}


def total(params: dict) -> float:
    return sum(params[name] for name in THETAS)


def end(number: int, params: dict, directions: int) -> tuple:
    """State, values and intermediate values: some trials fail, and of one objective some are stopped."""
    if number % 7 == 3:
        return TrialState.FAIL, None, {}
    if number % 7 == 5 and directions == 1:
        return TrialState.PRUNED, None, {50: total(params), 100: total(params) / 2}
    return TrialState.COMPLETE, [total(params), -params["theta/0"]][:directions], {}


def proposals(storage, sampler: str, directions: int, restarts: tuple[int, ...] = (), trials: int = 130) -> list[dict]:
    """What is proposed with three trials in flight, by a study rebuilt from `storage` at each of `restarts`."""
    study = storage.create_new_study([StudyDirection.MAXIMIZE] * directions)
    guided, found, ids = GuidedStudy(sampler, 5, directions), [], []
    for number in range(trials):
        if number in restarts:
            guided = GuidedStudy(sampler, 5, directions)
            for trial in storage.get_all_trials(study):
                guided.learn(trial, source_of(sampler, trial.number))
        params, trial = guided.ask(number, suggest, source_of(sampler, number))
        found.append(params)
        ids.append(storage.create_new_trial(study, trial))
        if number >= 2:
            ended = number - 2
            state, values, steps = end(ended, found[ended], directions)
            for step, value in steps.items():
                storage.set_trial_intermediate_value(ids[ended], step, value)
            storage.set_trial_state_values(ids[ended], state, values)
            guided.tell(ended, state, values, steps)
    return found


# A generation of CMA-ES is of 8 or 9 trials of a source, one of NSGA-II of 50; TPE is shown 100 trials.
RESTARTS = (1, 2, 13, 30, 61, 75, 76, 110, 125)


@pytest.mark.parametrize(
    ("sampler", "directions"), [*((name, 1) for name in SAMPLERS), ("tpe", 2), ("nsga2", 2), ("qmc", 2)]
)
def test_a_guided_study_rebuilt_from_the_record_proposes_what_the_uninterrupted_one_would(
    tmp_path, sampler, directions
):
    uninterrupted = proposals(optuna.storages.InMemoryStorage(), sampler, directions)
    journal = JournalStorage(JournalFileBackend(str(tmp_path / "journal")))
    assert proposals(journal, sampler, directions, RESTARTS) == uninterrupted
    # A child of NSGA-II may be the very parent.
    assert len({tuple(params.values()) for params in uninterrupted}) > 120


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_what_is_recorded_is_running_and_holds_all_that_was_asked(sampler):
    guided = GuidedStudy(sampler, 0)
    for number in range(4):
        params, trial = guided.ask(number, suggest, source_of(sampler, number))
        assert trial.state is TrialState.RUNNING
        assert trial.params == params
        assert trial.distributions.keys() == params.keys()
        # Any Optuna tool shows one categorical parameter, whoever chose the source.
        assert trial.distributions["source"] == CategoricalDistribution(SOURCES)
        assert not any(key.startswith("tpe:") for key in trial.system_attrs)


@pytest.mark.parametrize("sampler", ["cmaes", "qmc"])
def test_the_source_that_is_asked_is_the_one_that_is_proposed(sampler):
    guided = GuidedStudy(sampler, 0)
    assert [
        guided.ask(number, suggest, {"source": source})[0]["source"] for number, source in enumerate(SOURCES * 3)
    ] == SOURCES * 3


@pytest.mark.parametrize("sampler", ["tpe", "cmaes", "nsga2"])
def test_what_came_of_trials_steers_the_next_ones(sampler):
    guided, totals = GuidedStudy(sampler, 3), []
    for number in range(240):
        params, _ = guided.ask(number, suggest, {"source": "snip"} if sampler == "cmaes" else {})
        guided.tell(number, TrialState.COMPLETE, [total(params)])
        totals.append(total(params))
    # The mean of 20 sums of four uniform thetas has a standard deviation of sqrt(4/12/20) = 0.13 around 0.
    assert np.mean(totals[-20:]) > 5 * 0.13


@pytest.mark.parametrize("sampler", ["random", "qmc"])
def test_nothing_that_came_of_trials_steers_a_blind_sampler(sampler):
    taught, untaught = GuidedStudy(sampler, 3), GuidedStudy(sampler, 3)
    for number in range(20):
        params, _ = taught.ask(number, suggest, source_of(sampler, number))
        assert params == untaught.ask(number, suggest, source_of(sampler, number))[0]
        taught.tell(number, TrialState.COMPLETE, [total(params)])


def test_random_proposals_depend_on_the_seed_and_the_number_alone():
    guided = GuidedStudy("random", 3)
    found = [guided.ask(number, suggest)[0] for number in range(10)]
    assert GuidedStudy("random", 3).ask(9, suggest)[0] == found[9]
    assert GuidedStudy("random", 4).ask(9, suggest)[0] != found[9]


def test_cmaes_starts_around_the_middle_of_the_space():
    found = [GuidedStudy("cmaes", seed).ask(0, suggest, {"source": "snip"})[0] for seed in range(100)]
    thetas = np.array([[params[name] for name in THETAS] for params in found])
    # Its first step is a sixth of the range; the mean of 400 such draws has a standard deviation of 1/6/20.
    assert abs(thetas.mean()) < 5 / 6 / 20
    # 0.29 were they uniform; that of 400 normal draws is known within 1/6/sqrt(800).
    assert thetas.std() == pytest.approx(1 / 6, abs=5 / 6 / math.sqrt(800))
    temperatures = np.log([params["temperature"] for params in found])
    step = math.log(2.0 / 0.05) / 6
    assert abs(temperatures.mean() - math.log(math.sqrt(0.05 * 2.0))) < 5 * step / 10


def test_cmaes_learns_of_each_source_by_itself():
    taught, untaught = GuidedStudy("cmaes", 3), GuidedStudy("cmaes", 3)
    for number in range(40):
        params, _ = taught.ask(number, suggest, {"source": "snip"})
        taught.tell(number, TrialState.COMPLETE, [total(params)])
    assert taught.ask(40, suggest, {"source": "random"})[0] == untaught.ask(40, suggest, {"source": "random"})[0]
    assert taught.ask(41, suggest, {"source": "snip"})[0] != untaught.ask(41, suggest, {"source": "snip"})[0]


@pytest.mark.parametrize("sampler", ["cmaes", "nsga2"])
def test_a_stopped_trial_teaches_what_it_reached_last(sampler):
    stopped, finished = GuidedStudy(sampler, 3), GuidedStudy(sampler, 3)
    for number in range(120):
        source = {"source": "snip"} if sampler == "cmaes" else {}
        params, _ = stopped.ask(number, suggest, source)
        assert params == finished.ask(number, suggest, source)[0]
        stopped.tell(number, TrialState.PRUNED, None, {100: total(params), 50: -1.0})
        finished.tell(number, TrialState.COMPLETE, [total(params)])


def test_sobol_points_fill_every_sixteenth_of_every_dimension_once():
    guided = GuidedStudy("qmc", 3)
    found = [guided.ask(number, suggest, {"source": "random"})[0] for number in range(16)]
    for name in THETAS:
        # 2^4 points of a scrambled Sobol sequence are a net: one in each of 2^4 equal intervals.
        assert sorted(math.floor(16 * (params[name] + 0.5)) for params in found) == list(range(16))


def choices(trial) -> dict:
    trial.suggest_categorical("optimizer", ["sgd", "adamw"])
    trial.suggest_float("learning_rate", 0.01, 1.0, log=True)
    return dict(trial.params)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_space_of_one_number_and_a_choice_is_drawn_without_a_warning(sampler):
    guided, found = GuidedStudy(sampler, 3), []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for number in range(60):
            params, _ = guided.ask(number, choices)
            guided.tell(number, TrialState.COMPLETE, [float(number % 5)])
            found.append(params)
    # A choice of two that is missed in 20 draws at random has a probability of 2^-19.
    assert {params["optimizer"] for params in found[:20]} == {"sgd", "adamw"}
    assert all(0.01 <= params["learning_rate"] <= 1.0 for params in found)


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize(
    "told",
    [
        (TrialState.COMPLETE, [math.nan]),
        (TrialState.COMPLETE, [math.inf]),
        (TrialState.PRUNED, None, {50: 0.5, 100: -math.inf}),
    ],
)
def test_only_finite_numbers_reach_a_sampler(sampler, told):
    guided = GuidedStudy(sampler, 0)
    guided.ask(0, suggest, source_of(sampler, 0))
    with pytest.raises(ValueError, match="only finite numbers reach a sampler, but trial 0 has"):
        guided.tell(0, *told)


def test_what_the_caller_adds_to_a_trial_stays_with_the_caller():
    guided = GuidedStudy("tpe", 0)
    _, trial = guided.ask(0, suggest)
    trial.user_attrs = {"attempt": 1}
    recorded = copy.deepcopy(trial)
    recorded.number = 0
    other = GuidedStudy("tpe", 0)
    other.learn(recorded)
    for each in (guided, other):
        each.tell(0, TrialState.COMPLETE, [1.0])
    assert guided.ask(1, suggest)[0] == other.ask(1, suggest)[0]
