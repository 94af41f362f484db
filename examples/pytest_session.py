"""A session of pytest with objectives: passed, failed, skipped, each with its reason. Run it with python.

With the name of a file it also draws the picture of docs/testing.md: python pytest_session.py testing.svg
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from html import escape
from pathlib import Path

FOLDER = Path(__file__).parent / "testing"
COLORS = {"passed": "#4ade80", "PASSED": "#4ade80", "FAILED": "#f87171", "failed": "#f87171", "missed": "#f87171"}
COLORS |= {"SKIPPED": "#facc15", "skipped": "#facc15", "not judged": "#facc15"}
WIDTH, LINE, CHARACTER = 104, 18, 7.85


def run_pytest() -> str:
    """What pytest prints of the tests beside this file, without the plugins that are no part of the story."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-v",
        "--no-header",
        "-pno:cacheprovider",
        "--rootdir",
        ".",
        "-c",
        os.devnull,
    ]
    environment = {**os.environ, "COLUMNS": str(WIDTH)}
    done = subprocess.run(command, check=False, cwd=FOLDER, env=environment, capture_output=True, encoding="utf-8")
    return done.stdout.replace("collecting ... ", "")


def main() -> None:
    printed = run_pytest()
    outcomes = dict(re.findall(r"::(test_\w+) (PASSED|FAILED|SKIPPED)", printed))
    # What your own code does on this machine is no news here: only what must be so is printed.
    for name in ("test_a_usual_day", "test_the_day_of_the_sale", "test_a_tight_bound", "test_code_that_blocks"):
        reason = re.search(rf"^test_thumbnails\.py::{name}: (the measurement [a-z ]+) \(", printed, re.MULTILINE)
        print(f"{name}: {outcomes[name].lower()}{'' if reason is None else ', ' + reason[1]}")
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(draw(printed), "utf-8")


def draw(printed: str) -> str:
    """The session as a picture of a terminal."""
    lines = [part for line in ["$ pytest -v", *printed.splitlines()] for part in fold(line)]
    width, height = WIDTH * CHARACTER + 32, len(lines) * LINE + 30
    font = 'font-family="ui-monospace, monospace" font-size="13" fill="#e2e8f0"'
    rows = [f'<text x="16" y="{26 + i * LINE}">{color(line)}</text>' for i, line in enumerate(lines)]
    box = f'viewBox="0 0 {width:.0f} {height}" role="img" style="white-space: pre"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {box} {font}>'
    return "\n".join([head, f'<rect width="{width:.0f}" height="{height}" rx="8" fill="#0f172a"/>', *rows, "</svg>\n"])


def fold(line: str) -> list[str]:
    """The lines of a terminal, broken between words; without indentation, but that of a table."""
    return textwrap.wrap(line, WIDTH, replace_whitespace=False, drop_whitespace=False) or [""]


def color(line: str) -> str:
    words = "|".join(rf"\b{word}\b" for word in COLORS)
    return re.sub(words, lambda found: f'<tspan fill="{COLORS[found[0]]}">{found[0]}</tspan>', escape(line))


if __name__ == "__main__":
    main()
