"""The saved view of a study's runs."""

import json

import pytest
from fullspectrum.search.record.view import leaderboard_view

from ..conftest import tiny_study


@pytest.mark.parametrize(
    ("overrides", "order"),
    [
        ((), "metrics.`accuracy/val_final`"),
        (("final.top_k=0",), "metrics.`accuracy/warmup`"),
        (("final.top_k=0", "warmup.iterations=0"), "metrics.`spectral/objective`"),
    ],
)
def test_the_view_is_in_the_order_that_decides_and_leaves_the_run_of_the_search_out(overrides, order):
    ((tag, text),) = leaderboard_view(tiny_study(*overrides)).items()
    assert tag == "mlflow.sharedViewState.leaderboard"
    view = json.loads(text)
    state = json.loads(view["state"])
    assert view["name"] == "leaderboard"
    assert (state["orderByKey"], state["orderByAsc"]) == (order, False)
    assert state["searchFilter"] == "tags.`fullspectrum.kind` != 'study'"


def test_every_chart_belongs_to_the_section_that_the_view_has():
    (text,) = leaderboard_view(tiny_study()).values()
    state = json.loads(json.loads(text)["state"])
    (section,) = state["compareRunSections"]
    charts = state["compareRunCharts"]
    assert {chart["metricSectionId"] for chart in charts} == {section["uuid"]}
    assert len({chart["uuid"] for chart in charts}) == len(charts) == 3
