"""Examples print what stands beside them, specifications run, and a package's strategies work by their names."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from aurea_engine import RunSpec, parse_json, parse_toml, run_sync, simulate, spec_from_dict, spec_to_dict
from aurea_engine.testing import check_result

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"
PROGRAMS = sorted(EXAMPLES.glob("*.py"))
SHOP = "127.0.0.1:8080"
SENDING = sorted(file for file in (EXAMPLES / "specs").iterdir() if SHOP in file.read_text())
"""Specifications that send requests, to the shop of the examples."""
SPECS = sorted(set((EXAMPLES / "specs").iterdir()) - set(SENDING))
CLI = "import sys; from aurea_server.cli import main; sys.exit(main(sys.argv[1:]))"


@pytest.mark.service
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.stem)
def test_example_prints_its_output_file(program: Path) -> None:
    """A program prints what stands beside it."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}
    command = [sys.executable, "-W", "error", str(program)]
    done = subprocess.run(command, check=False, env=environment, capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    assert done.stdout == program.with_suffix(".out").read_text(encoding="utf-8")


@pytest.mark.service
def test_the_picture_of_a_comparison_is_made_again(tmp_path: Path) -> None:
    """That of the page: a dot for each of eight figures of two comparisons, and the words in its heading."""
    command = [sys.executable, "-W", "error", str(EXAMPLES / "compare_two_runs.py"), str(tmp_path / "compare.svg")]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True)
    for picture in (tmp_path / "compare.svg", ROOT / "docs" / "compare.svg"):
        found = ET.fromstring(picture.read_text("utf-8"))
        assert len(list(found.iter("{http://www.w3.org/2000/svg}circle"))) == 16
        assert {"inconclusive", "worse"} <= {each.text for each in found.iter("{http://www.w3.org/2000/svg}text")}


@pytest.mark.service
def test_the_picture_of_a_capacity_is_made_again(tmp_path: Path) -> None:
    """That of the page: the same points and curves, to the last digit."""
    command = [sys.executable, "-W", "error", str(EXAMPLES / "find_capacity.py"), str(tmp_path / "capacity.svg")]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True)
    assert (tmp_path / "capacity.svg").read_text("utf-8") == (ROOT / "docs" / "capacity.svg").read_text("utf-8")


def test_the_picture_of_a_session_shows_its_tests() -> None:
    """That of the page on testing: every test of the example, and how it ended."""
    shown = re.sub(r"<[^>]+>", "", (ROOT / "docs" / "testing.svg").read_text("utf-8"))
    tests = re.findall(r"^def (test_\w+)", (EXAMPLES / "testing" / "test_thumbnails.py").read_text(), re.MULTILINE)
    outcomes = dict(re.findall(r"::(test_\w+) (PASSED|FAILED|SKIPPED)", shown))
    assert list(outcomes) == tests
    assert sorted(outcomes.values()) == ["FAILED", "PASSED", "PASSED", "SKIPPED", "SKIPPED"]


def test_every_output_has_its_program() -> None:
    """Nothing is printed that no program prints."""
    assert sorted(EXAMPLES.glob("*.out")) == [program.with_suffix(".out") for program in PROGRAMS]


@pytest.mark.parametrize("file", SPECS, ids=lambda path: path.name)
def test_example_specification_runs(file: Path) -> None:
    """In virtual time, where a day is over at once; its objectives, where it has any, are met."""
    spec = read_spec(file, file.read_text())
    result = simulate(spec)
    check_result(result)
    assert result.counts.completed > 0
    assert [judged.outcome for judged in result.objectives] == ["met"] * len(spec.objectives)


@pytest.mark.service
@pytest.mark.parametrize("file", SENDING, ids=lambda path: path.name)
def test_example_specification_sends(file: Path, shop: str) -> None:
    """In real time, to the shop. What objectives say of its speed is the machine's affair."""
    result = run_sync(read_spec(file, file.read_text().replace(SHOP, shop)))
    check_result(result)
    assert result.counts.completed == result.counts.arrived > 0


def read_spec(file: Path, text: str) -> RunSpec:
    """What ``text`` of the file says, which comes back as it was written."""
    spec = spec_from_dict((parse_toml if file.suffix == ".toml" else parse_json)(text))
    assert spec_from_dict(spec_to_dict(spec)) == spec
    return spec


# A package's strategies, by their names


PACKAGE = EXAMPLES / "package"


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """In which the package is installed: what pip would write, made of its pyproject.toml."""
    site = tmp_path_factory.mktemp("site")
    project = tomllib.loads((PACKAGE / "pyproject.toml").read_text())["project"]
    info = site / "aurea_example-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    (info / "entry_points.txt").write_text(
        "".join(
            f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in offered.items())
            for group, offered in project["entry-points"].items()
        )
    )
    path = os.pathsep.join([str(ROOT), str(site), str(PACKAGE)])
    return {**os.environ, "PYTHONPATH": path, "HOME": str(site), "XDG_DATA_HOME": str(site)}


def query_spec() -> dict[str, object]:
    return {**json.loads((PACKAGE / "query.json").read_text()), "clock": "virtual"}


def is_what_the_package_does(result: dict[str, object]) -> None:
    """200 jobs, each of which costs one started minute at two cents; names come back as they were given."""
    assert result["completed_jobs"] == 200
    assert result["total_cost"] == 4.0
    spec = result["spec"]
    assert isinstance(spec, dict)
    assert spec["workload"]["job"] == {"kind": "query", "hits": 0.8}
    assert spec["scheduler"]["kind"] == "longest_first"
    assert spec["cost"]["kind"] == "per_started_minute"


@pytest.mark.service
def test_package_is_known_to_command_line(environment: dict[str, str], tmp_path: Path) -> None:
    """A package is known to the command line."""
    (tmp_path / "query.json").write_text(json.dumps(query_spec()))
    command = [sys.executable, "-c", CLI, "run", "query.json", "--json"]
    done = subprocess.run(command, check=False, cwd=tmp_path, env=environment, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    is_what_the_package_does(json.loads(done.stdout))


@pytest.fixture
def server(environment: dict[str, str], tmp_path: Path) -> Iterator[str]:
    """Its address."""
    process = subprocess.Popen(
        [sys.executable, "-c", CLI, "serve", "--port", "0"],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )
    assert process.stdout is not None
    address = next((found[0] for line in process.stdout if (found := re.search(r"http://[^\s/]+:\d+", line))), None)
    assert address is not None, "the server did not say where it serves"
    yield address
    process.terminate()
    process.communicate(timeout=120)


@pytest.mark.service
def test_a_package_is_known_to_the_server(server: str) -> None:
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{server}/benchmark/run", json.dumps(query_spec()).encode(), headers)
    with urllib.request.urlopen(request) as response:
        is_what_the_package_does(json.load(response))
