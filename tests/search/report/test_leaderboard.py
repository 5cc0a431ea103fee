"""The order of the leaderboard, and whether the objective can be trusted."""

import io
import math
from dataclasses import replace

import numpy as np
import pytest
from fullspectrum.search.protocol.outcome import Outcome
from fullspectrum.search.protocol.result import TrialResult
from fullspectrum.search.report.leaderboard import Row, leaderboard, split_table
from fullspectrum.search.report.verdicts import FEWEST, against_baselines, trust
from fullspectrum.search.screen.tables import screen_table
from fullspectrum.search.store.records import FinalRecord, TrialRecord
from rich.console import Console
from scipy.stats import spearmanr

from ..records import FakeLedger, final, trial


def order(trials: list[TrialRecord], finals: list[FinalRecord] = ()) -> list[str]:
    return [row.label for row in leaderboard(FakeLedger(trials, finals))]


def test_full_training_ranks_before_warm_up_and_warm_up_before_the_score():
    trials = [trial(0, 9.0), trial(1, 1.0, 100, 0.9), trial(2, 0.5, 100, 0.1), trial(3, 10.0)]
    assert order(trials, [final("trial 2", 0.3)]) == ["trial 2", "trial 1", "trial 3", "trial 0"]


def test_full_trainings_rank_by_validation_and_never_by_test_accuracy():
    trials = [trial(n, 1.0, 100, 0.5) for n in range(3)]
    finals = [final("trial 0", 0.7, 0.99), final("trial 1", 0.9, 0.01), final("trial 2", 0.8, 0.5)]
    assert order(trials, finals) == ["trial 1", "trial 2", "trial 0"]


def test_longer_warm_ups_rank_first_and_then_the_more_accurate():
    trials = [trial(0, 1.0, 50, 0.99), trial(1, 1.0, 100, 0.2), trial(2, 1.0, 100, 0.3), trial(3, 1.0, 50, 0.1)]
    assert order(trials) == ["trial 2", "trial 1", "trial 0", "trial 3"]


def test_ties_go_to_the_higher_score_and_then_to_the_earlier_trial():
    trials = [trial(n, score, 100, 0.5) for n, score in enumerate([1.0, 3.0, 2.0, 3.0])]
    assert order(trials) == order(trials[::-1]) == ["trial 1", "trial 3", "trial 2", "trial 0"]


def test_an_accuracy_of_zero_is_better_than_none():
    assert order([trial(0, 9.0), trial(1, 1.0)], [final("trial 1", 0.0)]) == ["trial 1", "trial 0"]


def test_baselines_come_last_however_good_they_are():
    rows = leaderboard(
        FakeLedger([trial(0, 1.0)], [final("dense", 0.99), final("trial 0", 0.1), final("erk-random", 0.9)])
    )
    assert [row.label for row in rows] == ["trial 0", "dense", "erk-random"]
    assert rows[1] == Row("dense", accuracy_val=0.99, accuracy_final=0.5)


def test_trials_without_a_mask_are_no_rows():
    rejected = replace(trial(1, 0.0), outcome=Outcome.REJECTED, result=TrialResult(reason="collapsed"))
    running = replace(trial(2, 0.0), outcome=None, result=TrialResult())
    assert order([rejected, trial(0, 1.0), running]) == ["trial 0"]
    assert leaderboard(FakeLedger([])) == []


def test_a_row_says_what_the_records_say():
    rows = leaderboard(FakeLedger([trial(4, 2.5, 100, 0.75, layer_density=0.4)], [final("trial 4", 0.8, 0.7)]))
    assert rows == [Row("trial 4", "snip", {"objective": 2.5, "layer_density": 0.4}, 0.75, 0.8, 0.7, "digest 4", 4)]
    table = split_table(rows)
    assert dict(zip(table["columns"], table["data"][0], strict=True)) == {
        "mask": "trial 4",
        "source": "snip",
        "spectral/objective": 2.5,
        # What no layer defines is not reported, and is empty in the table.
        **dict.fromkeys(("spectral/l2", "spectral/l2_authors", "spectral/imdb", "spectral/ramanujan_gap")),
        **dict.fromkeys(("score/log_density", "score/live_channels", "score/kept_magnitude", "score/learned")),
        **dict.fromkeys(("spectral/weighted_gap", "spectral/imsg")),
        "spectral/layer_density": 0.4,
        "accuracy/warmup": 0.75,
        "accuracy/val_final": 0.8,
        "accuracy/final": 0.7,
        "digest": "digest 4",
    }


def test_an_empty_leaderboard_is_an_empty_table():
    assert split_table([]) == {"columns": [], "data": []}


def test_the_screen_shows_the_best_trials_and_every_baseline():
    rows = leaderboard(
        FakeLedger([trial(n, 20.0 - n) for n in range(12)], [final("dense", 0.9), final("erk-random", 0.8)])
    )
    console = Console(file=io.StringIO(), width=120)
    console.print(screen_table(rows, "imdb", most=3))
    shown = console.file.getvalue()
    assert "mean imdb" in shown
    assert [label for label in ("trial 0", "trial 2", "trial 3", "dense", "erk-random") if label in shown] == [
        "trial 0",
        "trial 2",
        "dense",
        "erk-random",
    ]


def ranked(scores, densities, accuracies) -> list[TrialRecord]:
    return [
        trial(n, score, 100, accuracy, layer_density=density)
        for n, (score, density, accuracy) in enumerate(zip(scores, densities, accuracies, strict=True))
    ]


RISING = np.linspace(0.1, 0.9, 40)
NOISE = np.random.default_rng(0).permutation(RISING)


def test_correlations_are_spearmans():
    generator = np.random.default_rng(3)
    distances, densities, accuracies = generator.integers(1, 9, size=(3, 30)) / 10.0
    metrics, _ = trust(ranked(distances, densities, accuracies), "l2")
    assert metrics == {
        "audit/rho_l2": pytest.approx(spearmanr(distances, accuracies).statistic),
        "audit/rho_layer_density": pytest.approx(spearmanr(densities, accuracies).statistic),
    }


@pytest.mark.parametrize(
    ("distances", "densities", "verdict"),
    [
        (RISING, NOISE, "better than"),
        (NOISE, RISING, "worse than"),
        (RISING, RISING, "no better than"),
        (NOISE, np.random.default_rng(1).permutation(RISING), "no better than"),
        # The sign counts: a distance that ranks backwards is worse than one that does not rank.
        (-RISING, NOISE, "worse than"),
    ],
)
def test_the_verdict_compares_the_distance_with_plain_density(distances, densities, verdict):
    _, sentence = trust(ranked(distances, densities, RISING), "l2")
    assert f"On 40 finished warm-ups the distance ranks accuracy {verdict} plain layer density (" in sentence
    assert "\n" not in sentence


def test_the_verdict_is_on_the_studys_objective():
    metrics, sentence = trust(ranked(RISING, NOISE, RISING), "imdb")
    assert metrics.keys() == {"audit/rho_imdb", "audit/rho_layer_density"}
    assert "the mean imdb ranks accuracy better than plain layer density (" in sentence


def test_where_layer_density_is_the_objective_it_is_not_compared_with_itself():
    metrics, sentence = trust(ranked(NOISE, NOISE, RISING), "layer_density")
    assert metrics == {"audit/rho_layer_density": pytest.approx(spearmanr(NOISE, RISING).statistic)}
    assert "the layer density, here the objective and the control at once, ranks accuracy with Spearman" in sentence
    assert "plain" not in sentence
    assert trust(ranked([0.1] * 9, [0.1] * 9, RISING[:9]), "layer_density") == (
        {},
        "All trials are alike in layer density or in accuracy: nothing can be ranked.",
    )


def test_too_few_finished_warm_ups_are_not_judged():
    trials = ranked(RISING[: FEWEST - 1], NOISE[: FEWEST - 1], RISING[: FEWEST - 1])
    assert trust(trials, "l2") == (
        {},
        f"Too few trials finished their warm-up ({FEWEST - 1} of at least {FEWEST}) to judge the distance.",
    )
    assert trust([], "l2")[0] == {}
    assert trust(ranked(RISING[:FEWEST], NOISE[:FEWEST], RISING[:FEWEST]), "l2")[0]["audit/rho_l2"] == pytest.approx(1)


def test_only_finished_warm_ups_count():
    finished = ranked(RISING, NOISE, RISING)
    others = [
        trial(100, 99.0, 50, 0.0, Outcome.STOPPED_EARLY),
        trial(101, 99.0, 0, None, Outcome.STOPPED_BY_GATE),
        trial(102, 99.0, 0, None, Outcome.FINISHED),
        trial(103, 99.0, 30, None, Outcome.DIVERGED),
    ]
    assert trust(finished + others, "l2") == trust(finished, "l2")


@pytest.mark.parametrize("constant", range(3))
def test_a_constant_column_ranks_nothing(constant):
    columns = [RISING, NOISE, RISING]
    columns[constant] = np.full(40, 0.3)
    metrics, sentence = trust(ranked(*columns), "l2")
    assert metrics == {}
    assert sentence.startswith("All trials are alike")


def test_draws_of_the_bootstrap_that_are_constant_are_left_out():
    # One trial differs in density: a third of all draws miss it, and have no correlation.
    densities = np.full(FEWEST, 0.3)
    densities[0] = 0.4
    metrics, sentence = trust(ranked(RISING[:FEWEST], densities, RISING[:FEWEST]), "l2")
    assert all(math.isfinite(value) for value in metrics.values())
    assert "nan" not in sentence


def test_the_verdict_is_the_same_every_time():
    trials = ranked(RISING, NOISE, RISING)
    assert trust(trials, "l2") == trust(trials, "l2")


@pytest.mark.parametrize(
    ("ours", "images", "verdict"),
    # The 95 % error of 0.9 against 0.8 (see `compare`) is 0.096 of 110 images, 0.388 of 10.
    [(0.9, 110, "beats"), (0.9, 10, "is level with"), (0.7, 1000, "loses to"), (0.8, 1000, "is level with")],
)
def test_the_best_mask_is_held_against_a_random_one_with_the_error_of_the_test_split(ours, images, verdict):
    ledger = FakeLedger([trial(0, 1.0, 100, 0.5)], [final("trial 0", 0.5, ours), final("erk-random", 0.5, 0.8)])
    (sentence,) = against_baselines(leaderboard(ledger), images)
    assert f"The best mask {verdict} an ERK-random one" in sentence
    assert f"{ours:.4f} against 0.8000" in sentence


def test_without_full_training_nothing_is_held_against_a_random_mask():
    assert against_baselines(leaderboard(FakeLedger([trial(0, 1.0)], [final("erk-random", 0.5, 0.8)])), 100) == []


@pytest.mark.parametrize(
    ("shuffle", "said"),
    [
        (0.8, "It beats its own layerwise shuffle, 0.8000: which weights it keeps counts for something"),
        (
            0.89,
            "It is level with its own layerwise shuffle, 0.8900: nothing shows that it is worth more than its layer",
        ),
        (0.99, "It loses to its own layerwise shuffle, 0.9900: a random choice of weights at its layer"),
    ],
)
def test_the_best_mask_is_held_against_its_own_shuffle(shuffle, said):
    trials = [trial(0, 1.0, 100, 0.5)]
    finals = [final("trial 0", 0.5, 0.9), final("shuffled", 0.5, shuffle)]
    (sentence,) = against_baselines(leaderboard(FakeLedger(trials, finals)), 1000)
    assert sentence.startswith(said) and sentence.endswith(".")
    checks = [final("reinitialised", 0.5, 0.75), final("inverted", 0.5, 0.25)]
    (sentence,) = against_baselines(leaderboard(FakeLedger(trials, finals + checks)), 1000)
    assert sentence.endswith("(on other initial weights 0.7500, with inverted scores 0.2500).")


@pytest.mark.parametrize("outcome", [Outcome.DIVERGED, Outcome.FAILED])
def test_a_trial_that_diverged_or_failed_ranks_last_however_far_it_came(outcome):
    assert order([trial(0, 9.0, 140, 0.99, outcome), trial(1, 1.0, 50, 0.1), trial(2, 0.1)]) == [
        "trial 1",
        "trial 2",
        "trial 0",
    ]
