"""The picture of how a search came to its result: the best mask so far, by trials and by cost."""

from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

from ..config.study import Study
from ..protocol.outcome import Outcome
from ..scores.registry import score_called
from ..store.records import TrialRecord
from .picture import save_picture, set_heading, set_legend, set_title
from .style import styles

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_history(study: Study, trials: Sequence[TrialRecord], title: str, path: Path) -> None:
    """Draw the warm-up accuracy of each trial and the best so far to `path`, over trials and over optimizer steps.

    Of a study without warm-ups the values are its score, and there are no steps to draw them over.
    """
    from matplotlib.figure import Figure

    values = [value_of(study, trial) for trial in trials]
    costs = search_costs(trials)
    by_cost = bool(study.warmup.iterations) and bool(costs) and costs[-1] > 0
    figure = Figure(figsize=(11 if by_cost else 7, 3.8), layout="constrained")
    panels = figure.subplots(1, 1 + by_cost, squeeze=False, sharey=True)[0]
    _panel(panels[0], trials, [trial.number for trial in trials], values)
    panels[0].set_xlabel("trial", fontsize=9)
    panels[0].xaxis.get_major_locator().set_params(integer=True)
    what = "warm-up accuracy (validation)" if study.warmup.iterations else score_called(study.score).label
    panels[0].set_ylabel(what, fontsize=9)
    set_heading(panels[0], "The best mask so far, by trials")
    if by_cost:
        _panel(panels[1], trials, costs, values)
        panels[1].set_xlabel("optimizer steps of the search, full training apart", fontsize=9)
        panels[1].xaxis.set_major_formatter("{x:,.0f}")
        set_heading(panels[1], "The same by cost")
    set_legend(panels[-1])
    set_title(figure, title)
    save_picture(figure, path)


def value_of(study: Study, trial: TrialRecord) -> float | None:
    """Return what a trial came to: its warm-up accuracy; of a study without warm-ups, its score."""
    return trial.result.accuracy if study.warmup.iterations else trial.result.objective


def search_costs(trials: Sequence[TrialRecord]) -> list[int]:
    """Return the optimizer steps that the search had run after each trial, in their order.

    Pretraining, and what a source trains for its scores, count once, with the first trial that needs them.
    """
    pretrained, known, costs = 0, set(), []
    for trial in trials:
        each, before = trial.distribution, (trial.result.cost or 0) - trial.result.iterations
        key = (each.source, each.batch_seed, each.rounds, each.round_iterations, each.pretraining)
        steps = trial.result.iterations
        if trial.result.cost is not None:
            steps += max(each.pretraining - pretrained, 0)
            pretrained = max(pretrained, each.pretraining)
            if key not in known:
                known.add(key)
                steps += before - each.pretraining
        costs.append(steps)
    return list(accumulate(costs))


def _panel(axes: "Axes", trials: Sequence[TrialRecord], places: Sequence[int], values: Sequence[float | None]) -> None:
    known = [(trial, x, y) for trial, x, y in zip(trials, places, values, strict=True) if y is not None]
    for source, style in styles(trial.distribution.source for trial, _, _ in known).items():
        for whole, face in ((False, "none"), (True, style.colour)):
            own = [
                (x, y)
                for trial, x, y in known
                if trial.distribution.source == source and (trial.outcome is Outcome.FINISHED) is whole
            ]
            if own:
                axes.plot(
                    *zip(*own, strict=True),
                    style.shape,
                    color=style.colour,
                    markerfacecolor=face,
                    markersize=4.5,
                    alpha=0.6,
                    label=source,
                )
    if known:
        best = list(accumulate((y for _, _, y in known), max))
        end = max(places)
        steps = [*(x for _, x, _ in known), end], [*best, best[-1]]
        axes.plot(*steps, drawstyle="steps-post", color="black", label="best so far")
