"""The picture of score against accuracy: points, control group, and what the gate did."""

from dataclasses import replace

import matplotlib.figure
import matplotlib.image
import pytest
from fullspectrum.search.protocol.outcome import Outcome
from fullspectrum.search.report.scoreplot import gate_cut, plot_scores

from ..conftest import tiny_study
from ..records import trial


def gated(number, score, decision, *arguments):
    made = trial(number, score, *arguments)
    return replace(made, result=replace(made.result, gate=decision))


TRIALS = [
    gated(0, 3.0, "passed", 100, 0.9),
    gated(1, 2.0, "control", 50, 0.5, Outcome.STOPPED_EARLY),
    gated(2, 1.0, "stopped", 0, None, Outcome.STOPPED_BY_GATE),
    gated(3, 0.5, "stopped", 0, None, Outcome.STOPPED_BY_GATE),
]


@pytest.fixture
def drawn(tmp_path, figures):
    """Draws trials of a study; returns the panels and the file."""

    def draw(trials, *settings: str):
        path = tmp_path / "report" / "scores.png"
        plot_scores(tiny_study("objective=imdb", *settings), trials, "a title", path)
        assert matplotlib.image.imread(path).std() > 0
        return figures[-1].axes, path

    return draw


def points(panel) -> dict[str, list[tuple[float, float]]]:
    """The points of a panel, by their label in the legend."""
    found: dict[str, list[tuple[float, float]]] = {}
    for group in panel.collections:
        found.setdefault(group.get_label(), []).extend(tuple(map(float, point)) for point in group.get_offsets())
    return found


def test_every_trial_that_trained_is_a_point_and_the_control_group_has_a_ring(drawn):
    (panel, _), _ = drawn(TRIALS)
    found = points(panel)
    assert sorted(found.pop("snip")) == [(2.0, 0.5), (3.0, 0.9)]
    assert list(found.values()) == [[(2.0, 0.5)]]
    assert "imdb" in panel.get_title(loc="left")
    legend = [text.get_text() for text in panel.get_legend().get_texts()]
    assert legend == ["snip", "hollow: stopped early", "ring: control group"]


def test_the_gate_has_a_line_for_each_group_with_its_cut(drawn):
    (_, gate), _ = drawn(TRIALS)
    found = points(gate)
    assert found["passed the gate"] == [(3.0, 0)]
    assert found["stopped by the gate"] == [(1.0, 0), (0.5, 0)]
    assert found["control"] == [(2.0, 0)]
    # Half of four pass: the second highest is the cut.
    assert [line.get_xdata().tolist() for line in gate.lines] == [[2.0]]
    assert [label.get_text() for label in gate.get_yticklabels()] == ["snip, k = 0, erk"]
    (_, gate), _ = drawn(TRIALS, "gate.within=study")
    assert [label.get_text() for label in gate.get_yticklabels()] == ["all"]


def test_without_a_gate_there_is_no_line_for_it(drawn):
    assert len(drawn([trial(0, 3.0, 100, 0.9)], "gate.quantile=1.0")[0]) == 1


def test_many_groups_are_cut_off_and_counted(drawn):
    trials = []
    for number in range(30):
        made = gated(number, float(number), "passed", 100, 0.5)
        distribution = replace(made.distribution, pretraining=number // 2)
        trials.append(replace(made, proposal=replace(made.proposal, distribution=distribution)))
    (_, gate), _ = drawn(trials)
    assert len(gate.get_yticklabels()) == 12
    assert "3 smaller groups left out" in gate.get_title(loc="left")


@pytest.mark.parametrize(("quantile", "cut"), [(0.5, 2.0), (0.07, 3.0), (1.0, 0.5), (0.75, 1.0)])
def test_the_cut_is_the_lowest_score_that_passes(quantile, cut):
    assert gate_cut(TRIALS, quantile) == cut


def test_a_picture_that_cannot_be_drawn_leaves_the_former_one(drawn, monkeypatch):
    _, path = drawn(TRIALS)
    before = path.read_bytes()

    def fails(_, target, **__):
        target.write(b"the first bytes")
        raise MemoryError

    monkeypatch.setattr(matplotlib.figure.Figure, "savefig", fails)
    with pytest.raises(MemoryError):
        drawn(TRIALS)
    assert [file.read_bytes() for file in path.parent.iterdir()] == [before]
