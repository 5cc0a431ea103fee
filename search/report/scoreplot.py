"""The picture of what a score is worth: warm-up accuracy against it, and what the gate let pass."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config.study import Study
from ..protocol.outcome import Outcome
from ..scores.registry import score_called
from ..store.records import TrialRecord
from .picture import save_picture, set_heading, set_legend, set_title
from .style import GREY, VERMILION, Style, styles

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

_CUT = "cut, after all trials"

#: Most groups of trials that have a line of their own below; the largest are shown.
_MOST_GROUPS = 12


def plot_scores(study: Study, trials: Sequence[TrialRecord], title: str, path: Path) -> None:
    """Draw accuracy after the warm-up against the study's score to `path`, and below it the gate.

    A point is a trial that trained, in the colour and shape of its source: hollow where it was stopped early, in a ring
    where it trained as one of the control group. The gate compares scores within the lines below: what it stopped, what
    passed, and the cut at which it stands after all trials.
    """
    from matplotlib.figure import Figure

    scored = [trial for trial in trials if trial.result.objective is not None]
    gated = _by_group(study, [trial for trial in scored if trial.result.gate is not None])
    shown = dict(list(gated.items())[:_MOST_GROUPS])
    lower = 0.5 + 0.2 * len(shown)
    figure = Figure(figsize=(8.8, 4.2 + (lower if shown else 0)), layout="constrained")
    axes = figure.subplots(
        1 + bool(shown), 1, squeeze=False, sharex=True, height_ratios=[3.6, lower][: 1 + bool(shown)]
    )
    score, panel = score_called(study.score).label, axes[0, 0]
    _points(panel, scored)
    panel.set_ylabel("last warm-up accuracy (validation)", fontsize=9)
    set_heading(panel, f"Does the {score} predict accuracy?")
    if shown:
        _gate(axes[1, 0], study, shown, len(gated) - len(shown))
    axes[-1, 0].set_xlabel(f"{score} of the trial's best mask", fontsize=9)
    set_title(figure, title)
    save_picture(figure, path)


def _by_group(study: Study, trials: Sequence[TrialRecord]) -> dict[str, list[TrialRecord]]:
    """Return the trials by what the gate compares them within, the largest group first."""
    if study.gate.quantile == 1:
        return {}
    name = {trial.number: str(trial.distribution.group) if study.gate.within == "group" else "all" for trial in trials}
    return {
        group: [trial for trial in trials if name[trial.number] == group]
        for group, _ in sorted(Counter(name.values()).items(), key=lambda item: (-item[1], item[0]))
    }


def _points(axes: "Axes", trials: Sequence[TrialRecord]) -> None:
    """Draw a point for each trial that trained."""
    trained = [trial for trial in trials if trial.result.accuracy is not None]
    for source, style in styles(trial.distribution.source for trial in trained).items():
        own = [trial for trial in trained if trial.distribution.source == source]
        whole = [trial for trial in own if trial.outcome is Outcome.FINISHED]
        part = [trial for trial in own if trial.outcome is not Outcome.FINISHED]
        for points, face in ((part, "none"), (whole, style.colour)):
            if points:
                _scatter(axes, points, style, face, source)
    control = [trial for trial in trained if trial.result.gate == "control"]
    if control:
        axes.scatter(*_places(control), s=130, facecolors="none", edgecolors="black", linewidths=0.8, zorder=2)
    set_legend(axes, _meanings(trained, bool(control)))


def _scatter(axes: "Axes", trials: Sequence[TrialRecord], style: Style, face: str, label: str) -> None:
    axes.scatter(
        *_places(trials),
        s=36,
        marker=style.shape,
        facecolors=face,
        edgecolors=style.colour,
        linewidths=1.2,
        alpha=0.9,
        label=label,
        zorder=3,
    )


def _places(trials: Sequence[TrialRecord]) -> tuple[list[float], list[float]]:
    """Return the scores and the accuracies of trials."""
    return [trial.result.objective or 0.0 for trial in trials], [trial.result.accuracy or 0.0 for trial in trials]


def _meanings(trained: Sequence[TrialRecord], control: bool) -> "Mapping[str, Artist]":
    """Return the entries of the legend that are no sources."""
    from matplotlib.lines import Line2D

    found: dict[str, Artist] = {}
    if any(trial.outcome is not Outcome.FINISHED for trial in trained):
        found["hollow: stopped early"] = Line2D([], [], marker="o", ls="", color=GREY, markerfacecolor="none")
    if control:
        found["ring: control group"] = Line2D(
            [], [], marker="o", ls="", color="black", markerfacecolor="none", markersize=10, markeredgewidth=0.8
        )
    return found


def _gate(axes: "Axes", study: Study, groups: Mapping[str, Sequence[TrialRecord]], more: int) -> None:
    """Draw what the gate decided, a line for each group, and its cut."""
    looks: tuple[tuple[str, str, dict[str, Any]], ...] = (
        ("stopped", "stopped by the gate", {"s": 60, "marker": "|", "color": GREY, "linewidths": 1}),
        ("passed", "passed the gate", {"s": 14, "color": "black"}),
        ("control", "control", {"s": 60, "facecolors": "none", "edgecolors": "black", "linewidths": 0.8}),
    )
    for row, trials in enumerate(groups.values()):
        for decision, label, look in looks:
            chosen = [trial.result.objective or 0.0 for trial in trials if trial.result.gate == decision]
            axes.scatter(chosen, [row] * len(chosen), label=label, **look)
        cut = [gate_cut(trials, study.gate.quantile)]
        axes.plot(cut, [row], marker="|", markersize=13, markeredgewidth=2.5, ls="", color=VERMILION, label=_CUT)
    axes.set_yticks(range(len(groups)), list(groups), fontsize=8, parse_math=False)
    axes.set_ylim(len(groups) - 0.4, -0.6)
    others = f" (the largest; {more:,} smaller groups left out)" if more else ""
    set_heading(axes, f"What the gate let pass of each group{others}")
    set_legend(axes)


def gate_cut(trials: Sequence[TrialRecord], quantile: float) -> float:
    """Return the score from which on a mask is among the highest `quantile` of those of `trials`, rounded up."""
    scores = sorted((trial.result.objective or 0.0 for trial in trials), reverse=True)
    # Rounded first: 0.07 * 100 is a little more than 7.
    return scores[max(1, math.ceil(round(quantile * len(scores), 9))) - 1]
