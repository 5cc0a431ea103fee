"""Passwords of [tracking]: refused in a study file, and in no file that a search writes."""

import pytest
from fullspectrum.models.errors import InputError
from fullspectrum.search.config.secrets import override_without_secret, settings_without_secrets, without_secret
from fullspectrum.search.config.studyfile import find_study, load_study
from fullspectrum.search.files import Home

STUDY = 'model = "digits_cnn"\ndata = "digits"\nsparsity = 0.9\n'
URL = "postgresql://ada:hunter2@host/studies"


@pytest.mark.parametrize(
    ("setting", "url", "way_out"),
    [
        ("storage", URL, "PGPASSWORD"),
        ("storage", "postgresql+psycopg://host/studies?user=ada&password=hunter2", "PGPASSFILE"),
        ("storage", "mysql://ada:hunter2@host/studies", "?passfile=PATH"),
        ("mlflow", "https://ada:hunter2@host:5000", "MLFLOW_TRACKING_PASSWORD"),
        ("mlflow", "https://host:5000?token=hunter2", "MLFLOW_TRACKING_USERNAME"),
    ],
)
def test_a_study_file_that_holds_a_password_is_refused_without_repeating_it(tmp_path, setting, url, way_out):
    file = tmp_path / "study.toml"
    file.write_text(f'{STUDY}[tracking]\n{setting} = "{url}"\n')
    with pytest.raises(InputError, match=f"tracking.{setting} holds a password") as refused:
        load_study(str(file))
    assert way_out in str(refused.value)
    assert "hunter2" not in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "url", ["postgresql://ada@host/studies?passfile=/home/ada/.pgpass", "http://host:5000", "sqlite:////data/a@b.db"]
)
def test_a_study_file_may_say_where_a_password_is(tmp_path, url):
    file = tmp_path / "study.toml"
    file.write_text(f'{STUDY}[tracking]\nstorage = "{url}"\n')
    assert load_study(str(file)).tracking.storage == url


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (URL, "postgresql://ada@host/studies"),
        ("postgresql://ada:hunter%402@host:5432/s?sslmode=require", "postgresql://ada@host:5432/s?sslmode=require"),
        ("postgresql://host/s?user=ada&password=hunter2", "postgresql://host/s?user=ada"),
        # A user without a password would hide that of the environment.
        ("https://ada:hunter2@host:5000/x", "https://host:5000/x"),
        ("http://[::1:hunter2@x", "http://…"),
        ("sqlite:////data/study.db", "sqlite:////data/study.db"),
        ("postgresql://ada@host/s", "postgresql://ada@host/s"),
    ],
)
def test_what_is_kept_of_a_url_has_no_password(url, shown):
    assert without_secret(url) == shown


def test_an_override_is_repeated_without_its_password():
    assert override_without_secret(f"tracking.storage={URL}") == "tracking.storage=postgresql://ada@host/studies"
    assert override_without_secret(f'tracking.storage="{URL}"') == 'tracking.storage="postgresql://ada@host/studies"'
    assert override_without_secret("search.trials=5") == "search.trials=5"


def test_a_study_is_found_again_with_the_password_that_is_given_then(tmp_path):
    (tmp_path / "study.toml").write_text(STUDY)
    name, override, home = str(tmp_path / "study.toml"), f"tracking.storage={URL}", Home(tmp_path / "runs")
    study = load_study(name, [override])
    folder = home.create().study(study.id)
    folder.path.mkdir()
    folder.write_settings(settings_without_secrets(study.settings()))
    assert "hunter2" not in folder.settings.read_text()
    assert find_study(name, [override], home)[0] == study
    assert find_study(study.id, [], home)[0].tracking.storage == "postgresql://ada@host/studies"
