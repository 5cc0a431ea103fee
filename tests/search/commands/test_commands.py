"""The command line: what it prints, and one clear line for every mistake."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from fullspectrum.models.masks import MaskSet
from fullspectrum.models.weights import load_state
from fullspectrum.search.cli import main
from fullspectrum.search.files import Home, write_json
from fullspectrum.search.record.destination import Destination, record_file
from fullspectrum.search.sampling.registry import ALLOCATIONS
from torch.nn.utils import prune

SAMPLE = ["sample", "--model", "digits_cnn", "--data", "digits", "--source", "snip", "--sparsity", "0.98"]


@pytest.fixture
def complaint(capsys):
    """Runs a command that must be refused; returns its one line."""

    def run(*arguments: str) -> str:
        status = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        assert status == 2
        assert captured.out == ""
        lines = captured.err.splitlines()
        assert len(lines) == 1, captured.err
        assert lines[0].startswith("fullspectrum: ")
        return lines[0]

    return run


@pytest.fixture(scope="module")
def mask_file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("masks") / "mask.safetensors"
    assert main([*SAMPLE, "--seed", "3", "-o", str(path)]) == 0
    return path


def test_sample_gives_the_same_bytes_in_another_process(mask_file, tmp_path):
    again = tmp_path / "again.safetensors"
    code = "import sys; from fullspectrum.search.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, *SAMPLE, "--seed", "3", "-o", str(again)]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "PYTHONHASHSEED": "77"})
    assert again.read_bytes() == mask_file.read_bytes()


def test_sample_of_another_seed_is_another_mask(mask_file, tmp_path):
    other = tmp_path / "other.safetensors"
    assert main([*SAMPLE, "--seed", "4", "-o", str(other)]) == 0
    assert MaskSet.load(other).digest() != MaskSet.load(mask_file).digest()


@pytest.mark.parametrize("source", ["random", "magnitude", "snip"])
@pytest.mark.parametrize("allocation", ALLOCATIONS)
def test_every_source_and_allocation_samples_exact_counts(source, allocation, tmp_path, capsys):
    path = tmp_path / "mask.safetensors"
    arguments = ["--source", source, "--allocation", allocation, "--sparsity", "0.999"]
    assert main(["sample", "--model", "digits_cnn", "--data", "digits", *arguments, "-o", str(path)]) == 0
    assert MaskSet.load(path).kept == 504_048 - round(0.999 * 504_048)


def test_train_measures_on_the_test_split_and_keeps_removed_weights_zero(mask_file, tmp_path, capsys):
    output = tmp_path / "trained.safetensors"
    settings = ["--set", "final.epochs=8", "--set", "training.batch_size=64", "--set", "training.learning_rate=0.05"]
    arguments = ["--model", "digits_cnn", "--data", "digits", *settings, "-o", str(output)]
    assert main(["train", str(mask_file), *arguments]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    # Chance is 0.1: a mask that trains at all is far above it after eight epochs.
    assert float(last.rpartition(" ")[2]) > 0.6
    state, masks = load_state(output), MaskSet.load(mask_file)
    assert all(not state[name].numpy()[~mask].any() for name, mask in masks.items())


@pytest.mark.timeout(300)
class TestExport:
    """Exports of a finished study's best mask, and of a run by its MLflow id."""

    def home(self, finished) -> str:
        return str(finished.folder.path.parent)

    def test_torch_prune_loads_into_a_plain_module_and_trains_in_a_plain_loop(self, finished, tmp_path):
        path = tmp_path / "best.pt"
        arguments = ["--format", "torch-prune", "-o", str(path), "--home", self.home(finished)]
        assert main(["export", f"best:{finished.study.id}", *arguments]) == 0
        state = torch.load(path, weights_only=True)
        best = MaskSet.load(finished.folder.trial(int(finished.rows[0].label.split()[1])) / "mask.safetensors")

        model = _PlainDigitsCNN()
        for name in best:
            prune.identity(model.get_submodule(name.removesuffix(".weight")), "weight")
        model.load_state_dict(state, strict=True)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)
        generator = torch.Generator().manual_seed(0)
        images, labels = torch.randn(64, 1, 8, 8, generator=generator), torch.arange(64) % 10
        first = None
        for _ in range(20):
            loss = torch.nn.functional.cross_entropy(model(images), labels)
            first = first or loss.item()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        assert loss.item() < first
        model(images)
        for name, mask in best.items():
            weight = model.get_submodule(name.removesuffix(".weight")).weight
            assert not weight.detach().numpy()[~mask].any()

    def test_a_run_by_its_mlflow_id_gives_the_same_bytes_as_the_best(self, finished, tmp_path, monkeypatch):
        """Where it was recorded, whatever the environment names by now."""
        from mlflow import MlflowClient

        home = finished.folder.path.parent
        client = MlflowClient(tracking_uri=Home(home).tracking_uri)
        ids = [experiment.experiment_id for experiment in client.search_experiments()]
        key = f"{finished.study.id}/{finished.rows[0].label}"
        (run,) = client.search_runs(ids, f"tags.`fullspectrum.key` = '{key}'")
        monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
        for name, which in (("one", f"best:{finished.study.id}"), ("two", run.info.run_id)):
            target = str(tmp_path / f"{name}.safetensors")
            assert main(["export", which, "--format", "fullspectrum", "-o", target, "--home", str(home)]) == 0
        for suffix in (".safetensors", ".init.safetensors"):
            assert (tmp_path / f"one{suffix}").read_bytes() == (tmp_path / f"two{suffix}").read_bytes()

    def test_the_suggested_training_repeats_the_accuracy_of_the_table(self, finished, capsys):
        row = finished.rows[0]
        trial = finished.trials_by_label[row.label]
        mask = finished.folder.trial(trial.number) / "mask.safetensors"
        recipe = {"batch_size": 64, **trial.training}
        settings = [f"--set=training.{key}={value}" for key, value in recipe.items()]
        arguments = ["--model", "digits_cnn", "--data", "digits", "--set=final.epochs=1", *settings]
        assert main(["train", str(mask), *arguments]) == 0
        assert f"test accuracy {row.accuracy_final:.4f}" in capsys.readouterr().out

    def test_unknown_runs_studies_and_formats_are_refused(self, finished, tmp_path, complaint):
        target = ["-o", tmp_path / "x", "--home", self.home(finished)]
        best = f"best:{finished.study.id}"
        line = complaint("export", best, "--format", "torch_prune", *target)
        assert "unknown format" in line
        assert "torch-prune" in line
        assert "cannot read the mask of run 'nosuchrun'" in complaint(
            "export", "nosuchrun", "--format", "torch-prune", *target
        )
        assert finished.study.id in complaint("export", "best:ffffffffffff", "--format", "torch-prune", *target)
        elsewhere = ["-o", tmp_path / "missing" / "x.pt", "--home", self.home(finished)]
        assert "there is no folder" in complaint("export", best, "--format", "torch-prune", *elsewhere)

    def test_a_home_without_a_record_is_named(self, tmp_path, complaint):
        home = ["--home", tmp_path / "empty"]
        assert "no record" in complaint("export", "abc", "--format", "torch-prune", "-o", tmp_path / "x", *home)
        assert "no record" in complaint("ui", *home)

    def test_a_home_whose_record_went_elsewhere_says_where(self, tmp_path, complaint, monkeypatch, capsys):
        home = Home(tmp_path / "runs")
        write_json(home.study("abc").settings, {})
        home.study("abc").spool.touch()
        destination = Destination(home, "abc", "abc", "http://me:secret@server:5000")
        destination.write(record_file(home.study("abc").spool))
        line = complaint("ui", "--home", home.path)
        assert "no record" in line and "the searches recorded at http://server:5000" in line
        monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://server:5000")
        assert main(["ui", "--home", str(home.path)]) == 0
        assert capsys.readouterr().out.startswith("all experiments: http://server:5000/#/experiments?")
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/nosuch.db")
        assert f"no record in {str(tmp_path)!r}" in complaint("ui", "--home", home.path)
        assert not (tmp_path / "nosuch.db").exists()


class _PlainDigitsCNN(torch.nn.Module):
    """The architecture of `digits_cnn`, written down without this package."""

    def __init__(self):
        super().__init__()
        self.conv1 = torch.nn.Conv2d(1, 32, 3, padding=1, bias=False)
        self.bn1 = torch.nn.BatchNorm2d(32)
        self.conv2 = torch.nn.Conv2d(32, 64, 3, stride=2, padding=1, bias=False)
        self.bn2 = torch.nn.BatchNorm2d(64)
        self.conv3 = torch.nn.Conv2d(64, 128, 3, padding=1, bias=False)
        self.bn3 = torch.nn.BatchNorm2d(128)
        self.fc1 = torch.nn.Linear(2048, 200)
        self.fc2 = torch.nn.Linear(200, 10)

    def forward(self, x):
        for i in (1, 2, 3):
            x = torch.relu(getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(x)))
        return self.fc2(torch.relu(self.fc1(torch.nn.functional.adaptive_avg_pool2d(x, 4).flatten(1))))


class TestMistakes:
    """Each gets one line on stderr, exit status 2, and no traceback."""

    @pytest.mark.parametrize(
        ("override", "expected"),
        [
            ("search.trails=5", 'did you mean "trials"?'),
            ("serach.trials=5", 'did you mean "search"?'),
            ("search.trials=many", "search.trials = 'many'"),
            ("sparsity=1.0", "in [0, 1)"),
            ("sparsity=-0.1", "in [0, 1)"),
            ("search.sources=['snap']", 'did you mean "snip"?'),
            ("model=digits_cn", 'did you mean "digits_cnn"?'),
            ("data=digit", 'did you mean "digits"?'),
            ("sparsity=0.9999", "highest sparsity that can be met"),
            ("resources.gpus=512", "run on a cluster with --address"),
            ("search.trials", "expected KEY=VALUE"),
        ],
    )
    def test_settings(self, override, expected, tmp_path, capsys):
        assert main(["search", "digits", "--set", override, "--home", str(tmp_path / "runs")]) == 2
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1
        assert expected in lines[0]
        assert not list(tmp_path.glob("runs/*/study.json"))

    def test_unknown_studies(self, complaint):
        assert 'did you mean "digits"?' in complaint("search", "digit")
        assert "no study file" in complaint("search", "nosuch.toml")
        assert "bundled studies: cifar10-resnet20, digits, pags" in complaint("search")

    def test_a_home_that_cannot_be_written(self, tmp_path, capsys):
        (tmp_path / "file").write_text("")
        assert main(["search", "digits", "--home", str(tmp_path / "file" / "runs")]) == 2
        assert "cannot write to the home folder" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("address", "expected"),
        [
            ("127.0.0.1:9", "no Ray cluster answers"),
            ("ray://127.0.0.1:9", "no Ray cluster answers"),
            ("there", "HOST:PORT"),
        ],
    )
    def test_a_dead_address(self, address, expected, tmp_path, capsys):
        assert main(["search", "digits", "--address", address, "--home", str(tmp_path / "runs")]) == 2
        error = capsys.readouterr().err
        assert expected in error
        assert "Traceback" not in error

    def test_sampling(self, complaint, tmp_path):
        target = ["-o", tmp_path / "mask.safetensors"]
        sample = ["sample", "--model", "digits_cnn", "--data", "digits"]
        assert 'did you mean "snip"?' in complaint(*sample, "--source", "snipp", "--sparsity", "0.9", *target)
        assert "in [0, 1)" in complaint(*sample, "--source", "snip", "--sparsity", "1.0", *target)
        assert "in [0, 1)" in complaint(*sample, "--source", "snip", "--sparsity", "-0.1", *target)
        budget = complaint(*sample, "--source", "snip", "--sparsity", "0.9995", *target)
        assert "highest sparsity that can be met is 0.99" in budget
        cold = [*sample, "--source", "snip", "--sparsity", "0.9", "--temperature", "-1"]
        assert "--temperature -1" in complaint(*cold, *target)
        assert not Path(target[1]).exists()

    def test_mask_files(self, complaint, mask_file, tmp_path):
        truncated = tmp_path / "truncated.safetensors"
        truncated.write_bytes(mask_file.read_bytes()[:-100])
        assert str(truncated) in complaint("score", truncated)
        assert "nosuch.safetensors" in complaint("score", "nosuch.safetensors")
        assert "unknown --reference 'orgin'" in complaint("score", mask_file, "--reference", "orgin")

    @pytest.mark.parametrize("command", [["score"], ["train", "--model", "digits_cnn", "--data", "digits"]])
    def test_a_mask_file_whose_seed_is_none(self, command, complaint, mask_file, tmp_path):
        odd = MaskSet.load(mask_file)
        MaskSet(odd, odd.metadata | {"init_seed": "-1"}).save(tmp_path / "odd.safetensors")
        assert "init_seed is '-1', which is no seed; give --seed" in complaint(*command, tmp_path / "odd.safetensors")

    def test_masks_that_do_not_fit_are_told_with_all_mismatches(self, complaint, mask_file):
        line = complaint("train", mask_file, "--model", "resnet20", "--data", "digits")
        assert "conv1.weight has a mask of shape (32, 1, 3, 3) for weights of shape (16, 1, 3, 3)" in line
        assert all(f"unexpected {name}.weight" in line for name in ("conv2", "conv3", "fc1", "fc2"))

    def test_usage(self, complaint):
        assert "--format" in complaint("export", "best:x", "-o", "y")
        assert "--nosuch" in complaint("score", "x", "--nosuch")
        assert "nosuch" in complaint("nosuch")

    def test_debug_shows_the_traceback(self, tmp_path):
        from fullspectrum.models.errors import InputError

        with pytest.raises(InputError):
            main(["score", str(tmp_path / "nosuch"), "--debug"])


def test_every_command_has_help_with_an_example(capsys):
    assert main(["--help"]) == 0
    capsys.readouterr()
    for command in ("search", "sample", "score", "train", "report", "compare", "export", "ui"):
        assert main([command, "--help"]) == 0
        assert f"fullspectrum {command}" in capsys.readouterr().out


def test_every_setting_is_listed_with_its_help(capsys):
    assert main(["search", "--list-settings"]) == 0
    out = capsys.readouterr().out
    assert "search.theta_range" in out
    assert "fraction of weights removed, in [0, 1)" in out


@pytest.mark.parametrize(("raised", "status"), [(KeyboardInterrupt(), 130), (KeyboardInterrupt(signal.SIGTERM), 143)])
def test_a_signal_ends_a_command_with_one_line(raised, status, monkeypatch, capsys):
    def interrupted(*_):
        raise raised

    monkeypatch.setattr("fullspectrum.search.worker.listing.listing", interrupted)
    assert main(["layers", "--model", "digits_cnn"]) == status
    assert capsys.readouterr().err == "fullspectrum: interrupted\n"


def test_a_command_whose_reader_is_gone_ends_without_a_word():
    """As in `fullspectrum layers --json | head -c 1`."""
    code = "import sys; from fullspectrum.search.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "layers", "--model", "digits_cnn", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdout.close()
    _, err = process.communicate()
    assert (process.returncode, err) == (1, "")
