"""``aurea import curl``: a curl command, as a browser or an API's documentation gives it, becomes a specification."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Annotated, Any

from cyclopts import Parameter

from aurea_engine import Problem, SpecError
from aurea_engine.fields.checked import is_unicode
from aurea_server.cli.credentials import is_credential_name, split_userinfo
from aurea_server.cli.curl_body import encode_part, read_body
from aurea_server.cli.curl_options import CurlOptions, parse_curl
from aurea_server.cli.curl_words import VARIABLE, split_commands
from aurea_server.cli.imported_requests import (
    FORM_TYPE,
    MOST_REDIRECTS,
    Imported,
    ImportOptions,
    clean_headers,
    escape_braces,
    find_authority,
    take_tokens,
    write_imported,
)
from aurea_server.cli.input_files import read_stdin

_VARIABLE = re.compile(f"{VARIABLE}([^{VARIABLE}]*){VARIABLE}")
_PATTERN = re.compile(r"\{[^{}]*,[^{}]*\}|\[[0-9]+-[0-9]+[:\]]|\[[a-zA-Z]-[a-zA-Z][:\]]", re.ASCII)
"""What curl expands into several URLs. The brackets of an IPv6 address hold colons and no dash."""
_IMPLIED = {"user-agent": "User-Agent", "referer": "Referer", "range": "Range", "cookie": "Cookie"}
"""Flag → the header that it is short for."""


def import_curl_command(
    *command: Annotated[str, Parameter(allow_leading_hyphen=True)],
    options: ImportOptions = ImportOptions(),
) -> int:
    """Write a specification of the requests of a curl command.

    Credentials are left out: environment variables are named in their place, and listed. Several URLs or commands become
    the steps of a flow.

    Parameters
    ----------
    command
        The whole command in quotes, as “Copy as cURL” of a browser gives it (bash or Windows); ``-`` reads it from stdin.
        Or its words, after ``--``.
    """
    options.check()
    if not command:
        example = "aurea import curl 'curl https://example.org/'"
        raise SpecError(f"give the curl command in quotes, such as {example}; - reads it from stdin")
    return write_imported(read_curl(_read_words(command)), options)


def _read_words(command: tuple[str, ...]) -> list[list[str]]:
    """The words of each command. One argument is a text to be split, several are words that a shell has split."""
    # Already split: splitting it again would take quotes away that belong to a value.
    if len(command) > 1:
        return [list(command)]
    text = command[0]
    if text in ("-", "./-"):
        text = read_stdin().decode("utf-8", "replace")
    if text.lstrip().startswith(("http:", "https:", "-")):
        text = f"curl {text}"  # the word itself is easily left out
    return split_commands(text)


def read_curl(commands: list[list[str]]) -> Imported:
    """The requests of all commands, in order. Raises SpecError with the problems of the first command that has any."""
    imported = Imported("imported from curl")
    for words in commands:
        if not all(map(is_unicode, words)):
            raise SpecError("the command must be text in UTF-8: copy it again")
        for options in parse_curl(words):
            steps = list(_make_steps(options))
            if options.problems:
                raise SpecError(options.problems)
            for step in steps:
                take_tokens(imported, step, split_userinfo(step["url"])[0].partition("?")[0])
                imported.steps.append(escape_braces(step))
            if "=" not in (cookie := options.values.get("cookie", "=")):
                imported.needed.append(f"the cookies of the file {cookie}, as the header Cookie")
    if not imported.steps:
        raise SpecError("there is no curl command: copy one in a browser, by “Copy as cURL”")
    return imported


def _make_steps(options: CurlOptions) -> Iterator[dict[str, Any]]:
    """The members of a request for each URL. What cannot be done is a problem of ``options``."""
    body, file = read_body(options)
    settings = _read_settings(options)
    for url in options.urls:
        step = _make_step(options, _complete_url(options, url, body), body, file) | settings
        _name_variables(step)
        options.problems += _find_variables(step)
        yield step


def _make_step(options: CurlOptions, url: str, body: str | None, file: str | None) -> dict[str, Any]:
    switches = options.switches
    has_body = "get" not in switches and (body is not None or file is not None)
    method = options.values.get("request") or ("HEAD" if "head" in switches else "POST" if has_body else "GET")
    step: dict[str, Any] = {"url": url} | ({} if method == "GET" else {"method": method})
    if headers := _make_headers(options, url, has_body=has_body):
        step["headers"] = headers
    if (user := options.values.get("user")) is not None:
        # `-u name` asks for the password at the terminal; it is not in the command.
        step["auth"] = {"basic": user if ":" in user or VARIABLE in user else f"{user}:"}
    if has_body:
        step |= {"body": body} if file is None else {"file": file}
    return step


def _complete_url(options: CurlOptions, url: str, body: str | None) -> str:
    """The URL with all that flags add to it, as a specification has it. curl takes http:// where there is no scheme."""
    url = (url if "://" in url else f"http://{url}").partition("#")[0].replace(" ", "%20")
    scheme, _, rest = url.partition("://")
    if scheme.lower() not in ("http", "https"):
        options.problems.append(Problem("url", "must begin with http:// or https://", ascii(url)[:60]))
    if "globoff" not in options.switches and _PATTERN.search(rest):
        problem = "holds a pattern that curl expands: write out each URL, or give -g"
        options.problems.append(Problem("url", problem, ascii(url)[:60]))
    parts = [encode_part(options, value) for flag, value in options.data if flag == "url-query"]
    if "get" in options.switches and body:
        parts.append(body)
    # Before "/" or "?": `curl http://h?a=b` asks for the path "/".
    host, path = re.fullmatch(r"([^/?]*)/?(.*)", rest, re.DOTALL).groups()  # type: ignore[union-attr]
    path = f"/{path}"
    if parts:
        path += ("&" if "?" in path else "?") + "&".join(parts)
    if (socket := options.values.get("unix-socket")) is None:
        return f"{scheme}://{host}{path}"
    if scheme.lower() == "https":
        options.problems.append(Problem("--unix-socket", "goes with http:// only: TLS is not spoken on one"))
    return f"unix:{socket}:{path}"


def _make_headers(options: CurlOptions, url: str, *, has_body: bool) -> dict[str, str]:
    pairs: list[tuple[str, str]] = []
    removed = set()
    for line in options.headers:
        name, colon, value = line.partition(":")
        if colon and value.strip():
            pairs.append((name.strip(), value.strip()))
        elif colon:
            removed.add(name.strip().lower())  # `-H 'Accept:'` takes away what curl would send by itself
        elif line.endswith(";"):
            pairs.append((line[:-1].strip(), ""))
        else:
            problem = "must be NAME: VALUE; a file of headers has to be written out"
            options.problems.append(Problem("-H", problem, ascii(line)[:60]))
    # What is given wins over what a flag implies, as with curl; also where it is given only to be removed.
    given = {name.lower() for name, _ in pairs} | removed
    pairs += [pair for pair in _list_implied(options, has_body=has_body) if pair[0].lower() not in given]
    return clean_headers(pairs, find_authority(url))


def _list_implied(options: CurlOptions, *, has_body: bool) -> Iterator[tuple[str, str]]:
    """Headers that curl sends for a flag, unless they are given."""
    for flag, header in _IMPLIED.items():
        value = options.values.get(flag, "")
        # A cookie without "=" is the name of a file.
        if value and (flag != "cookie" or "=" in value):
            yield header, f"bytes={value}" if flag == "range" else value
    if "json" in {flag for flag, _ in options.data}:
        yield from (("Content-Type", "application/json"), ("Accept", "application/json"))
    elif has_body:
        yield "Content-Type", FORM_TYPE
    if token := options.values.get("oauth2-bearer"):
        yield "Authorization", f"Bearer {token}"


def _read_settings(options: CurlOptions) -> dict[str, Any]:
    """Members for the flags that say how requests are sent, and not what."""
    values, settings = options.values, dict[str, Any]()
    for flag, member in (("max-time", "timeout"), ("connect-timeout", "connect_timeout")):
        if flag in values:
            settings[member] = _read_number(options, flag)
    if "location" in options.switches:
        # curl follows 50 by itself, and -1 means any number; a benchmark that needs more than ten is lost anyway.
        asked = int(_read_number(options, "max-redirs")) if "max-redirs" in values else -1
        settings["redirects"] = min(asked, MOST_REDIRECTS) if asked >= 0 else MOST_REDIRECTS
    if "compressed" in options.switches:
        settings["decompress"] = True
    tls: dict[str, Any] = {"verify": False} if "insecure" in options.switches else {}
    for flag, member in (("cacert", "ca"), ("cert", "cert"), ("key", "key")):
        if flag in values:
            tls[member] = values[flag]
    # curl takes FILE:PASSWORD. The problem is told without it.
    if ":" in tls.get("cert", ""):
        options.problems.append(Problem("--cert", "a password must not be written down: give a key without one"))
    return settings | ({"tls": tls} if tls else {})


def _read_number(options: CurlOptions, flag: str) -> float:
    text = options.values[flag]
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        options.problems.append(Problem(f"--{flag}", "must be a number", ascii(text)[:40]))
        return 1
    return int(number) if number.is_integer() else number


# --- Shell variables: nothing expands them here ----------------------------------------------------------------------


def _name_variables(step: dict[str, Any]) -> None:
    """A credential that is a shell variable, as in documentation: the specification then names that very variable."""
    headers = step.get("headers", {})
    for name in [name for name, value in headers.items() if VARIABLE in value and is_credential_name(name)]:
        scheme, _, rest = headers[name].partition(" ")
        if name.lower() == "authorization" and scheme.lower() == "bearer" and (found := _VARIABLE.fullmatch(rest)):
            step["auth"] = {"bearer": {"env": found[1]}}
            del headers[name]
        else:
            headers[name] = _name_variable(headers[name])
    if "basic" in (auth := step.get("auth", {})):
        auth["basic"] = _name_variable(auth["basic"])


def _name_variable(value: str) -> Any:
    """A reference where ``value`` is one variable; of a text around one, the text: it is a credential, and left out."""
    found = _VARIABLE.fullmatch(value)
    return {"env": found[1]} if found else value.replace(VARIABLE, "")


def _find_variables(value: Any, path: str = "") -> Iterator[Problem]:
    if isinstance(value, dict):
        for name, member in value.items():
            yield from _find_variables(member, f"{path}.{name}".lstrip("."))
    # Sent as it stands, "$ID" would load a page that does not exist, and the run would measure error pages.
    elif isinstance(value, str) and (found := _VARIABLE.search(value)):
        yield Problem(path, f"holds the shell variable ${found[1]}, which nothing expands here: put its value there")
