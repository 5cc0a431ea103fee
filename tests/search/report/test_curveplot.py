"""The picture of the warm-ups: a panel for each source, every curve up to its end, rungs, and the best in black."""

from dataclasses import replace

import pytest
from fullspectrum.search.protocol.label import Label
from fullspectrum.search.protocol.outcome import Outcome
from fullspectrum.search.protocol.report import Measured
from fullspectrum.search.report.curveplot import counted, plot_curves
from fullspectrum.search.sampling.distribution import MaskDistribution

from ..conftest import tiny_study
from ..records import trial

STUDY = tiny_study("warmup.iterations=100", "warmup.grace_period=50", "warmup.report_every=25")


def measured(made, source: str, **accuracies: float):
    points = {int(name[1:]): Measured(int(name[1:]), each, 1.0) for name, each in accuracies.items()}
    proposal = replace(made.proposal, distribution=MaskDistribution(source, 1.0, 0, {}))
    return replace(made, proposal=proposal, measured=points)


TRIALS = [
    measured(trial(0, 1.0, 100, 0.8), "imp", a25=0.2, a50=0.4, a75=0.6),
    # It trained on before the decision that stopped it reached it.
    measured(trial(1, 1.0, 50, 0.3, Outcome.STOPPED_EARLY), "snip", a25=0.1, a50=0.3, a75=0.5),
    trial(2, 1.0, outcome=Outcome.STOPPED_BY_GATE),
]


def test_a_curve_ends_where_its_trial_did():
    assert counted(TRIALS[0]) == [(25, 0.2), (50, 0.4), (75, 0.6), (100, 0.8)]
    assert counted(TRIALS[1]) == [(25, 0.1), (50, 0.3)]
    assert counted(TRIALS[2]) == []


def test_each_source_has_a_panel_with_its_own_curves_and_the_rungs(tmp_path, figures):
    plot_curves(STUDY, TRIALS, Label("trial 0"), "a title", tmp_path / "curves.png")
    snip, imp = figures[-1].axes
    assert [panel.get_title(loc="left") for panel in (snip, imp)] == ["snip (1)", "imp (1)"]
    for panel in (snip, imp):
        assert [line.get_xdata() for line in panel.lines if line.get_linestyle() == ":"] == [[50, 50]]
    curve, end = snip.lines[-2:]
    assert curve.get_xydata()[:-1].tolist() == [[25, 0.1], [50, 0.3]]
    assert (end.get_marker(), end.get_xydata().tolist()) == ("x", [[50, 0.3]])
    curve, end, marked = imp.lines[-3:]
    assert (end.get_marker(), end.get_xydata().tolist()) == ("o", [[100, 0.8]])
    assert curve.get_xydata()[:-1].tolist() == marked.get_xydata().tolist()
    assert marked.get_color() == "black"
    assert [text.get_text() for text in imp.texts] == ["trial 0, the best"]


@pytest.mark.parametrize(("sources", "shape"), [(1, (1, 1)), (4, (2, 3)), (9, (3, 3))])
def test_many_sources_are_split_into_rows_of_three(sources, shape, tmp_path, figures):
    trials = [measured(trial(n, 1.0, 100, 0.5), f"module:Source{n}", a50=0.4) for n in range(sources)]
    plot_curves(STUDY, trials, None, "a title", tmp_path / "curves.png")
    axes = figures[-1].axes
    assert len(axes) == shape[0] * shape[1]
    assert sum(panel.get_visible() for panel in axes) == sources
