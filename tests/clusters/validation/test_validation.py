"""What the targets would refuse is refused before, with its place."""

import sys

import pytest
from fullspectrum.clusters.errors import ClusterError
from fullspectrum.clusters.rendering import render
from fullspectrum.clusters.spec.reading import load_cluster
from fullspectrum.clusters.validation import DocumentError, validate

from ..jobs import a_job

NODE = "overrides.available_node_types.gpu.node_config"
POD = "overrides.spec.rayClusterSpec.headGroupSpec.template.spec"


def refused(name: str, override: str, target: str | None = None) -> str:
    """What is said of a bundled cluster with an override, in one line."""
    with pytest.raises(ClusterError) as caught:
        render(load_cluster(name, [override]), a_job(), target)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "override", "said"),
    [
        ("aws", f"{NODE}.InstnceType=x", f'{NODE}.InstnceType: unknown, did you mean "InstanceType"?'),
        (
            "aws",
            f"{NODE}.BlockDeviceMappings=[{{Ebs={{VolumeSizes=3}}}}]",
            f'{NODE}.BlockDeviceMappings.0.Ebs.VolumeSizes: unknown, did you mean "VolumeSize"?',
        ),
        ("aws", f"{NODE}.EbsOptimized=yes", "EbsOptimized: 'yes' is of the wrong type, expected bool"),
        ("aws", "overrides.provider.regin=x", 'overrides.provider.regin: unknown, did you mean "region"?'),
        ("aws", "overrides.idle_timeout=3", "overrides.idle_timeout: unknown, did you mean"),
        ("aws", "overrides.max_workers=many", 'overrides.max_workers: "many" is of the wrong type, expected integer'),
        ("aws", "overrides.head_node_type=x", "Ray refuses the cluster: `head_node_type` must be one of"),
        ("gcp", f"{NODE}.machinetype=x", f'{NODE}.machinetype: unknown, did you mean "machineType"?'),
        ("gcp", f"{NODE}.scheduling=[{{preemtible=true}}]", f"{NODE}.scheduling.0.preemtible: unknown, did you mean"),
        ("gcp", f"{NODE}.scheduling={{preemtible=true}}", f"{NODE}.scheduling.preemtible: unknown, did you mean"),
        ("gcp", f"{NODE}.disks=[{{boot='yes'}}]", f'{NODE}.disks.0.boot: "yes" is of the wrong type'),
        ("static", "overrides.auth.ssh_usr=x", 'overrides.auth.ssh_usr: unknown, did you mean "ssh_user"?'),
        (
            "kuberay",
            "overrides.spec.backofLimit=3",
            'overrides.spec.backofLimit: unknown, did you mean "backoffLimit"?',
        ),
        ("kuberay", f"{POD}.nodeSelectr={{a='b'}}", f'{POD}.nodeSelectr: unknown, did you mean "nodeSelector"?'),
        ("kuberay", f"{POD}.nodeSelector={{a=3}}", f"{POD}.nodeSelector.a: 3 is of the wrong type, expected string"),
        ("kuberay", "overrides.spec.rayClusterSpec.autoscalerOptions.version=v3", "expected one of v1, v2"),
        ("kuberay", "overrides.spec.shutdownAfterJobFinishes=false", "needs shutdownAfterJobFinishes: true"),
        ("kuberay", f"{POD}.volumes=[]", 'no volume is called "shared-memory"; the pod has none'),
        ("kuberay", f"{POD}.restartPolicy=Always", f'{POD}.restartPolicy: "Always" is refused; expected Never'),
        ("kuberay", "overrides.spec.rayClusterSpec.rayVersion='2.40.0'", "tokens need the version of Ray, 2.52.0"),
        ("kuberay", "overrides.metadata.name=digits", "overrides.metadata.name = 'digits': it is how the job is found"),
        ("kuberay", "overrides.metadata.namespace=x", "overrides.metadata.namespace = 'x': set it under [kubernetes]"),
        ("kuberay", "overrides.metadata.label={a='b'}", 'overrides.metadata.label: unknown, did you mean "labels"?'),
        ("kuberay", "overrides.spec.backoffLimit=-1", "overrides.spec.backoffLimit: expected 0 or more"),
        ("kuberay", "overrides.spec.submissionMode=HTTPmode", '"HTTPmode" is unknown'),
    ],
)
def test_a_mistake_within_overrides_is_named_with_its_place(name, override, said):
    assert said in refused(name, override)


def test_a_mistake_in_a_task_of_skypilot_is_named_with_its_place():
    said = refused("aws", "overrides.resources.use_spots=true", "skypilot")
    assert said.startswith('overrides.resources.use_spots: unknown, did you mean "use_spot"?')
    assert "infra" in refused("gcp", "overrides.resources.infra=awss", "skypilot")


def test_the_rules_of_kuberay_hold_for_any_document():
    container = {"name": "ray", "image": "x"}
    group = {"template": {"spec": {"containers": [container]}}, "rayStartParams": {}}
    job = {
        "apiVersion": "ray.io/v1",
        "kind": "RayJob",
        "metadata": {"name": "x"},
        "spec": {"rayClusterSpec": {"headGroupSpec": group, "workerGroupSpecs": []}},
    }
    validate("kuberay", job)

    def broken(**spec: object) -> str:
        with pytest.raises(DocumentError) as caught:
            validate("kuberay", job | {"spec": job["spec"] | spec})
        return str(caught.value)

    def broken_cluster(**cluster: object) -> str:
        return broken(rayClusterSpec=job["spec"]["rayClusterSpec"] | cluster)

    scaled = group | {"groupName": "w", "minReplicas": 3, "maxReplicas": 1}
    assert "3 is more than maxReplicas: 1" in broken_cluster(workerGroupSpecs=[scaled])
    assert "expected a container" in broken_cluster(
        headGroupSpec={"template": {"spec": {"containers": []}}, "rayStartParams": {}}
    )
    twice = group | {"resources": {"CPU": "1"}, "rayStartParams": {"num-cpus": "1"}}
    assert "leave one of them out" in broken_cluster(headGroupSpec=twice)
    redis = {"template": {"spec": {"containers": [container | {"env": [{"name": "RAY_REDIS_ADDRESS", "value": "x"}]}]}}}
    assert "use gcsFaultToleranceOptions" in broken_cluster(headGroupSpec=group | redis)
    assert "deletionStrategy" in broken(deletionStrategy={"deletionRules": [{"policy": "DeleteSelf", "condition": {}}]})
    assert "does not go with clusterSelector" in broken(clusterSelector={"ray.io/cluster": "a"}, backoffLimit=1)
    assert "is not valid YAML" in broken(runtimeEnvYAML="{")
    assert "expected 1 or more" in broken(activeDeadlineSeconds=0)
    for name, said in (
        ("Digits", "is refused: expected small letters"),
        ("a" * 48, "has 48 characters, expected at most"),
    ):
        with pytest.raises(DocumentError, match=said):
            validate("kuberay", job | {"metadata": {"name": name}})
    with pytest.raises(DocumentError, match=r"spec\.rayClusterSpec: missing"):
        validate("kuberay", job | {"spec": {}})


def test_without_botocore_it_is_said_that_machines_are_unchecked(monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "botocore"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "botocore", None)
    with pytest.warns(UserWarning, match=r"node_config is not checked.*fullspectrum\[aws\]"):
        render(load_cluster("aws", [f"{NODE}.InstnceType=x"]), a_job())
