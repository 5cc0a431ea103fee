"""The Jobs API of a Ray head, with its token."""

import asyncio
import json
import logging
import math
import os
import textwrap
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ClusterError
from ..job import Job
from ..jobs import PREFIX, JobState, NodeState, Phase, Submission, name_of, next_submission

if TYPE_CHECKING:
    from ray.job_submission import JobDetails

#: Seconds within which a head must answer.
ANSWER_SECONDS = 10.0

#: Seconds between two looks at a job that is waited for.
_LOOK_SECONDS = 1.0

#: Seconds without output after which a head is asked whether it is still there.
_QUIET_SECONDS = 5.0

#: Seconds without an answer after which a head that was there is said to be lost.
LOST_SECONDS = 20.0

#: Loggers of Ray that say which package is uploaded, and how a connection was closed.
_TALKATIVE = (
    "ray.dashboard.modules.dashboard_sdk",
    "ray.dashboard.modules.job.sdk",
    "ray._private.runtime_env.packaging",
)

#: Variables that name a cluster to Ray's client.
_ADDRESSES = ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS")

_PHASES = {
    "PENDING": Phase.PENDING,
    "RUNNING": Phase.RUNNING,
    "SUCCEEDED": Phase.SUCCEEDED,
    "FAILED": Phase.FAILED,
    "STOPPED": Phase.STOPPED,
}


class Unreachable(ClusterError):
    """A head that does not answer."""


class RayJobs:
    """Jobs at the dashboard `address` (http://HOST:PORT) of a Ray head, with the token of a file."""

    def __init__(self, address: str, token_file: Path):
        self.address = address.rstrip("/")
        self._token_file = token_file
        self._token = token_file.read_text().strip()

    def probe(self, seconds: float = ANSWER_SECONDS) -> dict[str, Any]:
        """Return what the head says of itself. Raise Unreachable where it does not answer, ClusterError for a token."""
        answer: dict[str, Any] = self._get("/api/version", seconds)
        if "ray_version" not in answer:
            raise ClusterError(f"what answers at {self.address} is no dashboard of Ray; expected http://HOST:8265")
        return answer

    def is_open(self) -> bool:
        """Return whether the head answers who has no token, too."""
        try:
            with urllib.request.urlopen(f"{self.address}/api/version", timeout=ANSWER_SECONDS):
                return True
        except OSError:
            return False

    def nodes(self) -> list[NodeState]:
        """Return the nodes that the head knows, those that it lost included."""
        answer = self._get("/api/v0/nodes?limit=10000&detail=1")
        found = answer["data"]["result"]["result"]
        return [
            NodeState(
                node["node_ip"],
                node["state"] == "ALIVE",
                {
                    key: amount
                    for key, amount in (node.get("resources_total") or {}).items()
                    if not key.startswith("node:")
                },
            )
            for node in found
        ]

    def submissions(self) -> list[JobState]:
        """Return our jobs, in the order in which they were submitted."""
        found = [job for job in self._client().list_jobs() if (job.submission_id or "").startswith(PREFIX)]
        return [_state(job) for job in sorted(found, key=lambda job: job.start_time or 0)]

    def submit(self, job: Job, line: str) -> Submission:
        """Submit a job as the shell line that runs its command, unless its latest submission runs."""
        client = self._client()
        while True:
            submission = next_submission(job.name, self.submissions())
            if submission.already:
                return submission
            try:
                client.submit_job(
                    entrypoint=line,
                    submission_id=submission.id,
                    runtime_env=_runtime_env(job),
                    metadata={"studies": ",".join(job.studies)},
                )
                return submission
            except RuntimeError as error:
                # Somebody was a moment earlier; the next look finds that job.
                if "already exists" not in str(error):
                    raise ClusterError(f"the head at {self.address} refuses the job: {_short(error)}") from error
                time.sleep(_LOOK_SECONDS)

    def logs(self, submission: str) -> str:
        """Return what a job has printed."""
        return str(self._client().get_job_logs(submission))

    def follow(self, submission: str) -> Iterator[str]:
        """Yield what a job prints, in pieces, until it has ended. Raise ClusterError where the head is lost."""
        printed, heard = 0, time.monotonic()
        while True:
            # The log begins anew with each connection.
            skip = printed
            try:
                for piece in _pieces(self._client().tail_job_logs(submission), self._heard):
                    heard = time.monotonic()
                    fresh, skip = piece[skip:], max(0, skip - len(piece))
                    printed += len(fresh)
                    if fresh:
                        yield fresh
                return
            except ClusterError:
                raise
            except Exception as error:
                if time.monotonic() - heard > LOST_SECONDS:
                    raise Unreachable(
                        f"the head at {self.address} no longer answers ({_short(error)}); launch again to go on, once "
                        "there is a head"
                    ) from error
                time.sleep(_LOOK_SECONDS)

    def wait(self, submission: str) -> JobState:
        """Return a job once it has ended."""
        while True:
            state = _state(self._client().get_job_info(submission))
            if state.phase.ended:
                return state
            time.sleep(_LOOK_SECONDS)

    def stop(self, submission: str) -> bool:
        """Ask a job to leave: SIGTERM, and SIGKILL after its grace period. Return whether it ran."""
        return bool(self._client().stop_job(submission))

    def forget(self, submission: str) -> None:
        """Strike a job that has ended from the list."""
        self._client().delete_job(submission)

    def _heard(self) -> None:
        """Raise where the head has gone: a connection to a machine that vanished stays silent for ever."""
        try:
            self.probe(_QUIET_SECONDS)
        except Unreachable as error:
            raise ConnectionError(str(error)) from error

    def _client(self) -> Any:
        self.probe()
        from ray.job_submission import JobSubmissionClient

        for talkative in _TALKATIVE:
            logging.getLogger(talkative).setLevel(logging.WARNING)
        # In the environment stands another cluster, if any, which the client would take in the place of this address.
        elsewhere = {name: os.environ.pop(name) for name in _ADDRESSES if name in os.environ}
        try:
            return JobSubmissionClient(self.address, headers={"Authorization": f"Bearer {self._token}"})
        finally:
            os.environ.update(elsewhere)

    def _get(self, path: str, seconds: float = ANSWER_SECONDS) -> Any:
        request = urllib.request.Request(self.address + path, headers={"Authorization": f"Bearer {self._token}"})
        try:
            with urllib.request.urlopen(request, timeout=seconds) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            if error.code in (401, 403):
                raise ClusterError(
                    f"the head at {self.address} refuses the token of {str(self._token_file)!r}; put the token of the "
                    "head there, or name its file under [auth] token_file"
                ) from None
            raise ClusterError(f"the head at {self.address} answers {error.code} {error.reason}") from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", error)
            raise Unreachable(
                f"no Ray head answers at {self.address} ({getattr(reason, 'strerror', None) or reason}); is it "
                "running, and is the address that of its dashboard?"
            ) from None


def _runtime_env(job: Job) -> dict[str, Any]:
    # Who stops a job reads it from there, in whole seconds.
    environment = {**job.environment, "RAY_JOB_STOP_WAIT_TIME_S": str(math.ceil(job.grace_seconds))}
    shipped: dict[str, Any] = {"env_vars": environment}
    if job.folder:
        shipped["working_dir"] = str(job.folder)
    if job.wheel:
        shipped["py_modules"] = [str(job.wheel)]
    return shipped


def _state(job: "JobDetails") -> JobState:
    # Of a failed command the last page of its log follows the first line.
    message = (job.message or "") if job.status == "FAILED" else ""
    studies = (job.metadata or {}).get("studies", "")
    submission = job.submission_id or ""
    return JobState(
        submission,
        name_of(submission),
        _PHASES[str(job.status.value)],
        textwrap.shorten(message.partition(", last available logs")[0], 600, placeholder=" …"),
        job.driver_exit_code,
        job.start_time and job.start_time / 1000,
        job.end_time and job.end_time / 1000,
        tuple(studies.split(",")) if studies else (),
    )


def _pieces(texts: AsyncIterator[str], quiet: Any) -> Iterator[str]:
    """Yield what an asynchronous iterator yields; `quiet` is called while nothing comes, and may raise."""
    loop = asyncio.new_event_loop()
    try:
        while True:
            task: asyncio.Task[str] = loop.create_task(anext(texts))  # type: ignore[arg-type]
            try:
                while not loop.run_until_complete(asyncio.wait({task}, timeout=_QUIET_SECONDS))[0]:
                    quiet()
                yield task.result()
            except StopAsyncIteration:
                return
            finally:
                task.cancel()
                loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
    finally:
        loop.run_until_complete(texts.aclose())  # type: ignore[attr-defined]
        loop.close()


def _short(error: Exception) -> str:
    return textwrap.shorten(str(error), 400, placeholder=" …").rstrip(". ") or type(error).__name__
