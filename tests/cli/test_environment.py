"""A wrong variable or configuration file: one line and code 2, whatever the command; and what a flag gives is not judged."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aurea_server.__main__ import drop_absurd_width
from aurea_server.settings.settings import SettingsError
from aurea_server.settings.sources import resolve

COMMANDS = [
    ("run", "--jobs", "1", "--duration-ms", "0"),
    ("run", "--jobs", "1", "--server", "http://127.0.0.1:9"),
    ("prices", "list"),
    ("prices", "check", "nothing.toml"),
    ("reprice", "nothing.json", "--cost", "free"),
    ("cost-curve", "--cost", "free", "--service-time", "1"),
    ("selftest",),
    ("runs", "list"),
    ("runs", "show", "benchmark-1"),
    ("runs", "export", "benchmark-1", "-o", "/nowhere/x"),
    ("runs", "delete", "benchmark-1"),
    ("config",),
    ("config", "--json"),
    ("serve",),
]
each_command = pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
LINK = "tcp://10.0.0.1:5000"


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AUREA_SERVER", "AUREA_TOKEN", "AUREA_TOKEN_FILE", "AUREA_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


def is_refused(done: tuple[int, str, str], *words: str) -> None:
    code, out, err = done
    assert (code, out, err.count("\n"), err[:7]) == (2, "", 1, "aurea: "), done
    for word in words:
        assert word in err


@each_command
def test_a_wrong_variable(aurea: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]) -> None:
    monkeypatch.setenv("AUREA_PORT", "many")
    is_refused(aurea(*command), "port", "'many'", "AUREA_PORT", "0 to 65535")


@each_command
@pytest.mark.parametrize("content", [b"port = 'x'", b"prot = 1", b"port = ", b"port = \xff", b"token = 'x'"])
def test_a_wrong_configuration_file(
    aurea: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    command: tuple[str, ...],
    content: bytes,
) -> None:
    (tmp_path / "config.toml").write_bytes(content)
    monkeypatch.setenv("AUREA_CONFIG", str(tmp_path / "config.toml"))
    is_refused(aurea(*command))


@pytest.mark.parametrize("wrong", ["/nowhere/config.toml", "/"])
def test_a_configuration_file_that_is_none(
    aurea: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    monkeypatch.setenv("AUREA_CONFIG", wrong)
    is_refused(aurea("prices", "list"), wrong)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AUREA_MEMORY", "lots"),
        ("AUREA_DRAIN", "nan"),
        ("AUREA_KEEP_DAYS", "-1"),
        ("AUREA_LOG_LEVEL", "loud"),
        ("AUREA_INSECURE_NO_AUTH", "perhaps"),
        ("AUREA_HOST", "a b"),
        ("AUREA_SERVER", "ftp://x"),
        ("AUREA_SERVER", "http://host/?a=b"),
    ],
)
def test_every_variable_is_named(
    aurea: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    is_refused(aurea("prices", "list"), name)


@pytest.mark.parametrize("name", ["AUREA_PORT", "AUREA_HOST", "AUREA_LOOP"])
def test_a_link_of_a_cluster_gets_a_hint(aurea: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Kubernetes sets AUREA_PORT beside a service that is called aurea."""
    monkeypatch.setenv(name, LINK if name != "AUREA_HOST" else "udp://[fd00::1]:53")
    is_refused(aurea("serve"), "Kubernetes", "enableServiceLinks: false", name)


def test_what_a_cluster_sets_beside_it_is_ignored(aurea: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SERVICE_HOST", "SERVICE_PORT", "PORT_5000_TCP", "PORT_5000_TCP_ADDR", "SERVER_PORT", "UNKNOWN"):
        monkeypatch.setenv(f"AUREA_{name}", LINK)
    assert aurea("run", "--jobs", "1", "--duration-ms", "0")[0] == 0


def test_a_flag_wins_unjudged(aurea: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Over the variable and over the file."""
    monkeypatch.setenv("AUREA_PORT", LINK)
    for flags in (("--port", "5001"), ("--port=5001",)):
        code, out, _ = aurea("config", "--json", *flags)
        assert (code, json.loads(out)["port"]) == (
            0,
            {"value": 5001, "origin": "command line", "variable": "AUREA_PORT"},
        )
    is_refused(aurea("config", "--host", "127.0.0.1"), "AUREA_PORT")
    monkeypatch.setenv("AUREA_MAX_JOBS", "few")
    for spelt in ("--max-jobs", "--max_jobs"):
        assert aurea("config", "--port", "5001", spelt, "5")[0] == 0
    monkeypatch.delenv("AUREA_MAX_JOBS")
    monkeypatch.setenv("AUREA_SERVER", "no url at all")
    is_refused(aurea("runs", "list", "--data", tmp_path), "AUREA_PORT")
    monkeypatch.delenv("AUREA_PORT")
    assert aurea("runs", "list", "--server", "http://127.0.0.1:9")[0] == 1


def test_a_variable_wins_over_a_wrong_file(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("port = 'x'\ndrain = 5\n")
    environ = {"AUREA_CONFIG": str(tmp_path / "config.toml"), "AUREA_PORT": "5001"}
    settings = resolve({}, environ).settings
    assert (settings.port, settings.drain) == (5001, 5.0)
    with pytest.raises(SettingsError, match="port"):
        resolve({}, {"AUREA_CONFIG": str(tmp_path / "config.toml")})


@pytest.mark.parametrize("arguments", [("--help",), ("serve", "--help"), ("run", "-h"), ("--version",), ()])
def test_help_is_given_in_any_case(
    aurea: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    """It is where the remedy stands."""
    monkeypatch.setenv("AUREA_PORT", "many")
    assert aurea(*arguments)[0] == 0


@pytest.mark.parametrize("token", ["   ", "two words", "line\nbreak", "ünïcödé"])
def test_a_token_that_no_header_holds(aurea: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, token: str) -> None:
    monkeypatch.setenv("AUREA_TOKEN", token)
    is_refused(aurea("runs", "list", "--server", "http://127.0.0.1:9"), "AUREA_TOKEN")


def test_a_token_file_that_is_none(aurea: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "token").write_bytes(b"\xff\xfe\xfd")
    for path in (tmp_path / "token", tmp_path / "nowhere", tmp_path):
        monkeypatch.setenv("AUREA_TOKEN_FILE", str(path))
        is_refused(aurea("runs", "list", "--server", "http://127.0.0.1:9"), "AUREA_TOKEN_FILE", str(path))


def test_a_home_that_is_no_folder_has_no_settings(aurea: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """A service's user may have /dev/null for a home."""
    monkeypatch.setenv("HOME", "/dev/null")
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    assert aurea("prices", "list")[0] == 0


def test_a_loop_that_is_not_installed(aurea: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUREA_LOOP", "uvloop")
    monkeypatch.setitem(sys.modules, "uvloop", None)
    is_refused(aurea("serve", "--port", "0"), "uvloop is not installed")


@pytest.mark.parametrize(("columns", "left"), [
    ("0", None), ("00", None), ("1", None), ("999999999", None), ("9" * 5000, None), ("80", "80"), ("4", "4"),
    ("wide", "wide"),
])  # fmt: skip
def test_absurd_width_is_ignored(monkeypatch: pytest.MonkeyPatch, columns: str, left: str | None) -> None:
    """Help failed at 0 columns, and never came to an end at 1 or at a thousand million."""
    monkeypatch.setenv("COLUMNS", columns)
    drop_absurd_width()
    assert os.environ.get("COLUMNS") == left
