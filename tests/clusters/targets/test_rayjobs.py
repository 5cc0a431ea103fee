"""The Jobs API of a head: what is refused, and how, and that one name is one job."""

import socket

import pytest
from fullspectrum.clusters.errors import ClusterError
from fullspectrum.clusters.job import Job
from fullspectrum.clusters.jobs import Phase
from fullspectrum.clusters.targets.rayjobs import RayJobs, Unreachable

from .fakehead import fake_head

JOB = Job("fullspectrum-0123456789ab", ["python", "-c", "pass"], ["0123456789ab"], grace_seconds=25.5)


@pytest.fixture
def token(tmp_path):
    file = tmp_path / "token"
    file.write_text("right")
    return file


def test_a_wrong_token_is_one_line_with_the_way_out(token):
    with fake_head("left") as head, pytest.raises(ClusterError) as caught:
        RayJobs(head.address, token).probe()
    assert str(caught.value).startswith(f"the head at {head.address} refuses the token of '{token}'; put the token of")
    assert "right" not in str(caught.value)


def test_a_head_that_does_not_answer_is_one_line(token):
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        with pytest.raises(Unreachable, match=r"no Ray head answers at http://127\.0\.0\.1:\d+ \(Connection refused\)"):
            RayJobs(f"http://127.0.0.1:{bound.getsockname()[1]}", token).submissions()


def test_a_head_without_a_token_is_known_as_open(token):
    with fake_head(None) as head:
        assert RayJobs(head.address, token).is_open()
    with fake_head("right") as head:
        assert not RayJobs(head.address, token).is_open()


def test_a_job_is_submitted_once_and_goes_on_under_the_next_number(token, tmp_path):
    with fake_head("right") as head:
        jobs = RayJobs(f"{head.address}/", token)
        first = jobs.submit(JOB, "exec python -c pass")
        assert (first.id, first.already) == (JOB.name, False)
        assert jobs.submit(JOB, "exec python -c pass").already
        assert list(head.jobs) == [JOB.name]
        (seen,) = jobs.submissions()
        assert (seen.phase, seen.studies, seen.started) == (Phase.RUNNING, ("0123456789ab",), 1.0)
        # Ray takes whole seconds.
        assert head.jobs[JOB.name]["runtime_env"]["env_vars"]["RAY_JOB_STOP_WAIT_TIME_S"] == "26"
        assert jobs.stop(JOB.name)
        assert jobs.wait(JOB.name).phase is Phase.STOPPED
        again = jobs.submit(JOB, "exec python -c pass")
        assert (again.id, again.already) == (f"{JOB.name}-2", False)


def test_jobs_of_others_are_not_listed(token):
    with fake_head("right") as head:
        head.submit({"submission_id": "raysubmit_x", "entrypoint": "true"})
        assert RayJobs(head.address, token).submissions() == []
