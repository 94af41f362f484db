"""The environment that the scripts make for themselves: in one go, after an interruption, whatever pip is told elsewhere.

A project of two files and an index of three wheels stand for ours, so that nothing is downloaded.
"""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.service

ROOT = Path(__file__).parent.parent
SAYS = "Installing into .venv: once, and again when the requirements change ...\n"
SHOW = """#!/bin/sh
. "$(dirname "$0")/_venv"
venv small
exec "$bin/python" -c 'import extended, small, sys; print(small.VERSION, extended.VERSION, *sys.argv[1:])' "$@"
"""
BACKEND = """
import os, pathlib, time, zipfile
def build_editable(folder, config_settings=None, metadata_directory=None):
    pathlib.Path("reached").touch()
    while os.path.exists("hang"):
        time.sleep(0.01)
    with zipfile.ZipFile(pathlib.Path(folder, "project-1.0-py3-none-any.whl"), "w") as wheel:
        info = "project-1.0.dist-info/"
        wheel.writestr(info + "METADATA", "Metadata-Version: 2.1\\nName: project\\nVersion: 1.0\\n")
        wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(info + "RECORD", "")
    return "project-1.0-py3-none-any.whl"
"""


def write_wheel(folder: Path, name: str, version: str, *metadata: str) -> str:
    """A wheel with one module, which tells its version; its pin is answered."""
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info/"
    files = {
        f"{name}.py": f"VERSION = {version!r}\n",
        info + "METADATA": "\n".join(["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *metadata, ""]),
        info + "WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = ""
    with zipfile.ZipFile(path, "w") as wheel:
        for file, text in files.items():
            wheel.writestr(file, text)
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
            record += f"{file},sha256={digest},{len(text)}\n"
        wheel.writestr(info + "RECORD", f"{record}{info}RECORD,,\n")
    return f"{name}=={version} --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


class Project:
    """A clone whose script prints the versions that it finds; pip sees nothing but the wheels beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.wheels = folder, folder.parent / "wheels"
        (folder / "scripts").mkdir(parents=True)
        (folder / "requirements").mkdir()
        self.wheels.mkdir()
        shutil.copy(ROOT / "scripts/_venv", folder / "scripts")
        (folder / "scripts/show").write_text(SHOW)
        (folder / "scripts/show").chmod(0o755)
        (folder / "backend.py").write_text(BACKEND)
        (folder / "pyproject.toml").write_text(
            '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
            '[project]\nname = "project"\nversion = "1.0"\n'
        )
        pins = write_wheel(self.wheels, "extended", "1.0", "Requires-Dist: small[fast]>=1.0")
        pins += write_wheel(self.wheels, "small", "1.0", "Provides-Extra: fast")
        self.newer = write_wheel(self.wheels, "small", "2.0", "Provides-Extra: fast")
        self.pins = folder / "requirements/small.txt"
        self.pins.write_text(pins)

    def environment(self, **more: str) -> dict[str, str]:
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "AUREA_", "COVERAGE_"))
        }
        index = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.wheels), "AUREA_PYTHON": sys.executable}
        return {**kept, **index, **more}

    def start(self, *arguments: str, **more: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["scripts/show", *arguments],
            cwd=self.folder,
            env=self.environment(**more),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def show(self, *arguments: str, **more: str) -> tuple[int, str, str]:
        process = self.start(*arguments, **more)
        printed, told = process.communicate()
        return process.returncode, printed, told


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "a clone")


@pytest.fixture
def made(project: Project) -> Project:
    """One that was set up."""
    assert project.show() == (0, "1.0 1.0\n", SAYS)
    return project


def test_a_set_up_says_one_line_and_is_kept(made: Project) -> None:
    """With a newer release in sight, and a pin that another requires with an extra: what pip 23.2 refused to resolve."""
    assert made.show("again") == (0, "1.0 1.0 again\n", "")


def test_changed_pins_are_installed(made: Project) -> None:
    pins = made.pins.read_text().splitlines(keepends=True)
    made.pins.write_text(pins[0] + made.newer)
    assert made.show() == (0, "2.0 1.0\n", SAYS)


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_set_up_begins_anew(by: signal.Signals, project: Project) -> None:
    """Pip takes a package for installed whose files are missing, if only its metadata is there."""
    (project.folder / "hang").touch()
    process = project.start()
    while not (project.folder / "reached").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    os.killpg(process.pid, by)
    process.communicate()
    assert process.returncode != 0
    (project.folder / "hang").unlink()
    (module,) = (project.folder / ".venv").glob("lib/python*/site-packages/small.py")
    module.unlink()
    assert project.show() == (0, "1.0 1.0\n", SAYS)


def move(project: Project) -> None:
    project.folder = project.folder.rename(project.folder.with_name("moved"))


def take_python_away(project: Project) -> None:
    (project.folder / ".venv/bin/python").unlink()
    (project.folder / ".venv/bin/python").symlink_to("/nowhere/python")


def upgrade_python(project: Project) -> None:
    """Its packages lie in a folder of the version that it was made with."""
    stamp = project.folder / ".venv/aurea-small.stamp"
    version = ".".join(map(str, sys.version_info[:3]))
    assert version in stamp.read_text()
    stamp.write_text(stamp.read_text().replace(version, "3.11.0"))
    (project.folder / ".venv/gone").touch()


def remove_pip(project: Project) -> None:
    for found in (project.folder / ".venv").glob("lib/python*/site-packages/pip*"):
        shutil.rmtree(found)
    (project.folder / ".venv/aurea-small.stamp").unlink()


@pytest.mark.parametrize("happens", [move, take_python_away, upgrade_python, remove_pip])
def test_an_environment_that_was_broken_is_made_anew(happens: Callable[[Project], None], made: Project) -> None:
    happens(made)
    assert made.show() == (0, "1.0 1.0\n", SAYS)
    assert not (made.folder / ".venv/gone").exists()
    assert str(made.folder) in (made.folder / ".venv/pyvenv.cfg").read_text() or sys.version_info < (3, 11, 4)


def test_settings_for_other_installations_do_no_harm(project: Project, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    settings = tmp_path / "pip.conf"
    settings.write_text(
        f"[global]\nuser = true\nconstraint = {elsewhere}/none.txt\nrequire-virtualenv = true\nno-build-isolation = false\n"
        f"[install]\ntarget = {elsewhere}\nroot = {elsewhere}\n"
    )
    hostile = {
        "CDPATH": str(tmp_path),
        "PIP_CONFIG_FILE": str(settings),
        "PIP_CONSTRAINT": "nowhere.txt",
        "PIP_DRY_RUN": "1",
        "PIP_ONLY_BINARY": ":all:",
        "PIP_PREFIX": str(elsewhere),
        "PIP_QUIET": "3",
        "PIP_REQUIRE_HASHES": "1",
        "PIP_REQUIRE_VIRTUALENV": "1",
        "PIP_TARGET": str(elsewhere),
        "PIP_USER": "1",
        "PYTHONPATH": str(tmp_path),
        "PYTHONWARNINGS": "always",
    }
    (tmp_path / "pip.py").write_text("raise SystemExit('this is another pip')")
    (tmp_path / "scripts").mkdir()
    assert project.show(**hostile) == (0, "1.0 1.0\n", SAYS)
    assert not elsewhere.exists()


def test_two_scripts_at_once_set_up_once(project: Project) -> None:
    processes = [project.start(name, AUREA_PYTHON="") for name in ("serve", "test")]
    told = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0, 0], told
    assert [printed for printed, _ in told] == ["1.0 1.0 serve\n", "1.0 1.0 test\n"]
    assert sorted(words.count("Installing") for _, words in told) == [0, 1]


def test_a_failure_tells_what_pip_said(project: Project) -> None:
    next(project.wheels.glob("small-1.0*")).unlink()
    code, printed, told = project.show()
    assert (code, printed) == (1, "")
    assert "No matching distribution found for small==1.0" in told
    assert told.endswith("Setting up .venv failed, as told above; the same command tries again.\n")


def test_a_wrong_hash_is_a_failure(project: Project) -> None:
    write_wheel(project.wheels, "small", "1.0", "Provides-Extra: fast", "Summary: something else")
    code, _, told = project.show()
    assert code == 1
    assert "THESE PACKAGES DO NOT MATCH THE HASHES" in told


def test_a_folder_with_other_files_is_left_alone(project: Project, tmp_path: Path) -> None:
    work = tmp_path / "my work"
    work.mkdir()
    (work / "thesis.txt").write_text("years")
    code, printed, told = project.show(AUREA_VENV=str(work))
    assert (code, printed) == (1, "")
    assert told.endswith(f"{work} holds files and is no virtual environment; AUREA_VENV must name another folder.\n")
    assert [file.name for file in work.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("named", ["/nowhere/python", "true", "cat"])
def test_what_is_no_python_is_refused_by_name(named: str, project: Project) -> None:
    told = f"AUREA_PYTHON: {named} is no Python 3.11 or newer.\n"
    assert project.show(AUREA_PYTHON=named) == (1, "", told)


def other_pythons() -> Iterator[str]:
    here = "python{}.{}".format(*sys.version_info)
    for name in {"python3.11", "python3.12", "python3.13"} - {here}:
        for found in [name, *Path.home().glob(f".pyenv/versions/*/bin/{name}")]:
            if subprocess.run([found, "-c", ""], capture_output=True, check=False).returncode == 0:
                yield str(found)


def test_another_python_that_is_asked_for_is_taken(made: Project) -> None:
    other = next(other_pythons(), None)
    if other is None:
        pytest.skip("needs two Pythons")
    assert made.show(AUREA_PYTHON=other) == (0, "1.0 1.0\n", SAYS)
    assert [folder.name for folder in (made.folder / ".venv/lib").iterdir()] == [Path(other).name]
