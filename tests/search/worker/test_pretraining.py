"""The weights after k dense iterations: those of a plain training, one on the way to the other, resumable."""

import pytest
import torch
from fullspectrum.models.data import Data
from fullspectrum.models.errors import InputError
from fullspectrum.models.networks import build
from fullspectrum.models.recipe import Recipe
from fullspectrum.models.seeds import derive
from fullspectrum.models.training import MaskedTraining
from fullspectrum.search.config.studyfile import parse
from fullspectrum.search.resumable.checkpoints import Checkpoints
from fullspectrum.search.worker.pretraining import check_pretraining, pretrain

SETTINGS = {
    "model": "digits_cnn",
    "data": "digits",
    "sparsity": 0.98,
    "pretraining": {"iterations": {"choices": [0, 5, 3]}},
    "final": {"epochs": 1},
    "training": {"batch_size": 64, "learning_rate": {"low": 0.01, "high": 0.1}, "mask": "rigl"},
    "faults": {"checkpoint_seconds": 0.0},
}

#: Batches of 64 in the 1,079 training images, the last one left out.
SCHEDULE = 16


def states(digits: Data, checkpoints: Checkpoints | None = None) -> dict[int, dict[str, torch.Tensor]]:
    study = parse(SETTINGS)
    return dict(pretrain(study, build("digits_cnn", digits.task, 0), digits, study.pretraining.each, 7, checkpoints))


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one | other)


def test_it_is_the_beginning_of_a_dense_full_training_with_defaults_for_what_is_searched(digits):
    training = MaskedTraining(
        build("digits_cnn", digits.task, 0), None, digits, Recipe(batch_size=64), SCHEDULE, derive(7, "pretraining")
    )
    found = states(digits)
    assert list(found) == [3, 5]
    for iterations, more in ((3, 3), (5, 2)):
        training.run(more)
        assert same(found[iterations], training.model.state_dict())


def test_after_a_crash_it_goes_on_to_the_same_bits(digits, tmp_path, monkeypatch):
    whole = states(digits)
    monkeypatch.setattr("fullspectrum.search.resumable.training.CHUNK", 1)
    steps, step = [], MaskedTraining._step

    def crashing(training):
        if len(steps) == 4:
            raise KeyboardInterrupt
        steps.append(training)
        return step(training)

    monkeypatch.setattr(MaskedTraining, "_step", crashing)
    with pytest.raises(KeyboardInterrupt):
        states(digits, Checkpoints(tmp_path))
    monkeypatch.setattr(MaskedTraining, "_step", lambda training: steps.append(training) or step(training))
    # What was reached before the crash is on disk already: only the rest is asked for.
    study = parse(SETTINGS)
    model = build("digits_cnn", digits.task, 0)
    ((iterations, state),) = pretrain(study, model, digits, [5], 7, Checkpoints(tmp_path, 2))
    assert iterations == 5 and same(state, whole[5])
    assert len(steps) == 5, "no step is done twice"


def test_more_iterations_than_the_schedule_has_are_refused(digits):
    study = parse(SETTINGS | {"pretraining": {"iterations": SCHEDULE}})
    check_pretraining(study, digits)
    study = parse(SETTINGS | {"pretraining": {"iterations": {"choices": [0, SCHEDULE + 1]}}})
    with pytest.raises(InputError, match=r"pretraining.iterations = 17, but .* has 16 iterations \(final.epochs = 1\)"):
        check_pretraining(study, digits)


def test_a_training_that_diverges_is_told_in_one_line(digits):
    study = parse(SETTINGS | {"training": {"batch_size": 64, "learning_rate": 1e20}})
    with pytest.raises(InputError, match="dense pretraining diverged at iteration .*lower training.learning_rate"):
        list(pretrain(study, build("digits_cnn", digits.task, 0), digits, [5], 7))


def test_iterations_are_chosen_and_not_a_range():
    with pytest.raises(InputError, match="iterations is searched by { choices"):
        parse(SETTINGS | {"pretraining": {"iterations": {"low": 1, "high": 5}}})
