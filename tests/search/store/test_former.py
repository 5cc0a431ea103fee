"""A study that is resumed in another storage than the one that holds its trials."""

from pathlib import Path

import optuna
import pytest
from fullspectrum.models.errors import InputError
from fullspectrum.search.config.study import Study
from fullspectrum.search.config.studyfile import parse, with_overrides
from fullspectrum.search.files import Home, StudyFolder, write_json
from fullspectrum.search.store.former import check_former_storage
from fullspectrum.search.store.storage import open_storage


def study(*overrides: str) -> Study:
    return parse(with_overrides({"model": "digits_cnn", "data": "digits", "sparsity": 0.9}, overrides))


def database(path: Path) -> str:
    return f"tracking.storage=sqlite:///{path}"


def begun(home: Path, settings: Study, trials: int) -> StudyFolder:
    """A study with as many trials in its storage."""
    folder = Home(home).study(settings.id)
    write_json(folder.settings, settings.settings())
    kept = optuna.create_study(
        study_name=f"{settings.id}/masks", storage=open_storage(settings.tracking.storage, folder.journal)
    )
    for _ in range(trials):
        kept.ask()
    return folder


def test_trials_in_the_journal_are_not_left_behind(tmp_path):
    folder = begun(tmp_path, study(), 3)
    moved = study(database(tmp_path / "studies.db"))
    with pytest.raises(InputError) as caught:
        check_former_storage(moved, folder)
    message = str(caught.value)
    assert "\n" not in message
    assert f"study {study().id} keeps its 3 trials in '{folder.journal}'" in message


def test_trials_in_a_database_are_not_left_behind_and_its_url_is_not_shown(tmp_path):
    kept = study(database(tmp_path / "secret.db"))
    folder = begun(tmp_path, kept, 1)
    for settings in (study(), study(database(tmp_path / "studies.db"))):
        with pytest.raises(InputError, match="keeps its 1 trials in 'the database that tracking.storage named before'"):
            check_former_storage(settings, folder)


def test_a_former_storage_that_does_not_answer_is_not_taken_for_an_empty_one(tmp_path):
    kept = study(database(tmp_path / "secret.db"))
    folder = begun(tmp_path, kept, 1)
    (tmp_path / "secret.db").unlink()
    with pytest.raises(InputError, match="was kept in another storage before, which cannot be asked for its trials"):
        check_former_storage(study(), folder)


@pytest.mark.parametrize("trials", [0, 3])
def test_the_same_storage_is_no_other_one(tmp_path, trials):
    folder = begun(tmp_path, study(), trials)
    check_former_storage(study("faults.retries=5", "resources.cpus=2"), folder)


def test_a_storage_without_trials_can_be_left(tmp_path):
    folder = begun(tmp_path, study(), 0)
    check_former_storage(study(database(tmp_path / "studies.db")), folder)


def test_a_study_that_is_new_was_nowhere_before(tmp_path):
    check_former_storage(study(database(tmp_path / "studies.db")), Home(tmp_path).study(study().id))
