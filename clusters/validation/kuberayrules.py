"""The rules by which KubeRay's operator refuses a RayJob that its resource definition lets pass.

The functions `ValidateRayJobMetadata`, `ValidateRayJobSpec` and `ValidateRayClusterSpec` of KubeRay's
`ray-operator/controllers/ray/utils/validation.go`, with its feature gates as they are by default.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

#: A place in the document, and what is wrong there.
Broken = tuple[tuple[str | int, ...], str]

#: The most characters of the name of a RayJob, from which the operator makes names of pods and services.
LONGEST_NAME = 47

#: A label of RFC 1035, which names of services are.
_LABEL = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")

#: Resources of Ray that are either start parameters or stand under `resources`.
_RESOURCES = ("num-cpus", "num-gpus", "memory", "resources")

#: Ray's variable that turns on its newer autoscaler, which `autoscalerOptions.version` is for.
_AUTOSCALER = "RAY_enable_autoscaler_v2"

#: The oldest Ray that asks for tokens.
_TOKENS_SINCE = (2, 52)


def broken_rule(job: Mapping[str, Any]) -> Broken | None:
    """Return the first rule that a RayJob breaks, or None."""
    return next((broken for broken in (*_of_name(job), *_of_job(job["spec"]), *_of_cluster(job["spec"]))), None)


def _of_name(job: Mapping[str, Any]) -> Iterator[Broken]:
    name = job["metadata"]["name"]
    if len(name) > LONGEST_NAME:
        yield ("metadata", "name"), f'"{name}" has {len(name)} characters, expected at most {LONGEST_NAME}'
    if not _LABEL.fullmatch(name):
        yield ("metadata", "name"), f'"{name}" is refused: expected small letters, digits, hyphens, a letter first'


def _of_job(spec: Mapping[str, Any]) -> Iterator[Broken]:
    mode, retries = spec.get("submissionMode", "K8sJobMode"), spec.get("backoffLimit", 0)
    if spec.get("suspend") and not spec.get("shutdownAfterJobFinishes"):
        yield ("spec", "suspend"), "needs shutdownAfterJobFinishes: true"
    if spec.get("ttlSecondsAfterFinished", 0) < 0:
        yield ("spec", "ttlSecondsAfterFinished"), "expected 0 or more"
    if spec.get("ttlSecondsAfterFinished", 0) > 0 and not spec.get("shutdownAfterJobFinishes"):
        yield ("spec", "ttlSecondsAfterFinished"), "needs shutdownAfterJobFinishes: true"
    if "deletionStrategy" in spec:
        yield ("spec", "deletionStrategy"), "is behind a feature gate of the operator; leave it out"
    if spec.get("clusterSelector"):
        if not spec["clusterSelector"].get("ray.io/cluster"):
            yield ("spec", "clusterSelector"), "expected the name of a cluster under ray.io/cluster"
        for name, reason in (("suspend", spec.get("suspend")), ("backoffLimit", retries)):
            if reason:
                yield ("spec", name), "does not go with clusterSelector"
    elif "rayClusterSpec" not in spec:
        yield ("spec", "rayClusterSpec"), "missing"
    if mode not in ("K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode"):
        known = "K8sJobMode, HTTPMode, InteractiveMode or SidecarMode"
        yield ("spec", "submissionMode"), f'"{mode}" is unknown; expected {known}'
    if mode == "InteractiveMode" and retries:
        yield ("spec", "backoffLimit"), "does not go with submissionMode: InteractiveMode"
    if mode == "SidecarMode":
        for name in ("submitterPodTemplate", "submitterConfig", "clusterSelector"):
            if spec.get(name):
                yield ("spec", name), "does not go with submissionMode: SidecarMode"
    if retries < 0:
        yield ("spec", "backoffLimit"), "expected 0 or more"
    for name in ("activeDeadlineSeconds", "preRunningDeadlineSeconds"):
        if spec.get(name, 1) <= 0:
            yield ("spec", name), "expected 1 or more"
    if "runtimeEnvYAML" in spec:
        import yaml

        try:
            yaml.safe_load(spec["runtimeEnvYAML"])
        except yaml.YAMLError:
            yield ("spec", "runtimeEnvYAML"), "is not valid YAML"


def _of_cluster(spec: Mapping[str, Any]) -> Iterator[Broken]:
    cluster = spec.get("rayClusterSpec")
    if not cluster:
        return
    place = ("spec", "rayClusterSpec")
    head = cluster["headGroupSpec"]
    scales = bool(cluster.get("enableInTreeAutoscaling"))
    options = cluster.get("autoscalerOptions", {})
    newer = scales and options.get("version") == "v2"
    yield from _of_group(head, (*place, "headGroupSpec"), newer or spec.get("submissionMode") == "SidecarMode")
    for number, group in enumerate(cluster.get("workerGroupSpecs", ())):
        where = (*place, "workerGroupSpecs", number)
        yield from _of_group(group, where, newer)
        yield from _of_replicas(group, where)
    variables = _variables(head)
    if _AUTOSCALER in variables and (not scales or "version" in options):
        reason = "use autoscalerOptions.version" if scales else "needs enableInTreeAutoscaling: true"
        yield (*place, "headGroupSpec"), f"{_AUTOSCALER} is set; {reason}"
    if options.get("idleTimeoutSeconds", 0) < 0:
        yield (*place, "autoscalerOptions", "idleTimeoutSeconds"), "expected 0 or more"
    yield from _of_security(cluster, variables, place)


def _of_group(group: Mapping[str, Any], place: tuple[str | int, ...], never: bool) -> Iterator[Broken]:
    pod, parameters = group["template"]["spec"], group.get("rayStartParams", {})
    if not pod["containers"]:
        yield (*place, "template", "spec", "containers"), "expected a container at least"
    if group.get("resources") and any(parameters.get(name) for name in _RESOURCES):
        yield (*place, "resources"), "what Ray counts is in rayStartParams too; leave one of them out"
    if "labels" in parameters:
        yield (*place, "rayStartParams", "labels"), "is refused; labels of Ray stand under the group itself"
    if never and pod.get("restartPolicy", "Never") != "Never":
        yield (*place, "template", "spec", "restartPolicy"), f'"{pod["restartPolicy"]}" is refused; expected Never'


def _of_replicas(group: Mapping[str, Any], place: tuple[str | int, ...]) -> Iterator[Broken]:
    least, most = group.get("minReplicas"), group.get("maxReplicas")
    for name, value in (("minReplicas", least), ("maxReplicas", most)):
        if value is not None and value < 0:
            yield (*place, name), f"{value}: expected 0 or more"
    if least is not None and most is not None and least > most:
        yield (*place, "minReplicas"), f"{least} is more than maxReplicas: {most}"


def _of_security(cluster: Mapping[str, Any], variables: set[str], place: tuple[str | int, ...]) -> Iterator[Broken]:
    auth = cluster.get("authOptions", {})
    if auth.get("enableK8sTokenAuth"):
        yield (*place, "authOptions", "enableK8sTokenAuth"), "is not for a RayJob"
    if auth.get("mode") == "token":
        version = re.match(r"(\d+)\.(\d+)", cluster.get("rayVersion", ""))
        if not version or tuple(map(int, version.groups())) < _TOKENS_SINCE:
            yield (*place, "rayVersion"), "tokens need the version of Ray, 2.52.0 or newer"
    kept = cluster.get("gcsFaultToleranceOptions")
    if not kept and "RAY_REDIS_ADDRESS" in variables:
        yield (*place, "headGroupSpec"), "RAY_REDIS_ADDRESS is set; use gcsFaultToleranceOptions"
    if kept:
        for name in sorted(variables & {"RAY_REDIS_ADDRESS", "REDIS_PASSWORD", "RAY_GCS_STORAGE"}):
            yield (*place, "headGroupSpec"), f"{name} is set; use gcsFaultToleranceOptions"
    if "REDIS_USERNAME" in variables:
        yield (*place, "headGroupSpec"), "REDIS_USERNAME is set; use gcsFaultToleranceOptions"


def _variables(group: Mapping[str, Any]) -> set[str]:
    """Return the names of the environment variables of a group's first container, which runs Ray."""
    containers = group["template"]["spec"]["containers"]
    return {variable["name"] for variable in (containers[0].get("env", ()) if containers else ())}
