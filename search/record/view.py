"""The saved view of a study's runs in the MLflow UI: its columns, their order, and its charts."""

import json
from itertools import count

from ..config.study import Study
from ..names import Kind, Metric, Param, Tag
from .addresses import LEADERBOARD

#: What the charts show of every mask that was trained.
_OBJECTIVE, _ACCURACY = Metric.OBJECTIVE, Metric.ACCURACY_WARMUP


def leaderboard_view(study: Study) -> dict[str, str]:
    """Return the tag of an experiment by which the UI offers its runs as a leaderboard: the best masks first.

    Trials and baselines stand in the order that decides, without the run of the search, which repeats the best one.
    Charts show the scores of the masks beside their accuracies. A UI that does not know this form passes it over.
    """
    full = study.final.top_k != 0
    order = Metric.ACCURACY_VAL_FINAL if full else _ACCURACY if study.warmup.iterations else _OBJECTIVE
    metrics = [Metric.ACCURACY_FINAL, Metric.ACCURACY_VAL_FINAL, _ACCURACY, _OBJECTIVE, Metric.COST]
    state = {
        "searchFilter": f"tags.`{Tag.KIND}` != '{Kind.STUDY}'",
        "orderByKey": _column("metrics", order),
        "orderByAsc": False,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "modelVersionFilter": "All Runs",
        "datasetsFilter": [],
        "selectedColumns": [
            *(_column("metrics", name) for name in metrics),
            _column("params", Param.SOURCE),
            _column("tags", Tag.OUTCOME),
            _column("tags", Tag.GATE),
        ],
        "runsHiddenMode": "SHOWALL",
        "isAccordionReordered": True,
        "compareRunSections": [_section()],
        "compareRunCharts": _charts(),
    }
    view = {"name": LEADERBOARD, "createdAt": 0, "updatedAt": 0, "state": json.dumps(state)}
    return {Tag.view(LEADERBOARD): json.dumps(view)}


def _column(kind: str, name: str) -> str:
    return f"{kind}.`{name}`"


def _section() -> dict[str, object]:
    kept = {"display": True, "isReordered": True, "deleted": False, "isGenerated": False}
    return {"uuid": LEADERBOARD, "name": "masks", **kept}


def _charts() -> list[dict[str, object]]:
    """Return how the score that chose goes with the accuracies, over all trials, and by what they were proposed."""
    parallel: dict[str, object] = {
        "type": "PARALLEL",
        "selectedParams": [Param.SOURCE],
        "selectedMetrics": [_OBJECTIVE, Metric.score("layer_density"), Metric.COST, _ACCURACY],
        "showAllRuns": True,
    }
    scatters: list[dict[str, object]] = [
        {"type": "SCATTER", "xaxis": {"key": x, "type": "METRIC"}, "yaxis": {"key": y, "type": "METRIC"}}
        for x, y in ((_OBJECTIVE, _ACCURACY), (Metric.COST, Metric.ACCURACY_FINAL))
    ]
    kept = {"metricSectionId": LEADERBOARD, "deleted": False, "isGenerated": False, "displayName": ""}
    numbers = count()
    return [{**kept, "uuid": f"{LEADERBOARD}-{next(numbers)}", **chart} for chart in (parallel, *scatters)]
