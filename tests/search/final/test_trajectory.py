"""The coordinate of masks that change over a full training: what is measured, and that nothing interrupts it."""

import errno
import math
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import torch
from fullspectrum.models.layers import prunable
from fullspectrum.models.masks import MaskSet
from fullspectrum.models.networks import build
from fullspectrum.models.training import MaskedTraining
from fullspectrum.search.final import trajectory as module
from fullspectrum.search.final.baselines import shuffled
from fullspectrum.search.final.full import FullTraining, train_fully
from fullspectrum.search.final.trajectory import Trajectory, draw
from fullspectrum.search.protocol.training import CoordinateProgress, TrainingProgress, TrainingReport
from fullspectrum.search.resumable.checkpoints import Checkpoints
from fullspectrum.spectral.coordinate import FIELDS, full_spectrum
from torch import nn

from ..conftest import tiny_study

# 1,079 images make 16 batches of 64 an epoch, after each of which accuracy is measured.
FIXED = tiny_study("final.epochs=3", "faults.checkpoint_seconds=0")
ENDS = [16, 32, 48]
RATE = {"learning_rate": 0.05}


GRADUAL = tiny_study(
    "final.epochs=3", "faults.checkpoint_seconds=0", 'training.mask="gradual"', "training.mask_every=4"
)


def random_masks(model) -> MaskSet:
    """A fiftieth of the weights of each layer."""
    masks = {name: np.arange(w.numel()).reshape(w.shape) % 50 == 0 for name, w in prunable(model).items()}
    return shuffled(MaskSet(masks), 0)


def changing(digits, every: int, checkpoints=None, settings=GRADUAL) -> tuple[list[TrainingReport], nn.Module]:
    """What a training whose masks change yields, with the coordinate after every so many iterations; its network."""
    model = build(settings.model, digits.task, settings.seed)
    trajectory = Trajectory(every, "origin", "sum", 1)
    full = FullTraining.of(settings, RATE)
    return list(train_fully(model, random_masks(model), digits, full, checkpoints, trajectory=trajectory)), model


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Sums are rounded alike on one core."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def followed(digits) -> tuple[list[TrainingReport], nn.Module]:
    """What a training with its coordinate over time yields, which nobody disturbs, and its network."""
    return changing(digits, 20)


def coordinates(reports) -> dict[int, dict[str, float]]:
    return {report.iteration: report.values for report in reports if isinstance(report, CoordinateProgress)}


def test_the_coordinate_is_that_of_the_masks_and_weights_of_now(digits, followed):
    reports, model = followed
    found, end = coordinates(reports), reports[-1]
    assert list(found) == [0, 20, 40, 48]
    for iteration, masks, network in (
        (
            0,
            {name: np.ones(mask.shape, bool) for name, mask in end.masks.items()},
            build(GRADUAL.model, digits.task, 0),
        ),
        (48, end.masks, model),
    ):
        expected = full_spectrum(masks, {name: weight.detach() for name, weight in prunable(network).items()})
        values = dict(found[iteration])
        assert values.pop("l2") == expected.l2_distance()
        assert values.pop("sparsity") == MaskSet(masks).sparsity
        assert values.pop("defined_layers") == expected.defined_layers
        assert values == {name: mean for name in FIELDS if not math.isnan(mean := expected.mean(name))}


def test_following_the_coordinate_changes_nothing_else(digits, followed):
    reports, model = followed
    without = build(GRADUAL.model, digits.task, GRADUAL.seed)
    full = FullTraining.of(GRADUAL, RATE)
    plain = list(train_fully(without, random_masks(without), digits, full))
    assert [report for report in reports if not isinstance(report, CoordinateProgress)] == plain
    assert all(torch.equal(value, without.state_dict()[name]) for name, value in model.state_dict().items())
    assert reports[-1].masks == plain[-1].masks


class Killed(BaseException):
    """Stands for a SIGKILL."""


class CutAfter(Checkpoints):
    """Dies once it has saved so many checkpoints."""

    def __init__(self, folder: Path, saves: int):
        super().__init__(folder)
        self.left = count(saves - 1, -1)

    def save(self, state):
        path = super().save(state)
        if next(self.left) == 0:
            raise Killed
        return path


# Of the checkpoints of 10, 16, 20, 30, 32, 40 and 48 iterations.
@pytest.mark.parametrize("saves", [1, 3, 4, 7])
def test_the_coordinate_over_time_survives_whatever_ends_its_worker(digits, followed, tmp_path, saves):
    with pytest.raises(Killed):
        changing(digits, 20, CutAfter(tmp_path / "checkpoints", saves))
    reports, model = changing(digits, 20, Checkpoints(tmp_path / "checkpoints", 2))
    assert reports == followed[0] and reports[-1].masks == followed[0][-1].masks
    assert all(torch.equal(value, followed[1].state_dict()[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize(("before", "after", "points"), [(20, 6, [0, 20, 30, 36, 42, 48]), (0, 24, [48])])
def test_another_distance_between_coordinates_holds_from_where_the_training_is_taken_up(
    digits, tmp_path, before, after, points
):
    # At 30 iterations, or without any coordinate at 42: in the middle of a piece.
    checkpoints = CutAfter(tmp_path / "checkpoints", 4 if before else 5)
    with pytest.raises(Killed):
        if before:
            changing(digits, before, checkpoints)
        else:
            model = build(GRADUAL.model, digits.task, GRADUAL.seed)
            list(train_fully(model, random_masks(model), digits, FullTraining.of(GRADUAL, RATE), checkpoints))
    reports, _ = changing(digits, after, Checkpoints(tmp_path / "checkpoints", 2))
    assert list(coordinates(reports)) == points
    assert [report.iteration for report in reports if isinstance(report, TrainingProgress)] == ENDS


def test_masks_that_stay_have_no_coordinate_over_time(digits):
    model = build(GRADUAL.model, digits.task, GRADUAL.seed)
    trajectory = Trajectory(20, "origin", "sum", 1)
    for masks in (None, random_masks(model)):
        assert not coordinates(train_fully(model, masks, digits, FullTraining.of(FIXED, RATE), trajectory=trajectory))


def test_a_coordinate_of_infinite_weights_is_left_out(digits):
    model = build(GRADUAL.model, digits.task, GRADUAL.seed)
    training = MaskedTraining(model, random_masks(model), digits, GRADUAL.training.recipe(RATE), 48, 0)
    trajectory = Trajectory(20, "origin", "sum", 1)
    assert trajectory.measure(training)
    with torch.no_grad():
        model.get_parameter("conv1.weight")[0] = math.inf
    assert trajectory.measure(training) == {}


def test_a_picture_that_cannot_be_drawn_costs_a_warning_and_a_full_disk_is_told(tmp_path, monkeypatch, capsys):
    reports = [CoordinateProgress(0, {"l2": 1.0})]
    draw([TrainingProgress(16, 0.5)], "nothing", tmp_path / "none.png")
    assert not list(tmp_path.iterdir())

    def fail(error):
        def plot(*_):
            raise error

        monkeypatch.setattr(module, "plot_trajectory", plot)

    fail(RuntimeError("no such font"))
    draw(reports, "title", tmp_path / "picture.png")
    assert "picture.png is not drawn: RuntimeError: no such font" in capsys.readouterr().err
    fail(OSError(errno.ENOSPC, "No space left on device"))
    with pytest.raises(OSError, match="No space left"):
        draw(reports, "title", tmp_path / "picture.png")
