"""A home that is moved, copied, or called by a name that a URL takes for something else."""

import shutil
from pathlib import Path

import pytest
from fullspectrum.models.errors import InputError
from fullspectrum.search.files import Home
from fullspectrum.search.names import Tag
from fullspectrum.search.record.relocation import relocate
from fullspectrum.search.record.tracking import client_for

from ..tracked import Place, write_study

pytestmark = pytest.mark.timeout(120)

#: What means something else in a URL, or needs quoting there.
NAMES = ("runs%20x", "is it?", "no#1", "läufe ß", "a+b@c:d;e=f&g'h\"i", "%")


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Home:
    """A home with half a record delivered; each test moves or copies one of its own."""
    home = Home(tmp_path_factory.mktemp("made") / "home").create()
    place = of(home)
    place.path.parent.mkdir()
    write_study(place)
    place.deliver()
    return home


@pytest.fixture
def home(made, tmp_path) -> Home:
    """A home that was moved once already, from where the store was made."""
    shutil.copytree(made.path, tmp_path / "old")
    relocate(Home(tmp_path / "old"))
    return Home(tmp_path / "old")


def of(home: Home) -> Place:
    """The record of a study in a home."""
    return Place(home.study("abc").spool, home, "abc")


def go_on(home: Home) -> None:
    """What a search that is resumed records."""
    place = of(home)
    table = place.path.parent / "candidates.json"
    table.write_text("{}")
    with place.opened() as spool:
        spool.artifact("abc/trial 0", table)
        spool.artifact("abc/trial 1", table)
        spool.start("abc/trial 2", "trial 2", params={}, tags={}, parent="abc", attempt=1)
        spool.artifact("abc/trial 2", table)
    place.deliver()


def locations(home: Home) -> set[str]:
    """Every location that the store of a home names."""
    client = client_for(home, None)
    experiments = client.search_experiments()
    runs = client.search_runs([experiment.experiment_id for experiment in experiments])
    return {one.artifact_location for one in experiments} | {run.info.artifact_uri for run in runs}


def files(home: Home) -> set[str]:
    return {str(path.relative_to(home.path)) for path in home.path.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", NAMES)
def test_a_home_that_is_moved_goes_on_under_any_name_and_makes_nothing_elsewhere(home, tmp_path, name):
    (tmp_path / "there").mkdir()
    new = Home(home.path.rename(tmp_path / "there" / name))
    go_on(new)
    assert of(new).refused() == []
    assert sorted(tmp_path.rglob("*")) == sorted([tmp_path / "there", new.path, *new.path.rglob("*")])
    assert [path.name for path in (tmp_path / "there").iterdir()] == [name]
    runs = of(new).runs()
    assert {run: of(new).artifact(runs[run], "candidates.json") for run in ("trial 0", "trial 1", "trial 2")} == {
        "trial 0": "{}",
        "trial 1": "{}",
        "trial 2": "{}",
    }
    assert of(new).artifact(runs["trial 0"], "coordinate.json") == '{"columns": []}'
    assert all(location.startswith(f"{new.path.as_uri()}/artifacts/") for location in locations(new))
    # What was delivered before is not sent again.
    assert of(new).uploader().depth == 0


def test_a_home_that_is_moved_and_moved_back_is_as_it_was(home, tmp_path):
    before = locations(home)
    new = Home(home.path.rename(tmp_path / "new"))
    assert not before & locations(new)
    new.path.rename(home.path)
    assert locations(home) == before


@pytest.mark.parametrize("tag", ["mlflow.note.content", Tag.KEY])
def test_the_experiment_that_mlflow_makes_by_itself_is_moved_too_whatever_its_tags(home, tmp_path, tag):
    client = client_for(home, None)
    client.set_experiment_tag("0", tag, "mine")
    run = client.create_run("0").info.run_id
    new = Home(home.path.rename(tmp_path / "new"))
    moved = client_for(new, None)
    assert moved.get_experiment("0").artifact_location == f"{new.path.as_uri()}/artifacts/0"
    assert moved.get_run(run).info.artifact_uri == f"{new.path.as_uri()}/artifacts/0/{run}/artifacts"


def test_what_goes_on_in_a_copied_home_leaves_the_original_as_it_is(home, tmp_path):
    shutil.copytree(home.path, tmp_path / "copy")
    before, named = files(home), locations(home)
    go_on(Home(tmp_path / "copy"))
    assert (files(home), locations(home)) == (before, named)
    go_on(home)
    assert set(of(home).runs()) == set(of(Home(tmp_path / "copy")).runs())


def test_no_file_of_a_home_but_the_database_of_mlflow_holds_its_path(home):
    place = of(home)
    go_on(home)
    for path in home.path.rglob("*"):
        if path.is_file() and path != home.database:
            assert str(home.path).encode() not in path.read_bytes(), path
    assert place.path.with_name("record.json").exists()


def test_a_link_to_a_home_and_a_name_from_another_folder_are_the_same_home(home, tmp_path, monkeypatch):
    (tmp_path / "link").symlink_to(home.path)
    monkeypatch.chdir(tmp_path)
    before = locations(home)
    for named in (Home(tmp_path / "link"), Home(Path("old"))):
        assert named.tracking_uri == home.tracking_uri
        assert locations(named) == before
    named = Home(Path("old"))
    (tmp_path / "elsewhere").mkdir()
    # As a user's network may.
    monkeypatch.chdir(tmp_path / "elsewhere")
    go_on(named)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_model_that_was_registered_of_a_run_is_found_after_the_move(home, tmp_path):
    client = client_for(home, None)
    run = of(home).runs()["trial 0"].info
    client.create_registered_model("mine")
    for source in (f"{run.artifact_uri}/model", "s3://bucket/model"):
        client.create_model_version("mine", source, run.run_id)
    new = Home(home.path.rename(tmp_path / "new"))
    versions = client_for(new, None).search_model_versions("name = 'mine'")
    moved = f"{new.path.as_uri()}/artifacts/abc/{run.run_id}/artifacts/model"
    assert {version.source for version in versions} == {moved, "s3://bucket/model"}
    assert client_for(new, None).get_model_version_download_uri("mine", "1") == moved


def test_locations_that_others_gave_stay_as_they_are(home, tmp_path):
    client = client_for(home, None)
    theirs = {"s3://bucket/artifacts/abc", (tmp_path / "old" / "artifacts" / "theirs").as_uri()}
    for number, location in enumerate(sorted(theirs)):
        client.create_run(client.create_experiment(f"theirs {number}", artifact_location=location))
    new = Home(home.path.rename(tmp_path / "new"))
    assert theirs < locations(new)


def test_a_store_that_cannot_be_mended_is_told_in_one_line(tmp_path):
    home = Home(tmp_path).create()
    home.database.write_text("no database, but long enough to be read as the header of one" * 20)
    with pytest.raises(
        InputError, match="cannot use the record .*file is not a database; it must be MLflow's"
    ) as caught:
        relocate(home)
    assert "\n" not in str(caught.value)


def test_a_home_whose_name_no_url_can_hold_is_refused(tmp_path):
    with pytest.raises(InputError, match="is not UTF-8.*choose another with --home"):
        Home(tmp_path / "l\udce4ufe").create()
    assert list(tmp_path.iterdir()) == []
