"""What a Windows editor, or ``>`` of PowerShell, has written: every command that reads a file reads it."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aurea_server.cli.server_client import read_token
from aurea_server.settings.settings import Settings
from aurea_server.settings.sources import resolve

SPEC = '{"num_jobs": 4,\r\n "job_duration_ms": 1,\r\n "clock": "virtual", "label": "grün"}\r\n'
MARKED = pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
TOKEN = "correct-horse-battery"


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str, str], Path]:
    def written(name: str, text: str, encoding: str) -> Path:
        (tmp_path / name).write_bytes(text.encode(encoding))
        return tmp_path / name

    return written


@MARKED
def test_a_specification_in_any_form(
    aurea: Callable[..., Any], write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    toml = 'num_jobs = 4\r\njob_duration_ms = 1\r\nclock = "virtual"\r\nlabel = "grün"\r\n'
    for path in (write("spec.json", SPEC, encoding), write("SPEC.TOML", toml, encoding)):
        code, out, _ = aurea("run", path, "--json")
        assert (code, json.loads(out)["label"]) == (0, "grün")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(SPEC.encode(encoding))))
    assert aurea("run", "-")[0] == 0


@MARKED
def test_results_models_and_sheets(aurea: Callable[..., Any], write: Callable[..., Path], encoding: str) -> None:
    """What PowerShell's ``aurea run --json > result.json`` leaves can be run again and priced again."""
    _, out, _ = aurea("run", write("spec.json", SPEC, "utf-8"), "--json")
    result = write("result.json", out.replace("\n", "\r\n"), encoding)
    assert aurea("run", result, "--json")[0] == 0
    model = write("model.json", '{"kind": "per_job", "price": "0.5"}', encoding)
    code, out, _ = aurea("reprice", result, "--cost", model, "--json")
    assert (code, json.loads(out)["1: model"]["exact"]) == (0, "2/1")
    assert aurea("cost-curve", result, "--cost", model)[0] == 0
    sheet = (Path(__file__).parents[2] / "aurea_engine/costs/prices/example-functions@1.toml").read_text("utf-8")
    assert aurea("prices", "check", write("sheet.toml", sheet, encoding))[0] == 0
    assert aurea("prices", "show", write("sheet.toml", sheet, encoding))[0] == 0


@MARKED
def test_settings_and_token(write: Callable[..., Path], encoding: str) -> None:
    config = write("config.toml", "port = 5001\r\n", encoding)
    assert resolve({}, {"AUREA_CONFIG": str(config)}).settings.port == 5001
    file = write("token", TOKEN + "\r\n", encoding)
    assert Settings(token_file=str(file)).caller_token == TOKEN.encode()
    assert read_token({"AUREA_TOKEN_FILE": str(file)}) == TOKEN


def test_another_encoding_is_refused_by_name(aurea: Callable[..., Any], write: Callable[..., Path]) -> None:
    path = write("spec.json", SPEC, "cp1252")
    code, out, err = aurea("run", path)
    assert (code, out, "save it as UTF-8" in err, str(path) in err, "Traceback" in err) == (2, "", True, True, False)
