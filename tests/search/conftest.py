"""Small studies for whole searches."""

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fullspectrum.models.data import Data, load
from fullspectrum.models.networks import build
from fullspectrum.search.config.study import Study
from fullspectrum.search.config.studyfile import parse, with_overrides
from fullspectrum.search.files import Home
from matplotlib.figure import Figure
from rich.console import Console
from torch import nn

if TYPE_CHECKING:
    from fullspectrum.search.report.summary import StudyResult

#: A whole search in seconds: every stage is there, with as little of each as shows it.
TINY = {
    "model": "digits_cnn",
    "data": "digits",
    "sparsity": 0.98,
    "search": {"trials": 4, "samples_per_trial": 2, "sampler": "random"},
    "gate": {"quantile": 0.5, "control": 0.25},
    "warmup": {"iterations": 4, "report_every": 2, "grace_period": 2},
    "final": {"top_k": 1, "epochs": 1},
    "training": {"learning_rate": {"low": 0.01, "high": 0.1, "log": True}, "batch_size": 64},
}


def tiny_study(*overrides: str) -> Study:
    """The tiny study with `KEY=VALUE` overrides."""
    return parse(with_overrides(json.loads(json.dumps(TINY)), overrides))


def run_tiny(home: Path, *overrides: str, resume: bool = False) -> "StudyResult":
    """Runs the tiny study under `home`."""
    from fullspectrum.search.study import run_study

    return run_study(tiny_study(*overrides), Home(home), Console(file=io.StringIO()), resume=resume)


def candidates_of(result: "StudyResult") -> dict[int, list[tuple[int, str]]]:
    """Seed and digest of every candidate, by trial number, as the record holds them."""
    found = {}
    for trial in result.trials:
        record = json.loads((result.folder.trial(trial.number) / "candidates.json").read_text())
        found[trial.number] = [(row["seed"], row["digest"]) for row in record["candidates"]]
    return found


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give time to whichever test comes first of those that share a study: it has to be searched."""
    for item in items:
        if "finished" in getattr(item, "fixturenames", ()) and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(300))


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> "StudyResult":
    """A tiny study that ran to its end, on two workers."""
    return run_tiny(tmp_path_factory.mktemp("home") / "runs")


@pytest.fixture
def figures(monkeypatch) -> list[Figure]:
    """The figures that the test has saved, the last one last; they are written as ever."""
    saved = []
    save = Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda self, *a, **k: (saved.append(self), save(self, *a, **k)))
    return saved


@pytest.fixture(scope="session")
def digits() -> Data:
    """The digits, loaded once."""
    return load("digits")


@pytest.fixture
def network(digits) -> nn.Module:
    """The network that is usually trained on them, the test's own."""
    return build("digits_cnn", digits.task, 0)
