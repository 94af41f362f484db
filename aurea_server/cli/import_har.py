"""``aurea import har``: what a browser or a proxy recorded becomes a specification, with the pauses that people made."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from cyclopts import Parameter

from aurea_engine import SpecError
from aurea_engine.targets.http.flow import MOST_STEPS
from aurea_server.cli.har_file import MOST_BYTES, HarEntry, HarFile, parse_har
from aurea_server.cli.imported_requests import (
    Imported,
    ImportOptions,
    clean_headers,
    escape_braces,
    find_authority,
    take_tokens,
    write_imported,
)
from aurea_server.cli.input_files import read_bytes

SHORTEST_PAUSE = 0.001
"""Seconds. What is shorter was the browser's own doing, and no one's thought."""


def import_har_command(
    file: Path,
    /,
    *,
    host: Annotated[list[str], Parameter(negative=(), show_default=False)] = [],  # noqa: B006 - cyclopts reads the default and changes nothing
    no_assets: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
    options: ImportOptions = ImportOptions(),
) -> int:
    """Write a specification of the requests of a HAR file: one flow, with the pauses between them as think times.

    Credentials are left out: environment variables are named in their place, and listed. So are entries that are no
    requests of HTTP, such as WebSockets.

    Parameters
    ----------
    file
        A HAR file, as browsers save it; ``-`` reads stdin.
    host
        Keep requests to this host only, such as shop.example.org; may be given more than once.
    no_assets
        Leave out pictures, fonts, styles and scripts.
    """
    options.check()
    return write_imported(
        read_har(read_bytes(file, MOST_BYTES), set(host), options.output, assets=not no_assets), options
    )


def read_har(content: bytes, hosts: set[str], output: Path | None, *, assets: bool = True) -> Imported:
    """The requests of a HAR file. Bodies that are no text are written beside ``output``. Raises SpecError."""
    har, imported = parse_har(content), Imported("imported from a HAR file")
    entries = _choose_hosts(har, hosts, imported)
    if not assets:
        kept = [entry for entry in entries if not entry.is_asset]
        har.skipped.update({"of assets": len(entries) - len(kept)} if len(kept) < len(entries) else {})
        entries = kept
    if har.skipped:
        listed = ", ".join(f"{count} {reason}" for reason, count in har.skipped.items())
        imported.remarks.append(f"left out of {sum(har.skipped.values()) + len(entries)} entries: {listed}")
    if len(entries) > MOST_STEPS:
        remedy = "--host NAME keeps one host, and --no-assets leaves out pictures, styles and scripts"
        raise SpecError(
            f"{len(entries):,} requests are more than the {MOST_STEPS} steps that a flow may have: {remedy}"
        )
    if not entries:
        raise SpecError("there is no request in the HAR file that could be sent again")
    # A session that was begun within the recording is begun by each user of the run, too.
    keeps_cookies = any(entry.sets_cookies for entry in entries) and len(entries) > 1
    if keeps_cookies:
        imported.remarks.append("cookies are those that the replies of the run set: recorded ones were left out")
    ended = entries[0].began
    for entry in entries:
        step = _make_step(entry, imported, output, keeps_cookies=keeps_cookies)
        # Requests that overlapped follow each other at once: a flow does one thing at a time.
        if (pause := round(entry.began - ended, 3)) >= SHORTEST_PAUSE:
            step["think"] = pause
        # The last to end, not the last to begin: a page is there when its slowest part is.
        ended = max(ended, entry.ended)
        imported.steps.append(step)
    return imported


def _choose_hosts(har: HarFile, hosts: set[str], imported: Imported) -> list[HarEntry]:
    """The entries for these hosts; all of them where none is named, with a remark where there are several."""
    found = sorted({host_of(entry) for entry in har.entries})
    if unknown := hosts - set(found):
        known = ", ".join(found) or "none"
        raise SpecError(f"--host {min(unknown)}: no request goes to that host; hosts are: {known}")
    if not hosts and len(found) > 1:
        imported.remarks.append(f"requests go to {len(found)} hosts: {', '.join(found)}; --host NAME keeps one of them")
    chosen = [entry for entry in har.entries if not hosts or host_of(entry) in hosts]
    har.skipped.update({"to other hosts": len(har.entries) - len(chosen)} if len(chosen) < len(har.entries) else {})
    return chosen


def host_of(entry: HarEntry) -> str:
    """The host of a request, without its port."""
    try:
        return urlsplit(entry.url).hostname or ""
    except ValueError:
        return ""


def _make_step(entry: HarEntry, imported: Imported, output: Path | None, *, keeps_cookies: bool) -> dict[str, Any]:
    headers = clean_headers(entry.headers, find_authority(entry.url))
    if keeps_cookies:
        headers = {name: value for name, value in headers.items() if name.lower() != "cookie"}
    if entry.body_type and entry.body and not any(name.lower() == "content-type" for name in headers):
        headers["Content-Type"] = entry.body_type
    step: dict[str, Any] = {"url": entry.url}
    step |= {} if entry.method == "GET" else {"method": entry.method}
    step |= {"headers": headers} if headers else {}
    step |= {} if entry.body is None else _make_body(entry, imported, output)
    step |= {"cookies": True} if keeps_cookies else {}
    # What was answered with an error in the recording is as right as it was then.
    if 400 <= entry.status < 600:
        step["expect"] = {"status": ["2xx", "3xx", entry.status]}
    take_tokens(imported, step, f"log.entries[{entry.number}]")
    escaped: dict[str, Any] = escape_braces(step)
    return escaped


def _make_body(entry: HarEntry, imported: Imported, output: Path | None) -> dict[str, Any]:
    assert entry.body is not None
    try:
        return {"body": entry.body.decode()}
    except UnicodeDecodeError:
        pass
    if output is None:
        raise SpecError(
            f"log.entries[{entry.number}] has a body that is no text: give -o FILE, and it is written beside it"
        )
    path = output.with_name(f"{output.stem}-body-{entry.number}.bin")
    imported.files[path] = entry.body
    return {"file": str(path)}
