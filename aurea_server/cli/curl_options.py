"""The words of a curl command → the requests that it would send, and how.

Flags are of three kinds: those that change what is sent, which are read here; those that say what curl prints or where it
writes, which mean nothing for a benchmark and are passed over; and those that Aurea cannot do, which are refused by name
with a remedy. What curl itself does not know is refused, too. Source of the flags: curl(1).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from aurea_engine import Problem, SpecError


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


SHORT: Mapping[str, str] = MappingProxyType(
    {
        "X": "request",
        "H": "header",
        "d": "data",
        "G": "get",
        "F": "form",
        "u": "user",
        "b": "cookie",
        "k": "insecure",
        "E": "cert",
        "L": "location",
        "I": "head",
        "A": "user-agent",
        "e": "referer",
        "m": "max-time",
        "r": "range",
        "T": "upload-file",
        "x": "proxy",
        "K": "config",
        "c": "cookie-jar",
        "o": "output",
        "O": "remote-name",
        "s": "silent",
        "S": "show-error",
        "v": "verbose",
        "i": "include",
        "f": "fail",
        "g": "globoff",
        "N": "no-buffer",
        "w": "write-out",
        "D": "dump-header",
        "J": "remote-header-name",
        "q": "disable",
        "4": "ipv4",
        "6": "ipv6",
        "0": "http1.0",
        "1": "tlsv1",
        "#": "progress-bar",
        ":": "next",
    }
)
WITH_VALUE = _names(
    "request header data data-raw data-ascii data-binary data-urlencode url-query json form form-string user cookie cacert "
    "cert key pass max-redirs user-agent referer max-time connect-timeout unix-socket abstract-unix-socket resolve "
    "connect-to url range upload-file proxy proxy-user oauth2-bearer config interface"
)
PRINTING_WITH_VALUE = _names(
    "output write-out dump-header cookie-jar stderr trace trace-ascii max-filesize retry retry-delay retry-max-time "
    "keepalive-time limit-rate speed-limit speed-time ciphers tls13-ciphers tls-max curves output-dir"
)
"""Passed over with their values: they change what curl prints, keeps or tries again."""
# HTTP/2 is passed over too, not refused: browsers and documentation name it by habit, and the request is the same.
PRINTING = _names(
    "silent show-error verbose include fail fail-with-body fail-early no-buffer remote-name remote-name-all "
    "remote-header-name progress-bar no-progress-meter disable http1.1 http2 http2-prior-knowledge ipv4 ipv6 tlsv1 "
    "tlsv1.2 tlsv1.3 compressed-ssh no-keepalive keepalive tcp-nodelay tcp-fastopen path-as-is styled-output raw parallel "
    "trace-time create-dirs basic no-sessionid ssl-reqd retry-connrefused retry-all-errors no-alpn show-headers"
)
SWITCHES = frozenset(("get", "insecure", "location", "head", "compressed", "globoff"))
REFUSED: Mapping[str, str] = MappingProxyType(
    {
        "pass": "a key with a password cannot be read: give one without",
        "form": "multipart bodies are not made here: write the body to a file, and give --data-binary @FILE and "
        "-H 'Content-Type: multipart/form-data; boundary=…'",
        "upload-file": "give -X PUT --data-binary @FILE in its place",
        "proxy": "a benchmark through a proxy would measure the proxy: leave it out, or give the proxy's URL",
        "resolve": "put the address into the URL, and the name into -H 'Host: …' (and tls.server_name of the specification)",
        "connect-to": "put the address into the URL, and the name into -H 'Host: …'",
        "config": "write the options of that file into the command",
        "digest": "Aurea knows basic and bearer: use -u with one of them, or -H 'Authorization: …'",
        "abstract-unix-socket": "only sockets in the file system are known: --unix-socket PATH",
        "http1.0": "Aurea speaks HTTP/1.1: leave it out",
        "http3": "Aurea speaks HTTP/1.1: leave it out",
        "interface": "leave it out: the system chooses the address",
    }
)
# Flags that mean another, or that are refused for the same reason.
ALIASES: Mapping[str, str] = MappingProxyType(
    {
        "data-ascii": "data",
        "form-string": "form",
        "ntlm": "digest",
        "negotiate": "digest",
        "anyauth": "digest",
        "aws-sigv4": "digest",
        "preproxy": "proxy",
        "socks5": "proxy",
        "socks5-hostname": "proxy",
        "http3-only": "http3",
        "location-trusted": "location",
        "proxy-user": "proxy",
    }
)


@dataclass
class CurlOptions:
    """What one curl command (or the part of it up to ``--next``) says about its requests; it may have several URLs."""

    urls: list[str] = field(default_factory=list)
    headers: list[str] = field(default_factory=list)
    data: list[tuple[str, str]] = field(default_factory=list)
    """(flag, value) of each part of the body, in order."""
    values: dict[str, str] = field(default_factory=dict)
    """Flag → value, for flags that count once: the last one wins, as with curl."""
    switches: set[str] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)

    def add(self, flag: str, value: str) -> None:
        """Take in a flag, by its long name."""
        if flag == "url":
            self.urls.append(value)
        elif flag == "header":
            self.headers.append(value)
        elif flag.startswith("data") or flag in ("json", "url-query"):
            self.data.append((flag, value))
        elif flag in REFUSED:
            self.problems.append(Problem(f"--{flag}", REFUSED[flag]))
        else:
            self.values[flag] = value


def parse_curl(words: list[str]) -> list[CurlOptions]:
    """The requests of one command, with the problems of each. Raises SpecError if it is none."""
    # The whole path may be given, and Windows adds its ending.
    program = words[0].replace("\\", "/").rpartition("/")[2].lower() if words else ""
    if program.removesuffix(".exe") != "curl":
        got = ascii(words[0])[:40] if words else ""
        raise SpecError([Problem("curl", "must be a curl command: in a browser choose “Copy as cURL”", got)])
    parsed = _parse_words(words[1:])
    if not any(options.urls for options in parsed):
        parsed[0].problems.append(Problem("curl", "there is no URL in the command"))
    return [options for options in parsed if options.urls or options.problems]


def _parse_words(words: list[str]) -> list[CurlOptions]:
    parsed = [CurlOptions()]
    left = iter(words)
    for word in left:
        # What follows "--" is a URL, whatever it begins with; a lone "-" is one, too.
        if word == "--":
            parsed[-1].urls += left
        elif word.startswith("--"):
            _read_long(word[2:], left, parsed)
        elif word.startswith("-") and word != "-":
            _read_short(word[1:], left, parsed)
        else:
            parsed[-1].urls.append(word)
    return parsed


def _read_long(name: str, left: Iterator[str], parsed: list[CurlOptions]) -> None:
    _read_flag(ALIASES.get(name, name), f"--{name}", lambda: next(left, None), parsed)


def _read_short(letters: str, left: Iterator[str], parsed: list[CurlOptions]) -> None:
    """Short flags may be joined: ``-sSX POST``; the value of the last may follow without a blank: ``-XPOST``."""
    while letters:
        letter, letters = letters[0], letters[1:]
        # A flag with a value takes the rest of the word, if there is one.
        rest = letters

        def take(rest: str = rest) -> str | None:
            return rest or next(left, None)

        name = SHORT.get(letter, "")
        if not name:
            parsed[-1].problems.append(Problem(f"-{letter}", "is not a flag of curl that is known here: leave it out"))
        elif _read_flag(name, f"-{letter}", take, parsed):
            return


def _read_flag(name: str, written: str, take: Callable[[], str | None], parsed: list[CurlOptions]) -> bool:
    """Read one flag; whether it took a value."""
    options = parsed[-1]
    has_value = name in WITH_VALUE or name in PRINTING_WITH_VALUE
    # The value is taken also where the flag is passed over or refused: left behind it would be read as a URL.
    value = take() if has_value else ""
    if value is None:
        options.problems.append(Problem(written, "needs a value behind it"))
    elif name == "next":
        parsed.append(CurlOptions())
    elif name in REFUSED or name in WITH_VALUE:
        options.add(name, value)
    elif name in SWITCHES:
        options.switches.add(name)
    elif name not in PRINTING and name not in PRINTING_WITH_VALUE:
        options.problems.append(Problem(written, "is not a flag of curl that is known here: leave it out"))
    return has_value
