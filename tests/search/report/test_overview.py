"""Several studies side by side."""

import math

import pytest
from fullspectrum.search.report.fromfolder import facts_of_folder
from fullspectrum.search.report.overview import Overview, differing, document, notes, pools
from fullspectrum.search.report.overviewplot import plot_overviews
from scipy.stats import t

from ..conftest import tiny_study
from ..synthetic import synthetic_study, written


@pytest.fixture(scope="module")
def overviews(tmp_path_factory) -> list[Overview]:
    """Two sparsities of two seeds each, one study at chance level, and one that was interrupted."""
    home = tmp_path_factory.mktemp("home")
    made = [
        written(home, synthetic_study(12, 2, sparsity=sparsity, seed=seed))
        for sparsity in (0.9, 0.98)
        for seed in (0, 1)
    ]
    made.append(written(home, synthetic_study(12, 2, sparsity=0.999), learns=False))
    made.append(written(home, synthetic_study(13, 2), ended=6))
    return [Overview(facts_of_folder(each.study, each.folder, each.ledger()), "finished") for each in made]


def test_only_what_differs_is_named_but_not_where_it_runs():
    studies = [
        tiny_study("seed=1"),
        tiny_study("search.trials=9", "sparsity=0.9", "resources.cpus=2", "tracking.mlflow='http://secret@host'"),
    ]
    assert differing(studies) == [{"seed": 1, "search.trials": 4}, {"seed": 0, "search.trials": 9}]


def test_searched_settings_are_named_as_they_are_given():
    studies = [tiny_study("training.learning_rate=0.1"), tiny_study()]
    (fixed, searched) = differing(studies)
    assert fixed == {"training.learning_rate": 0.1}
    assert searched == {"training.learning_rate": {"low": 0.01, "high": 0.1, "log": True}}


def test_studies_that_differ_in_their_seed_alone_are_pooled(overviews):
    found = pools(overviews)
    assert [[each.study.sparsity for each in pool.members] for pool in found] == [[0.9, 0.9], [0.98, 0.98]]
    ours = [each.winner.accuracy_final for each in overviews[:2]]
    assert found[0].difference.ours == pytest.approx(sum(ours) / 2)
    # With the spread of two seeds, t(0.975, 1) * |a - b| / 2 of the mean, beside that of 10,000 images.
    spread = t.ppf(0.975, 1) * abs(ours[0] - ours[1]) / 2
    images = max(end - each for end, each in [(overviews[0].interval[1], ours[0])])
    assert found[0].interval[1] - found[0].difference.ours == pytest.approx(math.hypot(spread, images), rel=0.02)
    assert "Over 2 seeds at sparsity 0.9" in found[0].sentence()


def test_a_study_stands_beside_its_random_mask_at_equal_cost(overviews):
    row = document(overviews)["studies"][0]
    assert row["random"]["mask"] == "erk-random-equal-cost"
    assert row["difference"] == pytest.approx(row["accuracy_final"] - row["random"]["accuracy_final"])
    assert 0 < row["error"] < 0.02
    assert row["interval"][0] < row["accuracy_final"] < row["interval"][1]


def test_what_cannot_be_compared_is_noted(overviews):
    (chance,) = notes(overviews)
    assert chance == f"Nothing was learned in {overviews[4].study.id}: the best mask is at chance level."
    other = Overview(overviews[0].facts.__class__(tiny_study(), []), "running")
    said = notes([overviews[0], other])
    assert said[0].startswith("These studies are of different data (cifar10, digits)")
    assert said[1].startswith("These studies are of different networks (digits_cnn, resnet20)")
    assert said[2].startswith("How many test images there were is not known of ")


def test_a_study_without_a_full_training_has_a_row_without_a_difference(overviews):
    row = document(overviews)["studies"][5]
    assert (row["accuracy_final"], row["random"], row["difference"], row["interval"]) == (None, None, None, None)
    assert row["winner"].startswith("trial ")


def test_the_picture_has_a_line_for_each_study_and_panels_for_cost_and_sparsity(overviews, tmp_path, figures):
    plot_overviews(overviews, "a title", tmp_path / "studies.png")
    lines, cost, sparsity = figures[-1].axes
    first = lines.get_yticklabels()[0].get_text()
    assert first.startswith(f"1  {overviews[0].study.id}, sparsity 0.9, seed=0")
    assert [text.get_text() for text in lines.texts] == ["nothing trained in full yet"]
    points = [line for line in lines.lines if len(line.get_xdata()) == 1]
    assert len(points) == 10
    assert [label.get_text() for label in sparsity.get_xticklabels()] == ["0.9", "0.98", "0.999"]
    assert {float(line.get_xdata()[0]) for line in cost.lines} == {5320.0}
    plot_overviews(overviews[:2], "a title", tmp_path / "studies.png")
    assert len(figures[-1].axes) == 2
