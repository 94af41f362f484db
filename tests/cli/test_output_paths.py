"""``--output`` into what is no plain file: written into, never replaced. And what replacing a plain file keeps."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from aurea_server.cli import main
from aurea_server.stdio.output_files import check_output, find_descriptor, write_output

RUN = ("run", "--jobs", "2", "--virtual")
CURVE = ("cost-curve", "--cost", '{"kind": "per_job", "price": "1"}', "--service-time", "1")
PROGRAM = "import sys; from aurea_server.__main__ import aurea; sys.exit(aurea())"
LINE = "an earlier line\n"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log"
    path.write_text(LINE)
    return path


def call(log: Path, *command: str) -> int:
    """The exit code of ``aurea ... >> log``."""
    kept, opened = os.dup(1), os.open(log, os.O_WRONLY | os.O_APPEND)
    os.dup2(opened, 1)
    os.close(opened)
    try:
        with (
            io.TextIOWrapper(io.FileIO(1, "w", closefd=False), "utf-8") as stream,
            pytest.MonkeyPatch.context() as patched,
        ):
            patched.setattr("sys.stdout", stream)
            return main(command)
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def names_of_stdout(folder: Path, log: Path) -> dict[str, Path]:
    (folder / "link").symlink_to("/dev/stdout")
    (folder / "link to the link").symlink_to("link")
    (folder / "descriptors").symlink_to("/dev/fd")
    (folder / "hard link").hardlink_to(log)
    (folder / "soft link").symlink_to(log)
    return {
        "dash": Path("-"),
        "device": Path("/dev/stdout"),
        "descriptor": Path("/dev/fd/1"),
        "proc": Path("/proc/self/fd/1"),
        "pid": Path(f"/proc/{os.getpid()}/fd/1"),
        "link": folder / "link",
        "link to the link": folder / "link to the link",
        "folder": folder / "descriptors" / "1",
        "the file": log,
        "hard link": folder / "hard link",
        "soft link": folder / "soft link",
    }


NAMES = ["dash", "device", "descriptor", "proc", "pid", "link", "link to the link", "folder", "the file", "hard link"]


@pytest.mark.parametrize("name", [*NAMES, "soft link"])
def test_standard_output_is_appended_to(name: str, log: Path, tmp_path: Path) -> None:
    """The earlier line stays, then comes the JSON, then the report for people."""
    path = names_of_stdout(tmp_path, log)[name]
    assert call(log, *RUN, "-o", str(path)) == 0
    said = log.read_text()
    assert said.startswith(LINE + "{\n")
    _, end = json.JSONDecoder().raw_decode(said.removeprefix(LINE))
    assert "throughput" in said[len(LINE) + end :]


@pytest.mark.parametrize("name", ["dash", "device", "the file"])
def test_json_is_written_once(name: str, log: Path, tmp_path: Path) -> None:
    """``--json`` promises that there is nothing else on stdout."""
    assert call(log, *RUN, "--json", "-o", str(names_of_stdout(tmp_path, log)[name])) == 0
    assert json.loads(log.read_text().removeprefix(LINE))["num_jobs"] == 2


def test_a_curve_goes_to_stdout_too(log: Path) -> None:
    assert call(log, *CURVE, "-o", "/dev/stdout") == 0
    said = log.read_text()
    assert said.startswith(LINE)
    assert "<svg" in said
    assert "million" in said


def test_descriptor_of_the_shell_is_appended_to(tmp_path: Path) -> None:
    """``3>> log``: opened anew, it would be written from its beginning."""
    path = tmp_path / "log"
    path.write_text(LINE)
    with path.open("a") as opened:
        write_output(Path(f"/dev/fd/{opened.fileno()}"), [b"one", b"two"])
    assert path.read_text() == LINE + "onetwo"


def test_a_named_pipe_gets_it_and_stays(tmp_path: Path) -> None:
    path, got = tmp_path / "pipe", []
    os.mkfifo(path)
    reader = threading.Thread(target=lambda: got.append(path.read_bytes()))
    reader.start()
    assert main([*RUN, "-o", str(path)]) == 0
    reader.join()
    assert json.loads(got[0])["num_jobs"] == 2
    assert path.is_fifo()


@pytest.mark.parametrize("closed", [True, False])
def test_a_descriptor_that_cannot_be_written(closed: bool, capfd: pytest.CaptureFixture[str]) -> None:
    """Refused before the work."""
    number = os.open(os.devnull, os.O_RDONLY)
    if closed:
        os.close(number)
    assert main(["run", "--jobs", "1", "--duration-ms", "60000", "-o", f"/dev/fd/{number}"]) == 2
    assert f"--output /dev/fd/{number}: " in capfd.readouterr().err
    if not closed:
        os.close(number)


def test_a_device_stays_a_device(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    link = tmp_path / "null"
    link.symlink_to("/dev/null")
    for path in ("/dev/null", str(link)):
        assert main([*RUN, "-o", path]) == 0
    assert Path("/dev/null").is_char_device()
    assert link.is_symlink()
    assert main([*RUN, "-o", "/dev/full"]) == 2
    said = capfd.readouterr()
    assert "--output /dev/full: No space left on device" in said.err
    assert said.out.count("verdict") == 3, "a file that fails costs stdout nothing"


def test_standard_error_gets_it(capfd: pytest.CaptureFixture[str]) -> None:
    assert main([*RUN, "-o", "/dev/stderr"]) == 0
    said = capfd.readouterr()
    assert json.loads(said.err)["num_jobs"] == 2
    assert "throughput" in said.out


def test_a_plain_file_is_replaced_whole(tmp_path: Path) -> None:
    """With its rights; nothing is left beside it; and one that fails half-way stays as it was."""
    path = tmp_path / ("ü" * 120)  # 240 bytes: no longer name can be made of it
    path.write_bytes(b"old")
    path.chmod(0o604)
    write_output(path, [b"new", b"er"])
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"newer", 0o604)

    def broken() -> Iterator[bytes]:
        yield b"half"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_output(path, broken())
    assert path.read_bytes() == b"newer"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_file_keeps_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    os.chown(path, 12345, 54321)
    write_output(path, [b"new"])
    assert (path.stat().st_uid, path.stat().st_gid, path.read_bytes()) == (12345, 54321, b"new")


def test_a_link_to_nothing_makes_the_file(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "there")
    check_output(tmp_path / "link")
    write_output(tmp_path / "link", [b"x"])
    assert (tmp_path / "there").read_bytes() == b"x"
    assert find_descriptor(tmp_path / "there") is None


@pytest.mark.service
@pytest.mark.parametrize(
    ("command", "where"),
    [
        ('aurea run --jobs 2 --virtual -o >(cat > "$1/got")', "got"),
        ('aurea run --jobs 2 --virtual -o /dev/fd/3 3>> "$1/log"', "log"),
        ('aurea run --jobs 2 --virtual --json > "$1/log2" -o "$1/log2"', "log2"),
        ('aurea run --jobs 2 --virtual -o /dev/stdout 2>/dev/null | cat > "$1/piped"; echo', "piped"),
    ],
)
def test_as_a_shell_has_it(command: str, where: str, tmp_path: Path) -> None:
    (tmp_path / "log").write_text("")
    script = f"aurea() {{ '{sys.executable}' -c '{PROGRAM}' \"$@\"; }}; {command}; wait"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(["bash", "-c", script, "bash", str(tmp_path)], env=environment, check=False, timeout=240)
    assert done.returncode == 0
    assert json.JSONDecoder().raw_decode((tmp_path / where).read_text())[0]["num_jobs"] == 2


@pytest.mark.service
@pytest.mark.parametrize("form", ["json", "csv", "ndjson"])
def test_an_export_is_appended(form: str, aurea_data: Callable[[int], Any], log: Path) -> None:
    data, run_id = aurea_data(20)
    command = ("runs", "export", run_id, "--format", form, "--data", str(data), "-o", "/dev/stdout")
    assert call(log, *command) == 0
    said = log.read_text()
    assert said.startswith(LINE)
    assert run_id in said


@pytest.mark.parametrize("ending", ["json", "aurea"])
@pytest.mark.parametrize(
    "command",
    [
        ("report", "{}", "-o", "{}"),
        ("what-if", "{}", "--rate", "2x", "-o", "{}"),
        ("compare", "{}", "{}", "--report", "{}"),
    ],
)
def test_stored_result_is_not_replaced(
    command: tuple[str, ...], ending: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is said of a result must not take its place, also under another name of the same file."""
    result, other = tmp_path / f"run.{ending}", tmp_path / f"link.{ending}"
    assert main([*RUN, "-o", str(result)]) == 0
    other.hardlink_to(result)
    before = result.read_bytes()
    words = [word.format(result) for word in command[:-1]] + [str(other)]
    assert main(words) == 2
    assert "name another file" in capsys.readouterr().err
    assert result.read_bytes() == before
