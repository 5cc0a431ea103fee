"""The names that a program imports from `fullspectrum.search`."""

import subprocess
import sys

import pytest
from fullspectrum.models.errors import InputError
from fullspectrum.search import Study, StudyResult, search
from fullspectrum.search.files import Home
from fullspectrum.search.record.tracking import client_for

from .conftest import TINY


def test_a_study_is_described_without_what_is_slow_to_import():
    code = (
        "import sys; from fullspectrum.search import Study, search; "
        "Study(model='digits_cnn', data='digits', sparsity=0.9); "
        "print([name for name in ('torch', 'ray', 'mlflow', 'optuna') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.timeout(300)
def test_a_study_is_searched_and_resumed_from_python_where_its_home_was_moved(tmp_path, capfd):
    study = Study(**{**TINY, "final": {"top_k": 0, "checks": False}, "warmup": {"iterations": 0}})
    result = search(study, tmp_path / "runs", quiet=True)
    assert isinstance(result, StudyResult)
    assert len(result.trials) == 4 and not result.remaining
    assert (tmp_path / "runs" / study.id / "study.json").exists()
    assert capfd.readouterr().out == ""
    # Moved to a name that a URL would take for another, and renamed in MLflow.
    moved = Home((tmp_path / "runs").rename(tmp_path / "moved%20here?"))
    client = client_for(moved, None)
    [experiment] = client.search_experiments(filter_string=f"tags.fullspectrum.study = '{study.id}'")
    client.rename_experiment(experiment.experiment_id, "mine")
    # Where and how it runs may change.
    changed = study.model_copy(update={"faults": study.faults.model_copy(update={"retries": 7})})
    again = search(changed, str(moved.path), resume=True, quiet=True)
    assert again.folder == moved.study(study.id)
    assert [trial.label for trial in again.trials] == [trial.label for trial in result.trials]
    with pytest.raises(InputError, match="has been run already"):
        search(study, moved.path, quiet=True)
    assert list(tmp_path.iterdir()) == [moved.path]
    assert not list(moved.path.rglob("*.refused.jsonl"))
    assert {one.name for one in client.search_experiments()} == {"Default", "mine"}
    parent, *_ = client.search_runs([experiment.experiment_id], f"tags.fullspectrum.key = '{study.id}'")
    assert client.download_artifacts(parent.info.run_id, "init.safetensors")


def test_a_family_is_several_searches(tmp_path):
    with pytest.raises(InputError, match=r"the study is a family of 2; search each of study.members\(\) by itself"):
        search(Study(model="digits_cnn", data="digits", sparsity=[0.5, 0.9]), tmp_path)


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(ImportError):
        from fullspectrum.search import nosuch  # noqa: F401
