"""The events of a study's record, and that they can be told again without being told twice."""

import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from fullspectrum.search.files import StudyFolder
from fullspectrum.search.protocol.events import Summary
from fullspectrum.search.protocol.label import DENSE, Label
from fullspectrum.search.protocol.outcome import Outcome
from fullspectrum.search.protocol.proposal import Proposal
from fullspectrum.search.protocol.report import Measured, Scored
from fullspectrum.search.protocol.result import TrialResult
from fullspectrum.search.protocol.training import CoordinateProgress, Entry, TrainingEnd, TrainingProgress
from fullspectrum.search.record.recorder import Recorder
from fullspectrum.search.record.spool import Spool
from fullspectrum.search.sampling.distribution import MaskDistribution
from fullspectrum.spectral.chance import ZScore

from ..conftest import tiny_study

STUDY = tiny_study()


@pytest.fixture
def folder(tmp_path) -> StudyFolder:
    folder = StudyFolder(tmp_path / STUDY.id)
    for number in range(2):
        folder.trial(number).mkdir(parents=True)
        for name in ("mask.safetensors", "candidates.json", "coordinate.json", "coordinate.png"):
            (folder.trial(number) / name).write_text("{}")
    folder.initial_weights.write_text("weights")
    return folder


def proposal(number: int, attempt: int = 1) -> Proposal:
    return Proposal(number, attempt, 7, MaskDistribution("snip", 1.0, 0, {"conv1": 0.25}))


TRIAL = Label.of_trial(0)
TRAINED = Entry(TRIAL, None, cost=150)
SCORE = Scored({"spectral/objective": 3.5, "sparsity/global": 0.98, "cost/iterations": 150}, "d1")
WARM, LAST = Measured(2, 0.5, 1.0), Measured(4, 0.75, 1.0)
RESULT = TrialResult().after(SCORE).after(LAST)
FINAL = TrainingEnd(Outcome.FINISHED, 25, 0.9, 0.875)


def study_of(recorder: Recorder, folder: StudyFolder) -> list:
    """The events of a study with a trial and a baseline, in order."""
    return [
        lambda: recorder.trial_started(proposal(0)),
        lambda: recorder.trial_reported(0, SCORE, "passed"),
        lambda: recorder.trial_reported(0, WARM, "passed"),
        lambda: recorder.trial_reported(0, LAST, "passed"),
        lambda: recorder.trial_ended(0, Outcome.FINISHED, RESULT),
        lambda: recorder.training_opened(Entry(DENSE, None, file=folder.trial(1) / "mask.safetensors"), False),
        lambda: recorder.training_progressed(TRAINED, TrainingProgress(12, 0.8)),
        lambda: recorder.training_ended(TRAINED, FINAL),
        lambda: recorder.training_progressed(Entry(DENSE, None), TrainingProgress(12, 0.9)),
        lambda: recorder.training_ended(Entry(DENSE, None), FINAL),
        lambda: recorder.compared_with_chance(TRIAL, ZScore(3.5, 3.0, 0.25), folder.trial(0) / "coordinate.png"),
    ]


def events(folder: StudyFolder, run: str | None = None) -> list[dict]:
    """The events in the spool without their times, of one run where it is named."""
    found = [json.loads(line) for line in folder.spool.read_text().splitlines()]
    found = [{key: value for key, value in event.items() if key != "time"} for event in found]
    return [event for event in found if run is None or event["run"] == f"{STUDY.id}/{run}"]


def tags(folder: StudyFolder, run: str) -> dict[str, str]:
    return {key: value for event in events(folder, run) for key, value in event.get("tags", {}).items()}


def points(folder: StudyFolder, run: str) -> list[tuple[str, int, float]]:
    return [
        (name, event["step"], value)
        for event in events(folder, run)
        if event["op"] == "metrics"
        for name, value in event["metrics"].items()
    ]


def test_a_trial_is_told_from_its_start_to_its_full_training(folder):
    with closing(Spool(folder.spool)) as spool:
        for tell in study_of(Recorder(STUDY, folder, spool), folder):
            tell()
    assert points(folder, "trial 0") == [
        ("spectral/objective", 0, 3.5),
        ("sparsity/global", 0, 0.98),
        ("cost/iterations", 0, 150),
        ("accuracy/val", 2, 0.5),
        ("training/loss", 2, 1.0),
        ("training/iterations", 2, 2),
        ("accuracy/val", 4, 0.75),
        ("training/loss", 4, 1.0),
        ("training/iterations", 4, 4),
        ("accuracy/warmup", 4, 0.75),
        ("cost/iterations", 4, 154),
        ("accuracy/val_final", 12, 0.8),
        ("accuracy/val_final", 25, 0.9),
        ("accuracy/final", 25, 0.875),
        ("training/iterations", 25, 25),
        ("cost/iterations", 25, 175),
        ("spectral/z_l2", 0, 2.0),
    ]
    said = tags(folder, "trial 0")
    assert said["fullspectrum.gate"] == "passed"
    assert said["fullspectrum.mask_digest"] == "d1"
    assert said["fullspectrum.outcome"] == said["fullspectrum.final_outcome"] == "finished"
    files = [Path(event["path"]).name for event in events(folder, "trial 0") if event["op"] == "artifact"]
    assert files == ["candidates.json", "mask.safetensors", "coordinate.json", "coordinate.png"]
    assert [event["op"] for event in events(folder, "dense")] == [
        "start",
        "artifact",
        "metrics",
        "metrics",
        "tags",
        "end",
    ]


@pytest.mark.parametrize("dead_after", range(12))
def test_a_driver_that_dies_anywhere_and_the_next_tell_what_one_alone_would_have(folder, dead_after):
    """Fault 5, P3: what stands in the ledger is told again, and only what is missing gets into the record."""
    with closing(Spool(folder.spool)) as spool:
        for tell in study_of(Recorder(STUDY, folder, spool), folder):
            tell()
    whole = events(folder)
    folder.spool.unlink()
    with closing(Spool(folder.spool)) as spool:
        for tell in study_of(Recorder(STUDY, folder, spool), folder)[:dead_after]:
            tell()
    # Twice: the second driver died at its end.
    for _ in range(2):
        with closing(Spool(folder.spool)) as spool:
            for tell in study_of(Recorder(STUDY, folder, spool), folder):
                tell()
    assert events(folder) == whole


def test_events_torn_in_the_middle_of_a_result_are_completed(folder):
    """Fault 5, P3: the driver died between two events of one result."""
    with closing(Spool(folder.spool)) as spool:
        for tell in study_of(Recorder(STUDY, folder, spool), folder):
            tell()
    whole, lines = events(folder), folder.spool.read_text().splitlines(keepends=True)
    for kept in range(len(lines)):
        folder.spool.write_text("".join(lines[:kept]))
        with closing(Spool(folder.spool)) as spool:
            for tell in study_of(Recorder(STUDY, folder, spool), folder):
                tell()
        assert events(folder) == whole


def test_a_later_attempt_goes_on_in_the_same_run_and_says_so(folder):
    with closing(Spool(folder.spool)) as spool:
        recorder = Recorder(STUDY, folder, spool)
        recorder.trial_started(proposal(0))
        recorder.trial_reported(0, SCORE, None)
        recorder.trial_reported(0, WARM, None)
        for _ in range(2):
            recorder.trial_started(proposal(0, attempt=2))
        # From its last checkpoint, which was before what it reported last.
        recorder.trial_reported(0, SCORE, None)
        recorder.trial_reported(0, WARM, None)
        recorder.trial_reported(0, LAST, None)
    starts = [event for event in events(folder) if event["op"] == "start"]
    assert [event["tags"]["fullspectrum.attempt"] for event in starts] == ["1", "2"]
    assert [(step, value) for name, step, value in points(folder, "trial 0") if name == "accuracy/val"] == [
        (2, 0.5),
        (4, 0.75),
    ]


@pytest.mark.parametrize(
    ("iterations", "setting", "proposed", "rate"),
    [
        (4, "0.5", {}, "0.5"),
        (0, "0.5", {}, None),
        (0, "{low=0.1, high=0.9}", {"learning_rate": 0.25}, "0.25"),
    ],
)
def test_a_trial_has_training_settings_where_it_trains_or_proposes_some(folder, iterations, setting, proposed, rate):
    settings = tiny_study(f"warmup.iterations={iterations}", f"training.learning_rate={setting}")
    with closing(Spool(folder.spool)) as spool:
        Recorder(settings, folder, spool).trial_started(replace(proposal(0), training=proposed))
    [start] = events(folder)
    assert start["params"].get("training.learning_rate") == rate
    assert ("training.optimizer" in start["params"]) == (rate is not None)


def test_a_trial_has_its_group_and_why_it_was_chosen(folder):
    with closing(Spool(folder.spool)) as spool:
        Recorder(STUDY, folder, spool).trial_started(replace(proposal(0), group_reason="in turn"))
    [start] = events(folder)
    assert (start["params"]["group"], start["params"]["group_reason"]) == ("snip, k = 0, erk", "in turn")


def test_full_training_that_comes_to_nothing_says_why(folder):
    lost = TrainingEnd(Outcome.FAILED, 12, reason="its worker died")
    with closing(Spool(folder.spool)) as spool:
        recorder = Recorder(STUDY, folder, spool)
        for tell in study_of(recorder, folder)[:5]:
            tell()
        recorder.training_ended(TRAINED, lost)
        recorder.training_opened(Entry(DENSE, None), False)
        recorder.training_ended(Entry(DENSE, None), lost)
    said = tags(folder, "trial 0")
    assert (said["fullspectrum.outcome"], said["fullspectrum.final_outcome"]) == ("finished", "failed")
    assert said["fullspectrum.reason"] == tags(folder, "dense")["fullspectrum.reason"] == "its worker died"
    assert tags(folder, "dense")["fullspectrum.outcome"] == "failed"
    assert [event["status"] for event in events(folder, "dense") if event["op"] == "end"] == ["FAILED"]


def test_the_coordinate_of_a_mask_that_changed_is_told_by_iteration_once_and_with_its_picture(folder):
    folder.trial(0).joinpath("coordinate_over_time.png").write_text("picture")
    entry = replace(TRAINED, ends=folder.trial(0))
    with closing(Spool(folder.spool)) as spool:
        recorder = Recorder(STUDY, folder, spool)
        recorder.trial_started(proposal(0))
        recorder.trial_ended(0, Outcome.FINISHED, RESULT)
        for _ in range(2):
            recorder.coordinate_measured(entry, CoordinateProgress(0, {"l2": 3.0, "imdb": -1.0}))
            recorder.coordinate_measured(entry, CoordinateProgress(12, {"l2": 4.0}))
            recorder.training_ended(entry, FINAL)
    told = [point for point in points(folder, "trial 0") if point[0].startswith("coordinate/")]
    assert told == [("coordinate/l2", 0, 3.0), ("coordinate/imdb", 0, -1.0), ("coordinate/l2", 12, 4.0)]
    files = [Path(event["path"]).name for event in events(folder, "trial 0") if event["op"] == "artifact"]
    assert files == ["coordinate_over_time.png"]


def test_trials_on_the_pareto_front_are_tagged_and_lose_the_tag_when_they_leave_it(folder):
    fronts = [[TRIAL], None, [Label.of_trial(1)]]
    for front in fronts:
        with closing(Spool(folder.spool)) as spool:
            recorder = Recorder(STUDY, folder, spool)
            recorder.study_started({"adaptations": []})
            for number in range(2):
                recorder.trial_started(proposal(number))
                recorder.trial_ended(number, Outcome.FINISHED, TrialResult())
            recorder.study_ended(Summary("FINISHED", pareto=front))
    told = [
        (event["run"].removeprefix(f"{STUDY.id}/"), event["tags"])
        for event in events(folder)
        if "fullspectrum.pareto" in event.get("tags", {})
    ]
    assert told == [
        ("trial 0", {"fullspectrum.pareto": "true"}),
        ("trial 0", {"fullspectrum.pareto": "false"}),
        ("trial 1", {"fullspectrum.pareto": "true"}),
    ]


def test_a_precision_below_double_is_told_with_its_sources(folder):
    with closing(Spool(folder.spool)) as spool:
        precision = {"snip": "float64", "grasp": "float32", "synflow": "bfloat16, float32"}
        Recorder(STUDY, folder, spool).study_started({"adaptations": [], "precision": precision})
    (start,) = [event for event in events(folder) if event["op"] == "start"]
    assert start["tags"]["fullspectrum.precision"] == "grasp: float32; synflow: bfloat16, float32"


def test_every_driver_opens_and_closes_the_run_of_the_study_with_its_tables(folder):
    for best in (0.5, 0.75):
        with closing(Spool(folder.spool)) as spool:
            recorder = Recorder(STUDY, folder, spool)
            recorder.study_started({"adaptations": []})
            files = [folder.report / "study.json"]
            recorder.study_ended(Summary("FINISHED", {"accuracy/final": best}, files, ["A verdict."]))
    parent = [event for event in events(folder) if event["run"] == STUDY.id]
    assert [event["op"] for event in parent].count("start") == 2
    assert [event["metrics"] for event in parent if event["op"] == "metrics"] == [
        {"accuracy/final": 0.5},
        {"accuracy/final": 0.75},
    ]
    assert [event["status"] for event in parent if event["op"] == "end"] == ["FINISHED"] * 2
    notes = [event["text"] for event in parent if event["op"] == "note"]
    assert ["A verdict." in note for note in notes] == [False, True, False, True]
