"""The disk and the history: full, failing, read-only, corrupt, locked, foreign and newer ledgers; kills at any instant."""

from __future__ import annotations

import contextlib
import errno
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from aurea_server.history import DataFolder
from aurea_server.history.migrations import VERSION
from tests.faults.strikes import HANGS, wait_until_gone, within

pytestmark = pytest.mark.faults

QUICK = {"num_jobs": 3, "job_duration_ms": 2}
LONG = {"num_jobs": 1, "job_duration_ms": 600_000}
RECORDED = {
    "workload": {"job": {"kind": "sleep", "duration": {"kind": "exponential", "mean": 0.002}}, "jobs": 3000},
    "clock": "virtual",
    "seed": 1,
}
"""Its records need a file. In real time they may not: on a busy machine many jobs end at one instant, which packs well."""


@pytest.fixture
def stopped(serve: Callable[..., Any]) -> Any:
    """A server with a history, stopped."""
    server = serve()
    server.run(QUICK)
    assert server.stop() == 0
    return server


def refused(server: Any, code: int, words: str) -> None:
    server.start(wait=False)
    assert server.ended() == code
    last = server.log.read_text().strip().splitlines()[-1]
    assert words in last, last
    assert "Traceback" not in server.log.read_text()


def test_two_servers_cannot_share_a_ledger(serve: Callable[..., Any], invariants: Callable[[Any], None]) -> None:
    server, other = serve(), serve(start=False)
    other.data = server.data
    refused(other, 4, "in use by another server")
    invariants(server)


def test_a_server_waits_for_one_who_has_the_history_for_a_moment(
    stopped: Any, invariants: Callable[[Any], None]
) -> None:
    place = DataFolder(stopped.data)
    stopped.start(wait=False)
    time.sleep(1.5)
    place.release()
    stopped.ready()
    invariants(stopped)


def test_removing_the_lock_lets_no_second_server_in(
    serve: Callable[..., Any], invariants: Callable[[Any], None]
) -> None:
    server, other = serve(), serve(start=False)
    (server.data / "ledger.lock").unlink()
    other.data = server.data
    refused(other, 4, "in use by another server")
    invariants(server)


def until_ready(server: Any, status: int) -> Any:
    """Wait until readiness answers so; what it says."""
    until = time.monotonic() + HANGS
    while time.monotonic() < until:
        found, _, document = server.ask("GET", "/health/ready")
        if found == status:
            return document
        time.sleep(0.1)
    raise AssertionError(f"readiness is still {found}")


def without(path: Path) -> None:
    path.rename(path.with_name(f"{path.name}.away"))


def replaced(path: Path) -> None:
    without(path)
    if path.name == "data":
        path.mkdir()
    else:
        shutil.copy(path.with_name(f"{path.name}.away"), path)


@pytest.mark.parametrize("change", [without, replaced])
@pytest.mark.parametrize("name", ["ledger.db", "ledger.db-wal", "."])
def test_missing_files_are_noticed(
    serve: Callable[..., Any], invariants: Callable[[Any], None], change: Callable[[Path], None], name: str
) -> None:
    """What is taken away is noticed and nothing is acknowledged meanwhile."""
    server = serve()
    path = server.data / name
    change(path)
    status, _, problem = server.ask("POST", "/benchmark/run", QUICK)
    assert (status, problem["code"]) == (503, "storage_failed")
    assert until_ready(server, 503)["code"] == "storage_failed"
    assert server.ask("GET", "/health/live")[0] == 200
    assert "put it back, or restart the server" in server.log.read_text()
    if path.is_dir():
        path.rmdir()
    path.with_name(f"{path.name}.away").rename(path)
    until_ready(server, 200)
    server.run(QUICK)
    assert server.stop() == 0
    invariants(server)


def test_records_that_were_taken_away_are_made_again(
    serve: Callable[..., Any], invariants: Callable[[Any], None]
) -> None:
    server = serve()
    old = server.run(RECORDED)["benchmark_id"]
    shutil.rmtree(server.data / "records")
    new = server.run(RECORDED)["benchmark_id"]
    assert [path.stem for path in (server.data / "records").iterdir()] == [new]
    assert server.ask("GET", f"/benchmark/runs/{new}/jobs")[2]["total"] == 3000
    assert server.ask("GET", f"/benchmark/runs/{old}/jobs")[2]["code"] == "storage_failed"
    assert server.get(old)["completed_jobs"] == 3000
    assert server.ask("GET", "/health/ready")[0] == 200
    invariants(server)


def test_result_is_kept_without_its_records(serve: Callable[..., Any], invariants: Callable[[Any], None]) -> None:
    """A result whose records cannot be stored is kept without them at the end."""
    server = serve()
    records = server.data / "records"
    records.rmdir()
    records.write_text("in the way")
    run_id = server.accept(RECORDED)
    assert server.final(run_id)["completed_jobs"] == 3000
    assert server.ask("GET", "/health/ready")[2]["code"] == "storage_failed"
    assert server.stop() == 0
    records.unlink()
    server.start()
    assert (server.get(run_id)["status"], server.get(run_id)["completed_jobs"]) == ("completed", 3000)
    assert server.ask("GET", f"/benchmark/runs/{run_id}/jobs")[2]["code"] == "storage_failed"
    server.mark = None
    invariants(server)


def test_a_ledger_of_a_newer_version_is_exit_code_5_and_untouched(
    stopped: Any, invariants: Callable[[Any], None]
) -> None:
    ledger = stopped.data / "ledger.db"
    with sqlite3.connect(ledger) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = ledger.read_bytes()
    refused(stopped, 5, "a newer Aurea")
    assert ledger.read_bytes() == before
    with sqlite3.connect(ledger) as connection:
        connection.execute(f"PRAGMA user_version = {VERSION}")
    connection.close()
    invariants(stopped)


@pytest.mark.parametrize("where", [0, 100, 4096 + 10])
def test_a_corrupt_ledger_is_exit_code_4_and_not_made_worse(stopped: Any, where: int) -> None:
    ledger = stopped.data / "ledger.db"
    content = bytearray(ledger.read_bytes())
    content[where : where + 400] = os.urandom(400)
    ledger.write_bytes(content)
    refused(stopped, 4, "ledger.db")
    assert ledger.read_bytes() == content


def test_a_database_of_somebody_else_is_refused(stopped: Any) -> None:
    ledger = stopped.data / "ledger.db"
    ledger.unlink()
    with sqlite3.connect(ledger) as connection:
        connection.execute("CREATE TABLE mine (x)")
    connection.close()
    refused(stopped, 4, "not a ledger of Aurea")


def test_a_ledger_that_is_a_link_is_refused(stopped: Any, tmp_path: Path) -> None:
    ledger = stopped.data / "ledger.db"
    ledger.rename(tmp_path / "elsewhere")
    ledger.symlink_to(tmp_path / "elsewhere")
    refused(stopped, 4, "ledger.db")


def changed(*statements: str) -> Callable[[Path], None]:
    """A ledger that somebody worked on with SQL."""

    def change(ledger: Path) -> None:
        with contextlib.closing(sqlite3.connect(ledger, isolation_level=None)) as connection:
            for statement in statements:
                connection.execute(statement)

    return change


def emptied(ledger: Path) -> None:
    ledger.write_bytes(b"")


def without_tables(ledger: Path) -> None:
    ledger.unlink()
    changed("PRAGMA application_id = 1096107589", "PRAGMA user_version = 0")(ledger)


@pytest.mark.parametrize("change", [emptied, Path.unlink, without_tables])
def test_records_without_their_ledger_are_not_swept_away(
    serve: Callable[..., Any], change: Callable[[Path], None], invariants: Callable[[Any], None]
) -> None:
    """An empty or missing ledger beside records is damage, not a new history."""
    server = serve()
    server.run(RECORDED)
    assert server.stop() == 0
    ledger, records = server.data / "ledger.db", server.data / "records"
    before, copy = sorted(records.iterdir()), ledger.read_bytes()
    assert before
    change(ledger)
    refused(server, 4, "restore the ledger")
    assert sorted(records.iterdir()) == before
    assert change is not Path.unlink or not ledger.exists()
    ledger.write_bytes(copy)
    invariants(server)


def test_a_log_without_its_ledger_is_not_thrown_away(serve: Callable[..., Any]) -> None:
    server = serve()
    server.process.kill()
    server.ended()
    (server.data / "ledger.db").unlink()
    log = server.data / "ledger.db-wal"
    before = log.read_bytes()
    assert before
    refused(server, 4, "ledger.db-wal")
    assert log.read_bytes() == before


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(changed("PRAGMA foreign_keys = OFF", "DROP TABLE run"), id="no runs"),
        pytest.param(changed("DROP TABLE idempotency"), id="no keys"),
        pytest.param(changed("ALTER TABLE run DROP COLUMN head"), id="a column less"),
        pytest.param(changed("ALTER TABLE run ADD COLUMN more TEXT"), id="a column more"),
        pytest.param(changed("PRAGMA user_version = 0"), id="version 0"),
        pytest.param(changed("PRAGMA user_version = -1"), id="version -1"),
        pytest.param(
            lambda ledger: (ledger.unlink(), changed(f"PRAGMA user_version = {VERSION}")(ledger)), id="no tables"
        ),
    ],
)
def test_tables_that_are_not_ours_are_exit_code_4_and_untouched(stopped: Any, change: Callable[[Path], None]) -> None:
    ledger = stopped.data / "ledger.db"
    change(ledger)
    before = ledger.read_bytes()
    refused(stopped, 4, "ledger.db")
    assert ledger.read_bytes() == before


def test_a_folder_that_cannot_be_made_is_exit_code_4(serve: Callable[..., Any], tmp_path: Path) -> None:
    server = serve(start=False)
    (tmp_path / "file").write_text("")
    server.data = tmp_path / "file" / "data"
    refused(server, 4, "--data")


def fill(disk: Path) -> None:
    """Until there is no room."""
    with (disk / "filler").open("wb", buffering=0) as filler, contextlib.suppress(OSError):
        while True:
            filler.write(b"x" * 4096)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of two megabytes, where one may be mounted."""
    folder = tmp_path / "small"
    folder.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "none", folder], capture_output=True, check=False
    ).returncode:
        pytest.skip("needs the right to mount a file system")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_refuses_new_runs_and_serves_old_ones(
    serve: Callable[..., Any], small_disk: Path, invariants: Callable[[Any], None]
) -> None:
    server = serve("--min-free", "0", start=False)
    server.data = small_disk / "data"
    server.start().settled()
    old = server.run(QUICK)
    fill(small_disk)
    codes = set()
    for _ in range(30):
        status, headers, problem = server.ask("POST", "/benchmark/run", {**QUICK, "label": "x" * 250})
        if status == 200:
            server.acknowledged.append(problem["benchmark_id"])
            continue
        codes.add((status, problem["code"]))
        assert "retry-after" in headers
    assert codes == {(503, "storage_full")}
    assert server.get(old["benchmark_id"])["completed_jobs"] == 3
    assert server.ask("GET", "/health/live")[0] == 200
    assert server.ask("GET", "/health/ready")[2]["code"] == "storage_full"
    (small_disk / "filler").unlink()
    until = time.monotonic() + HANGS
    while server.ask("GET", "/health/ready")[0] != 200 and time.monotonic() < until:
        time.sleep(0.1)
    invariants(server)


@pytest.mark.parametrize("slack", [0, 4096, 16384, 40960])
@pytest.mark.parametrize("killed", [False, True])
def test_a_start_on_a_full_disk_serves_what_is_there(
    serve: Callable[..., Any], small_disk: Path, invariants: Callable[[Any], None], slack: int, killed: bool
) -> None:
    server = serve("--min-free", "0", start=False)
    server.data = small_disk / "data"
    server.start().settled()
    old = server.run(QUICK)["benchmark_id"]
    cut = server.accept(LONG)
    server.running(cut)
    if killed:
        server.process.kill()
        server.ended()
    else:
        assert server.stop() == 0
    fill(small_disk)
    os.truncate(small_disk / "filler", (small_disk / "filler").stat().st_size - slack)
    server.start()
    assert server.get(old)["completed_jobs"] == 3
    result = server.get(cut)
    assert (result["status"], result["reason"]["code"]) == (
        "interrupted",
        "server_crashed" if killed else "server_stopped",
    )
    assert server.ask("GET", "/benchmark/runs?limit=1")[2]["runs"][0]["status"] == "interrupted"
    assert len(server.ask("GET", "/benchmark/runs?status=interrupted")[2]["runs"]) == 1
    assert server.ask("GET", "/benchmark/runs?status=running")[2]["runs"] == []
    codes = set()
    for _ in range(30):
        status, _, problem = server.ask("POST", "/benchmark/run", {**QUICK, "label": "x" * 250})
        codes.add((status, problem.get("code")))
        if status == 200:
            server.acknowledged.append(problem["benchmark_id"])
    assert (503, "storage_full") in codes
    assert codes <= {(200, None), (503, "storage_full")}
    assert server.ask("GET", "/health/ready")[2]["code"] == "storage_full"
    (small_disk / "filler").unlink()
    until_ready(server, 200)
    assert server.states()[cut] == "interrupted"
    server.mark = None
    invariants(server)


def test_too_little_room_is_noticed_before_the_disk_is_full(
    serve: Callable[..., Any], small_disk: Path, invariants: Callable[[Any], None]
) -> None:
    server = serve("--min-free", "1MiB", start=False)
    server.data = small_disk / "data"
    server.start().settled()
    (small_disk / "filler").write_bytes(b"x" * 1_100_000)
    assert until_ready(server, 503)["code"] == "storage_full"
    assert server.ask("POST", "/benchmark/run", QUICK)[2]["code"] == "storage_full"
    (small_disk / "filler").unlink()
    until_ready(server, 200)
    invariants(server)


def test_result_waits_for_room_on_the_disk(
    serve: Callable[..., Any], small_disk: Path, invariants: Callable[[Any], None]
) -> None:
    """A result that finds the disk full is stored when there is room."""
    server = serve("--min-free", "0", start=False)
    server.data = small_disk / "data"
    server.start().settled()
    run_id = server.accept({"num_jobs": 2000, "job_duration_ms": 1500})
    server.running(run_id)
    fill(small_disk)
    result = server.final(run_id)
    assert (result["status"], result["completed_jobs"]) == ("completed", 2000)
    (small_disk / "filler").unlink()
    until = time.monotonic() + HANGS
    while server.states()[run_id] != "completed" and time.monotonic() < until:
        time.sleep(0.1)
    assert server.states()[run_id] == "completed"
    invariants(server)


def test_a_folder_named_full_does_not_make_a_failing_disk_full(serve: Callable[..., Any], tmp_path: Path) -> None:
    server = serve("--min-free", "0", start=False)
    server.data = tmp_path / "full"
    server.start()
    (server.data / "records").rmdir()
    (server.data / "records").write_text("in the way")
    status, _, problem = server.ask("POST", "/benchmark/run", RECORDED)
    assert (status, problem["code"]) == (503, "storage_failed")


@pytest.fixture
def failing_disk(tmp_path: Path, require: Callable[..., str]) -> Callable[..., dict[str, str]]:
    """The environment of a program whose disk fails on command."""
    library = tmp_path / "failing_disk.so"
    source = Path(__file__).parent / "failing_disk.c"
    subprocess.run([require("cc"), "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    faults = tmp_path / "disk_faults"
    faults.mkdir()
    return lambda: {"LD_PRELOAD": str(library), "AUREA_FAULTS": str(faults)}


@pytest.mark.parametrize(
    ("call", "number"),
    [
        pytest.param("sync", errno.EIO, id="EIO on fsync"),
        pytest.param("write", errno.EIO, id="EIO on write"),
        pytest.param("write", errno.EROFS, id="read-only"),
    ],
)
def test_a_disk_that_fails_refuses_new_runs_and_loses_nothing(
    serve: Callable[..., Any],
    failing_disk: Callable[..., dict[str, str]],
    invariants: Callable[[Any], None],
    call: str,
    number: int,
) -> None:
    """A run that cannot be written down is not acknowledged; when the disk is well again, so is the server."""
    environment = failing_disk()
    server = serve("--min-free", "0", **environment)
    old = server.run(QUICK)
    fault = Path(environment["AUREA_FAULTS"]) / call
    fault.write_text(str(number))
    try:
        for _ in range(5):
            status, headers, problem = server.ask("POST", "/benchmark/run", QUICK)
            assert (status, problem["code"]) == (503, "storage_failed")
            assert "retry-after" in headers
        assert server.get(old["benchmark_id"])["completed_jobs"] == 3
        assert server.ask("GET", "/health/live")[0] == 200
        assert server.ask("GET", "/health")[0] == 200
    finally:
        fault.unlink()
    until = time.monotonic() + HANGS
    while server.ask("GET", "/health/ready")[0] != 200 and time.monotonic() < until:
        time.sleep(0.1)
    invariants(server)
    assert server.stop() == 0
    server.start()
    assert server.get(old["benchmark_id"])["completed_jobs"] == 3


def kill_rounds(server: Any, rounds: int, seed: int, invariants: Callable[[Any], None]) -> None:
    """Kill -9 of the server at a random instant, with runs in flight; restart; look."""
    chance = random.Random(seed)
    for _ in range(rounds):
        for _ in range(chance.randrange(1, 4)):
            server.accept(chance.choice([QUICK, LONG, {"num_jobs": 2000, "job_duration_ms": 5}]))
        time.sleep(chance.random() * 0.15)
        left = server.children()
        server.process.kill()
        server.ended()
        with within(2, "the end of what a killed server left"):
            assert wait_until_gone(set(left)) == []
        assert server.integrity() == ["ok"]
        server.start()
        states = server.states()
        lost = [run_id for run_id in server.acknowledged if run_id not in states]
        assert not lost, f"acknowledged runs are lost: {lost}"
        assert not [run_id for run_id, state in states.items() if state in ("queued", "running")]
    server.mark = None
    invariants(server)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_kill_9_of_the_server_loses_nothing_acknowledged(
    serve: Callable[..., Any], invariants: Callable[[Any], None], campaign: Callable[[int], int]
) -> None:
    kill_rounds(serve(), campaign(200), 12, invariants)


def runner_rounds(server: Any, rounds: int, seed: int, invariants: Callable[[Any], None]) -> None:
    """Kill -9 of the runner at a random instant of a run."""
    chance = random.Random(seed)
    for _ in range(rounds):
        run_id = server.accept(LONG)
        server.running(run_id)
        time.sleep(chance.random() * 0.1)
        os.kill(server.runner(), signal.SIGKILL)
        result = server.final(run_id)
        assert (result["status"], result["reason"]["code"]) == ("failed", "runner_died"), result
        assert server.run(QUICK)["completed_jobs"] == 3
    invariants(server)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_kill_9_of_the_runner_fails_its_run_only(
    serve: Callable[..., Any], invariants: Callable[[Any], None], campaign: Callable[[int], int]
) -> None:
    runner_rounds(serve(), campaign(200), 14, invariants)


def test_kill_9_of_the_idle_runner_is_not_even_noticed(
    serve: Callable[..., Any], invariants: Callable[[Any], None]
) -> None:
    server = serve()
    for _ in range(3):
        runner, keeper = server.runner(), server.runner("aurea-keeper")
        os.kill(runner, signal.SIGKILL)
        assert wait_until_gone({runner, keeper}) == []  # on a busy machine the kernel takes its time
        assert server.run(QUICK)["completed_jobs"] == 3
    invariants(server)
