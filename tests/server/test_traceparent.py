"""``traceparent``: taken only where it is exactly as W3C's Trace Context says, and then into logs and exemplars."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics

from aurea_server.context import TraceContext
from aurea_server.http.traceparent import parse_traceparent
from aurea_server.logs import JsonFormatter, TextFormatter
from aurea_server.metrics.exemplars import MOST_CHARACTERS, ExemplarSource

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
VALID = f"00-{TRACE}-{SPAN}-01"
OTHER = f"00-{'1' * 32}-{'2' * 16}-00"
LONG = {"workload": {"job": {"kind": "sleep", "duration": 600}, "jobs": 1}}


@pytest.mark.parametrize(
    "header",
    [
        VALID,
        f"00-{TRACE}-{SPAN}-00",
        f"00-{TRACE}-{SPAN}-ff",
        f"01-{TRACE}-{SPAN}-01",
        f"cc-{TRACE}-{SPAN}-01-what the future will be like",
        f"cc-{TRACE}-{SPAN}-01-",
    ],
)
def test_valid_headers_are_taken(header: str) -> None:
    """Examples of the specification, and of versions that are still to come."""
    assert parse_traceparent([header]) == TraceContext(TRACE, SPAN)


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [VALID, VALID],
        [""],
        [f"ff-{TRACE}-{SPAN}-01"],
        [f"0-{TRACE}-{SPAN}-01"],
        [f"00-{'0' * 32}-{SPAN}-01"],
        [f"00-{TRACE}-{'0' * 16}-01"],
        [f"00-{TRACE.upper()}-{SPAN}-01"],
        [f"00-{TRACE}-{SPAN.upper()}-01"],
        [f"0A-{TRACE}-{SPAN}-01"],
        [f"00-{TRACE}-{SPAN}-0A"],
        [f"00-{TRACE[:-1]}-{SPAN}-01"],
        [f"00-{TRACE}0-{SPAN}-01"],
        [f"00-{TRACE}-{SPAN}"],
        [f"00-{TRACE}-{SPAN}-1"],
        [f"00-{TRACE}-{SPAN}-001"],
        [f"00-{TRACE}-{SPAN}-01-more"],
        [f"00-{TRACE}-{SPAN}-01-"],
        [f"cc-{TRACE}-{SPAN}-01.more"],
        [f"00_{TRACE}_{SPAN}_01"],
        [f" {VALID}"],
        [f"{VALID} "],
        [f"{VALID},{VALID}"],
        [VALID.replace("0af", "٠af")],
        [f"00-{TRACE[:-1]}g-{SPAN}-01"],
        [f"{VALID}\n"],
    ],
    ids=ascii,
)
def test_any_other_header_is_ignored(headers: list[str]) -> None:
    assert parse_traceparent(headers) is None


@given(st.text(alphabet=st.sampled_from("0123456789abcdefABCDEFg- \n\x1b")) | st.text())
def test_whatever_comes_is_hexadecimal_digits(header: str) -> None:
    """What is taken into a log or an exemplar can do nothing there."""
    taken = parse_traceparent([header])
    assert taken is None or (
        set(taken.trace_id + taken.span_id) <= set("0123456789abcdef") and len(taken.trace_id) == 32
    )


class Lines(logging.Handler):
    """What the server logs, as it would write it."""

    def __init__(self) -> None:
        super().__init__()
        self.json: list[dict[str, str]] = []
        self.text: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.json.append(json.loads(JsonFormatter().format(record)))
        self.text.append(TextFormatter().format(record))

    def of(self, ident: str) -> dict[str, tuple[str | None, str | None]]:
        """Trace and span by what is said of one run or search."""
        about = [line for line in self.json if ident in (line.get("run_id"), line.get("search_id"))]
        return {line["event"]: (line.get("trace_id"), line.get("span_id")) for line in about}


@pytest.fixture
def lines() -> Iterator[Lines]:
    handler, root = Lines(), logging.getLogger("aurea_server")
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield handler
    root.removeHandler(handler)
    root.setLevel(before)


async def test_a_run_has_the_trace_of_its_request(client: Any, post: Callable[..., Any], lines: Lines) -> None:
    """From its acceptance to its end, which is in no request; the next run, without a header, has none."""
    _, run = await post(client, {"num_jobs": 1, "job_duration_ms": 1}, traceparent=VALID)
    _, next_run = await post(client, {"num_jobs": 1, "job_duration_ms": 1})
    found = lines.of(run["benchmark_id"])
    assert found == {"run accepted": (TRACE, SPAN), "run ended: completed": (TRACE, SPAN)}
    assert set(lines.of(next_run["benchmark_id"]).values()) == {(None, None)}
    assert any(f" trace_id={TRACE} span_id={SPAN}" in line for line in lines.text)


async def test_a_header_that_is_invalid_changes_nothing(client: Any, post: Callable[..., Any], lines: Lines) -> None:
    """The request is answered as without it."""
    status, run = await post(client, {"num_jobs": 1, "job_duration_ms": 1}, traceparent="00-0-0-00")
    assert status == 200
    assert set(lines.of(run["benchmark_id"]).values()) == {(None, None)}


async def test_a_run_that_waited_keeps_its_own_trace(client: Any, post: Callable[..., Any], lines: Lines) -> None:
    """Whoever ends it, and whatever ran before: not the trace of the request that cancels it."""
    runs = []
    for header in (VALID, OTHER):
        _, accepted = await post(client, LONG, traceparent=header, Prefer="respond-async")
        runs.append(accepted["benchmark_id"])
    canceller = {"traceparent": f"00-{'9' * 32}-{'9' * 16}-00"}
    for run_id in reversed(runs):
        async with client.post(f"/benchmark/runs/{run_id}/cancel", json={}, headers=canceller) as answer:
            assert answer.status == 202
    async with asyncio.timeout(60):
        while not all("run ended: cancelled" in lines.of(run_id) for run_id in runs):
            await asyncio.sleep(0.01)
    assert set(lines.of(runs[0]).values()) == {(TRACE, SPAN)}
    assert set(lines.of(runs[1]).values()) == {("1" * 32, "2" * 16)}


@pytest.mark.service
async def test_trials_have_the_trace_of_their_search(client: Any, lines: Lines) -> None:
    spec = {
        "workload": {
            "job": {"kind": "sleep", "duration": 0.01},
            "arrivals": {"kind": "constant", "rate": 50},
            "jobs": 500,
        },
        "scheduler": {"kind": "fifo", "slots": 1},
        "clock": "virtual",
        "objectives": [{"metric": "response_time", "quantile": 0.9, "at_most": 0.0125}],
        "low": 50,
        "high": 60,
    }
    async with client.post("/benchmark/searches", json=spec, headers={"traceparent": VALID}) as answer:
        assert answer.status == 202
        search_id = (await answer.json())["search_id"]
    async with asyncio.timeout(120):
        while not any("run ended" in line["event"] for line in lines.json):
            await asyncio.sleep(0.02)
        async with client.post(f"/benchmark/searches/{search_id}/cancel", json={}):
            pass
        while not any(event.startswith("search ended") for event in lines.of(search_id)):
            await asyncio.sleep(0.02)
    assert {(line.get("trace_id"), line.get("span_id")) for line in lines.json if "run_id" in line} == {(TRACE, SPAN)}
    assert set(lines.of(search_id).values()) == {(TRACE, SPAN)}


async def test_exemplars_name_the_trace(client: Any, post: Callable[..., Any]) -> None:
    """Beside the run, in OpenMetrics only, and only of a run that has one."""
    _, run = await post(client, {"num_jobs": 3, "job_duration_ms": 1}, traceparent=VALID)
    headers = {"Accept": "application/openmetrics-text;version=1.0.0"}
    async with client.get("/metrics", headers=headers) as answer:
        text = await answer.text()
    found = [s.exemplar.labels for f in parse_openmetrics(text) for s in f.samples if s.exemplar]
    assert found
    assert all(labels == {"run_id": run["benchmark_id"], "trace_id": TRACE} for labels in found)
    assert all(sum(map(len, [*labels, *labels.values()])) <= MOST_CHARACTERS for labels in found)
    async with client.get("/metrics") as answer:
        assert TRACE not in await answer.text()
    _, plain = await post(client, {"num_jobs": 3, "job_duration_ms": 1})
    async with client.get("/metrics", headers=headers) as answer:
        text = await answer.text()
    found = [s.exemplar.labels for f in parse_openmetrics(text) for s in f.samples if s.exemplar]
    assert {"run_id": plain["benchmark_id"]} in found
    assert not any("trace_id" in labels for labels in found if labels["run_id"] == plain["benchmark_id"])


def test_an_exemplar_is_never_too_long() -> None:
    """The run is the more important of the two."""
    assert ExemplarSource("r" * 82, 0.0, TRACE).labels.keys() == {"run_id", "trace_id"}
    assert ExemplarSource("r" * 83, 0.0, TRACE).labels.keys() == {"run_id"}
    assert ExemplarSource("benchmark-1", 0.0).labels == {"run_id": "benchmark-1"}
