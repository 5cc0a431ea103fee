"""The names that a program imports from `fullspectrum.search`."""

import subprocess
import sys

import pytest
from fullspectrum.models.errors import InputError
from fullspectrum.search import Study, StudyResult, search

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
def test_a_study_is_searched_and_resumed_from_python(tmp_path, capfd):
    study = Study(**{**TINY, "final": {"top_k": 0, "checks": False}, "warmup": {"iterations": 0}})
    result = search(study, tmp_path / "runs", quiet=True)
    assert isinstance(result, StudyResult)
    assert len(result.trials) == 4 and not result.remaining
    assert (tmp_path / "runs" / study.id / "study.json").exists()
    assert capfd.readouterr().out == ""
    # Where and how it runs may change.
    changed = study.model_copy(update={"faults": study.faults.model_copy(update={"retries": 7})})
    again = search(changed, str(tmp_path / "runs"), resume=True, quiet=True)
    assert again.folder == result.folder
    assert [trial.label for trial in again.trials] == [trial.label for trial in result.trials]
    with pytest.raises(InputError, match="has been run already"):
        search(study, tmp_path / "runs", quiet=True)


def test_several_sparsities_are_several_searches(tmp_path):
    with pytest.raises(InputError, match=r"sparsity = \[0.5, 0.9\]: search each of study.each_sparsity"):
        search(Study(model="digits_cnn", data="digits", sparsity=[0.5, 0.9]), tmp_path)


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(ImportError):
        from fullspectrum.search import nosuch  # noqa: F401
