"""What runs are called and what they have in common."""

import getpass
import json

import pytest
from fullspectrum.search.protocol.label import DENSE, ERK_RANDOM, Label
from fullspectrum.search.protocol.outcome import Outcome
from fullspectrum.search.record.runs import dataset_input, program_tags, run_name

TRIAL = Label.of_trial(30)


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ((TRIAL, "snip"), "#30 snip"),
        ((TRIAL, "snip", 0.9749, Outcome.FINISHED), "#30 snip 0.975 finished"),
        ((TRIAL, "snip", None, Outcome.STOPPED_BY_GATE), "#30 snip stopped-by-gate"),
        ((TRIAL, "snip", 0.5, Outcome.STOPPED_EARLY), "#30 snip 0.500 stopped-early"),
        ((ERK_RANDOM,), "erk-random"),
        ((ERK_RANDOM, "", 0.9119, Outcome.FINISHED), "erk-random 0.912"),
        ((DENSE, "", None, Outcome.FAILED), "dense failed"),
    ],
)
def test_a_run_is_called_by_what_it_came_to(arguments, name):
    assert run_name(*arguments) == name


def test_a_user_without_a_name_is_left_out(monkeypatch):
    assert program_tags("search")["mlflow.source.name"] == "fullspectrum search"

    def nameless() -> str:
        raise KeyError("getpwuid(): uid not found: 1234")

    monkeypatch.setattr(getpass, "getuser", nameless)
    assert "mlflow.user" not in program_tags("search")


def test_a_data_set_goes_to_mlflow_with_its_splits():
    assert dataset_input(None) is None
    found = dataset_input({"name": "digits", "digest": "abc", "splits": {"train": 2}})
    assert (found["name"], found["digest"], json.loads(found["profile"])) == ("digits", "abc", {"train": 2})


def test_labels_know_the_numbers_of_trials_alone():
    assert [Label(text).number for text in ("trial 30", "dense", "trial x", "mask 0")] == [30, None, None, None]
