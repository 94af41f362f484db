"""The manifests: valid, complete, and as tight as Kubernetes' restricted profile. No cluster runs here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[2] / "deploy/kubernetes"
MANIFESTS = sorted(file.name for file in FOLDER.glob("*.yaml") if file.name != "kustomization.yaml")


@pytest.fixture
def pod(read_yaml: Callable[[Path], Any]) -> dict[str, Any]:
    spec: dict[str, Any] = read_yaml(FOLDER / "deployment.yaml")["spec"]["template"]["spec"]
    return spec


@pytest.fixture
def container(pod: dict[str, Any]) -> dict[str, Any]:
    (only,) = pod["containers"]
    return dict(only)


@pytest.mark.parametrize("manifest", MANIFESTS)
def test_a_manifest_follows_the_schema_of_kubernetes(passes: Callable[..., str], manifest: str) -> None:
    passes("kubernetes-validate", "kubernetes-validate", "--strict", FOLDER / manifest)


def test_the_kustomization_names_every_manifest_once(read_yaml: Callable[[Path], Any]) -> None:
    kustomization = read_yaml(FOLDER / "kustomization.yaml")
    assert sorted(kustomization["resources"]) == MANIFESTS
    assert kustomization["namespace"] == read_yaml(FOLDER / "namespace.yaml")["metadata"]["name"]


def test_the_image_is_the_one_that_the_kustomization_places(
    container: dict[str, Any], read_yaml: Callable[[Path], Any]
) -> None:
    (image,) = read_yaml(FOLDER / "kustomization.yaml")["images"]
    assert container["image"] == image["name"]
    assert (
        image["newTag"] == read_yaml(FOLDER.parents[1] / "compose.yaml")["services"]["aurea"]["image"].partition(":")[2]
    )


def test_the_pod_keeps_to_the_restricted_profile(pod: dict[str, Any], container: dict[str, Any]) -> None:
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "privileged": False,
        "readOnlyRootFilesystem": True,
    }


def test_the_pod_runs_as_the_user_of_the_image(pod: dict[str, Any]) -> None:
    user = f"{pod['securityContext']['runAsUser']}:{pod['securityContext']['runAsGroup']}"
    assert f"USER {user}\n" in (FOLDER.parents[1] / "Dockerfile").read_text()


def test_probes_use_an_allowed_host(container: dict[str, Any]) -> None:
    """The kubelet would ask by the pod's address, which the server refuses."""
    paths = {name: container[name + "Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")}
    assert {name: get["path"] for name, get in paths.items()} == {
        "startup": "/health/live",
        "liveness": "/health/live",
        "readiness": "/health/ready",
    }
    for get in paths.values():
        assert get["port"] == "http"
        assert get["httpHeaders"] == [{"name": "Host", "value": "localhost"}]


def test_server_has_whole_cores(container: dict[str, Any]) -> None:
    """Requests equal limits: a generator that is throttled measures the throttle."""
    resources = container["resources"]
    assert resources["requests"] == resources["limits"]
    assert resources["limits"]["cpu"].isdigit()


def test_there_is_one_server_and_never_two_on_one_ledger(read_yaml: Callable[[Path], Any]) -> None:
    spec = read_yaml(FOLDER / "deployment.yaml")["spec"]
    assert spec["replicas"] == 1
    assert spec["strategy"] == {"type": "Recreate"}


def test_the_pod_outlives_a_graceful_stop(pod: dict[str, Any]) -> None:
    assert pod["terminationGracePeriodSeconds"] >= 16


def test_the_server_wants_a_token_and_gets_it_from_a_file(pod: dict[str, Any], container: dict[str, Any]) -> None:
    """Never from the command line, which every user of the node can read."""
    assert not any("token" in argument or "insecure" in argument for argument in container["args"])
    (variable,) = container["env"]
    assert variable["name"] == "AUREA_TOKEN_FILE"
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert Path(variable["value"]).parent.as_posix() == mounts["token"]
    assert mounts.keys() == {volume["name"] for volume in pod["volumes"]}


def test_service_policy_and_deployment_speak_of_the_same_pods(read_yaml: Callable[[Path], Any]) -> None:
    labels = read_yaml(FOLDER / "deployment.yaml")["spec"]["template"]["metadata"]["labels"]
    selectors = [
        read_yaml(FOLDER / "deployment.yaml")["spec"]["selector"]["matchLabels"],
        read_yaml(FOLDER / "service.yaml")["spec"]["selector"],
        read_yaml(FOLDER / "networkpolicy.yaml")["spec"]["podSelector"]["matchLabels"],
    ]
    assert all(selector.items() <= labels.items() for selector in selectors)


def test_the_server_answers_to_the_names_of_its_service(
    container: dict[str, Any], read_yaml: Callable[[Path], Any]
) -> None:
    service = read_yaml(FOLDER / "service.yaml")["metadata"]["name"]
    namespace = read_yaml(FOLDER / "kustomization.yaml")["namespace"]
    allowed = [argument for argument in container["args"] if argument != "--allowed-host"]
    assert allowed == [service, f"{service}.{namespace}.svc", f"{service}.{namespace}.svc.cluster.local"]
