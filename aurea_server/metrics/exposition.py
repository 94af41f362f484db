"""How `/metrics` is written: the text format 0.0.4 or 1.0.0, or OpenMetrics 1.0.0, compressed where the client likes it.
Where native histograms are on, also protobuf, which alone can carry them.

The content type names what is sent, never what was asked for: a scraper picks its parser by it. prometheus_client's own
handler ignores weights, echoes any version from 1.0.0 upwards, and fails on versions that are no numbers.
"""

from __future__ import annotations

import functools
import gzip
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from prometheus_client import generate_latest
from prometheus_client.openmetrics import exposition as openmetrics

from aurea_server.metrics import protobuf
from aurea_server.metrics.registry import Registry, WithCreationTimes


@dataclass(frozen=True)
class Format:
    """One form of the metrics: its media type and parameters, in lower case."""

    type: str
    parameters: Mapping[str, str]


FORMATS = (
    Format("text/plain", {"version": "0.0.4", "charset": "utf-8"}),
    Format("application/openmetrics-text", {"version": "1.0.0", "charset": "utf-8"}),
    Format("text/plain", {"version": "1.0.0", "charset": "utf-8"}),
)
"""The first is the default, and the only one that knows no escaping."""

PROTOBUF = Format(
    "application/vnd.google.protobuf", {"proto": "io.prometheus.client.metricfamily", "encoding": "delimited"}
)


def list_formats(registry: Registry) -> tuple[Format, ...]:
    """The forms in which ``registry`` can be written, the default first."""
    return (*FORMATS, PROTOBUF) if registry.native else FORMATS


ESCAPINGS = (openmetrics.UNDERSCORES, openmetrics.ALLOWUTF8, openmetrics.DOTS, openmetrics.VALUES)
"""How names beyond ASCII are written; the first is the default. Aurea's own names are the same in each."""


def choose_escaping(form: Format, asked: str | None) -> str | None:
    """The escaping that a client ``asked`` for, where it is one of `ESCAPINGS` and ``form`` can have it."""
    return asked if asked in ESCAPINGS and form not in (FORMATS[0], PROTOBUF) else None


def content_type(form: Format, escaping: str | None) -> str:
    """The ``Content-Type`` of ``form``. ``escaping`` is named only where the client asked for one."""
    if form is PROTOBUF:
        return protobuf.CONTENT_TYPE  # with the capitals of the message's name
    parameters = {**form.parameters, **({"escaping": escaping} if escaping else {})}
    return "; ".join([form.type, *(f"{name}={value}" for name, value in parameters.items())])


def render(registry: Registry, form: Format, escaping: str | None, names: Sequence[str]) -> bytes:
    """The metrics of ``registry`` in that form; of those that are ``names`` only, if there are any."""
    if form is PROTOBUF:
        families = registry.restricted_registry(names).collect() if names else registry.collect()
        return protobuf.encode_families(families, registry.native_families(names))
    # Exemplars and creation times exist in OpenMetrics only; in the text format the latter would be gauges.
    text = form.type == "text/plain"
    chosen = registry.restricted_registry(names) if names else registry if text else WithCreationTimes(registry)
    write = (
        generate_latest if text else functools.partial(openmetrics.generate_latest, version=form.parameters["version"])
    )
    # Names of ASCII are the same with underscores as in UTF-8, which is written in half the time: not letter by letter.
    content: bytes = write(chosen, escaping=openmetrics.ALLOWUTF8 if escaping in (None, ESCAPINGS[0]) else escaping)
    return content


def compress(content: bytes) -> bytes:
    """``content`` as gzip, the same bytes every time."""
    return gzip.compress(content, compresslevel=5, mtime=0)
