"""Training in pieces: P2, wherever it is cut it goes on, to the same bits as if it had not been."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from fullspectrum.models.data import Data
from fullspectrum.models.errors import InputError
from fullspectrum.models.masks import MaskSet
from fullspectrum.models.training import Diverged, MaskedTraining, Recipe
from fullspectrum.search.resumable import training as module
from fullspectrum.search.resumable.checkpoints import Checkpoints
from fullspectrum.search.resumable.training import CHUNK, LeaveRequested, ResumableTraining
from torch import nn

RECIPE = Recipe(learning_rate=0.05, batch_size=8, ema=0.9)
TOTAL = 64
#: Ends of pieces: a whole number of chunks, less than one, and chunks with a rest.
ENDS = (20, 25, TOTAL)


def noise() -> Data:
    generator = np.random.default_rng(0)
    part = generator.integers(0, 256, (44, 1, 32, 32), dtype=np.uint8), np.arange(44) % 10
    return Data.from_arrays("noise", {"train": part, "val": part, "test": part}, augment=True)


DATA = noise()
MASKS = MaskSet({"1.weight": np.random.default_rng(1).random((16, 1024)) < 0.2})


def training(recipe: Recipe = RECIPE, seed: int = 0) -> MaskedTraining:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        hidden = [nn.Linear(1024, 16), nn.BatchNorm1d(16), nn.Dropout(0.3)]
        network = nn.Sequential(nn.Flatten(), *hidden, nn.Linear(16, 10))
    return MaskedTraining(network, MASKS, DATA, recipe, TOTAL, seed)


def outcome(pieces: ResumableTraining) -> dict[int, float]:
    """Mean loss of each piece from the one it stands in, by its end."""
    return {end: pieces.run_to(end) for end in ENDS if end > pieces.reported}


def bits(run: MaskedTraining) -> list[bytes]:
    return [tensor.numpy().tobytes() for tensor in (*run.model.state_dict().values(), *run.measured_state().values())]


@pytest.fixture(scope="module")
def whole() -> tuple[dict[int, float], list[bytes]]:
    """Mean losses and last weights of the training that nobody disturbed."""
    pieces = ResumableTraining(training())
    return outcome(pieces), bits(pieces.training)


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "checkpoints"


class Killed(BaseException):
    """Stands for a SIGKILL: no code of ours sees it."""


class Cut(Checkpoints):
    """Dies right after a checkpoint."""

    def __init__(self, folder: Path, attempt: int, saves: int):
        super().__init__(folder, attempt)
        self._left = saves

    def save(self, state: dict) -> Path:
        path = super().save(state)
        self._left -= 1
        if not self._left:
            raise Killed
        return path


# A checkpoint after each chunk: 10, 20, 25, 35, 45, 55, 64. Two of them end a piece.
@pytest.mark.parametrize("saves", range(1, 8))
def test_cut_after_any_checkpoint_it_goes_on_to_the_same_losses_and_weights(folder, whole, saves):
    losses = {}
    with pytest.raises(Killed):
        cut = ResumableTraining(training(), Cut(folder, 1, saves), every=0)
        for end in ENDS:
            losses[end] = cut.run_to(end)
    again = ResumableTraining(training(), Checkpoints(folder, 2), every=0)
    assert again.training.iteration == [10, 20, 25, 35, 45, 55, 64][saves - 1]
    resumed = outcome(again)
    # What had not been returned is; and it was not begun anew.
    assert (losses | resumed, bits(again.training)) == whole
    assert losses.keys().isdisjoint(resumed)


def test_cut_again_and_again_every_piece_has_the_same_mean(folder, whole):
    losses, attempt = {}, 0
    while TOTAL not in losses:
        attempt += 1
        pieces = ResumableTraining(training(), Cut(folder, attempt, 1), every=0)
        try:
            for end in [end for end in ENDS if end > pieces.reported]:
                losses[end] = pieces.run_to(end)
        except Killed:
            pass
    assert (losses, bits(pieces.training)) == whole
    assert attempt == 8


@pytest.mark.parametrize("at", [0, 10, 20, 25, 45])
def test_asked_to_leave_it_leaves_at_the_next_look_with_a_checkpoint_of_that_iteration(folder, whole, tmp_path, at):
    leave = tmp_path / "leave"

    class Watched(MaskedTraining):
        def run(self, iterations: int) -> float:
            loss = super().run(iterations)
            if self.iteration == at:
                leave.touch()
            return loss

    first = training()
    first.__class__ = Watched
    if at == 0:
        leave.touch()
    pieces, losses = ResumableTraining(first, Checkpoints(folder), every=1e9, leave=leave), {}
    with pytest.raises(LeaveRequested, match=f"at iteration {at} of {TOTAL}"):
        for end in ENDS:
            losses[end] = pieces.run_to(end)
    found = Checkpoints(folder).load()
    assert (found["iteration"] if at else found) == (at or None)
    leave.unlink()
    again = ResumableTraining(training(), Checkpoints(folder, 2), every=1e9, leave=leave)
    resumed = outcome(again)
    assert (losses | resumed, bits(again.training)) == whole


def test_the_mean_is_that_of_the_iterations_since_the_last_report(whole):
    run, means = training(), {}
    for begin, end in zip((0, *ENDS), ENDS, strict=False):
        means[end] = sum(run.run(1) for _ in range(end - begin)) / (end - begin)
    # Sums of float32 in chunks, and in one go in float64: (CHUNK - 1) roundings of 2**-24 each at most.
    assert whole[0] == {end: pytest.approx(mean, rel=CHUNK * 2**-24) for end, mean in means.items()}


def test_a_checkpoint_is_saved_when_the_time_has_come_and_at_the_end_of_a_chunk(folder, monkeypatch):
    now = 0.0
    monkeypatch.setattr(module.time, "monotonic", lambda: now)

    class Slow(MaskedTraining):
        """A second an iteration."""

        def run(self, iterations: int) -> float:
            nonlocal now
            now += iterations
            return super().run(iterations)

    saved = []

    class Told(Checkpoints):
        def save(self, state: dict) -> Path:
            saved.append(state["iteration"])
            return super().save(state)

    run = training()
    run.__class__ = Slow
    outcome(ResumableTraining(run, Told(folder), every=15))
    assert saved == [20, 35, 55]


def test_a_checkpoint_of_another_training_is_passed_over_like_a_broken_one(folder, whole, capsys):
    outcome(ResumableTraining(training(replace(RECIPE, learning_rate=0.01)), Checkpoints(folder), every=0))
    Checkpoints(folder).save({"iteration": 60, "nothing": "of ours"})
    Checkpoints(folder).save({"iteration": 61})
    again = ResumableTraining(training(), Checkpoints(folder, 2), every=0)
    assert again.training.iteration == 0
    assert capsys.readouterr().err.count("another training") == 2
    assert (outcome(again), bits(again.training)) == whole


def test_what_was_measured_travels_with_the_checkpoints(folder):
    pieces = ResumableTraining(training(), Checkpoints(folder), every=0)
    pieces.run_to(20)
    pieces.accuracies[20] = 0.5
    pieces.run_to(25)
    pieces.accuracies[25] = 0.75
    # Nothing was saved since: whoever goes on measures again.
    again = ResumableTraining(training(), Checkpoints(folder, 2), every=0)
    assert (again.reported, again.accuracies) == (20, {20: 0.5})


def test_without_checkpoints_nothing_is_written(folder, whole):
    assert outcome(ResumableTraining(training())) == whole[0]
    assert not folder.exists()


def test_a_divergence_is_told_by_the_iteration_it_came_in():
    pieces = ResumableTraining(training(replace(RECIPE, learning_rate=1e30)))
    with pytest.raises(Diverged) as caught:
        pieces.run_to(TOTAL)
    with pytest.raises(Diverged) as expected:
        training(replace(RECIPE, learning_rate=1e30)).run(TOTAL)
    assert caught.value.iteration == expected.value.iteration


@pytest.mark.parametrize("iteration", [0, 20, TOTAL + 1])
def test_what_was_reported_or_is_beyond_the_end_is_refused(iteration):
    pieces = ResumableTraining(training())
    pieces.run_to(20)
    with pytest.raises(InputError, match=f"iteration must lie between 21 and {TOTAL}, but got {iteration}"):
        pieces.run_to(iteration)
