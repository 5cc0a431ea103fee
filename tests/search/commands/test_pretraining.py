"""`--pretraining K` of sample, train and check, and the weights file that goes with the mask."""

from functools import partial
from pathlib import Path

import pytest
from fullspectrum.models.errors import InputError
from fullspectrum.models.masks import MaskSet
from fullspectrum.models.weights import init_digest, load_state
from fullspectrum.search.cli import main

OF = ("--model", "digits_cnn", "--data", "digits", "--set", "training.batch_size=64")


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def sample(*arguments: str) -> int:
    return main(["sample", *OF, "--source", "magnitude", "--sparsity", "0.98", "-o", "mask.safetensors", *arguments])


def test_the_mask_and_its_weights_are_written_and_trained_together(folder, capsys):
    assert sample("--pretraining", "4") == 0
    masks, weights = MaskSet.load("mask.safetensors"), folder / "mask.weights.safetensors"
    assert masks.metadata["pretraining"] == "4"
    assert masks.metadata["init_digest"] == init_digest(load_state(weights))
    assert "wrote mask.weights.safetensors: the weights after 4 dense iterations" in capsys.readouterr().out
    train = ("train", "mask.safetensors", *OF, "--set", "final.epochs=1")
    assert main([*train, "--weights", str(weights)]) == 0
    from_file = capsys.readouterr()
    # The schedule of the default 160 epochs, of which sample's weights are the beginning, is another one.
    assert main([*train, "--pretraining", "4"]) == 0
    other = capsys.readouterr()
    assert "warning" not in from_file.err and "were made for other weights" in other.err


def test_the_same_iterations_of_the_same_recipe_give_the_same_weights(folder, capsys):
    recipe = ("--set", "final.epochs=1", "--pretraining", "4")
    assert sample(*recipe) == 0
    assert main(["train", "mask.safetensors", *OF, *recipe]) == 0
    trained = capsys.readouterr()
    assert not trained.err
    assert main(["train", "mask.safetensors", *OF, *recipe[:2], "--weights", "mask.weights.safetensors"]) == 0
    last = [text.splitlines()[-1] for text in (trained.out, capsys.readouterr().out)]
    assert last[0] == last[1] and "test accuracy" in last[0]


def test_a_mask_of_pretrained_weights_is_not_trained_without_them(folder, capsys):
    assert sample("--pretraining", "2", "--set", "final.epochs=1") == 0
    capsys.readouterr()
    for command in ("train", "check", "score"):
        assert main([command, "mask.safetensors", *(OF if command != "score" else OF[:2])]) == 2
        assert "weights after 2 dense iterations, which are not given; give them with --weights" in (
            capsys.readouterr().err
        )
    assert main(["score", "mask.safetensors", "--chance", "0"]) == 0
    assert "give them with --weights" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--pretraining", "17", "--set", "final.epochs=1"), "the schedule that it begins has 16 iterations"),
        (("--pretraining", "-1"), "greater than or equal to 0"),
    ],
)
def test_iterations_that_cannot_be_are_refused(folder, arguments, expected, capsys):
    assert sample(*arguments) == 2
    assert expected in capsys.readouterr().err
    assert not list(folder.iterdir())


def test_weights_and_iterations_exclude_each_other(folder, capsys):
    assert sample("--pretraining", "2") == 0
    given = ("--weights", "mask.weights.safetensors", "--pretraining", "2")
    assert main(["train", "mask.safetensors", *OF, *given]) == 2
    assert "give one of them" in capsys.readouterr().err


@pytest.fixture
def untrained(monkeypatch):
    """Pretraining that must not begin."""
    run = "fullspectrum.search.resumable.training.ResumableTraining.run_to"
    monkeypatch.setattr(run, lambda *_: pytest.fail("it trained before that"))


def test_pretraining_as_a_setting_is_refused_and_not_ignored(folder, capsys):
    assert sample() == 0
    capsys.readouterr()
    for setting in ("pretraining.iterations=5", "pretraining = { iterations = 5 }"):
        for run in (sample, *(partial(main_of, command) for command in ("train", "check"))):
            assert run("--set", setting) == 2
            (line,) = capsys.readouterr().err.splitlines()
            assert line.endswith(f"--set {setting}: here pretraining is an option; give --pretraining K")


def main_of(command: str, *arguments: str) -> int:
    return main([command, "mask.safetensors", *OF, *arguments])


def test_a_budget_that_cannot_be_met_is_told_before_anything_is_pretrained(folder, untrained, capsys):
    assert sample("--pretraining", "4", "--sparsity", "0.9999") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "the highest sparsity that can be met is" in line


@pytest.mark.parametrize("command", ["train", "check"])
def test_a_mask_that_cannot_train_is_told_before_anything_is_pretrained(command, folder, untrained, capsys):
    assert sample() == 0
    whole = MaskSet.load("mask.safetensors")
    broken = {name: mask & (name != "fc1.weight") for name, mask in whole.items()}
    MaskSet(broken, whole.metadata).save("mask.safetensors")
    capsys.readouterr()
    assert main_of(command, "--pretraining", "4") == 2
    assert "nothing is kept of fc1.weight" in capsys.readouterr().err


def test_a_source_that_cannot_score_is_told_before_a_check_pretrains(folder, untrained, monkeypatch, capsys):
    def refuse(_) -> None:
        raise InputError("no scores here")

    assert sample() == 0
    monkeypatch.setattr("fullspectrum.search.worker.workbench.Workbench.try_sources", refuse)
    assert main_of("check", "--pretraining", "4") == 2
    assert "no scores here" in capsys.readouterr().err


def test_the_iterations_of_a_mask_file_are_held_against_the_schedule_of_a_check(folder, capsys):
    assert sample("--pretraining", "17") == 0
    capsys.readouterr()
    given = ("--weights", "mask.weights.safetensors", "--set", "final.epochs=1")
    assert main_of("check", *given) == 2
    assert "pretraining.iterations = 17, but the schedule that it begins has 16" in capsys.readouterr().err


def test_the_distance_from_the_start_is_that_from_the_weights_before_pretraining(folder, capsys):
    assert sample() == 0
    changing = ("training.mask=lr-rewinding", "training.mask_every=4", "record.coordinate_every=8", "final.epochs=1")
    start = [argument for setting in (*changing, "reference=start") for argument in ("--set", setting)]
    assert main_of("train", *start) == 2
    assert 'reference = "start" measures' in capsys.readouterr().err
    assert main_of("train", *start, "--pretraining", "4") == 0
    first = next(line for line in capsys.readouterr().out.splitlines() if " distance " in line)
    assert float(first.split()[-1]) > 0


def test_a_source_that_trains_is_sampled(folder, capsys):
    rounds = ("--set", "search.rounds=2", "--set", "search.round_iterations=2")
    assert main(["sample", *OF, "--source", "imp", "--sparsity", "0.98", "-o", "mask.safetensors", *rounds]) == 0
    metadata = MaskSet.load("mask.safetensors").metadata
    assert (metadata["source"], metadata["rounds"], metadata["round_iterations"]) == ("imp", "2", "2")
    assert "pretraining" not in metadata
    many = ("--set", "search.rounds=900000")
    assert main(["sample", *OF, "--source", "imp", "--sparsity", "0.98", "-o", "other.safetensors", *many]) == 2
    assert "search.rounds = 900000" in capsys.readouterr().err
