"""Names of jobs: the same wherever they are asked for, and one job at a time of each."""

import pytest
from fullspectrum.clusters.jobs import JobState, Phase, Submission, job_name, latest, name_of, next_submission

NAME = "fullspectrum-0123456789ab"


def state(submission: str, phase: Phase) -> JobState:
    return JobState(submission, name_of(submission), phase)


def test_a_study_and_a_family_have_names_that_say_which():
    assert job_name(["0123456789ab"]) == NAME
    family = job_name(["0123456789ab", "ba9876543210"])
    assert family == job_name(["0123456789ab", "ba9876543210"]) != job_name(["ba9876543210", "0123456789ab"])
    assert family.startswith("fullspectrum-family-")


# An id may be all decimal, and is no number then.
@pytest.mark.parametrize("name", [NAME, "fullspectrum-012345678901", "fullspectrum-family-0123456789ab"])
def test_a_submission_knows_its_job(name):
    assert name_of(name) == name_of(f"{name}-2") == name_of(f"{name}-17") == name


@pytest.mark.parametrize("phase", [Phase.PENDING, Phase.RUNNING])
def test_a_job_that_runs_is_not_submitted_again(phase):
    known = [state(NAME, Phase.STOPPED), state(f"{NAME}-2", phase)]
    assert next_submission(NAME, known) == Submission(f"{NAME}-2", already=True)


@pytest.mark.parametrize("phase", [Phase.SUCCEEDED, Phase.FAILED, Phase.STOPPED])
def test_a_job_that_ended_goes_on_under_the_next_number(phase):
    known = [state(f"{NAME}-{number}", phase) for number in (9, 10)] + [state(NAME, phase)]
    assert next_submission(NAME, known) == Submission(f"{NAME}-11", already=False)
    assert latest(NAME, known).id == f"{NAME}-10"


def test_other_jobs_do_not_count():
    known = [state("fullspectrum-ba9876543210", Phase.RUNNING)]
    assert next_submission(NAME, known) == Submission(NAME, already=False)
    assert latest(NAME, known) is None
