"""A ledger of an older version reads, exports and reprices as it did: README.md says how it was made."""

from __future__ import annotations

import dataclasses
import io
import json
import lzma
import runpy
import tarfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from aurea_engine import encode_json, parse_json, result_from_dict, result_to_dict
from aurea_server.cli import main
from aurea_server.history import DataFolder, Ledger
from aurea_server.http.app import create_app
from aurea_server.settings.settings import Settings

pytestmark = pytest.mark.service
HERE = Path(__file__).parent
MAKER = runpy.run_path(str(HERE / "make_ledger.py"))
EXPECTED = json.loads(lzma.decompress((HERE / "expected.json.xz").read_bytes()))
RUNS: dict[str, dict[str, Any]] = EXPECTED["runs"]
FOR_EVER = 36_500
"""Days: retention would delete these runs a month after they were made."""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A copy of the older version's data folder."""
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    with tarfile.open(fileobj=io.BytesIO(lzma.decompress((HERE / "ledger.tar.xz").read_bytes()))) as archive:
        archive.extractall(folder, filter="data")
    return folder


@pytest.fixture
async def client(data: Path) -> AsyncIterator[TestClient[Any, Any]]:
    settings = dataclasses.replace(Settings(data=str(data)), keep_days=FOR_EVER)
    async with TestClient(TestServer(await create_app(settings=settings))) as client:
        yield client


@pytest.fixture
def aurea(data: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> Callable[..., bytes]:
    """``aurea("runs", "show", run_id)`` is what it prints, about the older history."""

    def call(*arguments: object) -> bytes:
        capfdbinary.readouterr()
        assert main([str(argument) for argument in arguments]) == 0, capfdbinary.readouterr().err
        return capfdbinary.readouterr().out

    return call


def contains(found: Any, expected: Any, where: str = "") -> None:
    """``found`` has all that ``expected`` has, with the same values; a later version may tell more."""
    if isinstance(expected, dict):
        assert isinstance(found, dict), where
        assert expected.keys() <= found.keys(), where
        for name, value in expected.items():
            contains(found[name], value, f"{where}/{name}")
    elif isinstance(expected, list):
        assert len(found) == len(expected), where
        for i, value in enumerate(expected):
            contains(found[i], value, f"{where}/{i}")
    else:
        assert found == expected, where


def check_document(run: dict[str, Any], document: dict[str, Any]) -> None:
    jobs = document.pop("jobs")
    contains(document, run["document"])
    assert MAKER["digest_of_jobs"](jobs, run["jobs"]["columns"]) == run["jobs"]


def test_oracle_covers_every_kind() -> None:
    """The oracle itself: what it must have in it to be worth anything."""
    documents = [run["document"] for run in RUNS.values()]
    assert {document["status"] for document in documents} >= {
        "completed", "cancelled", "timed_out", "aborted", "interrupted",
    }  # fmt: skip
    counts = [document.get("counts", {}) for document in documents]
    for outcome in ("completed", "failed", "timed_out", "rejected", "abandoned", "cancelled"):
        assert any(each.get(outcome) for each in counts), outcome
    assert any(
        document["jobs_truncated"] and run["csv"]["rows"] > 10_000
        for document, run in zip(documents, RUNS.values(), strict=True)
    )
    codes = {finding["code"] for document in documents for finding in document.get("findings", [])}
    assert "cost_unpriced" in codes


async def test_server_reads_older_runs(client: Any) -> None:
    async with client.get("/benchmark/runs?limit=100") as answer:
        contains((await answer.json())["runs"], EXPECTED["list"])
    for run_id, run in RUNS.items():
        async with client.get(f"/benchmark/runs/{run_id}") as answer:
            assert answer.status == 200
            check_document(run, await answer.json())


async def test_server_exports_older_jobs(client: Any) -> None:
    for run_id, run in RUNS.items():
        for form in ("csv", "ndjson"):
            async with client.get(f"/benchmark/runs/{run_id}/jobs?format={form}") as answer:
                content = await answer.read()
            text = content.decode() if form == "csv" else content
            assert MAKER[f"digest_of_{form}"](text, run[form]["columns"]) == run[form], run["name"]


@pytest.mark.parametrize("model", list(MAKER["PRICES"]))
async def test_server_reprices_older_runs(client: Any, model: str) -> None:
    for run_id, run in RUNS.items():
        expected = run["prices"][model]
        async with client.post(f"/benchmark/runs/{run_id}/reprice", json={"cost": MAKER["PRICES"][model]}) as answer:
            document = await answer.json(content_type=None)
            assert answer.status == expected["status"], (run["name"], document)
        if answer.status == 200:
            contains(document, expected["answer"], run["name"])


def test_command_line_reads_older_runs(data: Path, aurea: Callable[..., bytes]) -> None:
    listed = json.loads(aurea("runs", "list", "--limit", 100, "--data", data, "--json"))
    contains(listed, EXPECTED["list"])
    for run_id, run in RUNS.items():
        check_document(run, json.loads(aurea("runs", "show", run_id, "--data", data, "--json")))
        aurea("runs", "show", run_id, "--data", data)
        for form in ("csv", "ndjson"):
            content = aurea("runs", "export", run_id, "--format", form, "--data", data)
            if content:  # a run without records exports nothing here, and a heading on a server
                text = content.decode() if form == "csv" else content
                assert MAKER[f"digest_of_{form}"](text, run[form]["columns"]) == run[form], run["name"]
            else:
                assert run[form]["rows"] == 0, run["name"]


def test_command_line_reprices_older_runs(data: Path, aurea: Callable[..., bytes], tmp_path: Path) -> None:
    for run_id, run in RUNS.items():
        if "usage" not in run["document"]:
            continue
        exported = tmp_path / "result.json"
        aurea("runs", "export", run_id, "--data", data, "--output", exported)
        for model in MAKER["PRICES"]:
            if model == "packed" and run["document"]["jobs_truncated"]:
                continue  # the file has 10,000 of its jobs, which are not enough to price by
            cost = json.dumps(MAKER["PRICES"][model])
            (bill,) = json.loads(aurea("reprice", exported, "--cost", cost, "--json")).values()
            contains(bill, run["prices"][model]["answer"]["cost"], f"{run['name']}: {model}")


def test_older_idempotency_key_is_known(data: Path) -> None:
    """Asked at the time when it was promised: a key stands for its run for a day."""
    ((run_id, _),) = [each for each in RUNS.items() if each[1]["name"] == "idempotent"]
    folder = DataFolder(data)
    ledger = Ledger(folder)
    known = ledger.find_key("golden", int(run_id.partition("-")[2]))
    ledger.close()
    folder.release()
    assert known is not None
    assert known.run_id == run_id


def test_older_runs_are_results_again(aurea: Callable[..., bytes], data: Path) -> None:
    """What is read says what was written, member by member; jobs that are cut off are the only loss."""
    results = 0
    for run_id in RUNS:
        content = aurea("runs", "show", run_id, "--data", data, "--json")
        assert aurea("runs", "show", run_id, "--data", data)
        document = json.loads(content)
        if "counts" not in document:
            continue
        again = json.loads(encode_json(result_to_dict(result_from_dict(parse_json(content), keep_unknown=True))))
        if document["jobs_truncated"]:
            del document["jobs"], document["jobs_truncated"]
        # Of versions that wrote no reason, the status implies one.
        document["reason"] = document.get("reason") or again["reason"]
        # What earlier versions called errors, failures are now.
        if "errors" in document:
            document["failures"] = document.pop("errors")
        contains(again, document)
        results += 1
    assert results >= 10
