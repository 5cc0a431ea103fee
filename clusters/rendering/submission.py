"""The job as Ray's Jobs API takes it."""

from ..job import Job
from ..spec.cluster import Cluster
from .entrypoint import entrypoint
from .text import json_text


def submission(cluster: Cluster, job: Job) -> str:
    """Return the request that submits a job to the head, as JSON. Its id is always the same: a second one is refused.

    Folder and wheel are paths of this machine, which are uploaded before.
    """
    runtime: dict[str, object] = {"env_vars": dict(job.environment)} if job.environment else {}
    if job.folder:
        runtime["working_dir"] = str(job.folder)
    if job.wheel:
        runtime["py_modules"] = [str(job.wheel)]
    return json_text({"submission_id": job.name, "entrypoint": entrypoint(cluster, job), "runtime_env": runtime})
