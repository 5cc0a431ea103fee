"""Kubernetes with KubeRay: each search is a RayJob that brings its own cluster."""

import base64
import json
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

from ..errors import ClusterError
from ..job import Job
from ..jobs import PREFIX, ClusterState, JobState, NodeState, Phase, Submission, latest, name_of, next_submission
from ..rendering.kuberay import secret_name
from ..rendering.registry import render
from ..secretfiles import secret_values
from ..shipping.homecoming import packing, unpack
from ..spec.places import Kubernetes
from .programs import program, run
from .target import Target

#: Seconds that a pod may take to start, its image included.
_START_SECONDS = 900

_PHASES = {
    "": Phase.PENDING,
    "Initializing": Phase.PENDING,
    "Waiting": Phase.PENDING,
    "Retrying": Phase.PENDING,
    "Suspending": Phase.RUNNING,
    "Suspended": Phase.STOPPED,
    "Running": Phase.RUNNING,
    "Complete": Phase.SUCCEEDED,
    "Failed": Phase.FAILED,
}


class KubeRayTarget(Target):
    """A namespace of Kubernetes in which KubeRay runs; kubectl knows how to reach it."""

    ships_package = False

    def check(self, job: Job) -> None:
        """Raise ClusterError where kubectl or KubeRay is missing, and for what they would refuse in the job."""
        program("kubectl", "kind kuberay")
        secret_values(self.cluster)
        render(self.cluster, job)
        self._kubectl("get", "rayjobs.ray.io", "--output=name", "--request-timeout=10s")

    def up(self) -> None:
        """Do nothing: a RayJob starts its own cluster."""

    def submit(self, job: Job) -> Submission:
        """Create the RayJob, with its files and secrets, unless one runs."""
        submission = next_submission(job.name, self._jobs())
        if submission.already:
            return submission
        if self.cluster.secrets:
            self._apply(json.dumps(self._secret()))
        for text in render(self.cluster, replace(job, name=submission.id)).files.values():
            self._apply(text)
        return submission

    def status(self) -> ClusterState:
        """Return the pods and jobs of this cluster."""
        jobs = self._documents("rayjobs.ray.io", f"fullspectrum/cluster={self.cluster.name}")
        rays = [job["status"]["rayClusterName"] for job in jobs if job.get("status", {}).get("rayClusterName")]
        pods = [pod for ray in rays for pod in self._documents("pods", f"ray.io/cluster={ray}")]
        return ClusterState(bool(pods), [_node(pod) for pod in pods], [_state(job) for job in jobs])

    def logs(self, name: str, follow: bool) -> Iterator[str]:
        """Yield what the pod that submits the job prints: the output of the search."""
        command = self._command("logs", f"job/{self._latest(name).id}", f"--pod-running-timeout={_START_SECONDS}s")
        with Popen([*command, *(["--follow"] if follow else [])], stdout=PIPE, text=True) as running:
            assert running.stdout
            try:
                yield from running.stdout
            finally:
                running.terminate()

    def stop(self, name: str) -> bool:
        """Ask the search to leave, on the head, and wait until it has."""
        found = self._latest(name)
        if found.phase.ended:
            return False
        (job,) = self._documents("rayjobs.ray.io", None, found.id)
        status = job.get("status", {})
        if status.get("rayClusterName") and status.get("jobId"):
            self._kubectl("exec", self._head(status["rayClusterName"]), "--", "ray", "job", "stop", status["jobId"])
        else:
            # Nothing runs yet that could be saved.
            self._kubectl("delete", f"rayjob.ray.io/{found.id}", "--wait=false")
        return True

    def down(self) -> None:
        """Delete the jobs of this cluster, with their pods, files and secrets; storage stays."""
        label = f"--selector=fullspectrum/cluster={self.cluster.name}"
        self._kubectl("delete", "rayjobs.ray.io,configmaps,secrets", label)

    def fetch(self, home: str, studies: Sequence[str], to: Path) -> None:
        """Copy the folders of studies home, by a pod that packs them from the claim."""
        place = self.cluster.kubernetes or Kubernetes()
        if place.claim is None:
            raise ClusterError(f"cluster {self.cluster.name!r} has no claim, on which its files would lie")
        name = f"{PREFIX}fetch-{uuid.uuid4().hex[:8]}"
        self._kubectl(
            "apply", "--filename=-", stdin=json.dumps(self._packer(name, packing(home, studies), place.claim))
        )
        try:
            ended = "--for=jsonpath={.status.phase}=Succeeded"
            self._kubectl("wait", f"pod/{name}", ended, f"--timeout={_START_SECONDS}s")
            text = self._kubectl("logs", f"pod/{name}")
        finally:
            self._kubectl("delete", f"pod/{name}", "--wait=false")
        unpack(text, to, JobState(name, name, Phase.SUCCEEDED))

    def _packer(self, name: str, job: Job, claim: str) -> dict[str, Any]:
        storage = self.cluster.storage
        container = {
            "name": "fetch",
            "image": self.cluster.image,
            "command": list(job.command),
            "volumeMounts": [{"name": "storage", "mountPath": storage, "readOnly": True}],
            "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        }
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "labels": self._labels},
            "spec": {
                "restartPolicy": "Never",
                "securityContext": {"runAsNonRoot": True, "runAsUser": 1000, "runAsGroup": 1000},
                "containers": [container],
                "volumes": [{"name": "storage", "persistentVolumeClaim": {"claimName": claim}}],
            },
        }

    def _secret(self) -> dict[str, Any]:
        values = secret_values(self.cluster)
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": secret_name(self.cluster), "labels": self._labels},
            "data": {name: base64.b64encode(value.encode()).decode() for name, value in values.items()},
        }

    @property
    def _labels(self) -> dict[str, str]:
        return {"fullspectrum/cluster": self.cluster.name}

    def _jobs(self) -> list[JobState]:
        return [_state(job) for job in self._documents("rayjobs.ray.io", f"fullspectrum/cluster={self.cluster.name}")]

    def _latest(self, name: str) -> JobState:
        found = latest(name, self._jobs())
        if found is None:
            raise ClusterError(f"cluster {self.cluster.name!r} knows no job {name}; `fullspectrum launch` submits it")
        return found

    def _head(self, ray: str) -> str:
        pods = self._documents("pods", f"ray.io/cluster={ray},ray.io/node-type=head")
        if not pods:
            raise ClusterError(f"the head of {ray} has gone; KubeRay starts another one, on which the search goes on")
        return f"pod/{pods[0]['metadata']['name']}"

    def _documents(self, kind: str, selector: str | None, name: str | None = None) -> list[dict[str, Any]]:
        """Return the documents of a kind, oldest first."""
        which = [name] if name else [f"--selector={selector}"]
        answer = json.loads(self._kubectl("get", kind, *which, "--output=json"))
        found = answer.get("items", [answer])
        return sorted(found, key=lambda each: each["metadata"].get("creationTimestamp", ""))

    def _apply(self, text: str) -> None:
        # On the side of the client kubectl keeps a copy in an annotation: of a secret too, and of 256 KiB at most.
        self._kubectl("apply", "--server-side", "--filename=-", stdin=text)

    def _kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        return run(self._command(*arguments), stdin)

    def _command(self, *arguments: str) -> list[str]:
        place = self.cluster.kubernetes or Kubernetes()
        return [program("kubectl", "kind kuberay"), *arguments, f"--namespace={place.namespace}"]


def _state(job: dict[str, Any]) -> JobState:
    status, submission = job.get("status", {}), job["metadata"]["name"]
    phase = _PHASES.get(status.get("jobDeploymentStatus", ""), Phase.RUNNING)
    if status.get("jobStatus") == "STOPPED":
        phase = Phase.STOPPED
    name = name_of(submission)
    study = name.removeprefix(PREFIX)
    return JobState(
        submission,
        name,
        phase,
        " ".join((status.get("message") or status.get("reason") or "").split())[:300] if phase is Phase.FAILED else "",
        None,
        _seconds(status.get("startTime")),
        _seconds(status.get("endTime")),
        (study,),
    )


def _node(pod: dict[str, Any]) -> NodeState:
    limits = pod["spec"]["containers"][0].get("resources", {}).get("limits", {})
    names = {"cpu": "CPU", "nvidia.com/gpu": "GPU"}
    resources = {names[key]: float(value) for key, value in limits.items() if key in names and str(value).isdecimal()}
    return NodeState(pod["metadata"]["name"], pod.get("status", {}).get("phase") == "Running", resources)


def _seconds(time: str | None) -> float | None:
    return datetime.fromisoformat(time).timestamp() if time else None
