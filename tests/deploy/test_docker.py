"""The image and the compose file: linted, and safe by default. No container engine runs here."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
LINES = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text()).splitlines()
SERVICES = ["aurea", "grafana", "prometheus"]


def instructions(name: str) -> list[str]:
    return [line.removeprefix(name).strip() for line in LINES if line.startswith(name + " ")]


@pytest.fixture
def compose(read_yaml: Callable[[Path], Any]) -> dict[str, Any]:
    document: dict[str, Any] = read_yaml(ROOT / "compose.yaml")
    return document


def test_hadolint_has_nothing_to_say_on_the_dockerfile(passes: Callable[..., str]) -> None:
    assert passes("hadolint", "hadolint", "--failure-threshold", "style", ROOT / "Dockerfile") == ""


def test_the_image_runs_as_a_number_that_is_not_root() -> None:
    """Kubernetes cannot tell from a name whether it is root."""
    assert instructions("USER") == ["10001:10001"]


def test_the_image_is_slim_and_built_apart() -> None:
    """Compilers, caches and sources stay behind in the first stage."""
    first, last = instructions("FROM")
    assert first == f"{last} AS build"
    assert "-slim" in last
    assert instructions("COPY")[-1] == "--from=build /opt/aurea /opt/aurea"


def test_signals_reach_the_server_and_its_health_is_known() -> None:
    """A shell in front of the program would swallow SIGTERM: exec form, always."""
    assert instructions("STOPSIGNAL") == ["SIGTERM"]
    (entrypoint,) = instructions("ENTRYPOINT")
    assert entrypoint.startswith('["aurea", "serve"')
    (health,) = instructions("HEALTHCHECK")
    assert 'CMD ["python", "-c", ' in health
    assert "/health" in health


def test_health_check_fails_without_an_answer() -> None:
    """The health check is a program that fails when nobody answers."""
    (health,) = instructions("HEALTHCHECK")
    source = health.partition('"-c", "')[2].rpartition('"]')[0].replace("127.0.0.1:5000", "127.0.0.1:9")
    with pytest.raises(OSError, match="refused"):
        exec(compile(source, "HEALTHCHECK", "exec"), {})


def test_the_image_is_labelled() -> None:
    (labels,) = instructions("LABEL")
    found = dict(label.split("=", 1) for label in shlex.split(labels))
    for name in ("title", "description", "version", "licenses", "vendor", "base.name"):
        assert found[f"org.opencontainers.image.{name}"], name
    version = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version is not None
    assert instructions("ARG") == [f"VERSION={version[1]}"]


def test_build_context_has_no_secrets() -> None:
    """The build context holds what the image copies and no secrets."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    kept = {line.removeprefix("!").rstrip("/") for line in lines if line.startswith("!")}
    assert "*" in lines
    for copy in instructions("COPY"):
        *sources, _target = [word for word in copy.split() if not word.startswith("--")]
        if "--from" not in copy:
            assert {source.rstrip("/") for source in sources} <= kept
            assert all((ROOT / source).exists() for source in sources)
    assert not [pattern for pattern in kept if fnmatch("token", pattern) or fnmatch(".env", pattern)]


def test_dependencies_are_installed_by_their_hashes() -> None:
    assert any("--require-hashes" in line and "serve.txt" in line for line in instructions("RUN"))


def test_compose_follows_its_specification(passes: Callable[..., str]) -> None:
    schema = ["--builtin-schema", "vendor.compose-spec"]
    passes("check-jsonschema", "check-jsonschema", *schema, ROOT / "compose.yaml")


def test_compose_starts_pinned_versions(compose: dict[str, Any]) -> None:
    """Compose starts the server prometheus and grafana at named versions."""
    assert sorted(compose["services"]) == SERVICES
    for service in compose["services"].values():
        assert re.fullmatch(r"\S+:v?\d+\.\d+\.\d+", service["image"]), "not whatever is latest today"


@pytest.mark.parametrize("name", SERVICES)
def test_compose_publishes_to_loopback_only(compose: dict[str, Any], name: str) -> None:
    """The server has no token in compose: whoever reaches its port may start load."""
    service = compose["services"][name]
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    assert "network_mode" not in service


def test_compose_gives_the_server_time_to_stop(compose: dict[str, Any]) -> None:
    """It drains for ten seconds and is gone after fifteen; ten is what Docker would wait."""
    assert compose["services"]["aurea"]["stop_grace_period"] == "20s"


def test_compose_mounts_files_that_exist(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        for source, _target, *mode in (volume.split(":") for volume in service["volumes"]):
            if source.startswith("."):
                assert (ROOT / source).exists(), source
                assert mode == ["ro"], source
            else:
                assert source in compose["volumes"], source


def test_compose_scrapes_an_allowed_host(compose: dict[str, Any], read_yaml: Callable[[Path], Any]) -> None:
    """Any other Host is refused before routing."""
    config = read_yaml(ROOT / "deploy/docker/prometheus.yml")
    ((target,),) = [job["static_configs"][0]["targets"] for job in config["scrape_configs"]]
    host, port = target.split(":")
    command = compose["services"]["aurea"]["command"]
    assert host in compose["services"]
    assert command[command.index("--allowed-host") + 1] == host
    assert port == "5000"
