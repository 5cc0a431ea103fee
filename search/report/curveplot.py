"""The picture of the warm-ups: validation accuracy over iterations, and the rungs at which trials were stopped."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config.study import Study
from ..protocol.label import Label
from ..protocol.outcome import Outcome
from ..store.records import TrialRecord
from .picture import save_picture, set_heading, set_title
from .style import GREY, PALE, styles

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Panels side by side.
_COLUMNS = 3


def plot_curves(study: Study, trials: Sequence[TrialRecord], best: Label | None, title: str, path: Path) -> None:
    """Draw the learning curves of the warm-ups to `path`, a panel for each source with all others behind in grey.

    Dotted lines are the rungs at which early stopping compares trials: a cross ends the curve of one that it stopped, a
    point that of one that came to its end. The trial `best` is drawn in black.
    """
    from matplotlib.figure import Figure

    trained = [trial for trial in trials if counted(trial)]
    looks = styles(trial.distribution.source for trial in trained)
    columns = min(len(looks), _COLUMNS)
    lines = math.ceil(len(looks) / columns)
    figure = Figure(figsize=(max(3.4 * columns, 6), 2.6 * lines + 0.7), layout="constrained")
    panels = list(figure.subplots(lines, columns, squeeze=False, sharex=True, sharey=True).flat)
    for panel, (source, style) in zip(panels, looks.items(), strict=False):
        own = [trial for trial in trained if trial.distribution.source == source]
        _behind(panel, [trial for trial in trained if trial.distribution.source != source])
        for rung in study.warmup.rungs:
            panel.axvline(rung, color=GREY, linewidth=0.9, linestyle=":")
        for trial in own:
            _curve(panel, trial, "black" if trial.label == best else style.colour, trial.label == best)
        set_heading(panel, f"{source} ({len(own):,})")
        panel.tick_params(labelsize=8, labelbottom=True)
    for panel in panels[len(looks) :]:
        panel.set_visible(False)
    figure.supxlabel("iterations of the warm-up (dotted: rungs; ×: stopped early; ●: came to its end)", fontsize=9)
    figure.supylabel("validation accuracy", fontsize=9)
    set_title(figure, title)
    save_picture(figure, path)


def counted(trial: TrialRecord) -> list[tuple[int, float]]:
    """Return the measurements of a warm-up that count: iterations and accuracies, up to its end."""
    points = {at: each.accuracy for at, each in trial.measured.items() if at <= trial.result.iterations}
    # The last one comes with the end of the trial.
    if trial.result.accuracy is not None:
        points[trial.result.iterations] = trial.result.accuracy
    return sorted(points.items())


def _behind(panel: "Axes", trials: Sequence[TrialRecord]) -> None:
    """Draw the curves of other sources as one line with gaps."""
    points = [point for trial in trials for point in (*counted(trial), (math.nan, math.nan))]
    if points:
        panel.plot(*zip(*points, strict=True), color=PALE, linewidth=0.8, zorder=1)


def _curve(panel: "Axes", trial: TrialRecord, colour: str, best: bool) -> None:
    points = counted(trial)
    stopped = trial.outcome is Outcome.STOPPED_EARLY
    look: dict[str, Any] = {
        "color": colour,
        "linewidth": 2 if best else 1,
        "alpha": 1 if best else 0.6,
        "zorder": 2 + best,
    }
    panel.plot(*zip(*points, strict=True), **look)
    panel.plot(*points[-1], "x" if stopped else "o", markersize=4.5, **look)
    if best:
        words = f"{trial.label}, the best"
        box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 1}
        panel.annotate(words, points[-1], (-2, -12), textcoords="offset points", ha="right", fontsize=8, bbox=box)
