"""The files of the web page, as they are served: compressed once, known again by their tags, and without the others."""

from __future__ import annotations

import gzip
import hashlib
import re
from importlib.resources import files
from typing import Any

import pytest
from aiohttp import ClientSession, TCPConnector
from yarl import URL

from aurea_server.ui.page_files import TYPES, page_files

PAGE = files("aurea_server.ui").joinpath("page")
OURS = sorted(name for name in page_files() if not name.startswith("vendor/"))
SCRIPTS = [name for name in OURS if name.endswith(".js")]
MOST_BYTES = 100_000
"""Of the whole page, every view of it and the charts included, compressed."""


async def fetch(client: Any, path: str, **headers: str) -> tuple[int, Any, bytes]:
    """Status, headers and the body as it came over the wire."""
    url = URL(f"{client.make_url('')}".rstrip("/") + path, encoded=True)  # or it would be made a plain one
    connector = TCPConnector(force_close=True)
    async with (
        ClientSession(connector=connector, auto_decompress=False, skip_auto_headers=["Accept-Encoding"]) as session,
        session.get(url, headers={name.replace("_", "-"): value for name, value in headers.items()}) as answer,
    ):
        return answer.status, answer.headers, await answer.read()


def text_of(name: str) -> str:
    """As it is in the repository."""
    return PAGE.joinpath(name).read_text()


@pytest.mark.parametrize("name", OURS)
def test_files_are_served_without_comments(name: str) -> None:
    """Line by line the same code, so that an error names the line of the source."""
    served = page_files()[name].content.decode()
    assert served.count("\n") == text_of(name).count("\n")
    for line, source in zip(served.split("\n"), text_of(name).split("\n"), strict=True):
        assert line in ("", source.strip(" \t"), source.lstrip(" \t"), re.sub(r"/\*.*\*/", "", source).lstrip()), source
        assert line or not source.strip() or re.match(r"\s*(//|/\*|\*|[^{}]*\*/$)", source), source
    assert not re.search(r"^\s*//", served, re.MULTILINE)


@pytest.mark.parametrize("name", SCRIPTS)
def test_no_text_goes_over_several_lines(name: str) -> None:
    """Indentation could be part of one, and a line that looks like a comment, too."""
    assert all(line.count("`") % 2 == 0 for line in text_of(name).splitlines())


def test_whole_page_weighs_at_most_100_kilobytes() -> None:
    weights = {name: len(file.compressed) for name, file in page_files().items()}
    assert sum(weights.values()) <= MOST_BYTES, weights


@pytest.mark.parametrize("coding", ["gzip", "gzip, deflate, br", ""])
async def test_files_are_compressed_where_it_is_asked_for(client: Any, coding: str) -> None:
    for path, name in {"/": "index.html", "/ui/vendor/uplot.js": "vendor/uplot.js"}.items():
        headers = {"Accept_Encoding": coding} if coding else {}
        status, answered, body = await fetch(client, path, **headers)
        assert status == 200
        assert answered.get("Content-Encoding") == ("gzip" if coding else None)
        assert answered["Vary"] == "Accept-Encoding"
        assert (gzip.decompress(body) if coding else body) == page_files()[name].content


async def test_known_files_are_not_sent_again(client: Any) -> None:
    """Each form has a tag of its own, which a client is asked to check every time."""
    tags = set()
    for coding in ("gzip", "identity"):
        _, headers, _ = await fetch(client, "/ui/start/main.js", Accept_Encoding=coding)
        tags.add(tag := headers["ETag"])
        assert headers["Cache-Control"] == "no-cache"
        status, again, body = await fetch(client, "/ui/start/main.js", Accept_Encoding=coding, If_None_Match=tag)
        assert (status, again["ETag"], body) == (304, tag, b"")
        assert (await fetch(client, "/ui/start/main.js", Accept_Encoding=coding, If_None_Match='"else"'))[0] == 200
    assert len(tags) == 2


@pytest.mark.parametrize("name", [name for name in OURS if name != "index.html"])
async def test_each_file_is_served_with_its_type(client: Any, name: str) -> None:
    status, headers, _ = await fetch(client, f"/ui/{name}")
    assert (status, headers["X-Content-Type-Options"]) == (200, "nosniff")
    assert headers["Content-Type"] == f"{TYPES[name.rpartition('.')[2]]}; charset=utf-8"


@pytest.mark.parametrize(
    "path",
    ["vendor/VENDOR.md", "vendor/uplot.LICENSE.txt", "app/nothing.js", "..%2fpages.py", "app/..%2f..%2fpages.py"],
)
async def test_nothing_else_is_served(client: Any, path: str) -> None:
    assert (await fetch(client, f"/ui/{path}"))[0] == 404


async def test_the_page_needs_no_token(serve: Any) -> None:
    """The page asks for the token itself; what it shows needs one."""
    client = await serve(token="correct-horse-battery")
    for path, status in {"/": 200, "/ui/start/main.js": 200, "/benchmark/runs": 401, "/benchmark/events": 401}.items():
        assert (await fetch(client, path))[0] == status


@pytest.mark.parametrize("name", OURS)
def test_the_page_refers_to_nothing_outside_it(name: str) -> None:
    """No other origin, nothing of `/docs`, no path from the root: the page works offline and under any prefix."""
    # A name of a kind of markup, and the target of an example.
    text = re.sub(r"http://(www\.w3\.org/2000/svg|localhost:8080/)", "", text_of(name))
    assert not re.search(r"https?://|\bdocs/|from \"/|import\(\"/|(?:href|src)=\"/", text)


@pytest.mark.parametrize("name", [*SCRIPTS, "index.html"])
def test_the_page_writes_no_markup(name: str) -> None:
    """Text from outside is only ever text: there is no way in these files to make markup or code of it."""
    markup = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|createContextualFragment|srcdoc"
    assert not re.search(markup, text_of(name))
    assert not re.search(r"\beval\(|new Function", text_of(name))
    assert not re.search(r"localStorage|document\.cookie|indexedDB", text_of(name))
    assert not re.search(r"<script>|<style|\sstyle=\"|\son\w+=\"", text_of(name))


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_are_short(name: str) -> None:
    """The ruler of the Python files: at most 250 lines, and lines that can be read."""
    lines = text_of(name).splitlines()
    assert len(lines) <= 250
    assert max(map(len, lines)) <= 130
    assert lines[0].startswith("// "), "say first what it is for"


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_import_what_is_there(name: str) -> None:
    """Each relative import leads to a file, and each name that it takes is exported there."""
    folder = PAGE.joinpath(name.rpartition("/")[0])
    for names, path in re.findall(r'import (?:\{([^}]*)\}|\* as \w+) from "([^"]+)"', text_of(name)):
        target = folder.joinpath(path)
        assert target.is_file(), path
        exported = set(re.findall(r"export (?:async )?(?:function\*?|const|class|let) (\w+)", target.read_text()))
        taken = {each.strip().partition(" as ")[0] for each in names.split(",") if each.strip()}
        assert taken <= exported, path
    for path in re.findall(r'import\("([^"]+)"\)', text_of(name)):
        assert folder.joinpath(path).is_file(), path


def test_what_the_page_preloads_is_there() -> None:
    for name in re.findall(r'(?:href|src)="ui/([^"]+)"', text_of("index.html")):
        assert name in page_files(), name


def test_vendored_files_have_their_digests() -> None:
    vendor = PAGE.joinpath("vendor")
    listed = re.findall(r"\| `([^`]+)` \| npm .*`([0-9a-f]{64})` \|", vendor.joinpath("VENDOR.md").read_text())
    assert len(listed) == 2
    for name, digest in listed:
        assert hashlib.sha256(vendor.joinpath(name).read_bytes()).hexdigest() == digest, name
