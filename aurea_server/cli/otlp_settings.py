"""Where metrics are pushed to, and how: the option ``--otlp`` and OpenTelemetry's environment variables.

Pure: from text to a value. A variable for metrics alone wins over the one for all signals, and the option over both. Source:
"OpenTelemetry Protocol Exporter" and "Environment Variable Specification" of OpenTelemetry. A credential stands in
variables only, and in no message: what is wrong with one is said without its value.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import SplitResult, unquote, unquote_plus, urlsplit

from aurea_engine import Problem, SpecError, engine_version

OPTION, BASE, METRICS = "--otlp", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"
PATH = "/v1/metrics"

PROTOCOLS = ("http/protobuf", "http/json")
LONGEST_MS = 3_600_000

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,200}", re.ASCII)
_OWN_HEADERS = {"connection", "content-encoding", "content-length", "content-type", "host", "transfer-encoding"}


@dataclass(frozen=True)
class OtlpSettings:
    """``url``: what is posted to; ``headers``: beside those of the content; ``timeout`` and ``interval`` in s; ``resource``:
    attributes of what is measured.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeout: float = 10.0
    interval: float = 5.0
    is_json: bool = False
    is_compressed: bool = False
    resource: Mapping[str, str] = field(default_factory=dict)

    @property
    def shown(self) -> str:
        """The URL for people: a query may hold a key."""
        return self.url.partition("?")[0]

    def hide_secrets(self, text: str) -> str:
        """``text`` without the values of headers and of the query, which a collector may repeat in what it says."""
        values = [*self.headers.values(), *_list_values(urlsplit(self.url).query)]
        words = {word for value in values for word in (value, *value.split()) if len(word) > 3}
        for word in sorted(words, key=len, reverse=True):
            text = text.replace(word, "***")
        return text


def asks_for_push(option: str | None, environ: Mapping[str, str]) -> bool:
    """Whether metrics are to be pushed: by the option, or by a variable that names a collector and none that says no."""
    if option is not None:
        return True
    off = environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    exporters = environ.get("OTEL_METRICS_EXPORTER", "").split(",")
    off = off or (exporters != [""] and "otlp" not in map(str.strip, exporters))
    return not off and any(environ.get(name) for name in (BASE, METRICS))


def read_settings(option: str | None, environ: Mapping[str, str]) -> OtlpSettings:
    """Raises SpecError, with every problem, each by the option or the variable."""
    reader = _Reader(environ)
    settings = OtlpSettings(
        url=reader.read_url(option),
        headers=reader.read_headers(),
        timeout=reader.read_ms(_of_signal("TIMEOUT"), 10_000),
        interval=reader.read_ms(("OTEL_METRIC_EXPORT_INTERVAL",), 5_000),
        is_json=reader.read_word(_of_signal("PROTOCOL"), PROTOCOLS) == "http/json",
        is_compressed=reader.read_word(_of_signal("COMPRESSION"), ("none", "gzip")) == "gzip",
        resource=reader.read_resource(),
    )
    if reader.problems:
        raise SpecError(reader.problems)
    return settings


def _of_signal(name: str) -> tuple[str, str]:
    return f"OTEL_EXPORTER_OTLP_METRICS_{name}", f"OTEL_EXPORTER_OTLP_{name}"


class _Reader:
    """Reads variables, and collects what is wrong with them. One that is empty is not set, by the specification."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ, self.problems = environ, list[Problem]()

    def _find(self, names: tuple[str, ...]) -> tuple[str, str]:
        """The first variable that is set, and its text."""
        return next(((name, text) for name in names if (text := self._environ.get(name, "").strip())), (names[0], ""))

    def _refuse(self, name: str, problem: str, got: str = "") -> None:
        self.problems.append(Problem(name, problem, got))

    def read_url(self, option: str | None) -> str:
        name, text = (OPTION, option) if option is not None else self._find((METRICS, BASE))
        url = text if "://" in text else f"http://{text}"
        parts = _split(url)
        if parts is None:
            # A text that is no URL says not where its password ends, if it has one: then none of it is shown.
            seen = "" if "@" in text else ascii(text.partition("?")[0])[:60]
            self._refuse(name, "must be a URL such as http://localhost:4318", seen)
            return ""
        if "@" in parts.netloc:
            self._refuse(name, "must be without a name or password: credentials go into OTEL_EXPORTER_OTLP_HEADERS")
        # The endpoint of the metrics is taken as it stands, any other is a base to which the path is added. That nobody has
        # to know which of the two an option is, it may have the path already.
        path = parts.path
        if name != METRICS and not (name == OPTION and path.endswith(PATH)):
            path = path.rstrip("/") + PATH
        return parts._replace(path=path or "/").geturl()

    def read_headers(self) -> dict[str, str]:
        name, text = self._find(_of_signal("HEADERS"))
        headers = self._read_pairs(name, text)
        for header, value in headers.items():
            if not _TOKEN.fullmatch(header) or header.lower() in _OWN_HEADERS:
                self._refuse(name, "has a name that no header of one's own can have", ascii(header)[:60])
            elif not value.isascii() or not value.isprintable():
                self._refuse(name, f"the value of {header} must be printable ASCII characters")
        return headers

    def read_resource(self) -> dict[str, str]:
        given = self._read_pairs("OTEL_RESOURCE_ATTRIBUTES", self._environ.get("OTEL_RESOURCE_ATTRIBUTES", ""))
        given = {make_encodable(key): make_encodable(value) for key, value in given.items()}
        # Of each run, so that the counters of one do not look like those of another that began anew.
        own = {"service.name": "aurea", "service.version": engine_version(), "service.instance.id": str(uuid.uuid4())}
        _, service = self._find(("OTEL_SERVICE_NAME",))
        return own | given | ({"service.name": make_encodable(service)} if service else {})

    def _read_pairs(self, name: str, text: str) -> dict[str, str]:
        """``key=value,key=value``, percent-encoded where a value has a comma."""
        pairs = {}
        for item in filter(str.strip, text.split(",")):
            key, equals, value = (part.strip() for part in item.partition("="))
            try:
                decoded = unquote(value, errors="strict")
            except UnicodeDecodeError:
                equals = ""
            if not key or not equals:
                # Without the text: what is not a pair may be a key that stands alone.
                self._refuse(name, "must be name=value,name=value, with commas in a value written as %2C")
                break
            pairs[key] = decoded
        return pairs

    def read_ms(self, names: tuple[str, ...], default: int) -> float:
        name, text = self._find(names)
        if text and not (text.isascii() and text.isdecimal() and len(text) < 8 and 0 < int(text) <= LONGEST_MS):
            self._refuse(name, f"must be a whole number of milliseconds, from 1 to {LONGEST_MS}", ascii(text)[:60])
            return default / 1000
        return int(text or default) / 1000

    def read_word(self, names: tuple[str, ...], known: tuple[str, ...]) -> str:
        """The first of ``known`` is the default."""
        name, text = self._find(names)
        if text and text.lower() not in known:
            self._refuse(name, f"must be {' or '.join(known)}: no other is pushed here", ascii(text)[:60])
        return text.lower() or known[0]


def _list_values(query: str) -> Iterator[str]:
    """As they stand in it, and as a collector reads them; a key may stand alone."""
    for item in query.split("&"):
        key, equals, value = item.partition("=")
        raw = value if equals else key
        yield from (raw, unquote(raw), unquote_plus(raw))


def make_encodable(text: str) -> str:
    """``text`` with a question mark for whatever is no character, as bytes that are no UTF-8 are in the environment."""
    return text.encode("utf-8", "replace").decode()


def _split(url: str) -> SplitResult | None:
    """None for what is no URL of a collector."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and not parts.fragment
    except ValueError:  # brackets or a port that are none
        return None
    return parts if usable and url.isascii() and url.isprintable() and " " not in url else None
