"""The manifests of Kubernetes against its schemas, and against one another."""

import re

import kubernetes_validate
import pytest
import yaml

from processes import DEPLOY, adapter_rules

pytestmark = pytest.mark.files

KUBERNETES = "1.37"


def documents(file):
    return list(yaml.safe_load_all((DEPLOY / "kubernetes" / file).read_text()))


# Fields of MPIJob, kubeflow.org/v2beta1, as the operator's API has them; its pod templates have Kubernetes' own schema.
MPI_JOB = {
    "slotsPerWorker": int, "mpiImplementation": str, "launcherCreationPolicy": str, "sshAuthMountPath": str,
    "runLauncherAsWorker": bool, "mpiReplicaSpecs": dict,
    "runPolicy": {"cleanPodPolicy": str, "backoffLimit": int, "activeDeadlineSeconds": int,
                  "ttlSecondsAfterFinished": int, "suspend": bool, "schedulingPolicy": dict},
}
MPI_REPLICA = {"replicas": int, "restartPolicy": str, "template": dict}


def check_fields(value, fields, place):
    for name, entry in value.items():
        assert name in fields, f"{place}.{name} is no field"
        if isinstance(fields[name], dict):
            check_fields(entry, fields[name], f"{place}.{name}")
        else:
            assert type(entry) is fields[name], f"{place}.{name} is a {type(entry).__name__}"


def check(document):
    """Raises for what Kubernetes would refuse: unknown fields, wrong types, missing ones."""
    if document["kind"] != "MPIJob":
        kubernetes_validate.validate(document, KUBERNETES, strict=True)
        return
    assert document["apiVersion"] == "kubeflow.org/v2beta1" and document["metadata"]["name"]
    check_fields(document["spec"], MPI_JOB, "spec")
    for role, replica in document["spec"]["mpiReplicaSpecs"].items():
        assert role in ("Launcher", "Worker"), role
        check_fields(replica, MPI_REPLICA, role)
        pod = {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": role}, "template": replica["template"]}
        kubernetes_validate.validate(pod, KUBERNETES, strict=True)


FILES = sorted(path.name for path in (DEPLOY / "kubernetes").glob("*.yaml"))


@pytest.mark.parametrize("file", FILES)
def test_manifests(file):
    found = documents(file)
    assert found
    for document in found:
        check(document)


def places(value, path=()):
    """The path of every entry that is a field with a name."""
    if isinstance(value, dict):
        for name, entry in value.items():
            yield path + (name,)
            yield from places(entry, path + (name,))
    elif isinstance(value, list):
        for index, entry in enumerate(value):
            yield from places(entry, path + (index,))


# Maps whose names are the user's own, and the operator's, whose entries `check` names itself.
FREE = {"labels", "annotations", "matchLabels", "selector", "requests", "limits", "data", "nodeSelector"}


@pytest.mark.parametrize("file", FILES)
def test_a_misspelt_field_is_seen_wherever_it_stands(file):
    """Every field in turn with a letter too much."""
    for number, document in enumerate(documents(file)):
        for path in places(document):
            is_free = any(name in FREE for name in path[:-1]) and path[-1] not in FREE
            if is_free or path in (("apiVersion",), ("kind",)):
                continue
            broken = documents(file)[number]
            parent = broken
            for step in path[:-1]:
                parent = parent[step]
            parent[path[-1] + "x"] = parent.pop(path[-1])
            with pytest.raises((kubernetes_validate.ValidationError, AssertionError, KeyError)):
                check(broken)
                pytest.fail(f"{file}: {path} misspelt is not noticed", pytrace=False)


@pytest.mark.parametrize("file,path,value", [
    ("replicas.yaml", (0, "spec", "replicas"), "three"),
    ("replicas.yaml", (0, "spec", "template", "spec", "terminationGracePeriodSeconds"), "140s"),
    ("replicas.yaml", (0, "spec", "template", "spec", "containers"), {}),
    ("autoscaling.yaml", (0, "spec", "maxReplicas"), None),
    ("adapter-rules.yaml", (0, "data", "config.yaml"), 5),
    ("several-hosts.yaml", (0, "spec", "slotsPerWorker"), "1"),
    ("several-hosts.yaml", (0, "spec", "mpiReplicaSpecs", "Worker", "template", "spec", "containers"), "x"),
])
def test_a_wrong_type_is_seen(file, path, value):
    document = documents(file)
    parent = document
    for step in path[:-1]:
        parent = parent[step]
    parent[path[-1]] = value
    with pytest.raises((kubernetes_validate.ValidationError, AssertionError)):
        for part in document:
            check(part)


def test_times_of_draining_fit():
    """preStop, then the server's drain, then ten seconds to close: before SIGKILL, everywhere."""
    pod = documents("replicas.yaml")[0]["spec"]["template"]["spec"]
    container = pod["containers"][0]
    drain = next(int(word.split("=")[1]) for word in container["args"] if word.startswith("--shutdown-timeout="))
    before = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pod["terminationGracePeriodSeconds"] >= before + drain + 10
    # No longer than it takes every node to see that the pod is going.
    ready = container["readinessProbe"]
    assert before >= ready["periodSeconds"] * ready["failureThreshold"]
    flags = (DEPLOY.parent / "docs/flags.md").read_text()
    default = int(re.search(r"`--shutdown-timeout X` \|[^|]*\| (\d+) \|", flags)[1])
    for unit in ("martlet.service", "martlet@.service"):
        stop = int(re.search(r"TimeoutStopSec=(\d+)s", (DEPLOY / "systemd" / unit).read_text())[1])
        assert stop >= default + 10


def test_the_autoscaler_reads_what_the_adapter_gives():
    metric = documents("autoscaling.yaml")[0]["spec"]["metrics"][0]["pods"]["metric"]["name"]
    assert metric in [rule["name"]["as"] for rule in adapter_rules()]
    target = documents("autoscaling.yaml")[0]["spec"]["scaleTargetRef"]["name"]
    assert target == documents("replicas.yaml")[0]["metadata"]["name"]


def test_services_find_the_pods():
    found = documents("replicas.yaml")
    labels = found[0]["spec"]["template"]["metadata"]["labels"]
    names = {port["name"] for port in found[0]["spec"]["template"]["spec"]["containers"][0]["ports"]}
    for service in (document for document in found if document["kind"] == "Service"):
        assert service["spec"]["selector"].items() <= labels.items()
        assert all(port["targetPort"] in names for port in service["spec"]["ports"])
