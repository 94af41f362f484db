"""Settings: where each value comes from, what is refused, and what `aurea config` shows of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aurea_server.cli import main
from aurea_server.settings.settings import OPTIONS, Settings, SettingsError
from aurea_server.settings.sources import resolve

TOKEN = "correct-horse-battery"


def test_command_line_wins_then_variables_then_file(tmp_path: Path) -> None:
    """The command line goes before the environment before the file before the default."""
    file = tmp_path / "config.toml"
    file.write_text("port = 1\nmax_jobs = 10\nmax_queued = 3\nallowed_host = ['a', 'b']\n")
    environ = {"AUREA_CONFIG": str(file), "AUREA_PORT": "2", "AUREA_MAX_JOBS": "20"}
    resolved = resolve({"port": "3"}, environ)
    found = resolved.settings
    assert (found.port, found.max_jobs, found.max_queued, found.allowed_host, found.host) == (
        3,
        20,
        3,
        ("a", "b"),
        "127.0.0.1",
    )
    assert [resolved.origins[name] for name in ("port", "max_jobs", "max_queued", "host")] == [
        "command line", "environment", "configuration file", "default",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "environ", "words"),
    [
        ({"port": "x"}, {}, "port"),
        ({"port": "65536"}, {}, "0 to 65535"),
        ({}, {"AUREA_MEMORY": "much"}, "AUREA_MEMORY"),
        ({}, {"AUREA_MEMORY": "-1"}, "AUREA_MEMORY"),
        ({}, {"AUREA_DRAIN": "nan"}, "AUREA_DRAIN"),
        ({"log_format": "xml"}, {}, "text or json"),
        ({}, {"AUREA_CONFIG": "/nowhere"}, "/nowhere"),
    ],
)
def test_a_wrong_value_is_named_in_one_line(given: dict[str, str], environ: dict[str, str], words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        resolve(given, environ)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", ["prot = 1", "token = 'x'", "port = ", "port = 'x'"])
def test_a_wrong_configuration_file_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "config.toml").write_text(content)
    with pytest.raises(SettingsError):
        resolve({}, {"AUREA_CONFIG": str(tmp_path / "config.toml")})


@pytest.mark.parametrize("text", ["2147483648", "2GiB", "2048MiB", "2 GiB", "2097152kib"])
def test_sizes_may_have_a_unit(text: str) -> None:
    assert resolve({"memory": text}, {}).settings.memory == 2 * 1024**3


NOT_LOOPBACK = [
    "0.0.0.0", "::", "192.0.2.1", "example.org", "", "0", "00", "0x0", "128.0.0.1", "126.255.255.255",
    "2130706432.1", "127.example.com", "127.0.0.1.nip.io", "127.0.0.1.", "127.0.0.256", "127.0.0.0.1",
    "localhost.evil", "localhost.localdomain", "xlocalhost", "a.localhost", "::127.0.0.1", "::ffff:0.0.0.0",
    "::ffff:192.0.2.1", "fe80::1%lo", "::2", "１２７.0.0.1",
]  # fmt: skip


@pytest.mark.parametrize("host", NOT_LOOPBACK)
def test_beyond_loopback_a_token_is_needed(host: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="without a token"):
        Settings(host=host).check()
    assert Settings(host=host, insecure_no_auth=True).check() != []
    file = tmp_path / "token"
    file.write_text(TOKEN + "\n")
    assert Settings(host=host, token_file=str(file)).check() == []
    assert Settings(token_file=str(file)).caller_token == TOKEN.encode()


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.1", "127.255.255.254", "0x7f.1", "2130706433", "0177.0.0.1", "localhost", "LOCALHOST", "localhost.",
     "::1", "0:0:0:0:0:0:0:1", "::ffff:127.0.0.1"],
)  # fmt: skip
def test_on_loopback_no_token_is_needed(host: str) -> None:
    assert Settings(host=host).check() == []


@pytest.mark.parametrize("token", [" ", "\t", "\n", "\u2003", " " * 40, f" {TOKEN}", f"{TOKEN} ", f"{TOKEN}\n"])
def test_a_token_with_blanks_around_it_is_refused(token: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Whoever wrote that meant something else, and a server that took it would have no token, or not that one."""
    with pytest.raises(SettingsError, match="blanks or line breaks"):
        Settings(token=token).check()
    assert resolve({}, {"AUREA_TOKEN": ""}).settings.caller_token is None


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "is empty"),
        ("\n", "is empty"),
        ("\r\n", "is empty"),
        ("  \n", "blanks"),
        ("\n\n", "blanks"),
        (f"{TOKEN}\n\n", "blanks"),
        (f"\n{TOKEN}\n", "blanks"),
        (f"{TOKEN} \n", "blanks"),
        (f"\t{TOKEN}", "blanks"),
        (f"{TOKEN}\x00", "at least 16"),
        (f"{TOKEN}\n{TOKEN}", "at least 16"),
        (f"\ufeff\ufeff{TOKEN}", "at least 16"),
    ],
)
def test_a_token_file_that_is_not_just_a_token(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], content: str, words: str
) -> None:
    file = tmp_path / "token"
    file.write_bytes(content.encode())
    assert main(["serve", "--token-file", str(file), "--data", str(tmp_path / "data")]) == 2
    told = capfd.readouterr().err
    assert words in told
    assert told.count("\n") == 1
    assert TOKEN not in told


@pytest.mark.parametrize("content", [TOKEN, f"{TOKEN}\n", f"{TOKEN}\r\n", f"\ufeff{TOKEN}\r\n"])
def test_a_token_file_may_end_its_line(tmp_path: Path, content: str) -> None:
    """Also as editors on Windows write it: the mark says how the file is encoded, and is no part of it."""
    file = tmp_path / "token"
    file.write_bytes(content.encode())
    assert Settings(token_file=str(file)).caller_token == TOKEN.encode()


@pytest.mark.parametrize("token", ["short", "with a space in it", "ünïcödé-ünïcödé-x"])
def test_a_weak_token_is_refused(token: str) -> None:
    with pytest.raises(SettingsError, match="at least 16"):
        Settings(token=token).check()


def test_config_never_prints_the_token(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Config prints values and origins but never the token."""
    monkeypatch.setenv("AUREA_TOKEN", TOKEN)
    monkeypatch.setenv("AUREA_PORT", "6000")
    assert main(["config", "--json", "--max-jobs", "5"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["port"] == {"value": 6000, "origin": "environment", "variable": "AUREA_PORT"}
    assert (shown["max_jobs"]["value"], shown["max_jobs"]["origin"]) == (5, "command line")
    assert shown["token"]["value"] == "(set)"
    assert main(["config"]) == 0
    printed = capsys.readouterr().out
    assert TOKEN not in printed
    assert all(name in printed for name in OPTIONS)


def test_help_shows_defaults_and_variables(capsys: pytest.CaptureFixture[str]) -> None:
    """Help shows each setting with its default and variable."""
    main(["serve", "--help"])
    shown = " ".join(capsys.readouterr().out.replace("│", " ").split())
    for name, option in OPTIONS.items():
        if option.metadata["flag"]:
            assert f"AUREA_{name.upper()}" in shown, name
            assert f"--{name.replace('_', '-')}" in shown, name
    assert "--token " not in shown, "it would be seen in a list of processes"


def test_serve_refuses_unsafe_settings(capfd: pytest.CaptureFixture[str]) -> None:
    """Serve refuses unsafe settings with code 2."""
    assert main(["serve", "--host", "0.0.0.0"]) == 2
    assert "without a token" in capfd.readouterr().err
    assert main(["serve", "--allowed-host", "http://x"]) == 2


def test_every_setting_is_documented(require: Callable[..., Any]) -> None:
    page = (Path(__file__).parents[2] / "docs/operations.md").read_text()
    assert [name for name in OPTIONS if f"`AUREA_{name.upper()}`" not in page] == []
