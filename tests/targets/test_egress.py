"""What is billed as egress is what nginx says that it sent: the same bytes, to the last one, and the same money."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import pytest

from aurea_engine import RunResult, run_sync, spec_from_dict
from tests.targets.real_servers import Nginx, run_nginx

PRICE = "0.09"


@pytest.fixture(scope="module")
def nginx(require: Callable[..., str], tmp_path_factory: pytest.TempPathFactory, authority: Any) -> Iterator[Nginx]:
    with run_nginx(require("nginx"), tmp_path_factory.mktemp("nginx"), authority.ca, authority.server) as server:
        yield server


def jobs_of_all_kinds(nginx: Nginx, ca: str) -> list[dict[str, Any]]:
    """Kept and closed connections, TLS, a socket, chunks, no body, redirects followed and not, and every kind of failure."""
    tls = {"tls": {"ca": ca}}
    return [
        {"url": nginx.url("/small")},
        {"url": nginx.url("/seven")},
        {"url": nginx.url("/small"), "reuse": False},
        {"url": nginx.url("/gzip/text"), "headers": {"accept-encoding": "gzip"}},
        {"url": nginx.url("/gzip/text"), "decompress": True, "expect": {"contains": "again"}},
        {"url": nginx.url("/text"), "expect": {"contains": "not there"}},
        {"url": nginx.url("/large"), "method": "HEAD"},
        {"url": nginx.url("/nothing")},
        {"url": nginx.url("/missing")},
        {"url": nginx.url("/fail")},
        {"url": nginx.url("/drop")},
        {"url": nginx.url("/limited")},
        {"url": nginx.url("/redirect")},
        {"url": nginx.url("/redirect"), "redirects": 3},
        {"url": nginx.url("/twice"), "redirects": 1},
        {"url": nginx.url("/loop"), "redirects": 2},
        {"url": nginx.url("/upload"), "method": "POST", "body": "x" * 20_000},
        {"url": nginx.url("/upload"), "method": "POST", "body": "x" * 5_000, "expect_continue": True},
        {"url": nginx.tls_url("/small"), **tls},
        {"url": nginx.tls_url("/gzip/text"), **tls},
        {"url": nginx.tls_url("/fail"), "reuse": False, **tls},
        {"url": f"unix:{nginx.unix}:/small"},
    ]


def egress(run: RunResult) -> Fraction:
    assert run.cost.total is not None
    return run.cost.total


def test_egress_is_what_nginx_sent(nginx: Nginx, authority: Any) -> None:
    """2,000 jobs of 22 kinds; more than a third fail. A redirect that is followed is two lines in the log, and one job."""
    of = [
        {"weight": 1, "name": f"job {n}", "job": {"kind": "http", **job}}
        for n, job in enumerate(jobs_of_all_kinds(nginx, authority.ca))
    ]
    workload = {"job": {"kind": "mix", "of": of}, "arrivals": {"kind": "closed", "users": 16}, "jobs": 2000}
    result = run_sync(
        spec_from_dict({"workload": workload, "cost": {"kind": "egress", "price": PRICE, "unit": "GB"}, "seed": 4})
    )
    assert set(result.failures) == {"status", "check", "redirects", "closed_early"}
    assert 600 < sum(result.failures.values()) < 1000
    log = nginx.take_log(2000)
    sent = sum(seen.sent for seen in log)
    assert result.jobs is not None
    assert int(result.jobs.measure("bytes_received").sum()) == sent
    assert egress(result) == Fraction(PRICE) * sent / 10**9


def test_egress_of_flows_is_theirs(nginx: Nginx) -> None:
    """A flow receives what all of its steps receive, and those that were not reached cost nothing."""
    steps = [
        {"name": "first", "url": nginx.url("/small")},
        {"name": "second", "url": nginx.url("/redirect"), "redirects": 1},
        {"name": "limited", "url": nginx.url("/missing")},
        {"name": "never", "url": nginx.url("/large")},
    ]
    workload = {"job": {"kind": "flow", "steps": steps}, "arrivals": {"kind": "closed", "users": 4}, "jobs": 50}
    nginx.take_log(0)
    result = run_sync(spec_from_dict({"workload": workload, "cost": {"kind": "egress", "price": PRICE, "unit": "GiB"}}))
    log = nginx.take_log(200)
    assert len(log) == 200
    assert result.failures == {"status": 50}
    assert egress(result) == Fraction(PRICE) * sum(seen.sent for seen in log) / 2**30
