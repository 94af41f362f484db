"""What cannot be read, written or shown: one line on stderr, a documented code, nothing lost, and never a traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from aurea_server.cli import main
from aurea_server.history import LedgerUnusable, default_data_folder
from aurea_server.settings.settings import SettingsError
from aurea_server.settings.sources import config_path, resolve

PROGRAM = "import sys; from aurea_server.__main__ import aurea; sys.exit(aurea())"
TINY = ("run", "--jobs", "1", "--duration-ms", "0")
PER_JOB = '{"kind": "per_job", "price": "0.0002"}'
CURVE = ("cost-curve", "--cost", PER_JOB, "--service-time", "1")


def aurea(*arguments: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), **options.pop("environment", {})}
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments], env=environment, check=False, timeout=240, **options
    )


@pytest.mark.service
@pytest.mark.parametrize(
    "command", [TINY, (*TINY, "--json"), ("prices", "list"), ("config",), ("config", "--json"), ("--help",)]
)
def test_a_full_disk_behind_stdout_is_told(command: tuple[str, ...]) -> None:
    with Path("/dev/full").open("wb") as full:
        done = aurea(*command, stdout=full)
    assert (done.returncode, done.stderr) == (1, b"aurea: it cannot be written: No space left on device\n")


@pytest.mark.service
def test_full_stderr_changes_no_exit_code() -> None:
    """A full disk behind stderr changes no code."""
    with Path("/dev/full").open("wb") as full:
        assert aurea(*TINY, "--slots", "0", stderr=full).returncode == 2


@pytest.mark.service
@pytest.mark.parametrize("command", [TINY, ("prices", "list"), ("--help",), (*CURVE, "--cost", PER_JOB)])
def test_what_an_encoding_lacks_is_spelt(command: tuple[str, ...]) -> None:
    done = aurea(*command, environment={"PYTHONIOENCODING": "ascii"})
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.isascii()


OUTPUTS = [
    ("/nodir/x", "there is no folder /nodir"),
    ("{folder}", "Is a directory"),
    ("{folder}/file/x", "there is no folder"),
]


@pytest.mark.parametrize(("output", "why"), OUTPUTS)
@pytest.mark.parametrize(
    "command",
    [
        ("run", "--jobs", "1", "--duration-ms", "60000"),
        ("run", "--jobs", "1", "--server", "http://127.0.0.1:9"),
        ("runs", "export", "benchmark-1", "--server", "http://127.0.0.1:9"),
        CURVE,
    ],
    ids=["run", "run there", "export", "cost-curve"],
)
def test_unwritable_output_is_refused_early(
    command: tuple[str, ...], output: str, why: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """An output that cannot be written is refused before the work."""
    (tmp_path / "file").touch()
    assert main([*command, "-o", output.format(folder=tmp_path)]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert why in err


def test_failed_export_keeps_the_old_file(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """An export that fails leaves the file as it was."""
    keep = tmp_path / "keep.json"
    keep.write_text("precious")
    assert main(["runs", "export", "nope", "-o", str(keep), "--data", str(tmp_path / "data")]) == 1
    assert "no run" in capfd.readouterr().err
    assert keep.read_text() == "precious"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["data", "keep.json"]


def test_output_keeps_rights_and_links(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A file keeps its rights and a link stays a link."""
    there, link = tmp_path / "there.json", tmp_path / "link.json"
    there.write_text("old")
    there.chmod(0o640)
    link.symlink_to(there)
    assert main([*TINY, "-o", str(link)]) == 0
    assert json.loads(there.read_text())["completed_jobs"] == 1
    assert (there.stat().st_mode & 0o777, link.is_symlink()) == (0o640, True)
    assert main([*TINY, "-o", "/dev/null"]) == 0
    assert main([*TINY, "-o", "/dev/full"]) == 2


class _Odd(BaseHTTPRequestHandler):
    """Says 200 and then no more, or what is no JSON."""

    def do_POST(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        self.send_response(200)
        if "runs?" in self.path:
            self.send_header("Content-Length", "5")
            self.end_headers()
            self.wfile.write(b"<htm>")
        else:
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"{")

    def log_message(self, *_: object) -> None: ...


def test_a_server_that_is_none_of_ours(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    odd = HTTPServer(("127.0.0.1", 0), _Odd)
    Thread(target=odd.serve_forever, daemon=True).start()
    url, keep = f"http://127.0.0.1:{odd.server_port}", tmp_path / "keep"
    keep.write_text("precious")
    try:
        for command in (
            ("run", "--jobs", "1"),
            ("runs", "list"),
            ("runs", "show", "benchmark-1"),
            ("runs", "export", "benchmark-1", "--format", "csv", "-o", str(keep)),
        ):
            assert main([*command, "--server", url]) == 1, command
            assert capfd.readouterr().err.startswith(f"aurea: {url}: "), command
    finally:
        odd.shutdown()
        odd.server_close()
    assert keep.read_text() == "precious"


@pytest.mark.parametrize(
    ("command", "named"),
    [
        (("prices", "show", "nofile.toml"), "nofile.toml"),
        ((*CURVE, "--points", "0"), "--points"),
        ((*CURVE, "--points", "-3"), "--points"),
        ((*CURVE, "--points", "10000000000"), "--points"),
        ((*CURVE, "--from", "0"), "--from"),
        ((*CURVE, "--from", "10", "--to", "1"), "--to: must be above --from"),
        ((*CURVE, "--hours", "nan"), "--hours"),
        (("cost-curve", "--cost", PER_JOB, "--service-time", "-1"), "--service-time"),
        (("runs", "list", "--limit", "0"), "--limit"),
    ],
)
def test_a_bad_value_is_named_as_it_was_given(
    command: tuple[str, ...], named: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(list(command)) == 2
    assert f"\n  {named}" in capfd.readouterr().err


def test_any_number_of_runs_may_be_asked_for(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", "list", "--limit", "9" * 20, "--data", str(tmp_path)]) == 0


def test_user_without_home_has_no_history(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user without a home has defaults and no history."""

    def homeless(path: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "expanduser", homeless)
    assert config_path({}) == (None, False)
    settings = resolve({}, {}).settings
    with pytest.raises(LedgerUnusable, match="--data"):
        default_data_folder({})
    with pytest.raises(LedgerUnusable, match="--data"):
        _ = settings.folder


@pytest.mark.service
def test_serve_and_config_without_a_home(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """One says so in its table, the other refuses to serve."""
    for name in ("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "AUREA_DATA"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "sitecustomize.py").write_text(
        "import pathlib\n\ndef homeless(path):\n    raise RuntimeError('no home')\n\npathlib.Path.expanduser = homeless\n"
    )
    environment = {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(Path(__file__).parents[2])])}
    assert aurea("config", environment=environment).returncode == 0
    done = aurea("serve", "--port", "0", environment=environment)
    assert (done.returncode, b"--data" in done.stderr, b"Traceback" in done.stderr) == (4, True, False)
    assert aurea("runs", "list", environment=environment).returncode == 1


@pytest.mark.parametrize("host", ["127.\udcff", "a b", "x" * 300, "a\nb"])
def test_what_cannot_be_an_address_is_refused(host: str) -> None:
    with pytest.raises(SettingsError, match="host"):
        resolve({"host": host}, {"AUREA_CONFIG": ""})


@pytest.mark.service
@pytest.mark.parametrize("columns", ["0", "1", "-5", "wide", "9" * 30])
def test_columns_that_no_terminal_has(columns: str) -> None:
    """No traceback, in help and complaints too; and figures are whole all the same."""
    environment = {"COLUMNS": columns, "LINES": columns, "FORCE_COLOR": "1"}
    for command, code in ((("--help",), 0), (("run", "--nope"), 2), (TINY, 0), (("prices", "list"), 0)):
        done = aurea(*command, environment=environment)
        assert (done.returncode, b"Traceback" in done.stderr) == (code, False)
    assert b"aws-lambda-x86-us-east-1@2026.11.0" in done.stdout
