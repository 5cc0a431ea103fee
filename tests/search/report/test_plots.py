"""The picture of a study shows what the record holds."""

import matplotlib.figure
import matplotlib.image
import pytest
from fullspectrum.search.protocol.outcome import Outcome
from fullspectrum.search.report.leaderboard import leaderboard
from fullspectrum.search.report.plots import plot_study

from ..records import FakeLedger, final, trial


@pytest.fixture
def drawn(tmp_path, figures):
    """Draws a study; returns the figure's axes and the pixels of the file."""

    def draw(trials, finals=()):
        path = tmp_path / "report" / "study.png"
        plot_study(trials, leaderboard(FakeLedger(trials, finals)), "imdb", "a title", path)
        return figures[-1].axes, matplotlib.image.imread(path)

    return draw


TRIALS = [
    trial(0, 3.0, 100, 0.9),
    trial(1, 2.0, 50, 0.5, Outcome.STOPPED_EARLY),
    trial(2, 1.0, outcome=Outcome.STOPPED_BY_GATE),
]


def test_every_trial_is_a_point_and_those_without_accuracy_a_rug(drawn):
    (scatter,), pixels = drawn(TRIALS)
    points = [tuple(map(float, point)) for group in scatter.collections for point in group.get_offsets()]
    assert sorted(points) == [(1.0, 0.02), (2.0, 0.5), (3.0, 0.9)]
    low, high = scatter.get_xlim()
    assert low < 1.0
    assert high > 3.0
    assert scatter.get_xlabel().startswith("mean imdb")
    assert pixels.std() > 0


def test_final_accuracies_stand_beside_the_baselines_in_order(drawn):
    finals = [final("trial 0", 0.8, 0.85), final("dense", 0.9, 0.95), final("erk-random", 0.7, 0.75)]
    (_, right), _ = drawn(TRIALS, finals)
    assert [label.get_text() for label in right.get_yticklabels()] == [
        "erk-random (baseline)",
        "trial 0 (snip)",
        "dense (baseline)",
    ]
    assert [float(line.get_xdata()[0]) for line in right.lines] == [0.75, 0.85, 0.95]


def test_a_picture_that_cannot_be_drawn_leaves_the_former_one(drawn, tmp_path, monkeypatch):
    drawn(TRIALS)
    before = (tmp_path / "report" / "study.png").read_bytes()

    def fails(_, target, **__):
        target.write(b"the first bytes")
        raise MemoryError

    monkeypatch.setattr(matplotlib.figure.Figure, "savefig", fails)
    with pytest.raises(MemoryError):
        drawn(TRIALS)
    assert [path.read_bytes() for path in (tmp_path / "report").iterdir()] == [before]
