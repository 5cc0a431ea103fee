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
        _curves(panel, [trial for trial in trained if trial.distribution.source != source], PALE)
        for rung in study.warmup.rungs:
            panel.axvline(rung, color=GREY, linewidth=0.9, linestyle=":")
        _curves(panel, own, style.colour, alpha=0.6, zorder=2)
        _ends(panel, own, style.colour)
        if first := next((trial for trial in own if trial.label == best), None):
            _mark(panel, first)
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


def _curves(panel: "Axes", trials: Sequence[TrialRecord], colour: str, **look: Any) -> None:
    """Draw the curves of trials as one line with gaps, which takes a fraction of the time of many lines."""
    points = [point for trial in trials for point in (*counted(trial), (math.nan, math.nan))]
    if points:
        panel.plot(*zip(*points, strict=True), color=colour, linewidth=0.9, **look)


def _ends(panel: "Axes", trials: Sequence[TrialRecord], colour: str) -> None:
    for marker, stopped in (("x", True), ("o", False)):
        points = [counted(trial)[-1] for trial in trials if (trial.outcome is Outcome.STOPPED_EARLY) is stopped]
        if points:
            panel.plot(*zip(*points, strict=True), marker, color=colour, markersize=4.5, alpha=0.8, zorder=3)


def _mark(panel: "Axes", best: TrialRecord) -> None:
    points = counted(best)
    panel.plot(*zip(*points, strict=True), color="black", linewidth=2, zorder=4)
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 1}
    words = f"{best.label}, the best"
    panel.annotate(words, points[-1], (-2, -12), textcoords="offset points", ha="right", fontsize=8, bbox=box)
