"""The files for a Dask cluster: linted, encrypted, as tight as the server's. Their commands run here, without containers."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.conftest import free_port

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "deploy/docker/dask.compose.yaml"
DOCKERFILE = ROOT / "deploy/docker/dask.Dockerfile"
FOLDER = ROOT / "deploy/kubernetes-dask"
MANIFESTS = sorted(file.name for file in FOLDER.glob("*.yaml") if file.name != "kustomization.yaml")
DEPLOYMENTS = ("scheduler.yaml", "workers.yaml")
TLS = {"--tls-ca-file": "ca.pem", "--tls-cert": "cert.pem", "--tls-key": "key.pem"}


def read_options(command: list[str]) -> dict[str, str]:
    return dict(word.partition("=")[::2] for word in command if word.startswith("--"))


@pytest.fixture
def services(read_yaml: Callable[[Path], Any]) -> dict[str, Any]:
    found: dict[str, Any] = read_yaml(COMPOSE)["services"]
    return found


@pytest.fixture(params=DEPLOYMENTS)
def pod(request: pytest.FixtureRequest, read_yaml: Callable[[Path], Any]) -> dict[str, Any]:
    spec: dict[str, Any] = read_yaml(FOLDER / request.param)["spec"]["template"]["spec"]
    return spec


# --- Docker ----------------------------------------------------------------------------------------------------------


def test_hadolint_has_nothing_to_say(passes: Callable[..., str]) -> None:
    assert passes("hadolint", "hadolint", "--failure-threshold", "style", DOCKERFILE) == ""


def test_compose_follows_its_specification(passes: Callable[..., str]) -> None:
    passes("check-jsonschema", "check-jsonschema", "--builtin-schema", "vendor.compose-spec", COMPOSE)


def test_image_is_the_server_s_with_pinned_dask() -> None:
    """By hashes, as the same user, and the build context holds what it copies."""
    text, kept = DOCKERFILE.read_text(), (ROOT / ".dockerignore").read_text().splitlines()
    server = re.search(r"image: (\S+)", (ROOT / "compose.yaml").read_text())
    assert server is not None
    assert f"\nFROM {server[1]}\n" in text
    assert "--require-hashes" in text
    assert re.findall(r"^COPY (\S+)", text, re.MULTILINE) == ["requirements/dask.txt"]
    assert "!requirements/dask.txt" in kept
    assert re.findall(r"^USER (\S+)", text, re.MULTILINE)[-1] == "10001:10001"
    assert "distributed==" in (ROOT / "requirements/dask.txt").read_text()


def test_compose_encrypts_and_publishes_to_loopback_only(services: dict[str, Any], read_yaml: Any) -> None:
    assert sorted(services) == ["scheduler", "worker"]
    assert services["scheduler"]["ports"] == ["127.0.0.1:8786:8786"]
    assert "ports" not in services["worker"]
    assert sorted(read_yaml(COMPOSE)["secrets"]) == sorted(TLS.values())
    for service in services.values():
        options = read_options(service["command"])
        assert options["--protocol"] == "tls"
        assert {name: options[name] for name in TLS} == {name: f"/run/secrets/{file}" for name, file in TLS.items()}
        assert sorted(service["secrets"]) == sorted(TLS.values())
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["read_only"] is True
    assert services["worker"]["command"][1] == "tls://scheduler:8786"


# --- Kubernetes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("manifest", MANIFESTS)
def test_manifest_follows_the_schema(passes: Callable[..., str], manifest: str) -> None:
    passes("kubernetes-validate", "kubernetes-validate", "--strict", FOLDER / manifest)


def test_kustomization_names_every_manifest_and_the_image(read_yaml: Callable[[Path], Any]) -> None:
    kustomization, server = (
        read_yaml(folder / "kustomization.yaml") for folder in (FOLDER, ROOT / "deploy/kubernetes")
    )
    assert sorted(kustomization["resources"]) == MANIFESTS
    assert kustomization["namespace"] == server["namespace"]
    (image,) = kustomization["images"]
    assert f"{image['name']}:{image['newTag']}" == read_yaml(COMPOSE)["services"]["worker"]["image"]


def test_pods_keep_to_the_restricted_profile(pod: dict[str, Any]) -> None:
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert container["image"] == "aurea-orchestrator-dask"
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "privileged": False,
        "readOnlyRootFilesystem": True,
    }
    assert container["resources"]["requests"] == container["resources"]["limits"]
    assert container["resources"]["limits"]["cpu"].isdigit()


def test_pods_speak_tls_with_certificates_from_a_secret(pod: dict[str, Any]) -> None:
    (container,) = pod["containers"]
    options = read_options(container["args"])
    (mount,) = [each["mountPath"] for each in container["volumeMounts"] if each["name"] == "certificates"]
    assert options["--protocol"] == "tls"
    assert {name: options[name] for name in TLS} == {name: f"{mount}/{file}" for name, file in TLS.items()}
    (secret,) = [each["secret"] for each in pod["volumes"] if "secret" in each]
    assert f"secret generic {secret['secretName']} " in (FOLDER / "kustomization.yaml").read_text()


def test_workers_find_the_scheduler_and_have_their_own_nodes(read_yaml: Callable[[Path], Any]) -> None:
    service, workers = read_yaml(FOLDER / "service.yaml"), read_yaml(FOLDER / "workers.yaml")
    pod = workers["spec"]["template"]["spec"]
    (port,) = service["spec"]["ports"]
    assert pod["containers"][0]["args"][:2] == ["worker", f"tls://{service['metadata']['name']}:{port['port']}"]
    (rule,) = pod["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    labels = workers["spec"]["template"]["metadata"]["labels"]
    assert rule["labelSelector"]["matchLabels"] == labels == workers["spec"]["selector"]["matchLabels"]
    scheduler = read_yaml(FOLDER / "scheduler.yaml")["spec"]
    assert service["spec"]["selector"] == scheduler["template"]["metadata"]["labels"]
    assert scheduler["replicas"] == 1


def test_only_the_namespace_reaches_the_cluster(read_yaml: Callable[[Path], Any]) -> None:
    policy = read_yaml(FOLDER / "networkpolicy.yaml")["spec"]
    assert policy["ingress"] == [{"from": [{"podSelector": {}}]}]
    assert policy["policyTypes"] == ["Ingress", "Egress"]


# --- Their commands, run -----------------------------------------------------------------------------------------------


def list_commands(read_yaml: Any) -> list[list[str]]:
    """Of scheduler and worker in Kubernetes."""
    pods = [read_yaml(FOLDER / name)["spec"]["template"]["spec"] for name in DEPLOYMENTS]
    return [pod["containers"][0]["args"] for pod in pods]


def test_kubernetes_runs_what_compose_runs(services: dict[str, Any], read_yaml: Any) -> None:
    """But for the names of the service and of the folder; so that to run one of them here is to run both."""
    text = str([sorted(command) for command in list_commands(read_yaml)])
    text = text.replace("/run/secrets/aurea-dask", "/run/secrets").replace("aurea-dask:", "scheduler:")
    assert text == str([sorted(services[name]["command"]) for name in ("scheduler", "worker")])


@pytest.mark.service
def test_a_run_on_the_cluster(services: dict[str, Any], tmp_path: Path, require: Callable[..., str]) -> None:
    """As in the containers, but for folders and addresses: certificates of the script, a scheduler, a worker, a run."""
    require("openssl", "openssl")
    pytest.importorskip("distributed")
    certificates = tmp_path / "certificates"
    subprocess.run([ROOT / "deploy/docker/make_certificates", certificates], check=True, timeout=60)
    commands = [services["scheduler"]["command"], services["worker"]["command"]]
    address = f"127.0.0.1:{free_port()}"

    def place(words: list[str]) -> list[str]:
        text = "\n".join(words).replace("--port=8786", f"--port={address.partition(':')[2]}")
        text = re.sub("tls://scheduler:8786", f"tls://{address}", text).replace("=/tmp", f"={tmp_path}")
        return [*text.replace("/run/secrets", str(certificates)).split("\n"), "--host=127.0.0.1"]

    log = tmp_path / "worker.log"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with ExitStack() as stack:
        for words, name in zip(commands, ("scheduler.log", "worker.log"), strict=True):
            output = stack.enter_context((tmp_path / name).open("wb"))
            command = [sys.executable, "-m", f"distributed.cli.dask_{words[0]}", *place(words[1:])]
            process = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
            stack.callback(process.wait)
            stack.callback(process.terminate)
        until = time.monotonic() + 120
        while "Registered to:" not in log.read_text():
            assert time.monotonic() < until, (tmp_path / "scheduler.log").read_text() + log.read_text()
            time.sleep(0.1)
        spec = {"workload": {"job": {"kind": "sleep", "duration": 0.01}, "jobs": 20}}
        (tmp_path / "spec.json").write_text(json.dumps(spec))
        files = [
            f"--dask-{name}={certificates / file}"
            for name, file in zip(("ca", "cert", "key"), TLS.values(), strict=True)
        ]
        program = "import sys; from aurea_server.cli import main; sys.exit(main(sys.argv[1:]))"
        run = ["run", "spec.json", "--json", f"--dask=tls://{address}", *files]
        command = [sys.executable, "-c", program, *run]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=240, check=False
        )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["completed_jobs"], len(result["shards"])) == (20, 1)
