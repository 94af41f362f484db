"""Every code block of the README and of docs/ does what the page says.

How a block is tried follows from its language:

- ``python`` is run, all blocks of a page in one namespace; what it prints must be the ``text`` block that follows it
  directly, and nothing where none follows.
- ``console`` holds commands (``$ ...``) and what they print on stdout. They are run by sh, beside a copy of ``examples/``,
  with a real server on a free port in place of port 5000, and the shop of the examples in place of port 8080.
- ``json`` and ``toml`` must be specifications. After the language a page may say which part one is:
  ``json arrivals`` holds one object a line, each of them arrivals.

After the language a page may also say:

- ``digits vary``: numbers are compared as numbers, whatever their value, the unit of a time and how wide that makes a column
  (times, dates and ids of a real run).
- ``times vary``: of what a run on the machine's clock reports, the first words of each line are compared, and neither the
  histogram, the findings nor whether a connection was opened, which depend on how busy the machine is.
- ``needs ...``: it is not run, because it needs what stands there; programs of ours that it calls must exist. So it is with
  ``sh`` blocks, which hold commands without their output.
- ``file PATH``: it is a part of that file, to the letter.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from aurea_engine import FINDING_CODES, parse_json, parse_toml, spec_from_dict, spec_to_dict

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

SHOP = "127.0.0.1:8080"
_FENCE = re.compile(r"^```(?P<language>\S*) *(?P<note>.*)$")
_NUMBER = re.compile(r"\d[\d,.]*(e[+-]?\d+)?( [nµm]?s\b)?")
_OF_THE_MACHINE = re.compile(r" +[≤>] |(note|degraded|invalid) {2,}|response time$|  connected ")
_RUN = re.compile(r"benchmark-\d{13}")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{3} UTC)?")


@dataclass(frozen=True)
class Block:
    """One fenced block. ``note``: what stands after the language, an instruction for the test that readers do not see."""

    page: Path
    line: int
    language: str
    note: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"

    @property
    def varies(self) -> str:
        """What may differ each time."""
        return self.note.removesuffix(" vary") if self.note in ("digits vary", "times vary") else "nothing"

    @property
    def needs(self) -> str | None:
        """What a reader needs that a test does not have."""
        return self.note if self.note.startswith("needs ") else None

    def shows(self, printed: str) -> None:
        """Raises AssertionError where ``printed`` is not what the page shows."""
        assert comparable(printed, self.varies) == comparable(self.text, self.varies), f"{self} shows something else"


def comparable(text: str, varies: str) -> list[str]:
    """Lines without what nobody sees at their ends, and without ids and instants of runs; where digits vary, a number is a
    number, and where times do, only what a line begins with counts.
    """
    lines = [_INSTANT.sub("#", _RUN.sub("benchmark-#", line.rstrip())) for line in text.strip("\n").split("\n")]
    if varies == "digits":
        return [re.sub(" +", " ", _NUMBER.sub("#", line)) for line in lines]
    if varies == "times":
        return [line.strip().partition("  ")[0] for line in lines if line and not _OF_THE_MACHINE.match(line)]
    return lines


def blocks(page: Path) -> Iterator[Block]:
    """All blocks of ``page`` in their order."""
    begun: tuple[int, str, str] | None = None
    inside: list[str] = []
    for number, line in enumerate(page.read_text().splitlines(), 1):
        fence = _FENCE.match(line)
        if fence and begun is None:
            begun, inside = (number, fence["language"], fence["note"].strip()), []
        elif fence and begun is not None:
            yield Block(page, *begun, "\n".join(inside) + "\n")
            begun = None
        else:
            inside.append(line)
    assert begun is None, f"{page.name}:{begun} is never closed"


def all_blocks(*languages: str) -> list[Block]:
    """Blocks of all pages in one of ``languages``."""
    return [block for page in PAGES for block in blocks(page) if block.language in languages]


def sessions(page: Path) -> Iterator[tuple[Block, Block | None]]:
    """Python blocks, each with the ``text`` block that follows it directly."""
    found = list(blocks(page))
    for block, after in zip(found, [*found[1:], None][: len(found)], strict=True):
        if block.language == "python":
            yield block, after if after is not None and after.language == "text" else None


def commands(block: Block) -> Iterator[tuple[str, str]]:
    """(command, what it prints) of a ``console`` block. A command goes on where its line ends in a backslash."""
    command, printed, goes_on = "", list[str](), False
    for line in block.text.splitlines():
        if goes_on:
            command += "\n" + line
        elif line.startswith("$ "):
            if command:
                yield command, "\n".join(printed)
            command, printed = line[2:], []
        else:
            assert command, f"{block} prints before there is a command"
            printed.append(line)
        goes_on = (goes_on or line.startswith("$ ")) and line.endswith("\\")
    if command:
        yield command, "\n".join(printed)


PARTS: dict[str, Callable[[Any], dict[str, Any]]] = {
    "arrivals": lambda part: {"workload": {"job": {"kind": "sleep"}, "arrivals": part, "jobs": 10}},
    "cost_models": lambda part: {"num_jobs": 1, "cost": part},
    "distributions": lambda part: {"workload": {"job": {"kind": "sleep", "duration": part}, "jobs": 10}},
    "jobs": lambda part: {"workload": {"job": part, "jobs": 10}},
    "objectives": lambda part: {"num_jobs": 1, "objectives": [part]},
    "schedulers": lambda part: {"num_jobs": 1, "scheduler": part},
    "workloads": lambda part: {"workload": part},
}
"""How the smallest specification looks that has such a part."""


def runs_here(block: Block) -> bool:
    return block.needs is None and not block.note.startswith("file ")


RUN_PAGE = """
import contextlib, io, json, sys, types
page, blocks = json.load(sys.stdin)
module = types.ModuleType("page")
sys.modules["page"] = module  # where dataclasses look up their annotations
printed = []
for line, text in blocks:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile("\\n" * line + text, page, "exec"), module.__dict__)
    printed.append(out.getvalue())
json.dump(printed, sys.stdout)
"""


@pytest.mark.service
@pytest.mark.parametrize("page", [page for page in PAGES if any(sessions(page))], ids=lambda page: page.name)
def test_python_prints_what_the_page_shows(page: Path) -> None:
    session = [(block, shown) for block, shown in sessions(page) if runs_here(block)]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-X", "utf8", "-c", RUN_PAGE],
        check=False,
        input=json.dumps([str(page), [(block.line, block.text) for block, _ in session]]),
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    for (block, shown), printed in zip(session, json.loads(done.stdout), strict=True):
        if shown is None:
            assert printed == "", f"{block} prints, and the page does not show it"
        else:
            shown.shows(printed)


@pytest.fixture(scope="module")
def shell(
    tmp_path_factory: pytest.TempPathFactory, require: Callable[..., str], shop: str
) -> Iterator[Callable[[str], str]]:
    """Runs a command as a reader would: server on port 5000, shop on port 8080, in the project's folder."""
    require("curl")
    folder = tmp_path_factory.mktemp("reader")
    shutil.copytree(ROOT / "examples", folder / "examples")
    # The shop of the examples has another port here: whatever serves on port 8080 of this machine is not ours.
    for spec in (folder / "examples" / "specs").iterdir():
        spec.write_text(spec.read_text(encoding="utf-8").replace(SHOP, shop), encoding="utf-8")
    program = folder / "bin" / "aurea"
    program.parent.mkdir()
    call = "import sys; from aurea_server.cli import main; sys.exit(main(sys.argv[1:]))"
    program.write_text(f"""#!/bin/sh\nexec '{sys.executable}' -c '{call}' "$@"\n""")
    program.chmod(0o755)
    path = os.pathsep.join([str(program.parent), str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "COLUMNS": "80"}
    environment |= {"HOME": str(folder), "XDG_DATA_HOME": str(folder)}
    for name in ("CI", "BUILD_NUMBER"):  # where these are set, pytest shortens nothing, unlike what a reader sees
        environment.pop(name, None)
    server = subprocess.Popen(
        ["aurea", "serve", "--port", "0"],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
    )
    assert server.stdout is not None
    first = next((found for line in server.stdout if (found := re.search(r"http://[^\s/]+:(\d+)", line))), None)
    assert first is not None, "the server did not say where it serves"
    port = first[1]

    def answer(command: str) -> str:
        command = re.sub(r"(localhost|127\.0\.0\.1):5000", rf"127.0.0.1:{port}", command).replace(SHOP, shop)
        done = subprocess.run(
            ["sh", "-c", command], check=False, cwd=folder, env=environment, capture_output=True, encoding="utf-8"
        )
        # On a busy machine an objective is missed, or not decided.
        assert done.returncode in (0, 3, 6), f"{command}\n{done.stderr}"
        return done.stdout.replace(f"127.0.0.1:{port}", "127.0.0.1:5000").replace(shop, SHOP)

    yield answer
    server.terminate()
    server.communicate(timeout=120)


@pytest.mark.parametrize("block", [block for block in all_blocks("console") if runs_here(block)], ids=str)
def test_commands_print_what_the_page_shows(block: Block, shell: Callable[[str], str]) -> None:
    for command, shown in commands(block):
        Block(block.page, block.line, "text", block.note, shown).shows(shell(command))


@pytest.mark.parametrize("block", [block for block in all_blocks("console") if block.needs], ids=str)
def test_programs_of_untested_commands_exist(block: Block) -> None:
    """Programs of commands that are not run exist."""
    for command, _ in commands(block):
        program = command.split()[0]
        assert "/" not in program or os.access(ROOT / program, os.X_OK), f"{block}: there is no {program}"


@pytest.mark.parametrize("block", [block for block in all_blocks("json", "toml") if runs_here(block)], ids=str)
def test_specifications_are_valid(block: Block) -> None:
    if block.note in PARTS:
        specs = [spec_from_dict(PARTS[block.note](parse_json(line))) for line in block.text.splitlines()]
    else:
        assert block.note == "", f"{block}: nothing is known of {block.note!r}"
        specs = [spec_from_dict((parse_json if block.language == "json" else parse_toml)(block.text))]
    for spec in specs:
        assert spec_from_dict(spec_to_dict(spec)) == spec


@pytest.mark.parametrize("block", [block for page in PAGES for block in blocks(page)], ids=str)
def test_no_block_escapes(block: Block) -> None:
    if block.note.startswith("file "):
        assert block.text in (ROOT / block.note.removeprefix("file ")).read_text(), f"{block} is no part of it any more"
        return
    assert block.language in {"python", "console", "json", "sh", "toml", "text"}
    known = block.needs or block.note in ("", "digits vary", "times vary", *PARTS)
    assert known, f"{block}: nothing is known of {block.note!r}"


def test_the_readme_is_short_enough_to_be_read() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 250


def anchors(page: Path) -> set[str]:
    """What GitHub calls the headings of ``page`` in links."""
    prose = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    heads = re.findall(r"^#+ (.+)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), f"{page.name} links to {target}"
        assert not anchor or anchor in anchors(there), f"{page.name} links to {target}, which has no such heading"


def test_every_finding_is_explained() -> None:
    headings = re.findall(r"^### (\w+)$", (ROOT / "docs" / "numbers.md").read_text(), re.MULTILINE)
    assert [heading for heading in headings if heading.islower()] == sorted(FINDING_CODES)
