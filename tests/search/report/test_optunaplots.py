"""Optuna's own pictures: of what, on which accuracies, and without a trace in pyplot."""

import matplotlib
import optuna
import pytest
from fullspectrum.search.report.optunaplots import Searched, plot_importances, plot_slices, searched
from matplotlib import pyplot

from ..synthetic import synthetic_study, written


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> Searched:
    return searched(written(tmp_path_factory.mktemp("home"), synthetic_study(60, 1)).ledger())


def test_all_that_was_searched_is_there_with_the_accuracy_at_the_first_rung(found):
    assert found.target == "accuracy after 50 iterations"
    assert {"source", "pretraining", "temperature", "theta/conv1", "training.learning_rate"} <= {*found.important}
    # A longer warm-up, up to 0.9 here, is no merit.
    assert max(trial.value for trial in found.study.trials) < 0.6


def test_of_too_few_trials_nothing_is_said(found):
    study = optuna.create_study()
    for trial in found.study.trials[:9]:
        study.add_trial(trial)
    assert Searched("", study).important == []


def test_the_pictures_are_drawn_and_nothing_of_pyplot_is_left(found, tmp_path, figures):
    before = dict(matplotlib.rcParams)
    plot_importances(found, "a title", tmp_path / "importances.png")
    labels = {label.get_text() for label in figures[-1].axes[0].get_yticklabels()}
    assert labels == {*found.important}
    plot_slices(found, "a title", tmp_path / "slices.png")
    assert [panel.get_xlabel() for panel in figures[-1].axes][:6] == sorted(found.important[:6])
    assert pyplot.get_fignums() == [] and dict(matplotlib.rcParams) == before
