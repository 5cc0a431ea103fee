"""One rule says where every record goes: [tracking] of the study, then the environment, then the home."""

import pytest
from fullspectrum.models.errors import InputError
from fullspectrum.search.files import Home
from fullspectrum.search.record.recording import destination_of
from fullspectrum.search.record.server import tracking_server, without_password
from fullspectrum.search.record.tracking import client_for

from ..conftest import tiny_study

STUDY, ENVIRONMENT = "http://study:5000", "http://environment:5000"


@pytest.mark.parametrize(
    ("setting", "variable", "server"),
    [
        (None, None, None),
        (None, "", None),
        (None, ENVIRONMENT, ENVIRONMENT),
        (STUDY, None, STUDY),
        (STUDY, ENVIRONMENT, STUDY),
    ],
)
def test_the_study_names_the_server_then_the_environment_then_the_home(
    tmp_path, monkeypatch, setting, variable, server
):
    if variable is not None:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", variable)
    home = Home(tmp_path)
    assert tracking_server(home, setting) == server
    study = tiny_study(*([f"tracking.mlflow={setting}"] if setting else []))
    destination = destination_of(study, home)
    assert destination.server == server
    # A server knows best where its artifacts go.
    assert (destination.artifacts is None) == (server is not None)


def test_the_database_of_a_home_is_no_server_by_whatever_name(tmp_path, monkeypatch):
    """Its path would be kept in the record, and the home could not be moved."""
    home = Home(tmp_path / "50% of it").create()
    (tmp_path / "link").symlink_to(home.path)
    for uri in (home.tracking_uri, Home(tmp_path / "link").tracking_uri, f"sqlite:///{tmp_path}/link/mlflow.db"):
        assert tracking_server(home, uri) is None
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        assert tracking_server(home) is None
    assert tracking_server(home, f"sqlite:///{tmp_path}/mlflow.db") == f"sqlite:///{tmp_path}/mlflow.db"


@pytest.mark.parametrize(
    "uri", ["localhost:5000", "http//mlflow:5000", "./mlruns", "file:./mlruns", "file:///mlruns", "http://mlflow:port"]
)
def test_what_is_no_server_is_refused_with_its_origin(tmp_path, monkeypatch, uri):
    with pytest.raises(InputError, match=f"^MLflow has no server at '{uri}'; expected a tracking URI"):
        tracking_server(Home(tmp_path), uri)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(InputError, match="which MLFLOW_TRACKING_URI names; expected a tracking URI"):
        destination_of(tiny_study(), Home(tmp_path))


def test_a_password_is_never_shown():
    assert without_password("at http://me:secret@host:5000/x, and") == "at http://…@host:5000/x, and"
    assert without_password("http://host/a@b") == "http://host/a@b"


def test_a_server_that_mlflow_cannot_use_is_told(tmp_path):
    with pytest.raises(InputError, match="MLflow cannot use the server ftp://…@host: "):
        client_for(Home(tmp_path), "ftp://me:secret@host")
