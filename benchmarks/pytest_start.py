"""What the pytest plugin adds to every session of pytest: that of one empty test, with the package installed and without."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from importlib.metadata import distribution
from pathlib import Path
from statistics import median

from benchmarks.contest import AUREA, Bound, Contender, Figure, Figures, Row

ROOT = Path(__file__).parent.parent
NEEDED = ("pytest", "pluggy", "iniconfig", "packaging", "pygments")
PACKAGES = ("aurea_engine", "aurea_server", "pytest_aurea.py")
SESSION = """
import sys
sys.path[:0] = sys.argv[1].split(chr(10))
import pytest
sys.exit(pytest.main(["-q", "-pno:cacheprovider"]))
"""


def _link_pytest(folder: Path) -> Path:
    """Nothing but pytest and what it needs: other plugins would be a part of both times, and of their noise."""
    folder.mkdir()
    for name in NEEDED:
        installed = distribution(name)
        for top in {file.parts[0] for file in installed.files or () if not file.parts[0].startswith("..")}:
            if not top.startswith("__pycache__"):
                (folder / top).symlink_to(Path(str(installed.locate_file(top))))
    return folder


def _install_aurea(folder: Path) -> Path:
    """As a wheel is installed, with all of its files named: pytest reads that list of the package of every plugin."""
    info = folder / "aurea_orchestrator-0.1.0.dist-info"
    info.mkdir(parents=True)
    for name in PACKAGES:
        (folder / name).symlink_to(ROOT / name)
    sources = [
        file for name in PACKAGES for file in sorted((ROOT / name).rglob("*") if "." not in name else [ROOT / name])
    ]
    listed = [file.relative_to(ROOT).as_posix() for file in sources if file.is_file()]
    (info / "RECORD").write_text("".join(f"{name},sha256=0,1\n" for name in listed))
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: aurea-orchestrator\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text("[pytest11]\naurea = pytest_aurea\n")
    return folder


def _time_session(where: Path, *sites: Path) -> tuple[float, float]:
    """Seconds on the clock, and of the processor, of one session."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "COV"))}
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", SESSION, "\n".join(map(str, sites))],
        cwd=where,
        env=plain,
        stdout=subprocess.DEVNULL,
    )
    _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, process.returncode
    return wall, used.ru_utime + used.ru_stime


def run_pairs(pairs: int) -> Figures:
    """Sessions in pairs, with and without, in turns: what else the machine does falls on both, and medians forget it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "tests").mkdir()
        (folder / "tests/test_nothing.py").write_text("def test_nothing(): pass\n")
        site, own = _link_pytest(folder / "pytest"), _install_aurea(folder / "aurea")
        both = [(site,), (site, own)]
        for sites in both:  # what is compiled once is in neither
            _time_session(folder / "tests", *sites)
        times: list[list[tuple[float, float]]] = [[], []]
        for i in range(pairs):
            for which in (0, 1) if i % 2 else (1, 0):
                times[which].append(_time_session(folder / "tests", *both[which]))
    added = [(after[0] - before[0], after[1] - before[1]) for before, after in zip(*times, strict=True)]
    return {
        "added": median(wall for wall, _ in added),
        "fastest": min(wall for wall, _ in times[1]) - min(wall for wall, _ in times[0]),
        "processor": median(cpu for _, cpu in added),
        "without": median(wall for wall, _ in times[0]),
    }


ROWS = (
    Row(
        "pytest_start",
        "The start of pytest with the plugin installed, an empty test",
        (
            Figure("added", "median of the pairs", "ms"),
            Figure("fastest", "fastest against fastest", "ms"),
            Figure("processor", "processor time", "ms"),
            Figure("without", "a session without it", "ms"),
        ),
        (
            Contender(
                AUREA,
                run_pairs,
                "60 pairs of sessions of pytest alone, with the package installed as from a wheel, and without.",
                {"pairs": 60},
                {"pairs": 3},
            ),
        ),
        (Bound("added", 0.020, better="less"),),
        note="Most of it is the list of the package's files, which pytest reads of every plugin; the rest is one module.",
    ),
)
