"""The record says how the masks that were trained in full stand beside chance, once."""

import json
from pathlib import Path

import numpy as np
import pytest
from fullspectrum.models.data import load
from fullspectrum.models.masks import MaskSet
from fullspectrum.models.networks import build
from fullspectrum.search.driver.running import RunningSearch
from fullspectrum.search.files import Home, StudyFolder
from fullspectrum.search.final import zscores
from fullspectrum.search.final.zscores import compare_with_chance
from fullspectrum.search.process.shutdown import Shutdown
from fullspectrum.search.protocol.events import Listeners
from fullspectrum.search.record.recorder import Recorder
from fullspectrum.search.record.spool import Spool
from fullspectrum.search.worker.workbench import Workbench
from fullspectrum.search.worker.workbenches import Workbenches
from fullspectrum.spectral.coordinate import full_spectrum
from mlflow import MlflowClient

from ..conftest import tiny_study
from ..records import trial
from ..tracked import label_of


@pytest.fixture(scope="module")
def workbench() -> Workbench:
    study, data = tiny_study(), load("digits")
    return Workbench(study, build(study.model, data.task, study.seed), data)


class Logged:
    """A study's folder with the masks of trial 0, and what is logged of it."""

    def __init__(self, path: Path, workbench: Workbench, density: float):
        self.folder, self.bench = StudyFolder(path), workbench
        self.shutdown = Shutdown(self.folder.leave, 0.0)
        self.folder.trial(0).mkdir(parents=True)
        generator = np.random.default_rng(0)
        masks = MaskSet({name: generator.random(shape) < density for name, shape in workbench.shapes.items()})
        masks.save(self.folder.trial(0) / "mask.safetensors")

    def events(self, *numbers: int) -> list[dict]:
        spool = Spool(self.folder.spool)
        listeners = Listeners(Recorder(self.bench.study, self.folder, spool))
        trials = [trial(number, 1.0) for number in numbers or (0,)]
        search = RunningSearch(Workbenches(self.bench), self.folder, None, None, listeners, self.shutdown, None)
        compare_with_chance(search, trials)
        spool.close()
        return [json.loads(line) for line in self.folder.spool.read_text().splitlines()]


def test_a_trial_is_logged_once(tmp_path, workbench):
    logged = Logged(tmp_path, workbench, 0.05)
    metrics, artifact = logged.events()
    assert metrics["run"] == artifact["run"] == f"{workbench.study.id}/trial 0"
    assert list(metrics["metrics"]) == ["spectral/z_l2"]
    # A random mask is one of its kind: |z| of so few draws exceeds 5 in one case of ten thousand.
    assert abs(metrics["metrics"]["spectral/z_l2"]) < 5
    assert Path(artifact["path"]).name == "coordinate.png"
    assert len(logged.events()) == 2


def test_a_mask_that_no_chance_differs_from_has_a_picture_and_no_z(tmp_path, workbench):
    (event,) = Logged(tmp_path, workbench, 1.0).events()
    assert event["op"] == "artifact"


def test_who_asks_the_search_to_end_does_not_wait_for_it(tmp_path, workbench):
    logged = Logged(tmp_path, workbench, 0.05)
    logged.shutdown.request("SIGTERM")
    assert logged.events() == []


def test_large_networks_are_left_out(tmp_path, workbench, monkeypatch):
    monkeypatch.setattr(zscores, "MOST_WEIGHTS", 504_047)
    assert Logged(tmp_path, workbench, 0.05).events() == []
    monkeypatch.setattr(zscores, "MOST_WEIGHTS", 504_048)
    assert len(Logged(tmp_path / "again", workbench, 0.05).events()) == 2


@pytest.mark.timeout(300)
def test_of_a_search_the_trials_that_were_trained_in_full_have_it(finished, workbench):
    client = MlflowClient(tracking_uri=Home(finished.folder.path.parent).tracking_uri)
    ids = [experiment.experiment_id for experiment in client.search_experiments()]
    query = f"tags.`fullspectrum.study` = '{finished.study.id}'"
    runs = {label_of(run): run for run in client.search_runs(ids, query)}
    (scored,) = [name for name, run in runs.items() if "spectral/z_l2" in run.data.metrics]
    assert scored == finished.rows[0].label
    masks = MaskSet.load(finished.folder.trial(finished.rows[0].number) / "mask.safetensors")
    z = full_spectrum(masks, workbench.weights).distance_chance().z
    assert runs[scored].data.metrics["spectral/z_l2"] == pytest.approx(z)
    picture = client.download_artifacts(runs[scored].info.run_id, "coordinate.png")
    assert Path(picture).read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


def test_of_many_trials_the_first_are_held_against_chance(tmp_path, workbench, monkeypatch):
    monkeypatch.setattr(zscores, "MOST_TRIALS", 1)
    events = Logged(tmp_path, workbench, 0.05).events(0, 1)
    assert {event["run"] for event in events} == {f"{workbench.study.id}/trial 0"}


def test_what_an_interruption_cut_short_is_done_again(tmp_path, workbench, monkeypatch):
    logged = Logged(tmp_path, workbench, 0.05)
    with monkeypatch.context() as patch:
        patch.setattr(Recorder, "compared_with_chance", interrupted)
        with pytest.raises(KeyboardInterrupt):
            logged.events()
    assert [event["op"] for event in logged.events()] == ["metrics", "artifact"]


def interrupted(*_):
    raise KeyboardInterrupt


def test_a_mask_that_cannot_be_read_costs_a_warning_and_no_other_trial(tmp_path, workbench, capsys):
    logged = Logged(tmp_path, workbench, 0.05)
    assert len(logged.events(1, 0)) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "trial 1 is not held against chance (InputError" in line
