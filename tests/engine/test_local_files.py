"""Members that refer to this machine, in a specification from elsewhere; and the files that an operator publishes."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from aurea_engine import LOCAL_REFERENCE, SpecError, Trace, simulate, spec_from_dict, spec_to_dict
from aurea_engine.fields.local_files import DataFile, read_file


def trace(file: str, **more: Any) -> dict[str, Any]:
    arrivals = {"kind": "trace", "file": file, "unit": "s", **more}
    return {
        "workload": {"job": {"kind": "sleep", "duration": 0.5}, "arrivals": arrivals},
        "clock": "virtual",
        "seed": 1,
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    published = tmp_path / "published"
    published.mkdir()
    (published / "day.csv").write_text("at\n1\n2\n4\n")
    (tmp_path / "private.csv").write_text("at\n1\n")
    return published


def test_without_folder_no_file_is_looked_at(folder: Path) -> None:
    for name in ("day.csv", str(folder / "day.csv"), "/nowhere"):
        with pytest.raises(SpecError) as refused:
            spec_from_dict(trace(name), local=False)
        assert [(each.path, each.problem) for each in refused.value.problems] == [
            ("workload.arrivals.file", LOCAL_REFERENCE)
        ]


def test_published_traces_run_by_their_name(folder: Path) -> None:
    """The result holds the plain name, so it can be sent back, and no path of the operator's."""
    spec = spec_from_dict(trace("day.csv"), local=False, data_dir=folder)
    result = simulate(spec)
    assert result.jobs is not None
    assert (result.jobs.intended / 1e9).tolist() == [0, 1, 3]
    written = json.dumps(spec_to_dict(spec))
    assert str(folder) not in written
    again = spec_from_dict(json.loads(written), local=False, data_dir=folder)
    assert isinstance(again.workload.arrivals, Trace)
    assert again.workload.arrivals.file == "day.csv"


@pytest.mark.parametrize(
    "name",
    [
        "../private.csv", "a/../day.csv", "./day.csv", "/etc/passwd", "..", ".", ".hidden", "", "a\0b", "a\\b",
        "sub/day.csv", "x" * 300,
    ],
)  # fmt: skip
def test_only_plain_names_are_names(name: str, folder: Path) -> None:
    with pytest.raises(SpecError) as refused:
        spec_from_dict(trace(name, format="csv"), local=False, data_dir=folder)
    assert str(folder) not in str(refused.value)


def test_links_folders_and_pipes_are_refused(folder: Path) -> None:
    """Whatever stands there under a plain name: none is followed, and none blocks."""
    (folder / "link.csv").symlink_to(folder.parent / "private.csv")
    (folder / "inside.csv").symlink_to("day.csv")
    (folder / "folder.csv").mkdir()
    os.link(folder.parent / "private.csv", folder / "second.csv")
    os.mkfifo(folder / "pipe.csv")
    for name in ("link.csv", "inside.csv", "folder.csv", "second.csv", "pipe.csv", "missing.csv"):
        with pytest.raises(SpecError) as refused:
            spec_from_dict(trace(name), local=False, data_dir=folder)
        assert str(folder) not in str(refused.value), name


def test_replaced_folder_gives_nothing_away(folder: Path) -> None:
    """A race: the name is swapped for a link, over and over. What is read is the published file, or none."""
    (folder.parent / "secret").write_text("secret")
    done = threading.Event()

    def swap() -> None:
        while not done.is_set():
            (folder / "new").symlink_to(folder.parent / "secret")
            (folder / "new").replace(folder / "day.csv")
            (folder / "new").write_text("published")
            (folder / "new").replace(folder / "day.csv")

    swapping = threading.Thread(target=swap)
    swapping.start()
    try:
        for _ in range(2000):
            try:
                content = read_file(DataFile.within("day.csv", folder), 100)
            except OSError:
                continue
            assert b"secret" not in content
    finally:
        done.set()
        swapping.join()


def test_files_above_the_bound_are_refused(folder: Path) -> None:
    """Bytes are counted while they are read: the size of a file may change meanwhile."""
    (folder / "long").write_bytes(b"x" * 11)
    name = DataFile.within("long", folder)
    assert read_file(name, 11) == b"x" * 11
    with pytest.raises(ValueError, match="at most 10 bytes"):
        read_file(name, 10)


def test_users_name_any_file_of_theirs(folder: Path) -> None:
    spec = spec_from_dict(trace(str(folder / "day.csv")))
    assert isinstance(spec.workload.arrivals, Trace)
    assert spec.workload.arrivals.recorded_ns.tolist() == [0, 10**9, 3 * 10**9]
