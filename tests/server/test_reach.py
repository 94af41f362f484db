"""Whether a run may have what its specification names, judged before it is accepted: with nothing resolved or sent."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest

from aurea_engine import (
    Access,
    AllAtOnce,
    Arrivals,
    Branch,
    ConstantRate,
    Faulty,
    Job,
    Limited,
    Mix,
    Poisson,
    RunSpec,
    Sleep,
    SpecError,
    Workload,
)
from aurea_engine.closed_sets import ExecutorName
from aurea_engine.errors import TARGET_NOT_ALLOWED
from aurea_engine.workload.access import PublishedSecret, Reach, parse_allowed_target
from aurea_server.runner.reach import check_reach

APP = ("app.example", 80)
ACCESS = Access(
    targets=(parse_allowed_target("app.example:80"), parse_allowed_target("10.0.0.0/8:81")),
    secrets={"api": PublishedSecret("env", "API", *APP)},
    local=False,
    most_connections=100,
    most_rate=1000.0,
)


@dataclass(frozen=True)
class Aiming(Job):
    """Sends nothing, and says that it would."""

    reaches: Any = field(default_factory=lambda: Reach((APP,)))
    executor: ClassVar[ExecutorName] = "tasks"

    async def run(self, demand: float) -> None:
        raise AssertionError

    def reach(self) -> Reach:
        return self.reaches  # type: ignore[no-any-return]


def refuse(*jobs: Job, arrivals: Arrivals | None = None, access: Access = ACCESS) -> list[tuple[str, str, str]]:
    """The problems of a workload of these jobs, in a mix if there are several."""
    job = jobs[0] if len(jobs) == 1 else Mix(tuple(Branch(1, each) for each in jobs))
    spec = RunSpec(Workload(job, arrivals or AllAtOnce(), jobs=10))
    try:
        check_reach(spec, access)
    except SpecError as error:
        return [tuple(problem) for problem in error.problems]  # type: ignore[misc]
    return []


@pytest.fixture(autouse=True)
def resolver(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks one fails the test."""

    def ask(*_: object, **__: object) -> None:
        raise AssertionError("a resolver was asked")

    for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex"):
        monkeypatch.setattr(socket, name, ask)
    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", ask)


def test_what_is_allowed_is_accepted() -> None:
    for target in (APP, ("APP.example.", 80), ("10.1.2.3", 81), ("any.example", 81)):
        assert refuse(Aiming(Reach((target,)))) == []
    assert refuse(Sleep()) == []


def test_refused_targets_are_told_at_once() -> None:
    """Wherever they stand: in a mix, and in wrappers of any depth; and each once."""
    evil, next_door = Aiming(Reach((("evil.example", 80),))), Aiming(Reach((APP, ("app.example", 8080))))
    deep = Limited(Faulty(Limited(Mix((Branch(1, Faulty(evil, 0.5)), Branch(0, Aiming()))), 1), 0.1), 2)
    assert refuse(deep, next_door, evil) == [  # type: ignore[arg-type]
        ("workload.job", TARGET_NOT_ALLOWED, "evil.example:80"),
        ("workload.job", TARGET_NOT_ALLOWED, "app.example:8080"),
    ]


def test_branch_that_is_not_chosen_is_judged() -> None:
    """A weight of 0 is no reason to look the other way."""
    job = Mix((Branch(1, Sleep()), Branch(0, Aiming(Reach((("evil.example", 80),))))))
    assert [got for _, _, got in refuse(job)] == ["evil.example:80"]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "host",
    ["169.254.169.254", "127.0.0.1", "localhost", "[::ffff:10.0.0.1]", "2130706433", "a" * 5000, "\x1b[2J", "é\udc00"],
)
def test_refusals_are_one_printable_line(host: str) -> None:
    ((_, text, got),) = refuse(Aiming(Reach(((host, 80),))))
    assert text == TARGET_NOT_ALLOWED
    assert len(got) <= 300
    assert got.isascii()
    assert got.isprintable()


def test_secrets_are_for_their_own_target() -> None:
    """One for another target is refused in the same words as one that does not exist."""
    assert refuse(Aiming(Reach((APP,), (("api", *APP),)))) == []
    other = ("10.0.0.1", 81)
    problems = refuse(Aiming(Reach((other,), (("api", *other), ("none", *other)))))
    assert [(path, got) for path, _, got in problems] == [("workload.job", "api"), ("workload.job", "none")]
    assert len({text for _, text, _ in problems}) == 1


def test_connections_are_limited_for_a_run() -> None:
    """One kind of job may ask for all of them, two for half each; a flow to two targets counts as two."""
    two = (APP, ("10.0.0.1", 81))
    assert refuse(Aiming(Reach((APP,), connections=100))) == []
    assert refuse(Aiming(Reach((APP,), connections=None))) == []
    assert refuse(Aiming(Reach((APP,), connections=50)), Aiming(Reach((APP,), connections=50)), Sleep()) == []
    assert [got for *_, got in refuse(Aiming(Reach((APP,), connections=101)))] == ["101"]
    assert [got for *_, got in refuse(Aiming(Reach((APP,), connections=51)), Aiming())] == ["51"]
    assert [got for *_, got in refuse(Aiming(Reach(two, connections=51)))] == ["51"]
    assert len(refuse(*[Aiming()] * 101)) == 1


@pytest.mark.parametrize("arrivals", [ConstantRate(1001), Poisson(1001)], ids=["constant", "poisson"])
def test_known_rate_above_ceiling_is_refused(arrivals: Arrivals) -> None:
    ((path, text, got),) = refuse(Aiming(), arrivals=arrivals)
    assert (path, got) == ("workload.arrivals", "1,001")
    assert "1,000" in text


def test_rates_count_what_job_sends_at_least() -> None:
    """A flow of three steps at 400/s sends 1,200 requests a second. Unknown rates are paced where they are sent."""
    assert refuse(Aiming(), arrivals=ConstantRate(1000)) == []
    assert refuse(Aiming(Reach((APP,), requests=3)), arrivals=ConstantRate(300)) == []
    assert [path for path, *_ in refuse(Aiming(Reach((APP,), requests=3)), arrivals=ConstantRate(400))] == [
        "workload.arrivals"
    ]
    assert refuse(Aiming()) == []
    # How many of them send anything is drawn; those are paced, too.
    assert refuse(Aiming(), Sleep(), arrivals=ConstantRate(5000)) == []


def test_server_without_entry_allows_nothing() -> None:
    assert [got for *_, got in refuse(Aiming(), access=Access(targets=(), local=False))] == ["app.example:80"]
