"""`aurea runs` and `aurea run --server`: the same history here and over HTTP."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from aurea_server.cli.server_client import ServerClient
from aurea_server.http.app import create_app
from aurea_server.settings.settings import Settings

pytestmark = pytest.mark.service


class Serving:
    """A server on a thread of its own; ``stop`` lets go of its history."""

    def __init__(self, settings: Settings) -> None:
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._stopped = asyncio.Event()
        self._settings = settings
        self.url = ""
        self._thread = threading.Thread(
            target=lambda: asyncio.Runner(loop_factory=lambda: self._loop).run(self._serve())
        )
        self._thread.start()
        assert self._ready.wait(120)

    async def _serve(self) -> None:
        runner = web.AppRunner(await create_app(settings=self._settings), access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        self._ready.set()
        await self._stopped.wait()
        await runner.cleanup()

    def stop(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopped.set)
            self._thread.join(120)
            self._loop.close()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def serving(data: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serving]:
    monkeypatch.delenv("AUREA_SERVER", raising=False)
    server = Serving(Settings(data=str(data)))
    yield server
    server.stop()


def test_a_run_on_a_server_prints_its_result(serving: Serving, aurea: Callable[..., Any], tmp_path: Path) -> None:
    code, out, _ = aurea("run", "--jobs", 20, "--duration-ms", 2, "--label", "there", "--server", serving.url, "--json")
    result = json.loads(out)
    assert (code, result["completed_jobs"], result["label"]) == (0, 20, "there")
    code, out, _ = aurea("run", "--jobs", 2, "--server", serving.url, "-o", tmp_path / "result.json")
    assert code == 0
    assert "2 completed in" in out
    assert json.loads((tmp_path / "result.json").read_text())["num_jobs"] == 2


def test_remote_runs_have_exit_codes(serving: Serving, aurea: Callable[..., Any], tmp_path: Path) -> None:
    """Bad input and missed objectives have their exit codes."""
    assert aurea("run", "--jobs", 0, "--server", serving.url)[0] == 2
    spec = {
        "num_jobs": 20,
        "job_duration_ms": 5,
        "objectives": [{"metric": "response_time", "quantile": 0.5, "at_most": 0.001}],
    }
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    assert aurea("run", tmp_path / "spec.json", "--server", serving.url)[0] == 3
    code, _, err = aurea("run", "--jobs", 1, "--server", "http://127.0.0.1:9")
    assert code == 1
    assert err.startswith("aurea: http://127.0.0.1:9")
    assert aurea("run", "--jobs", 1, "--server", "ftp://x")[0] == 2


def test_the_history_is_the_same_here_and_there(serving: Serving, data: Path, aurea: Callable[..., Any]) -> None:
    _, out, _ = aurea("run", "--jobs", 12, "--duration-ms", 1, "--server", serving.url, "--json")
    result = json.loads(out)
    run_id = result["benchmark_id"]
    there = {
        "list": aurea("runs", "list", "--server", serving.url, "--json")[1],
        "show": aurea("runs", "show", run_id, "--server", serving.url, "--json")[1],
        "csv": aurea("runs", "export", run_id, "--format", "csv", "--server", serving.url)[1],
        "ndjson": aurea("runs", "export", run_id, "--format", "ndjson", "--server", serving.url)[1],
    }
    code, _, err = aurea("runs", "list", "--data", data)
    assert code == 1
    assert "in use by another server" in err
    serving.stop()
    here = {
        "list": aurea("runs", "list", "--data", data, "--json")[1],
        "show": aurea("runs", "show", run_id, "--data", data, "--json")[1],
        "csv": aurea("runs", "export", run_id, "--format", "csv", "--data", data)[1],
        "ndjson": aurea("runs", "export", run_id, "--format", "ndjson", "--data", data)[1],
    }
    assert here == there
    assert json.loads(here["show"]) == result
    assert len(list(csv.DictReader(io.StringIO(here["csv"])))) == 12
    for command in (("list",), ("show", run_id)):
        code, out, _ = aurea("runs", *command, "--data", data)
        assert code == 0
        assert run_id in out
    assert aurea("runs", "delete", run_id, "--data", data)[0] == 0
    code, _, err = aurea("runs", "show", run_id, "--data", data)
    assert (code, "no run" in err) == (1, True)
    assert aurea("runs", "delete", run_id, "--data", data)[0] == 1


SHOWN_ALIKE = {
    "workload": {
        "job": {
            "kind": "faulty",
            "job": {"kind": "sleep", "duration": {"kind": "exponential", "mean": 0.05}},
            "failure_rate": 0.1,
        },
        "arrivals": {"kind": "poisson", "rate": 30},
        "jobs": 500,
    },
    "scheduler": {"kind": "fifo", "slots": 2, "queue_limit": 20},
    "objectives": [{"metric": "response_time", "quantile": 0.9, "at_most": 0.5}, {"metric": "cost", "at_most": 0.01}],
    "cost": {"kind": "tiered", "mode": "graduated", "tiers": [{"up_to": 100, "price": "1/3"}, {"price": "0.1"}]},
    "clock": "virtual",
    "seed": 7,
    "label": "shown alike",
}


def test_a_run_is_shown_alike_everywhere(
    serving: Serving, data: Path, aurea: Callable[..., Any], tmp_path: Path
) -> None:
    """Run here, run on a server, asked of the server, and read from its history: one text, but for id and instants."""
    spec = tmp_path / "spec.json"
    spec.write_text(json.dumps(SHOWN_ALIKE))
    code, here, _ = aurea("run", spec)
    assert aurea("run", spec, "--server", serving.url, "-o", tmp_path / "there.json")[0] == code
    run_id = json.loads((tmp_path / "there.json").read_text())["benchmark_id"]
    there = aurea("runs", "show", run_id, "--server", serving.url)[1]
    again = aurea("run", spec, "--server", serving.url)[1]
    serving.stop()
    stored = aurea("runs", "show", run_id, "--data", data)[1]
    assert stored == there
    texts = {re.sub(r"benchmark-\d+|\d{4}-\d\d-\d\d [\d:.]+ UTC", "…", text) for text in (here, there, again)}
    assert len(texts) == 1, texts
    assert "response time" in here
    assert "objective" in here


def test_a_run_without_a_result_is_shown(serving: Serving, aurea: Callable[..., Any], tmp_path: Path) -> None:
    """A run that was cancelled while it waited has no report, and says why it has none."""
    client = ServerClient(serving.url)
    slow = {"num_jobs": 1, "job_duration_ms": 60_000}
    ids = [client.ask("POST", "/benchmark/run", slow, {"Prefer": "respond-async"})["benchmark_id"] for _ in range(2)]
    code, out, _ = aurea("runs", "show", ids[1], "--server", serving.url)
    assert (code, "queued" in out) == (0, True)
    for run_id in reversed(ids):
        client.ask("POST", f"/benchmark/runs/{run_id}/cancel")
    code, out, _ = aurea("runs", "show", ids[1], "--server", serving.url)
    assert (code, "cancelled" in out) == (0, True)


def test_export_and_delete_over_http(serving: Serving, aurea: Callable[..., Any], tmp_path: Path) -> None:
    """With the run that a server has just made."""
    _, out, _ = aurea("run", "--jobs", 3, "--duration-ms", 1, "--server", serving.url, "--json")
    run_id = json.loads(out)["benchmark_id"]
    assert aurea("runs", "export", run_id, "--server", serving.url, "-o", tmp_path / "x.json")[0] == 0
    assert json.loads((tmp_path / "x.json").read_text())["benchmark_id"] == run_id
    assert aurea("runs", "delete", run_id, "--server", serving.url)[0] == 0
    assert aurea("runs", "show", run_id, "--server", serving.url)[0] == 1


def test_the_token_is_taken_from_the_environment(
    tmp_path: Path, aurea: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Serving(Settings(data=str(tmp_path / "d"), token="correct-horse-battery"))
    try:
        code, _, err = aurea("runs", "list", "--server", server.url)
        assert (code, "(401)" in err) == (1, True)
        monkeypatch.setenv("AUREA_TOKEN", "correct-horse-battery")
        assert aurea("runs", "list", "--server", server.url)[0] == 0
    finally:
        server.stop()


def test_a_server_below_a_prefix(tmp_path: Path, aurea: Callable[..., Any]) -> None:
    """`--base-path` there and the path of `--server` here."""
    server = Serving(Settings(data=str(tmp_path / "d"), base_path="/bench/x"))
    try:
        url = f"{server.url}/bench/x/"
        code, out, err = aurea("run", "--jobs", 3, "--duration-ms", 1, "--server", url, "--json")
        run_id = json.loads(out)["benchmark_id"]
        assert (code, err) == (0, "")
        for command in (("list",), ("show", run_id), ("export", run_id, "--format", "csv"), ("delete", run_id)):
            assert aurea("runs", *command, "--server", url)[0] == 0
    finally:
        server.stop()


HTTP = {"kind": "http", "url": "http://127.0.0.1:9/", "method": "POST"}


@pytest.mark.parametrize(
    ("members", "path"),
    [
        ({"file": "body.bin"}, "workload.job.file"),
        ({"data": {"file": "rows.csv"}}, "workload.job.data.file"),
        ({"auth": {"bearer": {"env": "HOME"}}}, "workload.job.auth.bearer.env"),
        ({"headers": {"X-Api-Key": {"env": "HOME"}}}, "workload.job.headers"),
        ({"url": "https://127.0.0.1:9/", "tls": {"ca": "ca.pem"}}, "workload.job.tls.ca"),
        ({"url": "unix:/run/app.sock:/"}, "workload.job.url"),
    ],
)
def test_server_is_sent_no_local_references(
    serving: Serving, aurea: Callable[..., Any], tmp_path: Path, members: dict[str, Any], path: str
) -> None:
    """Nothing is read here for a server: it refuses them, and its message names the member."""
    spec = tmp_path / "spec.json"
    spec.write_text(json.dumps({"workload": {"job": HTTP | members, "jobs": 1}}))
    (tmp_path / "body.bin").write_text("secret")
    code, out, err = aurea("run", spec, "--server", serving.url)
    assert (code, out) == (2, "")
    assert path in err


def test_target_that_server_does_not_allow(serving: Serving, aurea: Callable[..., Any], tmp_path: Path) -> None:
    """The server's own words, with what its operator has to do."""
    spec = tmp_path / "spec.json"
    spec.write_text(json.dumps({"workload": {"job": HTTP, "jobs": 1}}))
    code, out, err = aurea("run", spec, "--server", serving.url)
    assert (code, out) == (1, "")
    assert "--allow-target" in err


def test_credentials_are_not_sent_to_server(aurea: Callable[..., Any], tmp_path: Path) -> None:
    """They are refused here, by the remedy and without the value: nothing is asked of the server."""
    spec = tmp_path / "spec.json"
    job = HTTP | {"headers": {"Authorization": "Bearer Pl4nted"}}
    spec.write_text(json.dumps({"workload": {"job": job, "jobs": 1}}))
    code, out, err = aurea("run", spec, "--server", "http://127.0.0.1:9")
    assert (code, out) == (2, "")
    assert '{"secret": NAME}' in err
    assert "Pl4nted" not in err


def test_stored_runs_are_compared_by_their_ids(
    serving: Serving, data: Path, aurea: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the server, and here when it has let go of the history: the same, by every job of theirs."""
    job = {"kind": "sleep", "duration": {"kind": "exponential", "mean": 0.01}}
    workload = {"job": job, "arrivals": {"kind": "poisson", "rate": 200}, "jobs": 12_000}
    (tmp_path / "spec.json").write_text(
        json.dumps({"workload": workload, "scheduler": {"slots": 4}, "clock": "virtual"})
    )
    run = ("run", tmp_path / "spec.json", "--server", serving.url, "--json", "--seed")
    ids = [json.loads(aurea(*run, seed)[1])["benchmark_id"] for seed in (1, 2)]
    code, out, _ = aurea("compare", *ids, "--tolerance", "50%", "--json", "--server", serving.url)
    assert (code, json.loads(out)["word"]) == (0, "same")
    # One of them in a file: the document of the other shows 10,000 jobs.
    aurea("run", tmp_path / "spec.json", "--seed", 3, "-o", tmp_path / "here.aurea")
    code, mixed, _ = aurea(
        "compare", tmp_path / "here.aurea", ids[1], "--tolerance", "50%", "--json", "--server", serving.url
    )
    assert code == 0
    assert "from_histograms" in mixed
    code, _, err = aurea("compare", ids[0], "benchmark-1", "--server", serving.url)
    assert code == 1
    assert "There is no run benchmark-1. (404)" in err
    monkeypatch.setenv("AUREA_DATA", str(data))
    assert "in use by another server" in aurea("compare", *ids)[2]
    serving.stop()
    assert aurea("compare", *ids, "--tolerance", "50%", "--json")[:2] == (0, out)
