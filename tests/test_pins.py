"""The pins in requirements/ are the complete, resolved set: exact, hashed, and enough without a resolver."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PINS = sorted((ROOT / "requirements").glob("*.txt"))
EXTRAS = {
    "serve.txt": [],
    "test.txt": [*PROJECT["optional-dependencies"]["test"], *PROJECT["optional-dependencies"]["dask"]],
    "dask.txt": PROJECT["optional-dependencies"]["dask"],
    "lint.txt": PROJECT["optional-dependencies"]["lint"],
}
PLACES = [
    {"sys_platform": system.lower(), "platform_system": system, "platform_machine": machine}
    for system, machine in [("Linux", "x86_64"), ("Linux", "aarch64"), ("Darwin", "arm64")]
]


def pinned(file: Path) -> Iterator[Requirement]:
    """The requirements in a file of pins; their hashes are the options that follow each."""
    text = file.read_text().replace("\\\n", " ")
    for line in text.splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            yield Requirement(line.split(" --hash")[0])


@pytest.mark.parametrize("file", PINS, ids=lambda file: file.name)
def test_pins_are_exact_hashed_and_name_no_address(file: Path) -> None:
    text = file.read_text()
    assert "://" not in text
    assert [line for line in text.splitlines() if line.startswith("-")] == [], (
        "no option: whose index is the reader's choice"
    )
    pins = text.replace("\\\n", " ").splitlines()
    assert all("==" in line and "--hash=sha256:" in line for line in pins if line and not line.lstrip().startswith("#"))


def test_pins_agree_with_one_another() -> None:
    """One environment serves all scripts, so no two files may disagree on a version."""
    versions: dict[tuple[str, str], set[str]] = {}
    for file in PINS:
        for pin in pinned(file):
            split = str(pin.marker) if pin.name == "numpy" else ""
            versions.setdefault((pin.name, split), set()).add(str(pin.specifier))
    assert {name: found for name, found in versions.items() if len(found) > 1} == {}


def missing(file: Path, environment: dict[str, str]) -> list[str]:
    """What somebody requires, directly or not, and this file does not pin at a version that will do.

    What a package requires is read from the one that is installed, so of those that only other systems need, no more than
    the pin itself is looked at.
    """
    pins = {
        canonicalize_name(pin.name): str(pin.specifier).removeprefix("==")
        for pin in pinned(file)
        if pin.marker is None or pin.marker.evaluate(environment)
    }
    built_with = [line for line in (ROOT / "requirements/build.in").read_text().splitlines() if line[0] != "#"]
    waiting = [
        ("aurea-orchestrator", Requirement(text), "")
        for text in PROJECT["dependencies"] + EXTRAS[file.name] + built_with
    ]
    seen, wrong = set(), []
    while waiting:
        who, wanted, extra = waiting.pop()
        if wanted.marker is not None and not wanted.marker.evaluate({**environment, "extra": extra}):
            continue
        name = canonicalize_name(wanted.name)
        if name not in pins or not wanted.specifier.contains(pins[name], prereleases=True):
            wrong.append(f"{who} requires {wanted}, pinned is {pins.get(name)}")
            continue
        for each in ["", *wanted.extras]:
            if (name, each) not in seen and has_version(name, pins[name]):
                seen.add((name, each))
                waiting += [(name, Requirement(text), each) for text in metadata.requires(name) or []]
    return wrong


def has_version(name: str, version: str) -> bool:
    try:
        return metadata.version(name) == version
    except metadata.PackageNotFoundError:
        return False


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
@pytest.mark.parametrize("place", PLACES, ids=lambda place: f"{place['platform_system']} {place['platform_machine']}")
@pytest.mark.parametrize("file", PINS, ids=lambda file: file.name)
def test_every_requirement_is_pinned(file: Path, place: dict[str, str], python: str) -> None:
    """Extras included. They are installed with --no-deps, so nobody else would notice."""
    os_name = {"os_name": "posix", "implementation_name": "cpython", "platform_python_implementation": "CPython"}
    version = {"python_version": python, "python_full_version": f"{python}.7", "implementation_version": f"{python}.7"}
    assert missing(file, {**place, **os_name, **version}) == []


def test_what_is_installed_is_what_is_pinned() -> None:
    """This very environment, where it is one that the scripts made: its tests must not run with something else."""
    if not (Path(sys.prefix) / "aurea-test.stamp").exists():
        pytest.skip("the scripts did not make this environment")
    pins = {
        pin.name: pin for pin in pinned(ROOT / "requirements/test.txt") if pin.marker is None or pin.marker.evaluate()
    }
    assert {name: metadata.version(name) for name in pins} == {
        name: str(pin.specifier).removeprefix("==") for name, pin in pins.items()
    }


def test_a_pin_that_is_missing_is_noticed(tmp_path: Path) -> None:
    """Members of the kind: one that only an extra requires, one that is too old, one whose requirement has a marker."""
    text = (ROOT / "requirements/test.txt").read_text()
    for gone, told in [
        (r"(?m)^iniconfig==(.|\n)*?(?=^\S)", "pytest requires iniconfig"),
        (r"(?m)^uvloop==(.|\n)*?(?=^\S)", "aurea-orchestrator requires uvloop"),
        (r"(?m)^aiohttp==[\d.]+()", "aurea-orchestrator requires aiohttp>="),
    ]:
        file = tmp_path / "test.txt"
        changed, count = re.subn(gone, "aiohttp==3.0" if "aiohttp" in gone else "", text)
        assert count == 1
        file.write_text(changed)
        assert any(line.startswith(told) for line in missing(file, {})), told


# Commands


def recipes() -> list[Path]:
    """Every file that tells a machine or a reader how to install."""
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.splitlines()
    there = listed or [file.relative_to(ROOT).as_posix() for file in ROOT.rglob("*") if ".venv" not in file.as_posix()]
    wanted = re.compile(r"(scripts|\.ci)/[^.]+$|.*\.(md|service|ya?ml)$|(.*/)?(Dockerfile|[\w.]*\.dockerfile)$")
    return [ROOT / name for name in there if wanted.match(name)]


def test_no_resolver_is_asked_for_the_pins() -> None:
    """A pip that resolves takes an extra that somebody requires for a requirement without a pin, and refuses."""
    commands = []
    for file in recipes():
        for line in file.read_text().replace("\\\n", " ").splitlines():
            if re.search(r"\bpip\w* .*(-r|--requirement)\b|\bpip_install .*--requirement", line):
                commands.append(line)
                assert "--no-deps" in line, f"{file.relative_to(ROOT)}: {line}"
                assert "--require-hashes" in line, f"{file.relative_to(ROOT)}: {line}"
    assert len(commands) >= 2


@pytest.mark.parametrize(
    "script", ["scripts/serve", "scripts/test", "scripts/check", "scripts/fix", "scripts/_venv", ".ci/run"]
)
def test_scripts_leave_the_choice_of_package_index_to_pip(script: str) -> None:
    text = (ROOT / script).read_text()
    assert not [option for option in ("index-url", "find-links", "trusted-host", "proxy") if option in text]


# Real pips


@pytest.fixture(scope="module")
def newer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Releases that are newer than each pin of test.txt, so that no pip gets away with taking the newest."""
    folder = tmp_path_factory.mktemp("newer")
    for pin in pinned(ROOT / "requirements/test.txt"):
        name = canonicalize_name(pin.name).replace("-", "_")
        with zipfile.ZipFile(folder / f"{name}-9999.0-py3-none-any.whl", "w") as wheel:
            info = f"{name}-9999.0.dist-info/"
            wheel.writestr(info + "METADATA", f"Metadata-Version: 2.1\nName: {pin.name}\nVersion: 9999.0\n")
            wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(info + "RECORD", "")
    return folder


@pytest.mark.service
@pytest.mark.parametrize("pip", ["pip==22.3", "pip==23.2.1", "pip==24.2", "pip"])
def test_a_pip_of_each_python_takes_the_pins(pip: str, newer: Path, tmp_path: Path) -> None:
    """The pips that come with Python 3.11 to 3.13, and the newest. Needs a package index."""
    if pip == "pip==22.3" and sys.version_info >= (3, 12):
        pytest.skip("pip 22.3 runs on Python 3.11 and older")
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True, capture_output=True)
    command = [str(tmp_path / "venv/bin/python"), "-I", "-m", "pip", "install", "--quiet"]
    got = subprocess.run([*command, "--upgrade", pip], capture_output=True, text=True, check=False)
    if got.returncode != 0:
        reason = f"needs a package index: {got.stderr[-300:]}"
        if "package-index" in os.environ.get("AUREA_REQUIRE", ""):
            pytest.fail(reason)
        pytest.skip(reason)
    sight = f"{os.environ.get('PIP_FIND_LINKS', '')} {newer}"
    pins = ["--dry-run", "--no-deps", "--require-hashes", "--requirement", str(ROOT / "requirements/test.txt")]
    taken = subprocess.run(
        [*command, *pins], env={**os.environ, "PIP_FIND_LINKS": sight}, capture_output=True, text=True, check=False
    )
    assert taken.returncode == 0, taken.stderr
    assert "9999" not in taken.stdout
