"""What commands take for a result: a JSON file, a run file, stdin, or the id of a stored run."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aurea_engine import SpecError
from aurea_server.cli.history_access import HistoryError
from aurea_server.cli.stored_results import read_document, read_stored

COST = '{"kind": "per_job", "price": "0.5"}'
Aurea = Callable[..., Any]

GOLDEN = Path(__file__).parent.parent / "golden" / "ledger.tar.xz"
TRUNCATED = "benchmark-1796020424165"


@pytest.fixture
def files(aurea: Aurea, tmp_path: Path) -> tuple[Path, Path]:
    """The same run of 40 jobs as JSON and as a run file."""
    for name in ("run.json", "run.aurea"):
        code, *_ = aurea("run", "--jobs", 40, "--rate", 100, "--virtual", "--seed", 3, "--json", "-o", tmp_path / name)
        assert code == 0
    return tmp_path / "run.json", tmp_path / "run.aurea"


def test_a_run_file_is_the_same_result(files: tuple[Path, Path]) -> None:
    """Whatever depends on the seed is equal in both; each is a run of its own, so the id is not."""
    as_json, whole = (read_stored(each).to_result() for each in files)
    assert as_json.spec == whole.spec
    assert as_json.response_time == whole.response_time
    assert as_json.jobs == whole.jobs
    assert whole.parts is not None
    assert as_json.parts is None


def test_commands_take_a_run_file(files: tuple[Path, Path], aurea: Aurea) -> None:
    _, whole = files
    code, out, _ = aurea("reprice", whole, "--cost", COST, "--json")
    assert code == 0
    assert json.loads(out)["1: per_job"]["exact"] == "20/1"
    code, out, _ = aurea("run", whole, "--json")
    assert code == 0
    assert json.loads(out)["spec"]["seed"] == 3
    assert aurea("cost-curve", whole, "--cost", COST)[0] == 0


@pytest.mark.parametrize("command", ["compare", "report", "reprice", "what-if"])
def test_a_server_is_asked_for_no_file(files: tuple[Path, Path], aurea: Aurea, command: str) -> None:
    """It was left out silently, and the user believed that the server's run was meant."""
    given = files if command == "compare" else files[:1]
    options = ("--cost", COST) if command == "reprice" else ()
    code, out, err = aurea(command, *given, *options, "--server", "http://127.0.0.1:9")
    assert (code, out) == (2, "")
    assert "--server: goes with the id of a stored run: a file is read here, so leave it out" in err


def test_a_file_beside_an_id_goes_with_a_server(files: tuple[Path, Path], aurea: Aurea) -> None:
    code, _, err = aurea("compare", files[0], "benchmark-1", "--server", "http://127.0.0.1:9")
    assert (code, "http://127.0.0.1:9: " in err) == (1, True)


def test_a_run_file_comes_from_stdin(files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """By its content, since stdin has no ending."""
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(files[1].read_bytes())))
    assert read_stored(Path("-")).to_result().counts.completed == 40


@pytest.mark.service
def test_a_stored_run_is_taken_by_its_id(
    aurea_data: Callable[[int], tuple[Path, str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, aurea: Aurea
) -> None:
    """From the history of this machine with every job of it; a file of that name wins."""
    monkeypatch.delenv("AUREA_SERVER", raising=False)
    folder, run_id = aurea_data(3)
    stored = read_stored(Path(run_id), data=folder)
    assert stored.to_result().benchmark_id == run_id
    records = stored.read_records()
    assert records is not None
    assert len(records) == 3
    monkeypatch.setenv("AUREA_DATA", str(folder))
    assert read_document(Path(run_id))["benchmark_id"] == run_id
    assert aurea("runs", "export", run_id, "--data", folder, "-o", tmp_path / "run.aurea")[0] == 0
    assert read_stored(tmp_path / "run.aurea").to_result() == stored.to_result()
    with pytest.raises(HistoryError, match="there is no run 'benchmark-1'"):
        read_stored(Path("benchmark-1"), data=folder)
    monkeypatch.chdir(tmp_path)
    Path(run_id).write_text("[1]")
    assert read_document(Path(run_id)) == [1]


@pytest.mark.service
def test_a_run_of_an_earlier_version_has_all_its_jobs(
    aurea: Aurea, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stored before there were parts, with 12,000 jobs, of which its result shows 10,000."""
    monkeypatch.delenv("AUREA_SERVER", raising=False)
    monkeypatch.setenv("AUREA_DATA", str(tmp_path))
    with tarfile.open(GOLDEN) as packed:
        packed.extractall(tmp_path, filter="data")
    records = read_stored(Path(TRUNCATED)).read_records()
    assert records is not None
    assert len(records) == 12_000
    code, out, _ = aurea("compare", TRUNCATED, TRUNCATED, "--json")
    assert (code, json.loads(out)["word"]) == (0, "same")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("x.aurea", b"{}", "this is no run file"),
        ("x.aurea", b"AUREAR9\n", "newer version"),
        ("x.json", b"AUREAR1\nxxxx", "this run file is damaged"),
        ("x.json", b"{}", "must be a result"),
        ("x.json", b"[]", "must be a result"),
        ("x.json", b"{", "must be JSON"),
        ("x.json", b'{"benchmark_id": "benchmark-1", "status": "running"}', "no result: it is running"),
        ("x.json", b'{"benchmark_id": "benchmark-1"}', "must be a result, as"),
        ("x.json", b'{"benchmark_id": "benchmark-1", "counts": {}, "status": "completed"}', r"x\.json: "),
    ],
)
def test_what_is_no_result_is_refused(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    """In one line that names the file."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SpecError, match=says):
        read_stored(tmp_path / name).to_result()


def test_a_run_file_is_not_written_of_a_remote_run(aurea: Aurea, tmp_path: Path) -> None:
    """Said before the run, and not after an hour of it."""
    code, _, err = aurea("run", "--jobs", 1, "--server", "http://127.0.0.1:9", "-o", tmp_path / "run.aurea")
    assert code == 2
    assert "gives commands its id" in err
