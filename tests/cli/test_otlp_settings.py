"""Where metrics are pushed to: the option and OpenTelemetry's variables, from text to a value."""

from __future__ import annotations

from urllib.parse import unquote, unquote_plus

import pytest

from aurea_engine import SpecError
from aurea_server.cli.otlp_settings import OtlpSettings, asks_for_push, read_settings

BASE, METRICS = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"
HEADERS = "OTEL_EXPORTER_OTLP_HEADERS"
PLANTED = "Pl4nted"


def read(option: str | None = "http://c:4318", **environ: str) -> OtlpSettings:
    return read_settings(option, environ)


def problems_of(option: str | None = "http://c", **environ: str) -> list[str]:
    with pytest.raises(SpecError) as caught:
        read_settings(option, environ)
    return [str(problem) for problem in caught.value.problems]


# --- The URL ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "posted"),
    [
        ("http://c:4318", "http://c:4318/v1/metrics"),
        ("http://c:4318/", "http://c:4318/v1/metrics"),
        ("c:4318", "http://c:4318/v1/metrics"),
        ("https://c", "https://c/v1/metrics"),
        ("http://[::1]:4318", "http://[::1]:4318/v1/metrics"),
        # The base that Prometheus documents, and what is below it.
        ("http://p:9090/api/v1/otlp", "http://p:9090/api/v1/otlp/v1/metrics"),
        ("http://p:9090/api/v1/otlp/v1/metrics", "http://p:9090/api/v1/otlp/v1/metrics"),
        ("https://c/in?tenant=7", "https://c/in/v1/metrics?tenant=7"),
    ],
)
def test_an_option_is_a_base_or_has_the_path(option: str, posted: str) -> None:
    assert read(option).url == posted


@pytest.mark.parametrize(
    ("environ", "posted"),
    [
        ({BASE: "http://c:4318"}, "http://c:4318/v1/metrics"),
        ({BASE: "http://c:4318/mine/"}, "http://c:4318/mine/v1/metrics"),
        # As the specification has it, the path is added to a base whatever it is.
        ({BASE: "http://c/v1/metrics"}, "http://c/v1/metrics/v1/metrics"),
        ({BASE: "http://c", METRICS: "http://m:1/in"}, "http://m:1/in"),
        ({METRICS: "http://m"}, "http://m/"),
        ({METRICS: "http://m/in/"}, "http://m/in/"),
        ({BASE: "http://c", METRICS: " "}, "http://c/v1/metrics"),
    ],
)
def test_a_variable_is_a_base_or_taken_as_it_stands(environ: dict[str, str], posted: str) -> None:
    assert read(None, **environ).url == posted


def test_the_option_wins_over_both_variables() -> None:
    assert read("http://o", **{BASE: "http://c", METRICS: "http://m"}).url == "http://o/v1/metrics"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://",
        "ftp://c",
        "grpc://c:4317",
        "http://c:0",
        "http://c:port",
        "http://[::",
        "http://c/a b",
        "http://c/#x",
        "http://ü",
    ],
)
def test_what_is_no_url_of_a_collector_is_refused(url: str) -> None:
    assert "--otlp: must be a URL such as http://localhost:4318" in problems_of(url)[0]


@pytest.mark.parametrize(
    ("option", "environ"), [(f"http://u:{PLANTED}@c", {}), (None, {METRICS: f"http://{PLANTED}@c"})]
)
def test_credentials_in_a_url_are_refused_unseen(option: str | None, environ: dict[str, str]) -> None:
    """They would be seen by everybody who lists processes, and in every message that names the URL."""
    (problem,) = problems_of(option, **environ)
    assert "credentials go into OTEL_EXPORTER_OTLP_HEADERS" in problem
    assert PLANTED not in problem


@pytest.mark.parametrize("name", ["--otlp", BASE, METRICS])
@pytest.mark.parametrize(
    "url",
    [
        f"http://u:{PLANTED}@c:99999/",
        f"http://u:{PLANTED}@c:port",
        f"ftp://u:{PLANTED}@c",
        f"http://u:a#{PLANTED}@c",
        f"http://u:a {PLANTED}@c",
        f"http://u:a/{PLANTED}@c:x",
        f"http://u:a?{PLANTED}@c:x",
        f"u:{PLANTED}@c:x",
        f"http://c:x/?key={PLANTED}@",
        f"http://c:x/?key={PLANTED}",
    ],
)
def test_what_is_no_url_shows_no_credentials(name: str, url: str) -> None:
    (problem,) = problems_of(url) if name == "--otlp" else problems_of(None, **{name: url})
    assert problem.startswith(f"{name}: must be ")
    assert PLANTED not in problem


def test_a_query_is_sent_and_not_shown() -> None:
    settings = read(f"http://c/in?key={PLANTED}")
    assert settings.url.endswith(PLANTED)
    assert settings.shown == "http://c/in/v1/metrics"
    assert PLANTED not in problems_of(f"http://c:x/in?key={PLANTED}")[0]


# --- Headers and the resource ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "headers"),
    [
        ("", {}),
        ("api-key=abc", {"api-key": "abc"}),
        ("Authorization=Bearer abc", {"Authorization": "Bearer abc"}),
        ("Authorization=Basic%20YWI6Yw%3D%3D", {"Authorization": "Basic YWI6Yw=="}),
        ("Authorization=Basic YWI6Yw==", {"Authorization": "Basic YWI6Yw=="}),
        (" a = 1 , b = 2,, ", {"a": "1", "b": "2"}),
        ("a=x%2Cy%3Dz", {"a": "x,y=z"}),
        ("a=1+2", {"a": "1+2"}),
        ("a=", {"a": ""}),
        ("a=100%", {"a": "100%"}),
    ],
)
def test_headers_are_decoded_as_baggage(text: str, headers: dict[str, str]) -> None:
    assert read(**{HEADERS: text}).headers == headers


def test_headers_of_metrics_replace_those_of_all_signals() -> None:
    """They are not joined: a variable for one signal overrides the one for all."""
    environ = {HEADERS: "a=1,b=2", "OTEL_EXPORTER_OTLP_METRICS_HEADERS": "a=3"}
    assert read(**environ).headers == {"a": "3"}


@pytest.mark.parametrize(
    "text",
    [
        PLANTED,
        f"={PLANTED}",
        f"a b={PLANTED}",
        f"a={PLANTED}%0D%0Ab: c",
        f"a={PLANTED}%FF",
        f"a={PLANTED}%C3%BC",
        f"Content-Length={PLANTED}",
        f"host={PLANTED}",
    ],
)
def test_a_header_that_cannot_be_sent_is_refused_unseen(text: str) -> None:
    (problem,) = problems_of(**{HEADERS: text})
    assert problem.startswith(HEADERS)
    assert PLANTED not in problem


def test_credentials_are_in_no_text_of_the_settings() -> None:
    settings = read(**{HEADERS: f"Authorization=Bearer {PLANTED}"})
    assert PLANTED not in repr(settings)
    assert settings.hide_secrets(f"401: Bearer {PLANTED} or {PLANTED} is wrong") == "401: *** or *** is wrong"


def test_the_resource_is_named_by_the_variables() -> None:
    found = read(OTEL_RESOURCE_ATTRIBUTES="deployment.environment.name=ci,service.name=x,team=a%2Cb").resource
    assert (found["service.name"], found["team"], found["deployment.environment.name"]) == ("x", "a,b", "ci")
    assert read(OTEL_SERVICE_NAME="y", OTEL_RESOURCE_ATTRIBUTES="service.name=x").resource["service.name"] == "y"
    assert read(OTEL_RESOURCE_ATTRIBUTES="service.instance.id=1").resource["service.instance.id"] == "1"


def test_each_run_is_an_instance_of_its_own() -> None:
    """Counters of two runs with one name would look like one that began anew."""
    first, second = read().resource, read().resource
    assert first["service.name"] == second["service.name"] == "aurea"
    assert first["service.instance.id"] != second["service.instance.id"]


# --- The rest --------------------------------------------------------------------------------------------------------


def test_times_are_milliseconds() -> None:
    assert (read().timeout, read().interval) == (10.0, 5.0)
    environ = {"OTEL_EXPORTER_OTLP_TIMEOUT": "2000", "OTEL_METRIC_EXPORT_INTERVAL": "500"}
    assert (read(**environ).timeout, read(**environ).interval) == (2.0, 0.5)
    assert read(**environ, OTEL_EXPORTER_OTLP_METRICS_TIMEOUT="1").timeout == 0.001


def test_form_and_compression_are_chosen() -> None:
    assert (read().is_json, read().is_compressed) == (False, False)
    chosen = read(OTEL_EXPORTER_OTLP_PROTOCOL="http/json", OTEL_EXPORTER_OTLP_COMPRESSION="gzip")
    assert (chosen.is_json, chosen.is_compressed) == (True, True)
    assert not read(
        OTEL_EXPORTER_OTLP_PROTOCOL="http/json", OTEL_EXPORTER_OTLP_METRICS_PROTOCOL="http/protobuf"
    ).is_json


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s"),
        ("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "0"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "-1"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "٣"),
        ("OTEL_RESOURCE_ATTRIBUTES", "a"),
    ],
)
def test_what_cannot_be_read_is_named(name: str, text: str) -> None:
    assert problems_of(**{name: text})[0].startswith(f"{name}: must be")


def test_all_problems_are_told_at_once() -> None:
    assert len(problems_of("http://c:x", **{HEADERS: "a", "OTEL_EXPORTER_OTLP_TIMEOUT": "x"})) == 3


@pytest.mark.parametrize(
    ("environ", "asked"),
    [
        ({}, False),
        ({BASE: "http://c"}, True),
        ({METRICS: "http://c"}, True),
        ({BASE: ""}, False),
        ({BASE: "http://c", "OTEL_SDK_DISABLED": "True"}, False),
        ({BASE: "http://c", "OTEL_METRICS_EXPORTER": "none"}, False),
        ({BASE: "http://c", "OTEL_METRICS_EXPORTER": "console, otlp"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c"}, False),
    ],
)
def test_a_variable_asks_for_pushes_as_for_any_program(environ: dict[str, str], asked: bool) -> None:
    assert asks_for_push(None, environ) is asked
    assert asks_for_push("http://o", environ)


def test_bytes_that_are_no_text_do_not_reach_the_resource() -> None:
    """The environment may have any: what cannot be encoded would cost every push."""
    resource = read(OTEL_RESOURCE_ATTRIBUTES="a=\udcff%20b,c\udcff=d,e=\ud800", OTEL_SERVICE_NAME="s\udcc3").resource
    assert {key: resource[key] for key in ("a", "c?", "e", "service.name")} == {
        "a": "? b",
        "c?": "d",
        "e": "?",
        "service.name": "s?",
    }
    for key, value in resource.items():
        (key + value).encode()


@pytest.mark.parametrize(
    "query", [f"api-key={PLANTED}", f"tenant=7&key={PLANTED}", PLANTED, f"key={PLANTED}%2B%3D", f"key=a+{PLANTED}"]
)
def test_a_query_is_hidden_in_what_a_collector_says(query: str) -> None:
    """It may repeat the address it was asked at, as it stands or decoded."""
    settings = read(f"http://c/in?{query}")
    said = f"{settings.url}: {unquote_plus(query)} and {unquote(query)} of tenant 7 are unknown"
    hidden = settings.hide_secrets(said)
    assert PLANTED not in hidden
    assert "of tenant 7 are unknown" in hidden
